//! What is asked of every protocol in the same way; a protocol lends the exchange that it is tried with.

use std::time::{Duration, Instant};

use super::{ANY, Case, Client, Outcome, Target};

/// What every server must do, whatever it speaks.
pub(super) const CASES: &[Case] = &[Case::new(
    ANY,
    "leaves_at_once",
    "clients that connect, say nothing and leave harm nobody",
    "accept is called once, or a socket that was closed stays in the list and ends the loop",
    leaves_at_once,
)
.remedy("when recv() returns nothing, close that client's socket, forget it, and go on with the others")];

fn leaves_at_once(target: &Target) -> Outcome {
    for _ in 0..3 {
        Client::connect(target)?.pause(LONG_PAUSE);
    }
    Client::connect(target).map(drop)
}

/// How a case is tried.
type Run = fn(&Target) -> Outcome;

const SERVE_ALL: &str = "start a thread for each client, or wait for all of them with select()";

/// The case of three clients at once: [`crowd`].
pub(super) const fn three_clients(protocol: &'static str, run: Run) -> Case {
    let (about, cause) = ("three clients are served at once", "your second client waits for the first");
    Case::new(protocol, "three_clients", about, cause, run).remedy(SERVE_ALL).several()
}

/// The case of thirty.
pub(super) const fn thirty_clients(protocol: &'static str, run: Run) -> Case {
    let (about, cause) = ("thirty clients are served at once", "a small backlog, or a bound on clients");
    let remedy = "listen() with room for some dozens, and no fixed table of clients";
    Case::new(protocol, "thirty_clients", about, cause, run).remedy(remedy).several()
}

/// The case of a client that is silent beside a busy one: [`beside_a_silent_one`].
pub(super) const fn silent_client(protocol: &'static str, run: Run) -> Case {
    let (about, cause) = ("a silent client keeps nobody waiting", "a blocking recv in the only thread");
    Case::new(protocol, "silent_client", about, cause, run).remedy(SERVE_ALL).several()
}

/// The case of clients that reset: [`after_resets`].
pub(super) const fn resets(protocol: &'static str, run: Run) -> Case {
    let (about, cause) = ("clients that reset harm nobody", "ConnectionResetError or SIGPIPE is not caught");
    let remedy = "catch OSError around recv() and sendall(), and go on with the other clients";
    Case::new(protocol, "reset", about, cause, run).remedy(remedy)
}

/// The case of a line without end: [`too_long`].
pub(super) const fn endless_line(protocol: &'static str, run: Run) -> Case {
    let (about, cause) =
        ("a line without end brings one error, then the end", "the line is kept without bound");
    Case::new(protocol, "too_long", about, cause, run).exact()
}

/// The case of a browser at the wrong port: [`http_refused`].
pub(super) const fn http(protocol: &'static str) -> Case {
    let (about, cause) =
        ("an HTTP request brings status 400 and the web address", "a web page can talk to the service");
    Case::new(protocol, "http", about, cause, http_refused).exact()
}

/// One exchange: something is said, and the right answer comes.
pub(super) type Ask = fn(&mut Client) -> Outcome;

/// More than the longest pause after which an unterminated message counts as complete.
pub(super) const LONG_PAUSE: Duration = Duration::from_millis(60);
/// More than the kernel keeps for a peer that reads nothing.
pub(super) const MUCH: usize = 64 * 1024 * 1024;
/// A line longer than any line service takes.
pub(super) const TOO_LONG: usize = 200_000;

/// `n` clients at once, each with `rounds` exchanges, all held open to the end.
pub(super) fn crowd(target: &Target, n: usize, rounds: usize, ask: Ask) -> Outcome {
    let mut clients = (0..n).map(|_| Client::connect(target)).collect::<Outcome<Vec<_>>>()?;
    std::thread::scope(|scope| {
        let each =
            clients.iter_mut().map(|client| scope.spawn(move || (0..rounds).try_for_each(|_| ask(client))));
        let each: Vec<_> = each.collect();
        each.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(super::Failure::early("a client", "it panicked")))
        })
    })
}

/// A client that connects and says nothing keeps nobody waiting.
pub(super) fn beside_a_silent_one(target: &Target, ask: Ask) -> Outcome {
    let _silent = Client::connect(target)?;
    let mut busy = Client::connect(target)?;
    (0..10).try_for_each(|_| ask(&mut busy))
}

/// Clients that leave with a reset, before and after saying something, harm nobody.
pub(super) fn after_resets(target: &Target, said: &[u8], ask: Ask) -> Outcome {
    let mut stays = Client::connect(target)?;
    ask(&mut stays)?;
    for n in 0..10 {
        let mut leaves = Client::connect(target)?;
        if n % 2 == 0 {
            leaves.send(said)?;
        }
        leaves.reset();
    }
    ask(&mut stays)?;
    // A server that has one client at a time is to come to the next.
    drop(stays);
    ask(&mut Client::connect(target)?)
}

/// The exchange, split in two at every place. The first exchange of each connection is whole, so that
/// a line service knows that this client ends its lines.
pub(super) fn every_split(target: &Target, said: &[u8], answer: &[u8]) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(said)?.expect(answer)?;
    for at in 1..said.len() {
        let (first, second) = said.split_at(at);
        client.send(first)?.pause(Duration::from_millis(2)).send(second)?.expect(answer)?;
    }
    let bytes: Vec<&[u8]> = said.chunks(1).collect();
    client.send_parts(&bytes)?.expect(answer)?.half_close()?.expect_eof()
}

/// Sends `parts` as segments close together on a fresh connection, and tries again when this machine
/// was too slow to keep them close.
pub(super) fn close_together(target: &Target, parts: &[&[u8]]) -> Outcome<Client> {
    const CLOSE: Duration = Duration::from_millis(5);
    loop {
        let mut client = Client::connect(target)?;
        let start = Instant::now();
        client.send_parts(parts)?;
        if start.elapsed() < CLOSE {
            return Ok(client);
        }
    }
}

/// A line without end brings one error line, then the end; and others are served meanwhile.
pub(super) fn too_long(target: &Target, ask: Ask) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(&vec![b'A'; TOO_LONG])?;
    ask(&mut Client::connect(target)?)?;
    client.find(b"error: ")?.line()?;
    client.expect_eof()
}

/// A browser at the wrong port is told so in its own language, and nothing it sent counts as said.
pub(super) fn http_refused(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nHello\r\n")?;
    let reply = String::from_utf8_lossy(&client.rest()?).into_owned();
    // In a chat, a notice may have come before.
    let reply: String = reply.split_inclusive('\n').skip_while(|line| line.starts_with("* ")).collect();
    let names_the_web_address = reply.contains("http://");
    if reply.starts_with("HTTP/1.1 400 ") && names_the_web_address && !reply.contains("Hello") {
        return Ok(());
    }
    Err(client.unexpected("HTTP status 400 and a page that names the web address, then the end"))
}

/// A client that sends `unit` for ever and reads nothing is kept waiting, others are served, and when it
/// reads after all, it gets everything. Returns what was sent and what came.
pub(super) fn stalled(target: &Target, unit: &[u8], ask: Ask) -> Outcome<(usize, Vec<u8>)> {
    let mut stalled = Client::connect(target)?;
    let sent = stalled.stuff(unit, MUCH)?;
    let mut other = Client::connect(target)?;
    (0..10).try_for_each(|_| ask(&mut other))?;
    stalled.half_close()?;
    Ok((sent, stalled.rest()?))
}
