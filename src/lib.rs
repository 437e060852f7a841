//! switchboard: every protocol of the networking labs from one single-threaded reactor.
//!
//! # A tour
//!
//! Three ideas carry everything: a protocol is a state machine that owns no socket; an engine moves bytes
//! and time, and knows no protocol; a chat room is a bounded log, and a member is a cursor in it. To see
//! them in the code, read in this order:
//!
//! 1. **A protocol.** [`protocol::echo`] is the shortest; [`protocol::chargen`] shows how output waits for
//!    its reader. Both implement [`protocol::Handler`], and get everything they may touch as
//!    [`protocol::Cx`]: the time, the [`input`], the [`out`]put, what all connections [share](shared).
//! 2. **The table.** [`protocol::table`] has a row for each protocol. Reading it tells what the program is.
//! 3. **Messages.** [`framing`] says where one ends, for clients that end their lines and for clients that
//!    do not; [`telnet`] takes out what telnet adds. [`protocol::line`] makes a conversation of it, and
//!    [`protocol::reqtime`] is the shortest protocol that holds one.
//! 4. **The seam.** [`conn::Conn`] is a connection without its socket: a session, what it has not read, what
//!    it has not sent, and where it is in its [`conn::Life`]. Every engine drives this one type.
//! 5. **The loop.** [`engine::reactor`], from [`engine::reactor::Reactor::run`] on: poll, give everybody who
//!    is ready a share of the turn, then time, then the rooms. It sees the network through
//!    [`engine::net::Net`]; [`engine::mio_net`] is the real one, the tests have a simulated one. The other
//!    engines drive the same connections with blocking calls: [`engine::threads`], [`engine::processes`] and
//!    [`engine::iterative`].
//! 6. **The room.** [`room::Rooms`]: what is said is written down once, and each member's socket is fed from
//!    the member's own cursor. [`protocol::chat`] is what people see of it.
//! 7. **The program.** [`program::run`] goes from the command line ([`cli`]) and the file ([`config`]) to
//!    [services](service) and the sockets they listen on ([`bind`]), shows the table ([`start`]), and hands
//!    everything to the [`engine`].
//! 8. **The clients.** [`client`]: blocking programs with deadlines, one file each.
//! 9. **The load.** [`load`]: thousands of connections to a server, from the other side of the same poll.
//!
//! What could make everybody wait, such as a disk, is a [`helper`]'s; what takes long asks for its [`ration`] of a turn. [`limits`] holds every bound, [`timer`] the deadlines, [`escape`] what makes strangers' bytes safe to show.
//!
//! # A byte's way
//!
//! ```text
//! poll -> readiness -> connection: flush what waits -> read (one shared buffer) -> handler
//!      -> out (this connection's reply) -> write at once
//!      -> rooms (what others must hear) -> members fed once, at the turn's end
//! -> timers -> free the dead -> poll
//! ```
//!
//! Nothing runs back up this path.

pub mod access;
pub mod bind;
pub mod check;
pub mod checksum;
pub mod cli;
pub mod client;
pub mod config;
pub mod conn;
pub mod directory;
pub mod engine;
pub mod escape;
pub mod faults;
pub mod framing;
pub mod helper;
pub mod inherit;
pub mod input;
pub mod journal;
pub mod lan;
pub mod limits;
pub mod load;
pub mod logging;
mod mutation;
pub mod observer;
pub mod out;
pub mod peer;
pub mod ports_file;
pub mod privileges;
pub mod program;
pub mod protocol;
pub mod proxy;
pub mod ration;
pub mod renewal;
pub mod room;
pub mod service;
pub mod shared;
pub mod show;
pub mod start;
pub mod supervisor;
mod sys;
pub mod telnet;
pub mod time;
pub mod timer;
