//! Files in. Each case stores files under names that nobody has used, so that it can be run again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use super::{Case, Client, Outcome, Target, common};
use crate::checksum::Checksum;

const P: &str = "upload";

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "ends",
        "when the client has sent a name, a line end and content, and is done, the server closes",
        "the server reads on, and does not see that recv() has returned nothing",
        |t| send_all(&mut Client::connect(t)?),
    )
    .remedy("when recv() returns nothing, the file is whole: close it, then the connection"),
    Case::new(
        P,
        "one_after_another",
        "one file after another is taken",
        "the server ends after the first",
        |t| (0..3).try_for_each(|_| send_all(&mut Client::connect(t)?)),
    )
    .advised(),
    Case::new(
        P,
        "name_then_content",
        "a name, a line end and the content until the end are stored, and the answer says so",
        "the end of the input is not waited for, or nothing is answered",
        |t| stores(t, b"some\r\ntext, \xff and no line end"),
    )
    .exact(),
    Case::new(P, "crlf", "a name may end in CR LF", "the CR becomes part of the name", crlf).exact(),
    Case::new(P, "empty", "a file may be empty", "no content counts as a failure", |t| stores(t, b""))
        .exact(),
    Case::new(P, "pieces", "name and content may come in pieces", "only the first recv is taken", pieces)
        .exact(),
    Case::new(P, "large", "five megabytes are stored", "what is received is bounded by one recv", |t| {
        stores(t, &vec![b'x'; 5_000_000])
    })
    .exact(),
    Case::new(
        P,
        "message",
        "what ends without a line end is a message, and that is explained",
        "the name is taken to end where a recv ends",
        message,
    )
    .exact(),
    Case::new(
        P,
        "several",
        "/put stores several files on a connection",
        "the length is not counted",
        several,
    )
    .exact(),
    Case::new(
        P,
        "every_split",
        "it does not matter where segments end",
        "one recv is one command",
        every_split,
    )
    .exact(),
    Case::new(P, "short", "a /put that ends early stores nothing", "what has come is taken for all", short)
        .exact(),
    Case::new(
        P,
        "hostile_names",
        "names that lead elsewhere are refused",
        "open(name) without a look",
        hostile,
    )
    .exact(),
    Case::new(P, "reset_first", "clients that reset harm nobody", "a reset is not caught", resets).exact(),
    Case::new(P, "slow_sender", "a slow sender keeps nobody waiting", "one client at a time", slow_sender)
        .exact()
        .several(),
    Case::new(
        P,
        "same_name",
        "two files of one name at once lose neither",
        "one overwrites the other",
        same_name,
    )
    .exact()
    .several(),
    common::three_clients(P, |t| common::crowd(t, 3, 5, put)).exact(),
    common::thirty_clients(P, |t| common::crowd(t, 30, 2, put)).exact(),
    common::http(P),
    common::endless_line(P, |t| common::too_long(t, put)),
];

/// A name that no other case and no other run has.
fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros();
    format!("check-{time:x}-{}.txt", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A file in the form of the labs, whatever is answered.
fn send_all(client: &mut Client) -> Outcome {
    let sent = format!("{}\ncontent\n", fresh_name());
    client.send(sent.as_bytes())?.half_close()?.rest().map(drop)
}

fn answer(name: &str, content: &[u8]) -> String {
    let mut sum = Checksum::default();
    sum.update(content);
    format!("stored {} {} {name}\n", content.len(), sum.digits())
}

fn stores(target: &Target, content: &[u8]) -> Outcome {
    let name = fresh_name();
    let mut client = Client::connect(target)?;
    client.send(format!("{name}\n").as_bytes())?.send(content)?.half_close()?;
    client.expect(answer(&name, content).as_bytes())?.expect_eof()
}

fn crlf(target: &Target) -> Outcome {
    let name = fresh_name();
    let mut client = Client::connect(target)?;
    client.send(format!("{name}\r\n\r\nx").as_bytes())?.half_close()?;
    client.expect(answer(&name, b"\r\nx").as_bytes())?.expect_eof()
}

fn pieces(target: &Target) -> Outcome {
    let name = fresh_name();
    let mut client = Client::connect(target)?;
    let (first, second) = name.split_at(5);
    for piece in [first, second, "\n", "con", "tent"] {
        client.send(piece.as_bytes())?.pause(common::LONG_PAUSE);
    }
    client.half_close()?.expect(answer(&name, b"content").as_bytes())?.expect_eof()
}

fn message(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client
        .send(b"Hello there")?
        .half_close()?
        .expect(b"shown, not saved: 11 bytes without a line end")?
        .line()?;
    client.expect_eof()
}

/// A file in the certain form, on a connection that may have others.
fn put(client: &mut Client) -> Outcome {
    let name = fresh_name();
    client
        .send(format!("/put 5 {name}\nhello").as_bytes())?
        .expect(answer(&name, b"hello").as_bytes())
        .map(drop)
}

fn several(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    let names = [fresh_name(), fresh_name(), fresh_name()];
    let [a, b, c] = &names;
    client.send(format!("/put 3 {a}\nabc/put 0 {b}\n/put 9 {c}\n/put 1 x\n").as_bytes())?;
    for (name, content) in [(a, "abc"), (b, ""), (c, "/put 1 x\n")] {
        client.expect(answer(name, content.as_bytes()).as_bytes())?;
    }
    client.half_close()?.expect_eof()
}

fn every_split(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    for at in 1..20 {
        let name = fresh_name();
        let sent = format!("/put 4 {name}\na\r\nb");
        // From the end, so that the content is cut as well.
        let (first, second) = sent.as_bytes().split_at(sent.len() - at);
        client.send(first)?.pause(Duration::from_millis(2)).send(second)?;
        client.expect(answer(&name, b"a\r\nb").as_bytes())?;
    }
    client.half_close()?.expect_eof()
}

fn short(target: &Target) -> Outcome {
    let name = fresh_name();
    let mut client = Client::connect(target)?;
    client.send(format!("/put 10 {name}\nabc").as_bytes())?.half_close()?;
    client.expect(format!("error: {name}: only 3 of 10 bytes came").as_bytes())?.line()?;
    client.expect_eof()?;
    is_free(target, &name)
}

/// Nothing has this name: a file takes it as it is.
fn is_free(target: &Target, name: &str) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(format!("/put 1 {name}\nx").as_bytes())?.expect(answer(name, b"x").as_bytes())?;
    client.half_close()?.expect_eof()
}

fn hostile(target: &Target) -> Outcome {
    const NAMES: [&[u8]; 12] = [
        b"",
        b".",
        b"..",
        b"../x",
        b"/etc/passwd",
        b"a/b",
        b"..\\x",
        b".profile",
        b"a\0b",
        b"a\x1b[2J",
        b"\xff",
        "a\u{202e}txt.exe".as_bytes(),
    ];
    let mut client = Client::connect(target)?;
    for name in NAMES {
        client.send(&[b"/put 3 ", name, b"\nabc"].concat())?.expect(b"error: ")?.line()?;
    }
    put(&mut client)?;
    drop(client);
    let mut lab = Client::connect(target)?;
    lab.send(b"../x\nabc")?.half_close()?.expect(b"error: ../x: ")?.line()?;
    lab.expect_eof()
}

fn resets(target: &Target) -> Outcome {
    let name = fresh_name();
    for form in [format!("{name}\nabc"), format!("/put 100 {name}\nabc"), name.clone(), String::new()] {
        let mut client = Client::connect(target)?;
        client.send(form.as_bytes())?.pause(Duration::from_millis(20));
        client.reset();
    }
    is_free(target, &name)
}

fn slow_sender(target: &Target) -> Outcome {
    let names = [fresh_name(), fresh_name()];
    let mut slow = Client::connect(target)?;
    slow.send(format!("/put 4 {}\nab", names[0]).as_bytes())?;
    let mut lab = Client::connect(target)?;
    lab.send(format!("{}\nab", names[1]).as_bytes())?;
    let mut fast = Client::connect(target)?;
    (0..10).try_for_each(|_| put(&mut fast))?;
    slow.send(b"cd")?.expect(answer(&names[0], b"abcd").as_bytes())?;
    lab.half_close()?.expect(answer(&names[1], b"ab").as_bytes())?.expect_eof()
}

/// The first has its name, the other one that is like it.
fn same_name(target: &Target) -> Outcome {
    let name = fresh_name();
    let mut clients = [Client::connect(target)?, Client::connect(target)?];
    for client in &mut clients {
        client.send(format!("{name}\nabc").as_bytes())?;
    }
    let other = name.replace(".txt", "-1.txt");
    let [first, second] = &mut clients;
    first.half_close()?.expect(answer(&name, b"abc").as_bytes())?;
    let expected = answer(&other, b"abc").replace('\n', &format!("\t({name} was there already)\n"));
    second.half_close()?.expect(expected.as_bytes())?.expect_eof()
}
