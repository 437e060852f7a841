//! Media types by the extension of a file's name.

use std::borrow::Cow;
use std::path::Path;

/// What a name without a known extension is.
const UNKNOWN: &str = "application/octet-stream";

/// Where the common tables are old, or mean something else than a programmer does.
const OVERRIDES: &[(&str, &str)] = &[
    ("avif", "image/avif"),
    ("br", "application/x-brotli"),
    ("c", "text/plain"),
    ("cfg", "text/plain"),
    ("cjs", "text/javascript"),
    ("conf", "text/plain"),
    ("cpp", "text/plain"),
    ("geojson", "application/geo+json"),
    ("go", "text/plain"),
    ("h", "text/plain"),
    ("ini", "text/plain"),
    ("java", "text/plain"),
    ("js", "text/javascript"),
    ("jsonl", "application/jsonl"),
    ("jsx", "text/javascript"),
    ("log", "text/plain"),
    ("map", "application/json"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("ndjson", "application/x-ndjson"),
    ("pcap", "application/vnd.tcpdump.pcap"),
    ("pcapng", "application/x-pcapng"),
    ("py", "text/plain"),
    ("rs", "text/plain"),
    ("sh", "text/plain"),
    ("toml", "text/plain"),
    ("ts", "text/plain"),
    ("tsx", "text/plain"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("yaml", "text/plain"),
    ("yml", "text/plain"),
];

/// Types whose content is compressed already: nobody compresses it again.
const COMPRESSED: &[&str] = &[
    "application/gzip",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip2",
    "application/x-xz",
    "application/zip",
    "application/zstd",
    "audio/",
    "font/woff",
    "image/avif",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "video/",
];

/// Whether files of this type are never kept in a compressed form beside the file itself.
pub(super) fn is_compressed(media_type: &str) -> bool {
    COMPRESSED.iter().any(|start| media_type.starts_with(start))
}

/// The `Content-Type` of a file of this name; text is taken to be UTF-8.
pub(super) fn content_type(name: &Path) -> Cow<'static, str> {
    let extension = name.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let known = OVERRIDES.iter().find(|(known, _)| *known == extension).map(|(_, media_type)| *media_type);
    let media_type = known.or_else(|| mime_infer::MimeInfer::from_ext(&extension).first_raw());
    match media_type {
        Some(text) if text.starts_with("text/") => Cow::Owned(format!("{text}; charset=utf-8")),
        other => Cow::Borrowed(other.unwrap_or(UNKNOWN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_what_browsers_need() {
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("A.HTML", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.cjs", "text/javascript; charset=utf-8"),
            ("a.jsx", "text/javascript; charset=utf-8"),
            ("README.md", "text/markdown; charset=utf-8"),
            ("a.ts", "text/plain; charset=utf-8"),
            ("a.tsx", "text/plain; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.tar.gz", "application/gzip"),
            ("a.wasm", "application/wasm"),
            ("a.avif", "image/avif"),
            ("a.png", "image/png"),
            ("a.svg", "image/svg+xml"),
            ("a.json", "application/json"),
            ("a.pcapng", "application/x-pcapng"),
            ("a.jsonl", "application/jsonl"),
            ("a.ndjson", "application/x-ndjson"),
            ("a.webp", "image/webp"),
            ("a.woff2", "font/woff2"),
            ("a.ttf", "font/ttf"),
            ("a.ico", "image/vnd.microsoft.icon"),
            ("a.mp4", "video/mp4"),
            ("a.py", "text/plain; charset=utf-8"),
            ("a.xml", "text/xml; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.pdf", "application/pdf"),
            ("Makefile", UNKNOWN),
            (".html", UNKNOWN),
            ("a.", UNKNOWN),
        ] {
            assert_eq!(content_type(Path::new(name)), expected, "{name}");
        }
    }
}
