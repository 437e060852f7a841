//! Conditional requests, forms of a file, types, directories, methods.

use super::Case;

const fn case(
    line: &'static str,
    fields: &'static str,
    status: u16,
    has: &'static [&'static str],
    lacks: &'static [&'static str],
) -> Case {
    Case { line, fields, status, has, lacks }
}

const A: &str = "GET /a.txt";
const HEAD: &str = "HEAD /a.txt";
const BODY: &[&str] = &["\r\nETag: {t}\r\n", "Content-Length: 6\r\n", "\r\n\r\nhello\n"];
const NO_BODY: &[&str] = &["hello"];
const TAGS_ONLY: &[&str] = &["ETag: {t}\r\n", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "Date: "];
const NO_CONTENT: &[&str] = &["hello", "Content-Length", "Content-Type"];

/// Conditional requests, in the order of the RFC.
pub(crate) const CONDITIONS: &[Case] = &[
    case(A, "", 200, BODY, &["Vary"]),
    case(HEAD, "", 200, &["ETag: {t}", "Content-Length: 6"], NO_BODY),
    // If-None-Match: weak comparison.
    case(A, "If-None-Match: {t}", 304, TAGS_ONLY, NO_CONTENT),
    case(HEAD, "If-None-Match: {t}", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-None-Match: W/{t}", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-None-Match: *", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-None-Match: \"x\", {t}", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-None-Match: \"x\",{t} , \"y\"", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-None-Match: \"x\" | If-None-Match: {t}", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-None-Match: \"x\"", 200, BODY, &[]),
    case(A, "If-None-Match: \"x\", \"y\"", 200, BODY, &[]),
    case(A, "If-None-Match: x", 200, BODY, &[]),
    case(A, "If-None-Match:", 200, BODY, &[]),
    case(A, "If-None-Match: \"{t}\"", 200, BODY, &[]),
    case("GET /none", "If-None-Match: *", 404, &["404 Not Found"], &[]),
    case("GET /sub", "If-None-Match: *", 301, &["Location: /sub/"], &[]),
    // If-Match: strong comparison.
    case(A, "If-Match: {t}", 200, BODY, &[]),
    case(A, "If-Match: *", 200, BODY, &[]),
    case(A, "If-Match: \"x\", {t}", 200, BODY, &[]),
    case(A, "If-Match: \"x\" | If-Match: {t}", 200, BODY, &[]),
    case(A, "If-Match: W/{t}", 412, &["412 Precondition Failed"], NO_BODY),
    case(A, "If-Match: \"x\"", 412, &["412 Precondition Failed"], NO_BODY),
    case(A, "If-Match: x", 412, &[], NO_BODY),
    case(A, "If-Match:", 412, &[], NO_BODY),
    case(HEAD, "If-Match: \"x\"", 412, &["Content-Length: "], &["wants"]),
    case("GET /none", "If-Match: *", 404, &[], &[]),
    case("GET /", "If-Match: \"x\"", 412, &[], &["<!doctype"]),
    case("GET /", "If-Match: *", 200, &["<!doctype"], &[]),
    case("GET /", "If-None-Match: *", 304, &["Vary: Accept\r\n", "Cache-Control: no-cache\r\n"], NO_CONTENT),
    case("HEAD /", "If-None-Match: *", 304, &["Vary: Accept\r\n"], NO_CONTENT),
    case("GET /", "If-None-Match: \"x\"", 200, &["<!doctype"], &[]),
    // If-Modified-Since: three forms of a date; what is none is ignored.
    case(A, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-Modified-Since: Sun Nov  6 08:49:37 1994", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 200, BODY, &[]),
    case(A, "If-Modified-Since: yesterday", 200, BODY, &[]),
    case(A, "If-Modified-Since: 784111777", 200, BODY, &[]),
    case(A, "If-Modified-Since:", 200, BODY, &[]),
    case(HEAD, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 304, TAGS_ONLY, NO_CONTENT),
    case("GET /", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", 200, &["<!doctype"], &[]),
    // If-Unmodified-Since.
    case(A, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 200, BODY, &[]),
    case(A, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:38 GMT", 200, BODY, &[]),
    case(A, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 412, &[], NO_BODY),
    case(A, "If-Unmodified-Since: Sunday, 06-Nov-94 08:49:36 GMT", 412, &[], NO_BODY),
    case(A, "If-Unmodified-Since: never", 200, BODY, &[]),
    case("GET /", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 200, &["<!doctype"], &[]),
    // The order of RFC 9110, section 13.2.2: tags win over dates, If-Match comes first.
    case(A, "If-Match: {t} | If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 200, BODY, &[]),
    case(A, "If-Match: \"x\" | If-Unmodified-Since: Fri, 01 Jan 2100 00:00:00 GMT", 412, &[], &[]),
    case(A, "If-None-Match: \"x\" | If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", 200, BODY, &[]),
    case(A, "If-None-Match: {t} | If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 304, &[], &[]),
    case(A, "If-Match: \"x\" | If-None-Match: {t}", 412, &[], &[]),
    case(A, "If-Match: {t} | If-None-Match: {t}", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT | If-None-Match: {t}", 412, &[], &[]),
    case(A, "If-None-Match: {t} | Range: bytes=0-0", 304, TAGS_ONLY, NO_CONTENT),
    case(A, "If-Match: \"x\" | Range: bytes=0-0", 412, &[], &[]),
    // Methods without conditions.
    case("OPTIONS /a.txt", "If-None-Match: *", 204, &["Allow: GET, HEAD, OPTIONS"], &[]),
    case("POST /a.txt", "If-Match: \"x\"", 405, &["Allow: GET, HEAD, OPTIONS"], &[]),
];

const BR: &[&str] = &["Content-Encoding: br\r\n", "Vary: Accept-Encoding\r\n", "text/html", "\r\n\r\nBROTLI"];
const GZ: &[&str] = &["Content-Encoding: gzip\r\n", "Vary: Accept-Encoding\r\n", "\r\n\r\nGZ"];
const PLAIN: &[&str] = &["Vary: Accept-Encoding\r\n", "Content-Length: 5\r\n", "\r\n\r\nplain"];
const ENCODED: &[&str] = &["Content-Encoding"];
pub(crate) const PAGE: &str = "GET /page.html";

/// Forms of a file, by what a client accepts.
pub(crate) const FORMS: &[Case] = &[
    case(PAGE, "", 200, PLAIN, ENCODED),
    case(PAGE, "Accept-Encoding: br", 200, BR, &[]),
    case(PAGE, "Accept-Encoding: gzip", 200, GZ, &[]),
    case(PAGE, "Accept-Encoding: gzip, deflate, br, zstd", 200, BR, &[]),
    case(PAGE, "Accept-Encoding: gzip | Accept-Encoding: br", 200, BR, &[]),
    case(PAGE, "Accept-Encoding: br;q=0.5, gzip;q=0.9", 200, GZ, &[]),
    case(PAGE, "Accept-Encoding: br;q=0, gzip;q=0", 200, PLAIN, ENCODED),
    case(PAGE, "Accept-Encoding: identity", 200, PLAIN, ENCODED),
    case(PAGE, "Accept-Encoding: identity;q=1, br;q=0.5", 200, PLAIN, ENCODED),
    case(PAGE, "Accept-Encoding: *", 200, BR, &[]),
    case(PAGE, "Accept-Encoding: *;q=0", 200, PLAIN, ENCODED),
    case(PAGE, "Accept-Encoding: br;q=0, *", 200, GZ, &[]),
    case(PAGE, "Accept-Encoding: deflate", 200, PLAIN, ENCODED),
    case(PAGE, "Accept-Encoding:", 200, PLAIN, ENCODED),
    case(PAGE, "Accept-Encoding: BR", 200, BR, &[]),
    case(PAGE, "Accept-Encoding: br;q=nonsense", 200, PLAIN, ENCODED),
    case(
        "HEAD /page.html",
        "Accept-Encoding: br",
        200,
        &["Content-Encoding: br", "Content-Length: 6\r\n"],
        &["BROTLI"],
    ),
    case(
        PAGE,
        "Accept-Encoding: br | Range: bytes=1-2",
        206,
        &["bytes 1-2/6", "Content-Encoding: br", "\r\n\r\nRO"],
        &[],
    ),
    case(PAGE, "Accept-Encoding: gzip | Range: bytes=-1", 206, &["bytes 1-1/2", "\r\n\r\nZ"], &[]),
    case("GET /style.css", "Accept-Encoding: br", 200, &["Vary: Accept-Encoding", "css-plain"], ENCODED),
    case("GET /style.css", "Accept-Encoding: br, gzip", 200, &["text/css", "\r\n\r\ncss-gz"], &[]),
    case("GET /stale.js", "Accept-Encoding: gzip", 200, &["\r\n\r\nnew"], &["Vary", "Content-Encoding"]),
    case(
        "GET /empty.js",
        "Accept-Encoding: gzip",
        200,
        &["\r\n\r\nnot empty"],
        &["Vary", "Content-Encoding"],
    ),
    case(
        "GET /photo.png",
        "Accept-Encoding: gzip",
        200,
        &["image/png", "\r\n\r\npng"],
        &["Vary", "Content-Encoding"],
    ),
    case("GET /page.html.gz", "Accept-Encoding: gzip", 200, &["application/gzip", "\r\n\r\nGZ"], ENCODED),
    case("GET /lone.txt", "Accept-Encoding: gzip", 404, &[], ENCODED),
    case(
        "GET /zip/",
        "Accept-Encoding: gzip",
        200,
        &["text/html", "Content-Encoding: gzip", "\r\n\r\nindex-gz"],
        &[],
    ),
    case("GET /zip/", "", 200, &["\r\n\r\nindex-plain"], ENCODED),
];

/// Types, directories and methods.
pub(crate) const TYPES: &[Case] = &[
    case("GET /t/a.html", "", 200, &["Content-Type: text/html; charset=utf-8\r\n"], &[]),
    case("GET /t/a.css", "", 200, &["Content-Type: text/css; charset=utf-8\r\n"], &[]),
    case("GET /t/a.js", "", 200, &["Content-Type: text/javascript; charset=utf-8\r\n"], &[]),
    case("GET /t/a.mjs", "", 200, &["Content-Type: text/javascript; charset=utf-8\r\n"], &[]),
    case("GET /t/a.cjs", "", 200, &["Content-Type: text/javascript; charset=utf-8\r\n"], &[]),
    case("GET /t/a.jsx", "", 200, &["Content-Type: text/javascript; charset=utf-8\r\n"], &[]),
    case("GET /t/a.ts", "", 200, &["Content-Type: text/plain; charset=utf-8\r\n"], &[]),
    case("GET /t/a.tsx", "", 200, &["Content-Type: text/plain; charset=utf-8\r\n"], &[]),
    case("GET /t/a.md", "", 200, &["Content-Type: text/markdown; charset=utf-8\r\n"], &[]),
    case("GET /t/a.txt", "", 200, &["Content-Type: text/plain; charset=utf-8\r\n"], &[]),
    case("GET /t/a.json", "", 200, &["Content-Type: application/json\r\n"], &[]),
    case("GET /t/a.jsonl", "", 200, &["Content-Type: application/jsonl\r\n"], &[]),
    case("GET /t/a.ndjson", "", 200, &["Content-Type: application/x-ndjson\r\n"], &[]),
    case("GET /t/a.wasm", "", 200, &["Content-Type: application/wasm\r\n"], &[]),
    case("GET /t/a.webp", "", 200, &["Content-Type: image/webp\r\n"], &[]),
    case("GET /t/a.avif", "", 200, &["Content-Type: image/avif\r\n"], &[]),
    case("GET /t/a.svg", "", 200, &["Content-Type: image/svg+xml\r\n"], &[]),
    case("GET /t/a.woff2", "", 200, &["Content-Type: font/woff2\r\n"], &[]),
    case("GET /t/a.pcapng", "", 200, &["Content-Type: application/x-pcapng\r\n"], &[]),
    case("GET /t/a.unknown", "", 200, &["Content-Type: application/octet-stream\r\n", "nosniff"], &[]),
    // Directories.
    case("GET /t", "", 301, &["Location: /t/\r\n"], &[]),
    case("GET /t?sort=size", "", 301, &["Location: /t/?sort=size\r\n"], &[]),
    case("GET /t/", "", 200, &["text/html", "Vary: Accept\r\n", "aria-sort=\"ascending\""], &["ETag"]),
    case("GET /t/?sort=size&order=desc", "", 200, &["aria-sort=\"descending\""], &[]),
    case("GET /t/?sort=nonsense", "", 200, &["aria-sort=\"ascending\""], &[]),
    case(
        "GET /t/",
        "Accept: application/json",
        200,
        &["Content-Type: application/json\r\n", "\"complete\":true"],
        &["<"],
    ),
    case("GET /t/", "Accept: text/html, application/json;q=0.5", 200, &["text/html"], &[]),
    case("GET /t/", "Accept: text/plain | Accept: application/json", 200, &["application/json"], &[]),
    case(
        "HEAD /t/",
        "Accept: application/json",
        200,
        &["application/json", "Content-Length: "],
        &["entries"],
    ),
    case("GET /t/", "Range: bytes=0-0", 200, &["<!doctype html>"], &["Content-Range"]),
    case("GET /t/", "Accept-Encoding: br, gzip", 200, &["<!doctype html>"], ENCODED),
    case("TRACE /t/", "", 405, &["Allow: GET, HEAD, OPTIONS\r\n"], &[]),
    case("CONNECT h:80", "", 405, &["Allow: GET, HEAD, OPTIONS\r\n"], &[]),
    case("PATCH /t/a.txt", "", 405, &["Allow: GET, HEAD, OPTIONS\r\n"], &[]),
    case("OPTIONS *", "", 204, &["Allow: GET, HEAD, OPTIONS\r\n"], &["Content-Length"]),
    case("PROPFIND /t/", "", 501, &["501 Not Implemented"], &[]),
    case("GET /t/a.txt/b", "", 404, &[], &[]),
    case("GET /.t", "", 404, &[], &[]),
];
