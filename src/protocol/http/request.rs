//! A request's head, taken apart (RFC 9112, sections 2 to 6, and RFC 9110, sections 7 to 10).

use httparse::{EMPTY_HEADER, Header, Status as Parsed, parse_headers};

use super::fields::{Accepts, Conditions, Fields};
use super::head::target_too_long;
use super::refusal::{Refusal, Status};
use super::target::{Target, plain_key};
use super::words::{letters, prefix, table};
use crate::limits;

/// Most fields of a request.
pub(super) const MAX_FIELDS: usize = 100;

/// Fields of nearly all requests: room for more is made when it is needed.
const FEW_FIELDS: usize = 16;

/// What the methods of RFC 9110, section 9, are to this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Options,
    /// Known, and not allowed here.
    Known,
    /// Anything else.
    Unknown,
}

impl Method {
    fn of(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"POST" | b"PUT" | b"DELETE" | b"CONNECT" | b"TRACE" | b"PATCH" => Self::Known,
            _ => Self::Unknown,
        }
    }
}

/// A request line, of HTTP/1 whatever its minor version.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestLine<'a> {
    pub(super) method: Method,
    pub(super) target: &'a [u8],
    /// 0 for HTTP/1.0, 1 for all that came later.
    pub(super) minor: u8,
    /// What names the target in the cache: see [`plain_key`].
    pub(super) key: Option<&'a [u8]>,
}

impl<'a> RequestLine<'a> {
    /// Takes a line apart, its line end included.
    ///
    /// # Errors
    /// 400 for what is no request line, 414 for a target that is too long, 505 for another major version.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        // Patterns of slices here and below: a comparison of a few bytes would be a call.
        let line = if let [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] = line { line } else { line };
        let not_three = || Refusal::bad("a request line is: method, one blank, target, one blank, version");
        let (method, rest) = cut(line).ok_or_else(not_three)?;
        let (target, version) = cut(rest).ok_or_else(not_three)?;
        let name = method;
        let method = Method::of(name);
        if method == Method::Unknown && !is_token(name) {
            return Err(Refusal::bad("the method is not a word"));
        }
        if target.is_empty() || target.iter().any(u8::is_ascii_control) {
            return Err(Refusal::bad("the request target is empty or has a control character"));
        }
        let minor = minor_version(version)?;
        if target.len() > limits::HTTP_TARGET {
            return Err(target_too_long());
        }
        Ok(Self { method, target, minor, key: plain_key(target) })
    }
}

/// What stands before the first blank, and behind it.
fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, rest) = bytes.split_at_checked(bytes.iter().position(|b| *b == b' ')?)?;
    Some((before, rest.get(1..)?))
}

fn minor_version(version: &[u8]) -> Result<u8, Refusal> {
    match version {
        b"HTTP/1.0" => Ok(0),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Ok(1),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Refusal::closing(Status::VERSION, "this server speaks HTTP/1.1 and HTTP/1.0"))
        }
        _ => Err(Refusal::bad("a request line ends in HTTP/1.1 or HTTP/1.0")),
    }
}

/// Whether this is a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token(bytes) == bytes.len()
}

/// Length of the token that `bytes` begin with.
#[inline]
pub(super) fn token(bytes: &[u8]) -> usize {
    static TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");
    let length = letters(bytes);
    // Names of fields end there, nearly all of them.
    if bytes.get(length) == Some(&b':') { length } else { prefix(bytes, &TOKEN) }
}

/// How long the body of a request is (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// As many as its chunks say.
    Chunked,
}

/// What a reply must know of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchange {
    /// The reply has no body.
    pub(super) head_only: bool,
    /// Minor version of the request: 0 or 1.
    pub(super) minor: u8,
    /// The connection stays open for the next request.
    pub(super) keep: bool,
    /// Pages of other origins may read the reply.
    pub(super) cors: bool,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The file or directory at a path.
    At(Target),
    /// What may be asked for.
    Methods,
}

/// A request whose framing is sound, so that the next one can be found behind it.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) line: RequestLine<'a>,
    pub(super) exchange: Exchange,
    pub(super) framing: Framing,
    /// The peer waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    pub(super) accepts: Accepts<'a>,
    pub(super) conditions: Option<Box<Conditions<'a>>>,
}

impl<'a> Request<'a> {
    /// Takes a whole head apart; its first `line` bytes are the request line, perhaps parsed already.
    ///
    /// # Errors
    /// Where the request ends is not certain, or it is not allowed: the connection must close.
    pub(super) fn parse(
        head: &'a [u8],
        line: usize,
        parsed: Option<RequestLine<'a>>,
    ) -> Result<Self, Refusal> {
        let (line, rest) = head.split_at_checked(line).unwrap_or_default();
        let typed = !matches!(line, [.., b'\r', b'\n']);
        let line = parsed.map_or_else(|| RequestLine::parse(line), Ok)?;
        let mut fields = Fields::default();
        read_fields(rest, &mut fields)?;
        Self::new(line, fields, typed)
    }

    /// A request of this line and these fields; whether its line ends were typed by people.
    ///
    /// # Errors
    /// As of [`Request::parse`].
    #[inline]
    pub(super) fn new(line: RequestLine<'a>, fields: Fields<'a>, typed: bool) -> Result<Self, Refusal> {
        fields.check_host(line.minor)?;
        let framing = fields.framing(line.minor)?;
        if typed && fields.announce_body() {
            return Err(Refusal::bad("a request with a body must end its lines in CR LF"));
        }
        let expects_continue = fields.expects_continue(line.minor)?;
        let exchange = Exchange {
            head_only: line.method == Method::Head,
            minor: line.minor,
            keep: !typed && fields.keeps_alive(line.minor),
            cors: false,
        };
        let Fields { accepts, conditions, .. } = fields;
        Ok(Self { line, exchange, framing, expects_continue, accepts, conditions })
    }

    /// What the sender wants only if, or only in part.
    pub(super) fn conditions(&self) -> &Conditions<'a> {
        self.conditions.as_deref().unwrap_or(&Conditions::NONE)
    }

    /// What to answer once the body is through.
    ///
    /// # Errors
    /// What is wrong with it: the method, or the target.
    pub(super) fn wanted(&self) -> Result<Wanted, Refusal> {
        match (self.line.method, self.line.target) {
            (Method::Unknown, _) => Err(Refusal::new(Status::NOT_IMPLEMENTED, "this method is unknown here")),
            (Method::Known, _) => {
                Err(Refusal::new(Status::METHOD_NOT_ALLOWED, "files can be read here, not changed"))
            }
            (Method::Options, b"*") => Ok(Wanted::Methods),
            (Method::Options, target) => Target::parse(target).map(|_| Wanted::Methods),
            (Method::Get | Method::Head, target) => Target::parse(target).map(Wanted::At),
        }
    }
}

/// Adds the fields of a head; those of nearly all requests fit into little room.
fn read_fields<'a>(bytes: &'a [u8], fields: &mut Fields<'a>) -> Result<(), Refusal> {
    let mut few = [EMPTY_HEADER; FEW_FIELDS];
    match parse_headers(bytes, &mut few) {
        Err(httparse::Error::TooManyHeaders) => read_many(bytes, fields),
        parsed => add_all(parsed, fields),
    }
}

#[cold]
fn read_many<'a>(bytes: &'a [u8], fields: &mut Fields<'a>) -> Result<(), Refusal> {
    let mut many = [EMPTY_HEADER; MAX_FIELDS];
    add_all(parse_headers(bytes, &mut many), fields)
}

fn add_all<'a>(
    parsed: httparse::Result<(usize, &[Header<'a>])>,
    fields: &mut Fields<'a>,
) -> Result<(), Refusal> {
    let parsed = match parsed {
        Ok(Parsed::Complete((_, parsed))) => parsed,
        Ok(Parsed::Partial) => return Err(Refusal::bad("the head of the request is incomplete")),
        Err(httparse::Error::TooManyHeaders) => {
            let text = format!("a request may have {MAX_FIELDS} fields at the most");
            return Err(Refusal::closing(Status::HEAD_TOO_LARGE, text));
        }
        Err(httparse::Error::HeaderName) => {
            return Err(Refusal::bad("a field is: name, colon, value; no blank may stand before the colon"));
        }
        Err(_) => return Err(Refusal::bad("the value of a field has a forbidden control character")),
    };
    parsed.iter().try_for_each(|field| fields.add(field.name.as_bytes(), field.value))
}
