//! Any bytes to `upload`: names, commands and content. The answers are the same however the bytes are cut;
//! nothing is made outside of the directory, and what lies in it is what the answers say. The first bytes of
//! the input, up to the first 0, are the lengths of the pieces.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytesize::ByteSize;
use libfuzzer_sys::fuzz_target;
use switchboard::protocol::upload::{Options, Upload};
use switchboard::protocol::{Protocol, Session};
use switchboard_fuzz::Client;

/// Largest file, and all of them: small, so that the bounds are met.
const MAX: (u64, u64) = (200, 500);

fuzz_target!(|data: &[u8]| {
    let Some(at) = data.iter().position(|b| *b == 0) else { return };
    let (lengths, bytes) = (&data[..at], &data[at + 1..]);
    let whole = stored(|client| client.send(bytes));
    let cut = stored(|client| client.send_in_pieces(bytes, lengths));
    assert_eq!(whole, cut);
    let (said, files) = whole;
    let all: u64 = files.values().map(|content| content.len() as u64).sum();
    assert!(all <= MAX.1 && files.values().all(|content| content.len() as u64 <= MAX.0), "{files:?}");
    assert_eq!(said.lines().filter(|line| line.starts_with("stored ")).count(), files.len(), "{said}");
    for (name, content) in files {
        assert!(!name.starts_with('.') && !name.chars().any(char::is_control), "{name:?}");
        let is_theirs = content.is_empty() || bytes.windows(content.len()).any(|window| window == content);
        assert!(is_theirs, "{name:?} has what nobody sent");
    }
});

/// What is said to a client, and the files that are there when it has ended.
fn stored(send: impl FnOnce(&mut Client)) -> (String, BTreeMap<String, Vec<u8>>) {
    // In memory where that is possible: every file is synchronised with its disk.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let mut options = Options::default();
    options.dir = dir.path().join("outer/uploads");
    (options.max_file, options.max_total) = (ByteSize::b(MAX.0), ByteSize::b(MAX.1));
    fs::create_dir(dir.path().join("outer")).unwrap();
    Upload::prepare(&options).unwrap();
    let mut client = Client::new(Session::Upload(Upload::new(&Arc::new(options))));
    send(&mut client);
    client.eof();
    let names = |at: &str| -> Vec<String> {
        let entries = fs::read_dir(dir.path().join(at)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(""), ["outer"]);
    assert!(names("outer").iter().all(|name| name == "uploads"), "{:?}", names("outer"));
    let read = |name: String| {
        let content = fs::read(dir.path().join("outer/uploads").join(&name)).unwrap();
        (name, content)
    };
    (String::from_utf8(client.got).unwrap(), names("outer/uploads").into_iter().map(read).collect())
}
