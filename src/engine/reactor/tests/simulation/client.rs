//! The clients: what they send and when, and what they expect.

use std::collections::VecDeque;
use std::fmt::Write;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::model::{Expect, Get, files};
use super::wire::Segment;
use super::world::World;

/// How long a client waits for an answer until it goes on without it, in milliseconds.
const PATIENCE: u64 = 60_000;
/// How often it looks.
const LOOK: u64 = 10;

/// What a client does next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// In pieces of any size, at any intervals up to so many milliseconds.
    Send(Vec<u8>, u64),
    /// In one piece.
    SendWhole(Vec<u8>),
    Wait(u64),
    /// Until it has received so many bytes in all.
    Await(usize),
    End,
    Reset,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    steps: VecDeque<Step>,
    pub(super) expect: Expect,
    /// It resets the connection: it need not get everything.
    pub(super) is_loose: bool,
    /// It reads at once, for something depends on it.
    pub(super) is_prompt: bool,
    waited: u64,
}

impl Client {
    fn new(expect: Expect, steps: Vec<Step>) -> Self {
        Self { steps: steps.into(), expect, is_loose: false, is_prompt: false, waited: 0 }
    }

    /// Does the next step; in how many milliseconds there is another.
    pub(super) fn act(&mut self, wire: usize, world: &mut World) -> Option<u64> {
        match self.steps.pop_front()? {
            Step::Send(bytes, pause) => send(wire, &bytes, pause, world),
            Step::SendWhole(bytes) => {
                let delay = world.rng.u64(0..5);
                world.send(wire, Segment::Bytes(bytes), delay);
            }
            Step::Wait(ms) => return Some(ms),
            Step::Await(len) => {
                let it = &world.wires[wire];
                if it.received.len() < len && !it.seen_end && !it.gone && self.waited < PATIENCE {
                    self.waited += LOOK;
                    self.steps.push_front(Step::Await(len));
                    return Some(LOOK);
                }
                self.waited = 0;
            }
            Step::End => {
                let delay = world.rng.u64(0..20);
                world.send(wire, Segment::Fin, delay);
            }
            Step::Reset => {
                let delay = world.rng.u64(0..20);
                world.send(wire, Segment::Reset, delay);
            }
        }
        Some(0)
    }
}

fn send(wire: usize, bytes: &[u8], pause: u64, world: &mut World) {
    let (mut rest, mut delay) = (bytes, 0);
    let most = [3, 1500, 100_000][world.rng.usize(..3)];
    let most = most.max(bytes.len() / 60);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(world.rng.usize(1..=most).min(rest.len()));
        world.send(wire, Segment::Bytes(now.to_vec()), delay);
        delay += world.rng.u64(0..=pause);
        rest = later;
    }
}

/// One that sees everything that happens in the room, in time.
pub(super) fn witness() -> Client {
    Client { is_prompt: true, ..Client::new(Expect::Witness, vec![Step::SendWhole(b"here\n".to_vec())]) }
}

/// A client of a protocol, which sends or wants so many bytes at the most; no two with another number send
/// the same.
pub(super) fn new(
    protocol: &str,
    number: usize,
    most: usize,
    jumps: bool,
    rng: &mut fastrand::Rng,
) -> Client {
    let mut client = match protocol {
        "echo" => echo(most, rng),
        "discard" | "collect" => silent(Expect::Exactly(Vec::new()), most, rng),
        "chargen" => chargen(most, rng),
        "daytime" => Client::new(Expect::Daytime, Vec::new()),
        "time" => Client::new(Expect::Seconds, Vec::new()),
        "reqtime" => reqtime(rng),
        "modify" => modify(number, jumps, rng),
        "hello" => hello(rng),
        "chat" => member(number, rng),
        "upload" => upload(number, most, rng),
        "download" => download(most, rng),
        _ => http(most, rng),
    };
    if rng.u8(..8) == 0 {
        let at = rng.usize(..=client.steps.len());
        client.steps.truncate(at);
        client.steps.push_back(Step::Wait(rng.u64(0..500)));
        client.steps.push_back(Step::Reset);
        client.is_loose = true;
    }
    client
}

/// Most clients end; some stay for ever.
fn end(steps: &mut Vec<Step>, rng: &mut fastrand::Rng) {
    if rng.u8(..4) > 0 {
        steps.push(Step::Wait(rng.u64(0..300)));
        steps.push(Step::End);
    }
}

fn echo(most: usize, rng: &mut fastrand::Rng) -> Client {
    let most = [10, 5000, 300_000][rng.usize(..3)].min(most);
    let bytes: Vec<u8> = (0..rng.usize(0..most)).map(|_| rng.u8(..)).collect();
    let mut steps = Vec::new();
    for part in bytes.chunks(bytes.len() / 3 + 1) {
        steps.push(Step::Send(part.to_vec(), [0, 10, 300][rng.usize(..3)]));
        steps.push(Step::Wait(rng.u64(0..200)));
    }
    end(&mut steps, rng);
    Client::new(Expect::Exactly(bytes), steps)
}

fn silent(expect: Expect, most: usize, rng: &mut fastrand::Rng) -> Client {
    Client { expect, ..echo(most, rng) }
}

fn chargen(most: usize, rng: &mut fastrand::Rng) -> Client {
    let enough = rng.usize(1..400_000.min(most));
    Client::new(Expect::Characters, vec![Step::Await(enough), Step::End])
}

fn reqtime(rng: &mut fastrand::Rng) -> Client {
    let count = rng.usize(1..20);
    let mut steps = vec![Step::SendWhole(b"reqtime\n".to_vec())];
    steps.push(Step::Send(b"reqtime\n".repeat(count - 1), 20));
    end(&mut steps, rng);
    Client::new(Expect::Times(count), steps)
}

/// Lines, then perhaps one that is too long: its sender must get to know, though it goes on sending.
fn modify(number: usize, jumps: bool, rng: &mut fastrand::Rng) -> Client {
    let (mut sent, mut expected) = (Vec::new(), Vec::new());
    for line in 0..rng.usize(1..30) {
        let text = format!("{number}-{line}-{}", "x".repeat(rng.usize(0..200)));
        let end = ["\n", "\r\n"][rng.usize(..2)];
        sent.push(format!("{text}{end}"));
        expected.push(format!("{text} Ali{end}"));
    }
    let mut steps = vec![Step::SendWhole(sent[0].clone().into_bytes())];
    steps.push(Step::Send(sent[1..].concat().into_bytes(), [0, 50][rng.usize(..2)]));
    let mut expected = expected.concat();
    if !jumps && rng.u8(..3) == 0 {
        steps.extend([Step::Await(expected.len()), Step::Send(vec![b'y'; rng.usize(66_000..200_000)], 5)]);
        expected += "error: a line may have 65536 bytes at the most; closing\r\n";
        let client = Client::new(Expect::Exactly(expected.into_bytes()), steps);
        return Client { is_prompt: true, ..client };
    }
    end(&mut steps, rng);
    Client::new(Expect::Exactly(expected.into_bytes()), steps)
}

/// A short program: messages without a line end, each when the one before is answered; then silence.
fn hello(rng: &mut fastrand::Rng) -> Client {
    let (mut steps, mut pauses) = (Vec::new(), Vec::new());
    for answered in 1..rng.usize(1..6) {
        let is_whole = rng.bool();
        let text: &[u8] = if is_whole { b"Hello World" } else { b"Hi there" };
        pauses.push(if is_whole { 0 } else { 25 });
        steps.push(Step::SendWhole(text.to_vec()));
        steps.push(Step::Await("Hello Yourself".len() * answered));
        steps.push(Step::Wait(rng.u64(0..2000)));
    }
    pauses.push(5000);
    let client = Client::new(Expect::Greetings(pauses), steps);
    Client { is_prompt: true, ..client }
}

/// Says lines; some are long, so that what slow readers missed leaves the log.
fn member(number: usize, rng: &mut fastrand::Rng) -> Client {
    let mut steps = vec![Step::Wait(rng.u64(0..100))];
    let length = [20, 200, 4000][rng.usize(..3)];
    for line in 0..[0, 5, 60][rng.usize(..3)] {
        let padding = "z".repeat(rng.usize(0..length));
        let text = match rng.u8(..10) {
            0 => format!("/me c{number}-{line}-{padding}\n"),
            1 => format!("c{number}-{line}-{padding}\n/who\n"),
            _ => format!("c{number}-{line}-{padding}\n"),
        };
        let text = text.into_bytes();
        steps.push(if line == 0 { Step::SendWhole(text) } else { Step::Send(text, rng.u64(0..3)) });
        if rng.u8(..4) == 0 {
            steps.push(Step::Wait(rng.u64(0..100)));
        }
    }
    if rng.bool() {
        steps.push(Step::Wait(rng.u64(0..1000)));
        steps.push(Step::End);
    }
    Client::new(Expect::Member, steps)
}

/// Requests one behind the other, without waiting.
fn http(most: usize, rng: &mut fastrand::Rng) -> Client {
    let (mut sent, mut expected) = (String::new(), Vec::new());
    let files: Vec<_> = files().iter().filter(|file| file.content.len() <= most).collect();
    let count = rng.usize(1..8);
    for number in 1..=count {
        let file = &files[rng.usize(..files.len())];
        let is_there = rng.u8(..6) > 0;
        let is_head = rng.u8(..6) == 0;
        let name = if is_there { file.name.as_str() } else { "nothing" };
        let method = if is_head { "HEAD" } else { "GET" };
        let last = if number == count { "Connection: close\r\n" } else { "" };
        let _ = write!(sent, "{method} /{name} HTTP/1.1\r\nHost: h\r\n{last}\r\n");
        expected.push(Get { content: is_there.then_some(&*file.content), is_head });
    }
    Client::new(Expect::Replies(expected), vec![Step::Send(sent.into_bytes(), 20)])
}

/// Files by the form that says their length, one behind the other.
fn upload(number: usize, most: usize, rng: &mut fastrand::Rng) -> Client {
    let (mut steps, mut expected) = (Vec::new(), String::new());
    for file in 0..rng.usize(1..4) {
        let content: Vec<u8> = (0..rng.usize(0..300_000.min(most))).map(|_| rng.u8(..)).collect();
        let (name, len) = (format!("{number}-{file}"), content.len());
        let digest = HEXLOWER.encode(&Sha256::digest(&content));
        let _ = writeln!(expected, "stored {len} {digest} {name}");
        let head = format!("/put {len} {name}\n").into_bytes();
        steps.push(Step::Send([head, content].concat(), 50));
    }
    end(&mut steps, rng);
    Client::new(Expect::Exactly(expected.into_bytes()), steps)
}

fn download(most: usize, rng: &mut fastrand::Rng) -> Client {
    let files: Vec<_> = files().iter().filter(|file| file.content.len() <= most).collect();
    let (mut sent, mut expected) = (String::new(), Vec::new());
    for _ in 0..rng.usize(1..5) {
        let file = files[rng.usize(..files.len())];
        let _ = writeln!(sent, "/get {}", file.name);
        expected.extend(format!("ok {}\n", file.content.len()).into_bytes());
        expected.extend(&file.content);
    }
    let mut steps = vec![Step::SendWhole(sent.into_bytes())];
    end(&mut steps, rng);
    Client::new(Expect::Exactly(expected), steps)
}
