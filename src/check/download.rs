//! Files out. The server must have `hello.txt` with the line `Hello there`, and `sub/long.bin` with a
//! million times `x`, in what it serves.

use std::time::Duration;

use super::{Case, Client, Outcome, Target, common};
use crate::checksum::Checksum;

const P: &str = "download";
const TEXT: &[u8] = b"Hello there\n";
const LONG: usize = 1_000_000;

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "name_with_line_end",
        "a name brings the whole content, then the end",
        "the content is cut to one send, or the connection stays open",
        |t| whole(Client::connect(t)?.send(b"hello.txt\n")?),
    )
    .advised()
    .remedy("strip the line end before open()"),
    Case::new(P, "name_alone", "a name without a line end is answered", "the server waits for a line", |t| {
        whole(Client::connect(t)?.send(b"hello.txt")?)
    })
    .remedy("take what recv() has brought as the name, and strip a line end if there is one"),
    Case::new(P, "name_crlf", "a name may end in CR LF", "the CR becomes part of the name", |t| {
        whole(Client::connect(t)?.send(b"hello.txt\r\n")?)
    })
    .advised()
    .remedy("strip the line end before open()"),
    Case::new(P, "name_and_end", "a name may end with the input", "the answer is not sent after that", |t| {
        whole(Client::connect(t)?.send(b"hello.txt")?.half_close()?)
    })
    .advised(),
    Case::new(P, "long", "a megabyte comes whole", "one send is taken to send all", long)
        .remedy("use sendall(), or send() again until everything is sent"),
    Case::new(P, "slow_reader", "one who reads nothing keeps nobody waiting", "a blocking send", slow_reader)
        .exact()
        .several(),
    Case::new(
        P,
        "several",
        "/get says length and content, again and again",
        "the connection closes",
        several,
    )
    .exact(),
    Case::new(
        P,
        "pipelined",
        "requests may come before answers",
        "input behind the first is dropped",
        pipelined,
    )
    .exact(),
    Case::new(P, "every_split", "it does not matter where segments end", "one recv is one command", |t| {
        common::every_split(t, b"/get hello.txt\n", b"ok 12\nHello there\n")
    })
    .exact(),
    Case::new(P, "sum", "/sum says length and SHA-256", "the content has been converted", sum).exact(),
    Case::new(P, "list", "/list names what can be asked for", "special files are listed too", list).exact(),
    Case::new(P, "errors", "an error is one clear line", "the connection just closes", errors).exact(),
    Case::new(P, "outside", "nothing outside can be named", "open(name) without a look", outside).exact(),
    common::three_clients(P, |t| common::crowd(t, 3, 10, get)).exact(),
    common::thirty_clients(P, |t| common::crowd(t, 30, 3, get)).exact(),
    common::silent_client(P, |t| common::beside_a_silent_one(t, get)).exact(),
    common::resets(P, |t| common::after_resets(t, b"/get sub/long.bin\n", get)).exact(),
    common::http(P),
    common::endless_line(P, |t| common::too_long(t, get)),
];

fn get(client: &mut Client) -> Outcome {
    client.send(b"/get hello.txt\n")?.expect(b"ok 12\nHello there\n").map(drop)
}

fn whole(client: &mut Client) -> Outcome {
    client.expect(TEXT)?.expect_eof()
}

fn long(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    let came = client.send(b"sub/long.bin\n")?.rest()?;
    let is_right = came.len() == LONG && came.iter().all(|b| *b == b'x');
    if is_right { Ok(()) } else { Err(client.unexpected("a million times x")) }
}

fn slow_reader(target: &Target) -> Outcome {
    let mut slow = Client::connect(target)?;
    slow.send(&b"/get sub/long.bin\n".repeat(50))?;
    let mut other = Client::connect(target)?;
    (0..10).try_for_each(|_| get(&mut other))?;
    for _ in 0..50 {
        slow.expect(b"ok 1000000\n")?.take(LONG)?;
    }
    slow.half_close()?.expect_eof()
}

fn several(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    (0..5).try_for_each(|_| get(&mut client))?;
    client.send(b"/get hello.txt\r\n")?.expect(b"ok 12\r\nHello there\n")?.half_close()?.expect_eof()
}

fn pipelined(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"/get hello.txt\n/get sub/long.bin\n/get no/such/file\n/sum hello.txt\n/get hello.txt\n")?;
    client.half_close()?.expect(b"ok 12\nHello there\nok 1000000\n")?.take(LONG)?;
    client.expect(b"error: no/such/file: no such file\nok 12 ")?.line()?;
    client.expect(b"ok 12\nHello there\n")?.expect_eof()
}

fn sum(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    for (name, content) in [("hello.txt", TEXT), ("sub/long.bin", &vec![b'x'; LONG])] {
        let mut sum = Checksum::default();
        sum.update(content);
        client.send(format!("/sum {name}\n").as_bytes())?;
        client.expect(format!("ok {} {}\n", content.len(), sum.digits()).as_bytes())?;
    }
    client.half_close()?.expect_eof()
}

fn list(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"/list\n")?.find(b"12 hello.txt\n")?.find(b"- sub/\n")?.find(b"end ")?.line()?;
    client.send(b"/list sub\n")?.expect(b"1000000 long.bin\nend 1\n")?;
    client.send(b"/list")?.half_close()?.find(b"12 hello.txt\n")?.find(b"\nend ")?.line()?;
    client.expect_eof()
}

fn errors(target: &Target) -> Outcome {
    Client::connect(target)?
        .send(b"no-such-file\n")?
        .expect(b"error: no-such-file: no such file\n")?
        .expect_eof()?;
    let mut client = Client::connect(target)?;
    for command in
        ["/get no-such-file", "/get sub", "/get ", "/get", "/sum x", "/list x", "/list hello.txt", "/x", "/"]
    {
        client.send(format!("{command}\n").as_bytes())?.expect(b"error: ")?.line()?;
    }
    get(&mut client)
}

fn outside(target: &Target) -> Outcome {
    for name in
        ["../root/hello.txt", "sub/../hello.txt", "/etc/passwd", "..", ".", "./hello.txt", "hello.txt\0"]
    {
        let mut client = Client::connect(target)?;
        client.send(format!("/get {name}\n").as_bytes())?.expect(b"error: ")?.line()?;
        drop(client);
        let mut lab = Client::connect(target)?;
        lab.send(format!("{name}\n").as_bytes())?.expect(b"error: ")?.line()?;
        // A command that is none leaves the connection open.
        lab.pause(Duration::from_millis(1)).half_close()?.expect_eof()?;
    }
    Ok(())
}
