//! Replies of HTTP: read as they come, and compared with the first one.

use serde::{Deserialize, Serialize};

use super::Mistake;

/// Longest head of a reply.
const HEAD: usize = 64 * 1024;
/// Longest line of a chunk's size.
const CHUNK_LINE: usize = 256;
/// How much of a body is kept to compare with. What a longer one has beyond is only counted.
pub const BODY: usize = 4 * 1024 * 1024;

/// What a reply must be: what the first one was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Its status.
    pub status: u16,
    /// Bytes of its body.
    pub length: u64,
    /// Its body, the first 4 MiB.
    pub body: Vec<u8>,
}

/// Reads replies, however they are cut.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    phase: Phase,
    /// A head, or a chunk's line, that is not whole.
    pending: Vec<u8>,
    /// The head before, whole, and what it said: most are the same.
    last: Option<(Vec<u8>, Head)>,
    status: u16,
    /// Bytes of the body so far.
    position: u64,
    closes: bool,
    /// The body, if it is to be kept.
    kept: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Head,
    Body(u64),
    UntilClose,
    ChunkSize,
    Chunk(u64),
    Trailer,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    framing: Phase,
    closes: bool,
}

impl Reader {
    /// Takes what came; tells how many replies have become whole.
    ///
    /// # Errors
    /// It is no HTTP, or another reply than the first one was.
    pub fn take(&mut self, mut bytes: &[u8], expected: Option<&Expected>) -> Result<u32, Mistake> {
        let mut done = 0;
        while !bytes.is_empty() {
            bytes = match self.phase {
                Phase::Head => self.head(bytes, expected)?,
                Phase::Body(left) | Phase::Chunk(left) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let (part, rest) = bytes.split_at(n);
                    self.body(part, expected)?;
                    let left = left - n as u64;
                    self.phase = match self.phase {
                        Phase::Chunk(_) if left == 0 => Phase::ChunkSize,
                        Phase::Chunk(_) => Phase::Chunk(left),
                        _ => Phase::Body(left),
                    };
                    rest
                }
                Phase::UntilClose => {
                    self.body(bytes, expected)?;
                    &[]
                }
                Phase::ChunkSize | Phase::Trailer => self.line(bytes)?,
            };
            if self.phase == Phase::Body(0) {
                self.whole(expected)?;
                done += 1;
            }
        }
        Ok(done)
    }

    /// The server closed.
    ///
    /// # Errors
    /// The body that it ended is another one than the first.
    pub fn end(&mut self, expected: Option<&Expected>) -> Result<u32, Mistake> {
        if self.phase != Phase::UntilClose {
            return Ok(0);
        }
        self.whole(expected).map(|()| 1)
    }

    /// Whether the server closes after the reply.
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// Whether a part of a reply has come.
    pub fn is_within(&self) -> bool {
        self.phase != Phase::Head || !self.pending.is_empty()
    }

    fn head<'a>(&mut self, bytes: &'a [u8], expected: Option<&Expected>) -> Result<&'a [u8], Mistake> {
        if let (true, Some((text, head))) = (self.pending.is_empty(), &self.last)
            && let Some(rest) = bytes.strip_prefix(text.as_slice())
        {
            let head = *head;
            self.begin(head, expected)?;
            return Ok(rest);
        }
        let before = self.pending.len();
        self.pending.extend_from_slice(bytes);
        let from = before.saturating_sub(3);
        let found = memchr::memmem::find(self.pending.get(from..).unwrap_or_default(), b"\r\n\r\n");
        let Some(end) = found.map(|at| from + at + 4) else {
            return if self.pending.len() > HEAD { Err(wrong(0, "a head", &self.pending)) } else { Ok(&[]) };
        };
        self.pending.truncate(end);
        let text = std::mem::take(&mut self.pending);
        let head = parse(&text).ok_or_else(|| wrong(0, "a reply of HTTP", &text))?;
        self.last = Some((text, head));
        self.begin(head, expected)?;
        Ok(bytes.get(end - before..).unwrap_or_default())
    }

    fn begin(&mut self, head: Head, expected: Option<&Expected>) -> Result<(), Mistake> {
        // 100 Continue and its like are followed by the reply.
        if (100..200).contains(&head.status) {
            return Ok(());
        }
        if let Some(expected) = expected {
            if head.status != expected.status {
                let came = format!("status {}", head.status);
                return Err(wrong(0, &format!("status {}", expected.status), came.as_bytes()));
            }
            if let Phase::Body(length) = head.framing
                && length != expected.length
            {
                let came = format!("Content-Length: {length}");
                return Err(wrong(0, &format!("a body of {} bytes", expected.length), came.as_bytes()));
            }
        }
        (self.status, self.phase, self.position, self.closes) = (head.status, head.framing, 0, head.closes);
        Ok(())
    }

    fn body(&mut self, part: &[u8], expected: Option<&Expected>) -> Result<(), Mistake> {
        let position = usize::try_from(self.position).unwrap_or(usize::MAX);
        self.position += part.len() as u64;
        if let Some(kept) = &mut self.kept {
            let room = BODY.saturating_sub(kept.len());
            kept.extend_from_slice(part.get(..room).unwrap_or(part));
        }
        let Some(expected) = expected else { return Ok(()) };
        let wanted = expected.body.get(position..).unwrap_or_default();
        let (part, beyond) = part.split_at(part.len().min(wanted.len()));
        if !wanted.starts_with(part) {
            let same = part.iter().zip(wanted).take_while(|(came, wanted)| came == wanted).count();
            let rest = |bytes: &[u8]| bytes.get(same..).unwrap_or_default().to_vec();
            let note = "in the body".to_owned();
            return Err(Mistake::new((position + same) as u64, &rest(wanted), &rest(part), note));
        }
        if !beyond.is_empty() && self.position > expected.length {
            return Err(wrong(expected.length, "the end of the body", beyond));
        }
        Ok(())
    }

    fn whole(&mut self, expected: Option<&Expected>) -> Result<(), Mistake> {
        self.phase = Phase::Head;
        match expected {
            Some(expected) if self.position != expected.length => {
                let came = format!("a body of {} bytes", self.position);
                Err(wrong(self.position, &format!("a body of {} bytes", expected.length), came.as_bytes()))
            }
            _ => Ok(()),
        }
    }

    /// A line of the framing of chunks.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Mistake> {
        let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let (part, rest) = bytes.split_at(end);
        self.pending.extend_from_slice(part);
        if self.pending.len() > CHUNK_LINE {
            return Err(wrong(self.position, "a line of a chunked body", &self.pending));
        }
        if self.pending.last() != Some(&b'\n') {
            return Ok(rest);
        }
        let line = std::mem::take(&mut self.pending);
        let text = line.trim_ascii_end();
        self.phase = match (self.phase, text) {
            (Phase::Trailer, b"") => Phase::Body(0),
            // The line end behind a chunk.
            (phase @ Phase::ChunkSize, b"") if self.position > 0 => phase,
            (phase @ Phase::Trailer, _) => phase,
            (_, text) => match chunk_size(text) {
                Some(0) => Phase::Trailer,
                Some(size) => Phase::Chunk(size),
                None => return Err(wrong(self.position, "the size of a chunk", &line)),
            },
        };
        Ok(rest)
    }

    /// The status of the reply that is read, or was last.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Bytes of its body so far.
    pub fn length(&self) -> u64 {
        self.position
    }

    /// Takes what came of a reply that is not known yet, and keeps the beginning of its body.
    ///
    /// # Errors
    /// It is no HTTP.
    pub fn take_keeping(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<u32, Mistake> {
        self.kept = Some(std::mem::take(body));
        let done = self.take(bytes, None);
        *body = self.kept.take().unwrap_or_default();
        done
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn parse(text: &[u8]) -> Option<Head> {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(text).ok().filter(httparse::Status::is_complete)?;
    let status = response.code?;
    let field = |name: &str| {
        let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| String::from_utf8_lossy(field.value).trim().to_ascii_lowercase())
    };
    let framing = if matches!(status, 204 | 304) {
        Phase::Body(0)
    } else if field("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        Phase::ChunkSize
    } else if let Some(length) = field("content-length") {
        Phase::Body(length.parse().ok()?)
    } else {
        Phase::UntilClose
    };
    let connection = field("connection").unwrap_or_default();
    let closes = match response.version {
        Some(0) => !connection.contains("keep-alive"),
        _ => connection.contains("close"),
    };
    Some(Head { status, framing, closes: closes || framing == Phase::UntilClose })
}

fn wrong(offset: u64, expected: &str, came: &[u8]) -> Mistake {
    Mistake { expected: expected.to_owned(), ..Mistake::new(offset, b"", came, String::new()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nHe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n";
    const CLOSED: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nHello";

    fn hello() -> Expected {
        Expected { status: 200, length: 5, body: b"Hello".to_vec() }
    }

    #[test]
    fn replies_are_read_however_they_are_cut() {
        for reply in [PLAIN, CHUNKED] {
            let bytes = reply.repeat(3);
            for cut in 1..bytes.len() {
                let mut reader = Reader::default();
                let parts = bytes.chunks(cut);
                let done: u32 = parts.map(|part| reader.take(part, Some(&hello())).unwrap()).sum();
                assert_eq!((done, reader.is_within(), reader.closes()), (3, false, false), "{cut}");
            }
        }
        let mut reader = Reader::default();
        assert_eq!(reader.take(CLOSED, Some(&hello())), Ok(0));
        assert_eq!((reader.end(Some(&hello())), reader.closes()), (Ok(1), true));
    }

    #[test]
    fn another_reply_is_wrong_and_says_where() {
        let whole = |reply: &[u8]| Reader::default().take(reply, Some(&hello())).unwrap_err();
        let body = whole(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHexlo");
        assert_eq!((body.offset, body.came.as_str()), (2, "\"xlo\""));
        assert!(whole(b"HTTP/1.1 404 Not Found\r\n\r\n").came.contains("404"));
        assert!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n").came.contains('6'));
        assert!(whole(b"SSH-2.0-OpenSSH\r\n\r\n").expected.contains("HTTP"));
        assert!(
            whole(&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"[..])
                .expected
                .contains("chunk")
        );
        assert!(whole(&vec![b'x'; HEAD + 1]).expected.contains("head"));
        let mut short = Reader::default();
        short.take(b"HTTP/1.0 200 OK\r\n\r\nHell", Some(&hello())).unwrap();
        assert!(short.end(Some(&hello())).is_err());
    }

    #[test]
    fn what_precedes_a_reply_is_passed_over() {
        let mut reader = Reader::default();
        let bytes = [b"HTTP/1.1 100 Continue\r\n\r\n", PLAIN].concat();
        assert_eq!(reader.take(&bytes, Some(&hello())), Ok(1));
        let empty = Expected { status: 304, ..Expected::default() };
        assert_eq!(Reader::default().take(b"HTTP/1.1 304 Not Modified\r\n\r\n", Some(&empty)), Ok(1));
    }
}
