//! The conformance suite of `http` as tables: what is asked, and what must come. The tables are run
//! against the handler by the tests beside this, and against the real program, with every engine, by
//! `tests/http_rows.rs`. So this knows nothing but files.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

mod files;
mod ranges;
mod requests;

pub(crate) use files::{CONDITIONS, FORMS, PAGE, TYPES};
pub(crate) use ranges::RANGES;
pub(crate) use requests::{BEGIN, BODIES, REQUESTS};

/// What is sent, the statuses of the replies, and whether the connection stays open.
pub(crate) type Raw = (&'static str, &'static [u16], bool);

/// One request, and what its reply must be.
pub(crate) struct Case {
    /// Method and target.
    pub(crate) line: &'static str,
    /// Fields, separated by ` | `; `{t}` stands for the entity tag of `/a.txt`.
    pub(crate) fields: &'static str,
    pub(crate) status: u16,
    /// What the reply has, its body included.
    pub(crate) has: &'static [&'static str],
    /// What it has not.
    pub(crate) lacks: &'static [&'static str],
}

/// When `/a.txt` was modified: Sun, 06 Nov 1994 08:49:37 GMT.
pub(crate) const MODIFIED: u64 = 784_111_777;

/// Size of `long.bin`: longer than what is sent from memory.
pub(crate) const LONG: usize = 20_000;

/// Makes something of every kind in an empty directory, and what must never be seen in one outside,
/// which stands beside it.
pub(crate) fn fill(root: &Path, outside: &Path) {
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::create_dir(root.join("with index")).unwrap();
    let put = |path: &str, content: &[u8]| fs::write(root.join(path), content).unwrap();
    put("a.txt", b"hello\n");
    put("empty.html", b"");
    put("long.bin", &vec![b'x'; LONG]);
    put("sub/b.txt", b"below\n");
    put("with index/index.html", b"<h1>index</h1>");
    put("back\\slash", b"one name\n");
    put(".secret", b"hidden\n");
    fs::write(outside.join("passwd"), b"SECRET").unwrap();
    let link = |to: &Path, from: &str| symlink(to, root.join(from)).unwrap();
    link(Path::new("../outside/passwd"), "relative");
    link(&outside.join("passwd"), "absolute");
    link(outside, "out");
    link(Path::new("../a.txt"), "sub/inside");
    link(Path::new("missing"), "dangling");
    link(Path::new("loop"), "loop");
}

/// Adds the files of [`CONDITIONS`], [`FORMS`] and [`TYPES`].
pub(crate) fn fill_forms(root: &Path) {
    for (path, content, at) in [
        ("a.txt", "hello\n", MODIFIED),
        ("page.html", "plain", 100),
        ("page.html.br", "BROTLI", 100),
        ("page.html.gz", "GZ", 200),
        ("style.css", "css-plain", 100),
        ("style.css.gz", "css-gz", 100),
        ("stale.js", "new", 100),
        ("stale.js.gz", "old", 99),
        ("empty.js", "not empty", 100),
        ("empty.js.gz", "", 100),
        ("photo.png", "png", 100),
        ("photo.png.gz", "png-gz", 100),
        ("lone.txt.gz", "lone", 100),
        ("zip/index.html", "index-plain", 100),
        ("zip/index.html.gz", "index-gz", 100),
    ] {
        put(root, path, content.as_bytes(), at);
    }
    let types =
        "html css js mjs cjs jsx ts tsx md txt json jsonl ndjson wasm webp avif svg woff2 pcapng unknown";
    types.split(' ').for_each(|extension| put(root, &format!("t/a.{extension}"), b"x", 100));
}

/// Adds the file of [`RANGES`].
pub(crate) fn fill_digits(root: &Path) {
    put(root, "digits.txt", &b"0123456789".repeat(1000), 100);
}

/// Puts a file below the root, last modified `at` seconds after 1970.
pub(crate) fn put(root: &Path, path: &str, content: &[u8], at: u64) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    File::open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(at)).unwrap();
}
