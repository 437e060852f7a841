//! Ranges of a file.

use super::Case;

const fn range(fields: &'static str, status: u16, has: &'static [&'static str]) -> Case {
    Case { line: "GET /digits.txt", fields, status, has, lacks: &[] }
}

const WHOLE: &[&str] = &["Content-Length: 10000\r\n", "Accept-Ranges: bytes\r\n"];
const NO_RANGE: &[&str] = &["Content-Range: bytes */10000\r\n"];

/// Ranges of a file of 10,000 digits.
pub(crate) const RANGES: &[Case] = &[
    range(
        "Range: bytes=0-0",
        206,
        &["Content-Range: bytes 0-0/10000\r\n", "Content-Length: 1\r\n", "\r\n\r\n0"],
    ),
    range("Range: bytes=5-7", 206, &["bytes 5-7/10000", "\r\n\r\n567"]),
    range("Range: bytes=9995-", 206, &["bytes 9995-9999/10000", "\r\n\r\n56789"]),
    range("Range: bytes=-3", 206, &["bytes 9997-9999/10000", "\r\n\r\n789"]),
    range("Range: bytes=-10000", 206, &["bytes 0-9999/10000", "Content-Length: 10000\r\n"]),
    range("Range: bytes=-99999", 206, &["bytes 0-9999/10000"]),
    range("Range: bytes=0-", 206, &["bytes 0-9999/10000"]),
    range("Range: bytes=0-99999", 206, &["bytes 0-9999/10000"]),
    range("Range: bytes=9999-9999", 206, &["bytes 9999-9999/10000", "\r\n\r\n9"]),
    range("Range: bytes=3-99999999999999999999999999", 206, &["bytes 3-9999/10000"]),
    range("Range: Bytes=1-1", 206, &["bytes 1-1/10000", "\r\n\r\n1"]),
    range("Range: bytes= 1-1 ", 206, &["bytes 1-1/10000"]),
    range("Range: bytes=10000-", 416, NO_RANGE),
    range("Range: bytes=10000-10001", 416, NO_RANGE),
    range("Range: bytes=99999999999999999999-", 416, NO_RANGE),
    range("Range: bytes=-0", 416, NO_RANGE),
    range("Range: bytes=20000-,30000-", 416, NO_RANGE),
    range("Range: bytes=2-1", 200, WHOLE),
    range("Range: bytes=", 200, WHOLE),
    range("Range: bytes=-", 200, WHOLE),
    range("Range: bytes=a-b", 200, WHOLE),
    range("Range: bytes=1", 200, WHOLE),
    range("Range: bytes=1-2-3", 200, WHOLE),
    range("Range: bytes=+1-2", 200, WHOLE),
    range("Range: bytes=1-2;", 200, WHOLE),
    range("Range: bytes 1-2", 200, WHOLE),
    range("Range: bytes:1-2", 200, WHOLE),
    range("Range: chars=1-2", 200, WHOLE),
    range("Range: =1-2", 200, WHOLE),
    range("Range:", 200, WHOLE),
    range("Range: bytes=0-0 | Range: bytes=1-1", 200, WHOLE),
    // Several: those that overlap or nearly touch are one.
    range("Range: bytes=0-1,2-3", 206, &["bytes 0-3/10000", "\r\n\r\n0123"]),
    range("Range: bytes=2-3,0-1", 206, &["bytes 0-3/10000", "\r\n\r\n0123"]),
    range("Range: bytes=0-5,3-8", 206, &["bytes 0-8/10000"]),
    range("Range: bytes=0-0,100-100", 206, &["bytes 0-100/10000"]),
    range("Range: bytes=0-1,20000-", 206, &["bytes 0-1/10000", "\r\n\r\n01"]),
    range("Range: bytes=0-,0-,0-", 206, &["bytes 0-9999/10000"]),
    range(
        "Range: bytes=0-1,5000-5001",
        206,
        &[
            "multipart/byteranges; boundary=switchboard-",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-1/10000\r\n\r\n01\r\n--",
            "Content-Range: bytes 5000-5001/10000\r\n\r\n01\r\n--",
            "--\r\n",
        ],
    ),
    range("Range: bytes=-1,0-0", 206, &["bytes 9999-9999/10000\r\n\r\n9", "bytes 0-0/10000\r\n\r\n0"]),
    // As long as the whole: the whole.
    range("Range: bytes=0-4900,5100-9999", 200, WHOLE),
    // If-Range: exactly the same state, or everything.
    range("Range: bytes=1-1 | If-Range: {t}", 200, WHOLE),
    range("Range: bytes=1-1 | If-Range: \"x\"", 200, WHOLE),
    range("Range: bytes=1-1 | If-Range: Thu, 01 Jan 1970 00:01:40 GMT", 206, &["\r\n\r\n1"]),
    range("Range: bytes=1-1 | If-Range: Thu, 01 Jan 1970 00:01:41 GMT", 200, WHOLE),
    range("Range: bytes=1-1 | If-Range: Thu, 01 Jan 1970 00:01:39 GMT", 200, WHOLE),
    range("Range: bytes=1-1 | If-Range: nonsense", 200, WHOLE),
    range("Range: bytes=1-1 | If-Range: *", 200, WHOLE),
    range("Range: bytes=20000- | If-Range: \"x\"", 200, WHOLE),
    range("If-Range: \"x\"", 200, WHOLE),
];
