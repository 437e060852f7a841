use std::fs;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::conn::{Conn, Life};
use crate::protocol::Options as AnyOptions;
use crate::protocol::bench::Bench;

/// Longer than any buffer.
const LONG: usize = 300_000;

/// A directory with something of every kind, and one outside that must never be seen.
fn bench(settings: &str) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::create_dir(&outside).unwrap();
    let put = |path: &str, content: &[u8]| fs::write(root.join(path), content).unwrap();
    put("a.txt", b"hello\n");
    put("empty", b"");
    put("long", &vec![b'x'; LONG]);
    put("sub/b.txt", b"below\n");
    put(".secret", b"hidden\n");
    put("line\nend", b"no line has this name");
    fs::write(outside.join("passwd"), b"SECRET").unwrap();
    symlink("../outside/passwd", root.join("out")).unwrap();
    symlink("a.txt", root.join("in")).unwrap();
    symlink("missing", root.join("dangling")).unwrap();
    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let mut table: toml::Table = settings.parse().unwrap();
    table.insert("root".to_owned(), root.display().to_string().into());
    Bench::new("download", dir, table)
}

const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

#[test]
fn a_name_in_and_the_whole_content_out() {
    let mut bench = bench("");
    assert_eq!(bench.exchange(&[b"a.txt\n"]), "hello\n");
    assert_eq!(bench.exchange(&[b"sub/b.txt\r\n"]), "below\n");
    assert_eq!(bench.exchange(&[b"in"]), "hello\n");
    assert_eq!(bench.exchange(&[b"empty\n"]), "");
    assert_eq!(bench.exchange(&[b"long\n"]).len(), LONG);
    assert_eq!(bench.exchange(&[b"nothing\r\n"]), "error: nothing: no such file\r\n");
    assert_eq!(bench.exchange(&[b"nothing"]), "error: nothing: no such file\n");
    // What is behind the name has nobody to read it.
    assert_eq!(bench.exchange(&[b"a.txt\nsub/b.txt\n"]), "hello\n");
}

#[test]
fn a_name_without_a_line_end_is_whole_after_a_pause() {
    let mut bench = bench("");
    let mut peer = bench.connect();
    bench.send(&mut peer, b"a.t");
    bench.wait(&mut peer, 20);
    bench.send(&mut peer, b"xt");
    bench.wait(&mut peer, 20);
    assert_eq!(peer.text(), "");
    bench.wait(&mut peer, 5);
    assert_eq!((peer.text().as_str(), peer.conn.life()), ("hello\n", Life::Finishing(Why::Complete)));
}

#[test]
fn several_with_their_lengths() {
    let mut bench = bench("");
    let said = bench
        .exchange(&[b"/get a.txt\n/get x\r\n/get empty\n\n/get sub/b.txt\n/sum a.txt\n/what\n/get a.txt"]);
    let expected = format!(
        "ok 6\nhello\nerror: x: no such file\r\nok 0\nok 6\nbelow\nok 6 {HELLO}\n\
         error: /what: no such command; {COMMANDS}\nok 6\nhello\n"
    );
    assert_eq!(said, expected);
    let said = bench.exchange(&[b"/sum long\n/sum sub\n/sum long"]);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0] == lines[2] && lines[0].starts_with("ok 300000 "), "{said}");
    assert_eq!(lines[1], "error: sub: it is a directory; /list shows what is in it");
}

#[test]
fn a_long_sum_is_made_a_slice_at_a_time() {
    let mut bench = bench("");
    let file = fs::File::create(bench.dir.path().join("root/huge")).unwrap();
    file.set_len(3 * limits::SUM_PER_JOB + 1).unwrap();
    let mut peer = bench.connect();
    bench.call(&mut peer, |conn, env| conn.input(b"/sum huge\n/get a.txt\n", env));
    bench.call(&mut peer, Conn::drain);
    for _ in 0..4 {
        assert_eq!(peer.text(), "");
        bench.work(&mut peer);
    }
    bench.settle(&mut peer);
    // `head -c 12582913 /dev/zero | sha256sum`
    assert_eq!(
        peer.text(),
        "ok 12582913 eaa3785e1d69cf29981a89f4093bcd80b1f4bd16ab2333248735ee429f308b16\nok 6\nhello\n"
    );
}

#[test]
fn nothing_outside_nothing_hidden_and_nothing_special() {
    let mut bench = bench("");
    for name in [
        "out",
        "dangling",
        "pipe",
        ".secret",
        "../outside/passwd",
        "sub/../../outside/passwd",
        "sub",
        "sub/",
        "./a.txt",
        "a.txt/",
        "a.txt/x",
        "",
        "\0",
        "a.txt\0",
        "sub//b.txt",
    ] {
        for said in [bench.exchange(&[name.as_bytes(), b"\n"]), bench.exchange(&[b"/get ", name.as_bytes()])]
        {
            assert!(said.starts_with("error: ") && said.lines().count() == 1, "{name:?}: {said}");
        }
    }
    assert!(bench.exchange(&[b"/etc/passwd\n"]).starts_with("error: /etc/passwd: no such command"));
    assert!(bench.exchange(&[b"GET /a.txt HTTP/1.0\r\n\r\n"]).starts_with("HTTP/1.1 400 "));
    assert!(bench.exchange(&[&[b'x'; 5000]]).starts_with("error: a line may have 4112 bytes"));
}

#[test]
fn lists_show_what_can_be_asked_for() {
    let mut bench = bench("");
    assert_eq!(bench.exchange(&[b"/list"]), "6 a.txt\n0 empty\n6 in\n300000 long\n- sub/\nend 5\n");
    assert_eq!(bench.exchange(&[b"/list sub/\r\n"]), "6 b.txt\r\n- deep/\r\nend 2\r\n");
    assert_eq!(bench.exchange(&[b"/list a.txt\n"]), "error: a.txt: it is no directory\n");
    assert_eq!(bench.exchange(&[b"/list ..\n"]).lines().count(), 1);
    assert!(bench.exchange(&[b"/list x\n/get a.txt\n"]).ends_with("\nok 6\nhello\n"));
}

#[test]
fn a_huge_list_is_read_in_slices_and_what_comes_behind_it_waits() {
    let mut bench = bench("");
    let many = bench.dir.path().join("root/many");
    fs::create_dir(&many).unwrap();
    for n in 0..3 * limits::LONG_WORK_PER_TURN {
        fs::write(many.join(format!("{n:05}")), "").unwrap();
    }
    let mut peer = bench.connect();
    bench.call(&mut peer, |conn, env| conn.input(b"/list many\n", env));
    assert!(peer.said.is_empty() && peer.conn.has_turn());
    assert!(peer.conn.holds() > limits::LONG_WORK_PART * 5, "what has been read counts");
    // More may come while it is read: it is answered in its turn. So is the end.
    bench.call(&mut peer, |conn, env| conn.input(b"/get a.txt\n", env));
    bench.call(&mut peer, Conn::peer_done);
    bench.settle(&mut peer);
    let text = peer.text();
    assert!(
        text.starts_with("0 00000\n0 00001\n") && text.ends_with("0 00767\nend 768\nok 6\nhello\n"),
        "{text}"
    );
    assert_eq!(peer.conn.life(), Life::Finishing(Why::PeerDone));
}

#[test]
fn a_reader_that_takes_nothing_is_given_up_and_a_slow_one_is_not() {
    let mut bench = bench("progress_timeout = '5s'");
    for takes in [0, limits::PROGRESS] {
        let mut peer = bench.connect();
        peer.reads = false;
        bench.send(&mut peer, b"/get long\n");
        for _ in 0..3 {
            if let Some(out) = peer.conn.out().filter(|_| takes > 0) {
                // The status, then some of the file.
                let status = if out.is_file_next() { "ok 300000\n".len() as u64 } else { 0 };
                out.advance(status);
                out.advance(takes);
            }
            bench.wait(&mut peer, 5000);
        }
        let expected = if takes == 0 { Life::Dead(Why::TimedOut) } else { Life::Open };
        assert_eq!(peer.conn.life(), expected);
    }
    let mut idle = bench.connect();
    bench.send(&mut idle, b"/get a.txt\n");
    bench.wait(&mut idle, 3_600_000);
    bench.wait(&mut idle, 3_600_000);
    assert_eq!((idle.conn.life(), idle.conn.deadline()), (Life::Open, crate::time::Time::NEVER));
}

#[test]
fn what_is_uploaded_is_neither_sent_nor_listed_by_whatever_name() {
    for follow in [false, true] {
        let mut bench = bench(&format!("follow_symlinks = {follow}"));
        let root = bench.dir.path().join("root");
        let uploads = root.join("sub/uploads");
        bench.options.keep_out(&[root.join("sub/../sub/uploads")]);
        assert_eq!(bench.options.prepare(), Ok(()), "it need not be there yet");
        fs::create_dir(&uploads).unwrap();
        fs::write(uploads.join("virus"), "V").unwrap();
        symlink("sub/uploads", root.join("way")).unwrap();
        symlink("sub/uploads/virus", root.join("straight")).unwrap();
        symlink("sub", root.join("round")).unwrap();
        fs::create_dir(root.join("uploads")).unwrap();
        fs::write(root.join("uploads/other"), "mine").unwrap();
        for name in ["sub/uploads/virus", "way/virus", "straight", "round/uploads/virus"] {
            assert_eq!(bench.exchange(&[name.as_bytes()]), format!("error: {name}: no such file\n"));
        }
        assert_eq!(bench.exchange(&[b"/list sub/uploads"]), "error: sub/uploads: no such file\n");
        assert_eq!(bench.exchange(&[b"/list round"]), "6 b.txt\n- deep/\nend 2\n");
        let all = bench.exchange(&[b"/list"]);
        assert!(!all.contains("way") && !all.contains("straight"), "{all}");
        assert!(all.contains("- uploads/\n") && all.contains("- round/\n"), "{all}");
        assert_eq!(bench.exchange(&[b"uploads/other"]), "mine");
    }
}

#[test]
fn a_root_that_is_not_there_or_is_that_of_uploads_keeps_the_service_from_starting() {
    let bench = bench("");
    let AnyOptions::Download(options) = &bench.options else { panic!() };
    bench.options.keep_out(std::slice::from_ref(&options.root));
    assert!(bench.options.prepare().is_err_and(|error| error.contains("never served")));
    let missing = Options { root: "/no/such/directory".into(), ..Options::default() };
    assert!(Line::<Download>::prepare(&missing).is_err_and(|error| error.contains("cannot serve /no/such")));
}

proptest! {
    #[test]
    fn no_split_makes_a_difference_to_lines(
        lines in proptest::collection::vec(prop_oneof![
            Just("/get a.txt\n"), Just("/get x\r\n"), Just("/sum a.txt\n"), Just("/list sub\n"), Just("\n"),
            Just("/get long\n"), Just("/nothing\n"), Just("a.txt\n"), Just("/get a.txt"),
        ], 0..6),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6)
    ) {
        let mut bench = bench("");
        let bytes = lines.concat().into_bytes();
        let expected = bench.exchange(&[&bytes]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        prop_assert_eq!(bench.exchange(&parts), expected);
    }
}
