//! Heads of frames (RFC 6455, section 5.2), close codes (section 7.4), and frames as they are sent.

use crate::out::Out;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// Goes on with the message that an earlier frame began.
    Continuation,
    /// Text: UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// The sender sends nothing more.
    Close,
    /// To be answered with a pong of the same payload.
    Ping,
    /// The answer to a ping.
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    /// Whether the frame is about the connection; it is short, and may stand between those of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Why a connection ends: what a close frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u16);

impl Code {
    /// What there was to do is done.
    pub const NORMAL: Self = Self(1000);
    /// The daemon is stopping.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// Data of a kind that is not taken here.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Text that is no UTF-8.
    pub const NOT_UTF8: Self = Self(1007);
    /// The peer did something that is not allowed.
    pub const POLICY: Self = Self(1008);
    /// A message that is too long.
    pub const TOO_BIG: Self = Self(1009);

    /// Whether a peer may say it: the codes of section 7.4.1 and of IANA's registry that stand in frames,
    /// those of libraries, and private ones.
    pub fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// What a peer did wrong: the code that it is told, and why in a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation(pub Code, pub &'static str);

impl Violation {
    pub(super) const fn protocol(text: &'static str) -> Self {
        Self(Code::PROTOCOL, text)
    }
}

/// Longest payload of a control frame in bytes (section 5.5).
pub const CONTROL: usize = 125;

/// The head of a frame from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The frame is the last one of its message.
    pub fin: bool,
    /// What it is.
    pub opcode: Opcode,
    /// Bytes of payload.
    pub length: u64,
    /// What its payload is masked with.
    pub mask: [u8; 4],
}

impl Head {
    /// The head that `bytes` begin with, and its length in bytes; none if it is not complete. What is
    /// wrong shows with the first byte that is wrong.
    ///
    /// # Errors
    /// The frame breaks a rule of section 5.2 or 5.5.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let [first, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(Violation::protocol("a reserved bit is set, but no extension was agreed on"));
        }
        let opcode = Opcode::of(first & 0x0f).ok_or(Violation::protocol("an unknown kind of frame"))?;
        let fin = first & 0x80 != 0;
        if opcode.is_control() && !fin {
            return Err(Violation::protocol("a control frame may not be fragmented"));
        }
        let [second, rest @ ..] = rest else { return Ok(None) };
        if second & 0x80 == 0 {
            return Err(Violation::protocol("a client must mask its frames"));
        }
        let short = second & 0x7f;
        if opcode.is_control() && usize::from(short) > CONTROL {
            return Err(Violation::protocol("a control frame may have 125 bytes at the most"));
        }
        let Some((length, rest)) = length(short, rest)? else { return Ok(None) };
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        Ok(Some((Self { fin, opcode, length, mask: *mask }, bytes.len() - rest.len())))
    }
}

/// The length of the payload and what follows it.
fn length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    const LONG: Violation = Violation::protocol("a length must be written as short as it can be");
    let (length, least, rest) = match short {
        126 => match rest.split_first_chunk::<2>() {
            Some((bytes, rest)) => (u16::from_be_bytes(*bytes).into(), 126, rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk::<8>() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), 0x1_0000, rest),
            None => return Ok(None),
        },
        short => return Ok(Some((short.into(), rest))),
    };
    if length >> 63 != 0 {
        return Err(Violation::protocol("the first bit of a length is 0"));
    }
    if length < least {
        return Err(LONG);
    }
    Ok(Some((length, rest)))
}

/// Takes the mask off, or puts it on; `phase` bytes of the payload came before.
pub fn mask(bytes: &mut [u8], mask: [u8; 4], phase: usize) {
    // The byte of the mask that comes first is the lowest one on every machine.
    let mask = u32::from_le_bytes(mask).rotate_right(8 * (u32::try_from(phase % 4).unwrap_or(0)));
    let wide = u64::from(mask) << 32 | u64::from(mask);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= mask;
    }
}

/// The head of a frame that is sent: a server does not mask.
#[derive(Debug, Clone, Copy)]
pub struct ServerHead {
    bytes: [u8; 10],
    length: usize,
}

impl ServerHead {
    /// A head of a frame with so many bytes of payload.
    pub fn new(fin: bool, opcode: Opcode, payload: usize) -> Self {
        let first = if fin { 0x80 | opcode.bits() } else { opcode.bits() };
        let long = (payload as u64).to_be_bytes();
        let [.., c, d] = long;
        let [e0, e1, e2, e3, e4, e5, ..] = long;
        match (u8::try_from(payload), u16::try_from(payload)) {
            (Ok(short @ ..126), _) => Self { bytes: [first, short, 0, 0, 0, 0, 0, 0, 0, 0], length: 2 },
            (_, Ok(_)) => Self { bytes: [first, 126, c, d, 0, 0, 0, 0, 0, 0], length: 4 },
            _ => Self { bytes: [first, 127, e0, e1, e2, e3, e4, e5, c, d], length: 10 },
        }
    }

    /// As it is on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Queues a frame.
pub fn send(fin: bool, opcode: Opcode, payload: &[u8], out: &mut Out) {
    out.push(ServerHead::new(fin, opcode, payload.len()).as_bytes());
    out.push(payload);
}

/// Queues a close frame; the reason is cut, between characters, to what fits.
pub fn send_close(code: Option<Code>, reason: &str, out: &mut Out) {
    let Some(Code(code)) = code else { return send(true, Opcode::Close, &[], out) };
    let fits = |end: &usize| reason.is_char_boundary(*end);
    let end = (0..=reason.len().min(CONTROL - 2)).rev().find(fits).unwrap_or(0);
    let reason = reason.get(..end).unwrap_or_default();
    send(true, Opcode::Close, &[&code.to_be_bytes()[..], reason.as_bytes()].concat(), out);
}
