//! What each protocol promises, in the simplest words that can be compared with what a client received.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::wire::Wire;

/// What a client expects.
#[derive(Debug)]
pub(super) enum Expect {
    /// These bytes.
    Exactly(Vec<u8>),
    /// The characters of chargen, without end.
    Characters,
    /// A time of day as a line.
    Daytime,
    /// A time of day in four bytes.
    Seconds,
    /// So many times of day as lines.
    Times(usize),
    /// Greetings, and good-bye at last: each so many milliseconds after what it answers.
    Greetings(Vec<u64>),
    /// Replies of HTTP.
    Replies(Vec<Get>),
    /// All that is said in the room; see [`super::room`].
    Member,
    Witness,
}

/// A request.
#[derive(Debug)]
pub(super) struct Get {
    /// Of the file, if there is one.
    pub(super) content: Option<&'static [u8]>,
    pub(super) is_head: bool,
}

/// A file that is served.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// What http serves: made once, so that the same seed gets the same bytes.
pub(super) struct Site {
    pub(super) dir: TempDir,
    files: Vec<File>,
}

pub(super) static SITE: LazyLock<Site> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let file = |&len: &usize| {
        let content = (0..len).map(|n| u8::try_from((n % 251) ^ (len % 7)).unwrap()).collect::<Vec<_>>();
        let name = format!("file-{len}.bin");
        let path = dir.path().join(&name);
        std::fs::write(&path, &content).unwrap();
        let old = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        std::fs::File::open(&path).unwrap().set_modified(old).unwrap();
        File { name, content }
    };
    let files = [0, 1, 100, 8192, 8193, 70_000, 600_000].iter().map(file).collect();
    Site { dir, files }
});

pub(super) fn files() -> &'static [File] {
    &SITE.files
}

/// What a client may rely on at present.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// Everything was sent and delivered, nobody stopped the server: all that is owed must be there.
    pub(super) is_final: bool,
    /// Time went on without jumps.
    pub(super) is_punctual: bool,
    /// The server was stopped in the middle of it: what had no end counts as a message.
    pub(super) is_stopped: bool,
    /// What the clock on the wall has shown.
    pub(super) walls: &'a [SystemTime],
}

impl Expect {
    /// Whether the server is to have closed the connection in the end, if the client has not ended it.
    pub(super) fn closes(&self) -> bool {
        match self {
            Self::Daytime | Self::Seconds | Self::Greetings(_) | Self::Replies(_) => true,
            Self::Exactly(bytes) => bytes.ends_with(b"closing\r\n"),
            _ => false,
        }
    }

    /// Compares what came with what may come.
    pub(super) fn check(&self, wire: &Wire, terms: Terms<'_>) -> Result<(), String> {
        let received = if terms.is_stopped { whole_lines(wire) } else { &wire.received };
        match self {
            Self::Exactly(bytes) => compare(received, bytes, terms.is_final),
            Self::Characters => compare(received, &characters(received.len()), false),
            Self::Daytime => compare_any(received, terms, |wall| format!("{}\r\n", line(wall)).into_bytes()),
            Self::Seconds => compare_any(received, terms, seconds),
            Self::Times(count) => times(received, *count, terms),
            Self::Greetings(pauses) => greetings(wire, pauses, terms),
            Self::Replies(gets) => replies(received, gets, terms.is_final),
            Self::Member | Self::Witness => Ok(()),
        }
    }
}

fn compare(received: &[u8], expected: &[u8], is_final: bool) -> Result<(), String> {
    let same = if expected.starts_with(received) {
        received.len()
    } else {
        received.iter().zip(expected).take_while(|(a, b)| a == b).count()
    };
    if same < received.len() {
        return Err(format!("byte {same} of the {} that it received is wrong", received.len()));
    }
    if is_final && same < expected.len() {
        return Err(format!("it received {same} of the {} bytes that it is owed", expected.len()));
    }
    Ok(())
}

/// All but what is behind the last line, if lines is what it received.
fn whole_lines(wire: &Wire) -> &[u8] {
    let end = wire.received.iter().rposition(|byte| *byte == b'\n');
    &wire.received[..end.map_or(0, |at| at + 1)]
}

fn compare_any(
    received: &[u8],
    terms: Terms<'_>,
    show: impl Fn(SystemTime) -> Vec<u8>,
) -> Result<(), String> {
    let mut results = terms.walls.iter().map(|wall| compare(received, &show(*wall), terms.is_final));
    if results.any(|result| result.is_ok()) { Ok(()) } else { Err(format!("no such time: {received:?}")) }
}

/// The lines of RFC 864.
fn characters(len: usize) -> Vec<u8> {
    static ROUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let line = |start: u8| (start..start + 72).map(|n| b' ' + n % 95).chain(*b"\r\n");
        (0..95).flat_map(line).collect()
    });
    ROUND.repeat(len / ROUND.len() + 1)
}

fn line(wall: SystemTime) -> String {
    let zoned = jiff::Timestamp::try_from(wall).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    zoned.strftime("%a %b %e %H:%M:%S %Y").to_string()
}

fn seconds(wall: SystemTime) -> Vec<u8> {
    let since_1900 = wall.duration_since(UNIX_EPOCH).unwrap().as_secs() + 2_208_988_800;
    since_1900.to_be_bytes()[4..].to_vec()
}

fn times(received: &[u8], count: usize, terms: Terms<'_>) -> Result<(), String> {
    let cut = |line: &&[u8]| terms.is_stopped && line.starts_with(b"error: unknown request");
    let lines = received.split_inclusive(|byte| *byte == b'\n').filter(|line| !cut(line));
    let lines: Vec<_> = lines.collect();
    if lines.len() > count || (terms.is_final && lines.len() < count) {
        return Err(format!("{} answers to {count} requests", lines.len()));
    }
    let whole = lines.iter().filter(|line| line.ends_with(b"\n"));
    let known = |text: &[u8]| terms.walls.iter().any(|wall| text == format!("{}\n", line(*wall)).as_bytes());
    match whole.into_iter().find(|line| !known(line)) {
        Some(wrong) => Err(format!("no such time: {}", String::from_utf8_lossy(wrong))),
        None => Ok(()),
    }
}

/// The deadlines: nothing comes early, and if the clock does not jump, nothing is late.
fn greetings(wire: &Wire, pauses: &[u64], terms: Terms<'_>) -> Result<(), String> {
    if !terms.is_punctual {
        return Ok(());
    }
    let greetings = pauses.len() - 1;
    let expected = ["Hello Yourself".repeat(greetings), "Goodbye".to_owned()].concat();
    compare(&wire.received, expected.as_bytes(), terms.is_final)?;
    let mut written = 0;
    for (after, n) in &wire.answers {
        // A write may be in pieces; the first is the one that was waited for.
        if written % 14 == 0 {
            let pause = pauses.get(written / 14).copied().unwrap_or(0);
            if *after != pause {
                return Err(format!("an answer came {after} ms after what it answers, not {pause}"));
            }
        }
        written += n;
    }
    Ok(())
}

fn replies(received: &[u8], gets: &[Get], is_final: bool) -> Result<(), String> {
    let mut rest = received;
    for (number, get) in gets.iter().enumerate() {
        let Some(head_end) = rest.windows(4).position(|end| end == b"\r\n\r\n") else {
            let missing = format!("{number} of {} replies came", gets.len());
            return if is_final || rest.len() > 2000 { Err(missing) } else { Ok(()) };
        };
        let head = String::from_utf8_lossy(&rest[..head_end]).to_lowercase();
        rest = &rest[head_end + 4..];
        let status = if get.content.is_some() { "http/1.1 200 " } else { "http/1.1 404 " };
        if !head.starts_with(status) {
            return Err(format!("reply {number} is no {status}: {head}"));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).ok_or("no length")?;
        let body = if get.is_head { 0 } else { length };
        let is_last = rest.len() <= body;
        let (content, behind) = rest.split_at(body.min(rest.len()));
        if let Some(expected) = get.content {
            let expected = if get.is_head { &[] } else { expected };
            compare(content, expected, is_final)?;
        }
        if is_last && !is_final && number + 1 < gets.len() && behind.is_empty() {
            return Ok(());
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{} bytes nobody asked for", rest.len())) }
}
