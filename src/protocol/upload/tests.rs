use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::store::Store;
use super::*;
use crate::checksum::Checksum;
use crate::conn::{Conn, Life};
use crate::protocol::bench::Bench;

/// The service, and what it stores.
struct Uploads(Bench);

impl Deref for Uploads {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.0
    }
}

impl DerefMut for Uploads {
    fn deref_mut(&mut self) -> &mut Bench {
        &mut self.0
    }
}

impl Uploads {
    fn new(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut table: toml::Table = settings.parse().unwrap();
        table.insert("dir".to_owned(), dir.path().join("uploads").display().to_string().into());
        Self(Bench::new("upload", dir, table))
    }

    /// What lies in the directory, hidden files too: names with their content, sorted.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.path()).into_iter().flatten().flatten();
        let read = |entry: fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap_or_default())
        };
        let mut files: Vec<_> = entries.map(read).collect();
        files.sort();
        files
    }

    fn names(&self) -> Vec<String> {
        self.files().into_iter().map(|(name, _)| name).collect()
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("uploads")
    }
}

fn sum(bytes: &[u8]) -> String {
    let mut sum = Checksum::default();
    sum.update(bytes);
    sum.digits()
}

#[test]
fn a_name_a_line_end_and_the_content() {
    let mut bench = Uploads::new("");
    assert!(!bench.path().exists());
    let said = bench.exchange(&[b"notes.txt\n", b"some\ntext"]);
    assert_eq!(said, format!("stored 9 {} notes.txt\n", sum(b"some\ntext")));
    assert_eq!(bench.files(), [("notes.txt".to_owned(), b"some\ntext".to_vec())]);
    assert!(bench.exchange(&[b"telnet.txt\r\n\r\nx\r\n"]).starts_with("stored 5 "));
    assert_eq!(bench.files()[1], ("telnet.txt".to_owned(), b"\r\nx\r\n".to_vec()));
    assert!(bench.exchange(&[b"empty\n"]).starts_with("stored 0 e3b0c442"));
}

#[test]
fn several_files_with_their_lengths() {
    let mut bench = Uploads::new("");
    let said = bench.exchange(&[b"/put 3 a\nabc/put 0 b\n/put 2 c d\r\nxy\n\r\n/put 1 e\n\n"]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert_eq!(lines[2], format!("stored 2 {} c d", sum(b"xy")));
    assert_eq!(bench.names(), ["a", "b", "c d", "e"]);
    assert_eq!(bench.files()[3].1, b"\n");
}

#[test]
fn a_message_without_a_line_end_is_no_file() {
    let mut bench = Uploads::new("");
    let said = bench.exchange(&[b"Hello ", b"there"]);
    assert!(said.starts_with("shown, not saved: 11 bytes without a line end"), "{said}");
    assert_eq!(bench.exchange(&[]), "");
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn what_is_short_is_not_saved_and_neither_is_what_is_cut_off() {
    let mut bench = Uploads::new("");
    assert_eq!(bench.exchange(&[b"/put 10 a\nabc"]), "error: a: only 3 of 10 bytes came; nothing is saved\n");
    let big = vec![b'x'; 3 * limits::UPLOAD_CHUNK];
    for form in [&b"a\n"[..], b"/put 10000000 a\n"] {
        let mut peer = bench.connect();
        bench.send(&mut peer, form);
        bench.send(&mut peer, &big);
        // A reset: nobody says that this is the end.
        bench.close(&mut peer);
        assert_eq!((bench.names(), peer.text()), (vec![], String::new()));
    }
    assert!(bench.exchange(&[b"a\n", &big]).starts_with("stored 786432 "));
    assert_eq!(bench.files()[0].1, big);
}

#[test]
fn a_name_that_is_taken() {
    let mut bench = Uploads::new("");
    let first = bench.exchange(&[b"a.txt\n1"]);
    assert!(first.ends_with(" a.txt\n"));
    assert!(bench.exchange(&[b"a.txt\n2"]).ends_with(" a-1.txt\t(a.txt was there already)\n"));
    fs::create_dir(bench.path().join("dir")).unwrap();
    assert!(bench.exchange(&[b"dir\n3"]).contains(" dir-1\t"));
    assert_eq!(bench.names(), ["a-1.txt", "a.txt", "dir", "dir-1"]);

    let mut bench = Uploads::new("on_conflict = 'refuse'");
    bench.exchange(&[b"a\n1"]);
    assert_eq!(bench.exchange(&[b"a\n2"]), "error: a: a file of this name is there already\n");
    assert_eq!(bench.files()[0].1, b"1");

    let mut bench = Uploads::new("on_conflict = 'replace'");
    bench.exchange(&[b"a\n1"]);
    assert!(bench.exchange(&[b"a\n2"]).ends_with(" a\n"));
    assert_eq!(bench.files(), [("a".to_owned(), b"2".to_vec())]);
    fs::create_dir(bench.path().join("dir")).unwrap();
    assert_eq!(bench.exchange(&[b"dir\n3"]), "error: dir: a directory of this name is there already\n");
    assert_eq!(bench.names(), ["a", "dir"]);
}

#[test]
fn a_link_in_the_directory_leads_no_upload_elsewhere() {
    for policy in ["keep-both", "replace"] {
        let mut bench = Uploads::new(&format!("on_conflict = '{policy}'"));
        let outside = bench.dir.path().join("outside");
        fs::write(&outside, "as it was").unwrap();
        bench.exchange(&[b"first\n1"]);
        std::os::unix::fs::symlink(&outside, bench.path().join("link")).unwrap();
        assert!(bench.exchange(&[b"link\nchanged"]).starts_with("stored"));
        assert_eq!(fs::read(&outside).unwrap(), b"as it was");
    }
}

#[test]
fn limits_are_said_and_what_is_behind_a_refused_file_is_understood() {
    let mut bench = Uploads::new("max_file = 10\nmax_total = '15 B'");
    assert_eq!(bench.exchange(&[b"a\n12345678901"]), "error: a: a file may have 10 bytes at the most\n");
    let said = bench.exchange(&[b"/put 11 a\n12345678901"]);
    assert_eq!(said, "error: a: a file may have 10 bytes at the most; closing\n");
    let said = bench.exchange(&[b"/put 10 a\n1234567890/put 6 b\n123456/put 3 ../c\nabc/put 5 d\n12345"]);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("stored 10 ") && lines[3].starts_with("stored 5 "), "{said}");
    assert!(lines[1].starts_with("error: b: there is no room for it"), "{said}");
    assert!(lines[2].starts_with("error: ../c: a name has no /"), "{said}");
    assert!(bench.exchange(&[b"/put 1 e\n1"]).contains("no room"));
    fs::remove_file(bench.path().join("a")).unwrap();
    assert!(bench.exchange(&[b"/put 10 e\n1234567890"]).starts_with("stored 10"), "room was made");
    assert!(bench.exchange(&[b"/put 1 f\n1"]).contains("no room"));
}

#[test]
fn only_so_many_come_at_once() {
    let mut bench = Uploads::new("max_concurrent = 1");
    let (mut first, mut second) = (bench.connect(), bench.connect());
    bench.send(&mut first, b"/put 3 a\n1");
    bench.send(&mut second, b"/put 3 b\n123");
    assert!(second.text().starts_with("error: b: as many files are coming"), "{}", second.text());
    bench.send(&mut first, b"23");
    bench.send(&mut second, b"/put 3 b\n123");
    assert!(second.text().lines().last().unwrap().starts_with("stored 3 "), "{}", second.text());
    // One that is given up makes room as well.
    bench.send(&mut first, b"/put 3 c\n");
    bench.close(&mut first);
    bench.send(&mut second, b"/put 0 d\n");
    assert_eq!(bench.names(), ["a", "b", "d"]);
}

#[test]
fn a_sender_that_pauses_too_long_is_given_up() {
    let mut bench = Uploads::new("progress_timeout = '5s'");
    let mut peer = bench.connect();
    bench.send(&mut peer, b"a\n123");
    assert_eq!(peer.conn.deadline(), Time::from_millis(5000));
    bench.now = Time::from_millis(5000);
    bench.call(&mut peer, Conn::tick);
    assert_eq!(peer.text(), "error: a: nothing came for 5s; nothing is saved\n");
    assert_eq!(peer.conn.life(), Life::Finishing(Why::TimedOut));
    bench.close(&mut peer);
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn a_stop_lets_a_put_come_to_its_end_and_cuts_off_what_has_none() {
    let mut bench = Uploads::new("");
    let (mut put, mut lab, mut idle) = (bench.connect(), bench.connect(), bench.connect());
    bench.send(&mut put, b"/put 3 a\n1");
    bench.send(&mut lab, b"b\n1");
    for peer in [&mut put, &mut lab, &mut idle] {
        bench.call(peer, Conn::drain);
    }
    assert_eq!(lab.text(), "error: b: the server is stopping; nothing is saved\n");
    assert_eq!(idle.conn.life(), Life::Finishing(Why::Shutdown));
    assert_eq!(put.conn.life(), Life::Open);
    bench.send(&mut put, b"23");
    assert!(put.text().starts_with("stored 3"));
    assert_eq!(put.conn.life(), Life::Finishing(Why::Shutdown));
    [put, lab].iter_mut().for_each(|peer| bench.close(peer));
    assert_eq!(bench.names(), ["a"]);
}

#[test]
fn what_is_neither_a_name_nor_a_command_is_refused() {
    let mut bench = Uploads::new("");
    for (sent, word) in [
        (&b"/get x\n"[..], "/put LENGTH NAME"),
        (b"/put x y\n", "LENGTH is the number"),
        (b"/put 1 a\nxmore\n", "is LENGTH right?"),
        (b"/put 1 b\nxrest", "the last line has no end"),
        (b"\nx", "the name is empty"),
        (b"..\nx", "begins with a dot"),
        (b"\xff\nx", "error: \\xff: the name is not UTF-8"),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (&vec![b'x'; limits::UPLOAD_LINE + 1], "this one has no end"),
        (&[&[b'x'; 300][..], b"\ny"].concat(), "255 bytes"),
    ] {
        let said = bench.exchange(&[sent]);
        assert!(said.contains(word), "{sent:?}: {said}");
    }
    assert_eq!(bench.names(), ["a", "b"]);
}

#[test]
fn the_directory_is_made_again_if_it_was_removed() {
    let mut bench = Uploads::new("");
    bench.exchange(&[b"a\n1"]);
    fs::remove_dir_all(bench.path()).unwrap();
    assert!(bench.exchange(&[b"a\n2"]).ends_with(" a\n"));
    assert_eq!(bench.files()[0].1, b"2");
}

fn store_at(path: &Path, on_conflict: OnConflict) -> Arc<Store> {
    Arc::new(Store::named(&Options { dir: path.to_owned(), on_conflict, ..Options::default() }))
}

#[test]
fn a_file_system_without_files_that_have_no_name_does_as_well() {
    for policy in [OnConflict::KeepBoth, OnConflict::Refuse, OnConflict::Replace] {
        let dir = tempfile::tempdir().unwrap();
        let names = || {
            let entries = fs::read_dir(dir.path()).unwrap();
            let mut names: Vec<_> =
                entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let store = store_at(dir.path(), policy);
        let begin = || Transfer::begin(store.admit().unwrap(), "a").unwrap();
        let mut whole = begin();
        let given_up = begin();
        assert!(names().iter().all(|name| name.starts_with(".switchboard-")), "{:?}", names());
        // Another daemon that starts takes them for what they are: in use.
        store_at(dir.path(), policy).clean();
        assert_eq!(names().len(), 2);
        whole.write(b"content").unwrap();
        assert_eq!(whole.publish("a").unwrap().name, "a");
        drop(given_up);
        assert_eq!(names(), ["a"]);
        let again = store.admit().map(|permit| Transfer::begin(permit, "a")).unwrap();
        let expected: &[&str] = match (policy, again.and_then(|again| again.publish("a"))) {
            (OnConflict::KeepBoth, Ok(stored)) if stored.name == "a-1" => &["a", "a-1"],
            (OnConflict::Refuse, Err(_)) | (OnConflict::Replace, Ok(_)) => &["a"],
            (policy, other) => panic!("{policy:?}: {other:?}"),
        };
        assert_eq!(names(), expected);
    }
}

#[test]
fn what_a_killed_daemon_left_is_removed_at_the_start_and_nothing_else() {
    let bench = Uploads::new("");
    fs::create_dir(bench.path()).unwrap();
    for name in [".switchboard-1-2-3.part", ".switchboardrc", ".other.part", "a"] {
        fs::write(bench.path().join(name), "x").unwrap();
    }
    bench.options.prepare().unwrap();
    assert_eq!(bench.names(), [".other.part", ".switchboardrc", "a"]);
}

/// Conversations of every kind.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof!["[a-c]{1,3}", Just("../x".to_owned()), Just(String::new())];
    let content = proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'/'), Just(b'x')], 0..40);
    let put = (name.clone(), content.clone(), 0..3usize).prop_map(|(name, content, more)| {
        let mut bytes = format!("/put {} {name}\n", content.len() + more / 2 * 7).into_bytes();
        bytes.extend(content);
        bytes
    });
    let puts = proptest::collection::vec(put, 0..4).prop_map(|puts| puts.concat());
    let lab = (name, content.clone()).prop_map(|(name, content)| {
        let mut bytes = format!("{name}\n").into_bytes();
        bytes.extend(content);
        bytes
    });
    prop_oneof![puts.clone(), lab.clone(), content, (puts, lab).prop_map(|(puts, lab)| [puts, lab].concat())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_split_makes_a_difference(
        bytes in conversation(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8)
    ) {
        let mut whole = Uploads::new("max_file = 100");
        let expected = (whole.exchange(&[&bytes]), whole.files());
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        let mut split = Uploads::new("max_file = 100");
        prop_assert_eq!((split.exchange(&parts), split.files()), expected);
    }
}
