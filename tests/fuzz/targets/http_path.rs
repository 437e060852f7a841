//! Any bytes as the target of a request: what comes is the file that a plain model finds, below the root,
//! or nothing.
#![no_main]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use libfuzzer_sys::fuzz_target;
use switchboard_fuzz::{SECRET, Site, has, split};

thread_local! {
    static SITE: Site = Site::default();
}

fuzz_target!(|data: &[u8]| {
    // Those would end the target.
    if data.iter().any(|b| matches!(b, b' ' | b'\r' | b'\n')) {
        return;
    }
    SITE.with(|site| {
        let request = [b"GET /", data, b" HTTP/1.0\r\n\r\n"].concat();
        let reply = site.ask(&request);
        // A redirect repeats the query that was sent.
        assert!(!has(&reply, SECRET.as_bytes()) || has(data, SECRET.as_bytes()));
        let (head, body) = split(&reply);
        let is_file = head.starts_with("HTTP/1.1 200 ") && !head.contains("text/html");
        if !is_file {
            return;
        }
        let wanted = decode(data);
        let path = site.root().join(OsStr::from_bytes(&wanted));
        let real = path.canonicalize().unwrap();
        assert!(real.starts_with(site.root().canonicalize().unwrap()), "{}", real.display());
        assert!(fs::read(real).unwrap() == body, "{head}");
    });
});

/// The path of a target, percent-decoded once, without its query and without slashes in front.
fn decode(target: &[u8]) -> Vec<u8> {
    let path = target.split(|b| *b == b'?').next().unwrap();
    let (mut decoded, mut rest) = (Vec::new(), path);
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|_| first == b'%') {
            Some(byte) => {
                decoded.push(byte);
                rest = &behind[2..];
            }
            None => {
                decoded.push(first);
                rest = behind;
            }
        }
    }
    let start = decoded.iter().position(|b| *b != b'/').unwrap_or(decoded.len());
    decoded.split_off(start)
}
