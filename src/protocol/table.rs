//! The table of protocols. Reading it tells what the program is.
//!
//! Each row gives the variant of [`Session`], the type that implements [`Protocol`], and the service
//! that runs when nobody configures anything. Everything else that must know all protocols (the
//! sessions and their dispatch, the options, `switchboard services`, the defaults) is made from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line::Line;
use super::session::protocols;
use super::{Handler, Protocol};
use crate::lan::Place;
use crate::room::MemberId;

protocols! {
    Http(super::http::Http): {
        name: "http", port: 8080, well_known: Some(80), transport: Tcp,
        does: "files of a directory, with listings", source: "RFC 9110, 9112; lab A",
        try_it: "curl http://{address}/",
    }
    Console(super::console::Console): {
        name: "console", port: 8000, well_known: None, transport: Tcp,
        does: "web page: every service, and the chat", source: "RFC 9110, 6455; lab A",
        try_it: "curl http://{address}/",
        rooms: true,
    }
    Modify(Line<super::modify::Modify>): {
        name: "modify", port: 8888, well_known: None, transport: Tcp,
        does: "answers each message, modified", source: "labs B, D",
        try_it: "telnet {host} {port}",
    }
    Chat(Line<super::chat::Chat>): {
        name: "chat", port: 8989, well_known: None, transport: Tcp,
        does: "a chat room for telnet and nc", source: "labs A, B",
        try_it: "telnet {host} {port}",
        rooms: true,
    }
    UdpChat(super::udp_chat::UdpChat): {
        name: "udp-chat", port: 40000, well_known: None, transport: Lan,
        does: "joins the LAN's UDP chat to the room; off unless asked", source: "lab A, exercise 1",
        try_it: "switchboard udp-chat --port {port}{lan}",
        rooms: true, off: true,
    }
    Collect(super::collect::Collect): {
        name: "collect", port: 9090, well_known: None, transport: Tcp,
        does: "receives until the end, shows what came", source: "lab C",
        try_it: "echo Hello, world | nc -N {host} {port}",
    }
    Hello(Line<super::hello::Hello>): {
        name: "hello", port: 15000, well_known: None, transport: Tcp,
        does: "Hello World -> Hello Yourself; a page for browsers", source: "lab C",
        try_it: "curl http://{address}/index.html",
    }
    Upload(super::upload::Upload): {
        name: "upload", port: 40000, well_known: None, transport: Tcp,
        does: "stores a file: its name, a line end, its content", source: "lab A, exercise 3",
        try_it: "(echo notes.txt; date) | nc -N {host} {port}",
        together: "max_concurrent is not kept, and max_total counts only what is stored",
    }
    Download(Line<super::download::Download>): {
        name: "download", port: 40001, well_known: None, transport: Tcp,
        does: "sends the file whose name it gets", source: "lab B",
        try_it: "echo /list | nc -N {host} {port}",
    }
    Echo(super::echo::Echo): {
        name: "echo", port: 10007, well_known: Some(7), transport: Both,
        does: "sends back what it gets", source: "RFC 862; lab E",
        try_it: "nc {host} {port}",
    }
    Discard(super::discard::Discard): {
        name: "discard", port: 10009, well_known: Some(9), transport: Both,
        does: "drops what it gets", source: "RFC 863",
        try_it: "nc {host} {port}",
    }
    Daytime(super::daytime::Daytime): {
        name: "daytime", port: 10013, well_known: Some(13), transport: Both,
        does: "the date and time as a line", source: "RFC 867",
        try_it: "nc {host} {port}",
    }
    Chargen(super::chargen::Chargen): {
        name: "chargen", port: 10019, well_known: Some(19), transport: Tcp,
        does: "characters as fast as they are read", source: "RFC 864",
        try_it: "nc {host} {port} | head",
    }
    Time(super::time::TimeOfDay): {
        name: "time", port: 10037, well_known: Some(37), transport: Both,
        does: "seconds since 1900, 4 bytes", source: "RFC 868",
        try_it: "nc {host} {port} | od -An -tu4 --endian=big",
    }
    Reqtime(Line<super::reqtime::Reqtime>): {
        name: "reqtime", port: 10123, well_known: None, transport: Both,
        does: "\"reqtime\" -> the local time", source: "lab E, exercise 9-1",
        try_it: "echo reqtime | nc -N {host} {port}",
    }
    => {
        /// A member of a room in whose conversation nothing is going on.
        AtRest(super::rest::AtRest),
        /// `/ws/chat` of `console`.
        WebChat(super::websocket::WebSocket<super::console::chat::WebChat>),
        /// `/ws/echo` of `console`.
        WebEcho(super::websocket::WebSocket<super::console::echo::WebEcho>),
    }
}

/// What a service speaks on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP (or a Unix stream socket).
    Tcp,
    /// TCP and UDP on the same port.
    Both,
    /// UDP, with everybody on a network at once.
    Lan,
}

impl Transport {
    /// Whether datagrams are served as well.
    pub fn has_udp(self) -> bool {
        self == Self::Both
    }

    /// Whether one connects to it. To a network one only speaks.
    pub fn has_tcp(self) -> bool {
        self != Self::Lan
    }

    /// Its name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Both => "tcp+udp",
            Self::Lan => "udp",
        }
    }
}

/// A protocol and its default service.
#[derive(Debug)]
pub struct Row {
    /// Which protocol.
    pub kind: Kind,
    /// Name of the protocol, and of its default service.
    pub name: &'static str,
    /// Default port.
    pub port: u16,
    /// The port of its RFC, for `--well-known`.
    pub well_known: Option<u16>,
    /// What it is served on.
    pub transport: Transport,
    /// What it does, in a few words.
    pub does: &'static str,
    /// Where it is specified: an RFC, or a lab sheet.
    pub source: &'static str,
    /// A command that shows it; `{host}`, `{port}` and `{address}` stand for where it listens, `{lan}` for
    /// the flags that name a network.
    pub try_it: &'static str,
    /// Its clients are members of rooms: what one of them says, the others hear.
    pub rooms: bool,
    /// Some options bound all its connections together: what is left of that where each has
    /// memory of its own. Mostly empty.
    pub together: &'static str,
    /// It runs only when it is asked for.
    pub off: bool,
}

impl Row {
    /// The row of the protocol of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|row| row.name == name)
    }
}

// Sessions live in the reactor's slots, so what one of them needs, all of them take.
const _: () = assert!(size_of::<Session>() <= 16);

/// A handler made up by a test.
#[cfg(test)]
pub trait Probe: Handler + std::fmt::Debug + Send {}
