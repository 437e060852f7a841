//! Sockets that the program was started with: from systemd, which has bound them (`LISTEN_FDS`,
//! `LISTEN_FDNAMES`, `LISTEN_PID`; see `sd_listen_fds(3)`), or from a run of this program that is being
//! replaced.
//!
//! A predecessor passes its sockets under the same names. It cannot know the successor's process id before
//! that runs, so what says that the sockets are meant for it is a variable of our own, [`HANDOVER`]: how many
//! of the sockets were systemd's once; and behind the sockets is a pipe, on which the predecessor waits to be
//! told that it can go.

use std::collections::HashSet;
use std::env;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::sockopt;
use socket2::{SockRef, Type};

use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::service::{Address, Service};
use crate::sys;

/// The variable by which a run tells its successor of the sockets: the number of those that are systemd's.
pub const HANDOVER: &str = "SWITCHBOARD_HANDOVER";
/// The number of the first descriptor that is passed.
pub const FIRST: RawFd = 3;
/// The line that a successor says when it serves.
pub const READY: &str = "ready";

/// What is wrong with the sockets that were passed.
#[derive(Debug, thiserror::Error)]
#[error("socket activation: {0}")]
pub struct Error(String);

/// A socket that was passed.
#[derive(Debug)]
pub struct Socket {
    /// The service that it is for.
    pub name: String,
    /// Where it is bound.
    pub address: Address,
    /// The socket, which does not block.
    pub socket: OwnedFd,
    /// It is systemd's, and takes the place of whatever the configuration says.
    pub given: bool,
}

/// Everything that was passed.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Socket>,
    /// The sockets that are systemd's, each with the index of its service.
    given: Vec<(usize, Socket)>,
    predecessor: Predecessor,
}

/// The run that is to be replaced, if there is one; it is told once.
#[derive(Debug, Clone, Default)]
pub struct Predecessor(Option<Arc<Mutex<Option<OwnedFd>>>>);

impl Predecessor {
    /// Whether there is one.
    pub fn exists(&self) -> bool {
        self.0.is_some()
    }

    /// Tells it that it can go.
    pub fn ready(&self) {
        self.say(READY);
    }

    /// Tells it why it must go on; false if it has been told that it can go, or there is none.
    pub fn failed(&self, why: &str) -> bool {
        self.say(why)
    }

    fn say(&self, text: &str) -> bool {
        let taken = self.0.as_ref().and_then(|it| it.lock().unwrap_or_else(PoisonError::into_inner).take());
        // It may have gone already, or been killed: then there is nobody to tell.
        taken.is_some_and(|pipe| std::fs::File::from(pipe).write_all(format!("{text}\n").as_bytes()).is_ok())
    }
}

/// What the environment says.
#[derive(Debug, PartialEq, Eq)]
struct Announced {
    names: Vec<String>,
    /// How many of them are systemd's; none that are not if there is no predecessor.
    given: usize,
    has_predecessor: bool,
}

impl Announced {
    /// `None` if nothing was passed to the process of this number.
    fn read(variable: impl Fn(&str) -> Option<String>, pid: u32) -> Result<Option<Self>, Error> {
        let handover = variable(HANDOVER);
        let is_meant = variable("LISTEN_PID").is_some_and(|text| text.parse() == Ok(pid));
        let is_meant = is_meant && !is_planted(Mutant::GivenIgnored);
        let Some(count) = variable("LISTEN_FDS").filter(|_| handover.is_some() || is_meant) else {
            return Ok(None);
        };
        let number = |name: &str, text: &str| {
            let number = text.parse().ok().filter(|number| *number <= limits::PASSED_SOCKETS);
            number.ok_or_else(|| Error(format!("{name}={text:?} is no number of sockets")))
        };
        let count = number("LISTEN_FDS", &count)?;
        let has_predecessor = handover.is_some();
        let given = handover.map_or(Ok(count), |text| number(HANDOVER, &text))?;
        let names = variable("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<_> = names.split(':').filter(|_| count > 0).map(str::to_owned).collect();
        if count > 0 && names.concat().is_empty() {
            let message = "the sockets have no names; FileDescriptorName= in the unit of a socket says which \
                           service it is for";
            return Err(Error(message.to_owned()));
        }
        if names.len() != count && !is_planted(Mutant::GivenUncounted) {
            let message = format!("there are {count} sockets (LISTEN_FDS) and {} names", names.len());
            return Err(Error(message + " (LISTEN_FDNAMES)"));
        }
        Ok(Some(Self { names, given, has_predecessor }))
    }
}

impl Inherited {
    /// Takes over what the environment speaks of. To be called once, first of all.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn take() -> Result<Self, Error> {
        let announced = Announced::read(|name| env::var(name).ok(), std::process::id())?;
        let Some(Announced { names, given, has_predecessor }) = announced else { return Ok(Self::default()) };
        let mut sockets = Vec::new();
        let mut next = FIRST;
        for (index, name) in names.into_iter().enumerate() {
            let adopted = sys::adopt(next).and_then(|socket| Ok((address(&socket)?, socket)));
            let (address, socket) =
                adopted.map_err(|error| Error(format!("descriptor {next}, passed for {name:?}: {error}")))?;
            sockets.push(Socket { name, address, socket, given: index < given });
            next += 1;
        }
        let mut predecessor = Predecessor::default();
        if has_predecessor {
            let pipe = sys::adopt(next).and_then(check_pipe);
            let pipe =
                pipe.map_err(|error| Error(format!("{HANDOVER} is set, but descriptor {next}: {error}")))?;
            predecessor = Predecessor(Some(Arc::new(Mutex::new(Some(pipe)))));
        }
        Ok(Self { sockets, given: Vec::new(), predecessor })
    }

    /// The run that is to be replaced.
    pub fn predecessor(&self) -> Predecessor {
        self.predecessor.clone()
    }

    /// Finds out which services the sockets are for that are systemd's.
    ///
    /// # Errors
    /// A socket is for no service that is to run, or not of its kind.
    pub fn assign(&mut self, services: &[Service]) -> Result<(), Error> {
        for socket in std::mem::take(&mut self.sockets) {
            if socket.given {
                self.given.push((service_of(&socket, services)?, socket));
            } else {
                self.sockets.push(socket);
            }
        }
        Ok(())
    }

    /// The sockets that are systemd's, each with the index of its service.
    pub(crate) fn take_given(&mut self) -> Vec<(usize, Socket)> {
        std::mem::take(&mut self.given)
    }

    /// The socket of a predecessor that is bound there. Where any port will do, one that the service had.
    pub fn claim(&mut self, service: &str, wanted: &Address) -> Option<Socket> {
        let exactly = |socket: &Socket| socket.address == *wanted && !is_planted(Mutant::NothingInherited);
        let about = |socket: &Socket| {
            let is_its = socket.name == service && is_any_port_of(wanted, &socket.address);
            is_its && !is_planted(Mutant::NothingInherited)
        };
        let at = self.sockets.iter().position(exactly).or_else(|| self.sockets.iter().position(about))?;
        Some(self.sockets.swap_remove(at))
    }

    /// The files of a predecessor's Unix sockets on which nothing listens any more.
    pub fn left_over(&self) -> Vec<PathBuf> {
        let path = |socket: &Socket| match &socket.address {
            Address::Unix(path) => Some(path.clone()),
            _ => None,
        };
        self.sockets.iter().filter(|socket| !socket.given).filter_map(path).collect()
    }
}

/// Whether the wanted port is any, and the other differs in nothing else.
fn is_any_port_of(wanted: &Address, other: &Address) -> bool {
    match (wanted, other) {
        (Address::Tcp(a), Address::Tcp(b)) | (Address::Udp(a), Address::Udp(b)) => {
            a.port() == 0 && a.ip() == b.ip()
        }
        _ => false,
    }
}

fn service_of(socket: &Socket, services: &[Service]) -> Result<usize, Error> {
    let Socket { name, address, .. } = socket;
    let found = services.iter().enumerate().find(|(_, service)| service.name == *name);
    let Some((index, service)) = found else {
        // A set, for a service may have been renamed to something that is there twice.
        let known: HashSet<_> = services.iter().map(|service| service.name.as_str()).collect();
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_unstable();
        let message =
            format!("the socket {address} is named {name:?}, and no service of that name is to run");
        return Err(Error(format!("{message}; FileDescriptorName= says one of {}", known.join(", "))));
    };
    let transport = service.row.transport;
    let fits = match address {
        Address::Udp(_) => transport.has_udp(),
        Address::Tcp(_) | Address::Unix(_) => transport.has_tcp(),
    };
    if !fits {
        let message = format!("{name} is not served over {}, and was passed {address}", address.transport());
        return Err(Error(message));
    }
    Ok(index)
}

/// Where a socket is bound; it is made one that does not block.
fn address(socket: &OwnedFd) -> io::Result<Address> {
    let about = SockRef::from(socket);
    let local = about.local_addr().map_err(|_| io::Error::other("it is no socket"))?;
    let kind = about.r#type()?;
    about.set_nonblocking(true)?;
    if kind == Type::STREAM && !sockopt::socket_acceptconn(socket.as_fd())? {
        return Err(io::Error::other("it is a connection (Accept=yes is not for this program)"));
    }
    match (local.as_socket(), local.as_pathname()) {
        (Some(address), _) if kind == Type::STREAM => {
            // As on the sockets that the program binds itself; inherited by what is accepted.
            about.set_tcp_nodelay(true)?;
            Ok(Address::Tcp(address))
        }
        (Some(address), _) if kind == Type::DGRAM => Ok(Address::Udp(address)),
        (None, Some(path)) if kind == Type::STREAM => Ok(Address::Unix(path.to_owned())),
        _ => Err(io::Error::other("it is a socket of no kind that this program serves")),
    }
}

fn check_pipe(pipe: OwnedFd) -> io::Result<OwnedFd> {
    let file = std::fs::File::from(pipe);
    let is_pipe = file.metadata()?.file_type().is_fifo();
    if is_pipe { Ok(file.into()) } else { Err(io::Error::other("it is no pipe")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Announced>, Error> {
        let variable = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        };
        Announced::read(variable, 42)
    }

    fn announced(names: &[&str], given: usize, has_predecessor: bool) -> Announced {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Announced { names, given, has_predecessor }
    }

    #[test]
    fn sockets_of_systemd_are_for_the_process_that_it_names() {
        let passed = [("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "http:http")];
        assert_eq!(read(&passed).unwrap(), None);
        let other = [passed[0], passed[1], ("LISTEN_PID", "41")];
        assert_eq!(read(&other).unwrap(), None);
        let ours = [passed[0], passed[1], ("LISTEN_PID", "42")];
        assert_eq!(read(&ours).unwrap(), Some(announced(&["http", "http"], 2, false)));
    }

    #[test]
    fn sockets_of_a_predecessor_need_no_process_id() {
        let passed = [("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "http:echo"), (HANDOVER, "1")];
        assert_eq!(read(&passed).unwrap(), Some(announced(&["http", "echo"], 1, true)));
        assert_eq!(read(&[("LISTEN_FDS", "0"), (HANDOVER, "0")]).unwrap(), Some(announced(&[], 0, true)));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let said = |variables: &[(&str, &str)]| {
            let all: Vec<_> = [("LISTEN_PID", "42")].iter().chain(variables).copied().collect();
            read(&all).unwrap_err().to_string()
        };
        assert!(said(&[("LISTEN_FDS", "x")]).contains("LISTEN_FDS=\"x\""));
        assert!(said(&[("LISTEN_FDS", "99999999")]).contains("is no number of sockets"));
        assert!(said(&[("LISTEN_FDS", "1")]).contains("FileDescriptorName="));
        assert!(
            said(&[("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "a:b")]).contains("1 sockets (LISTEN_FDS) and 2")
        );
    }

    #[test]
    fn a_port_of_ones_own_is_claimed_where_any_will_do() {
        let at = |text: &str| Address::Tcp(text.parse().unwrap());
        let socket = |name: &str, text: &str| Socket {
            name: name.to_owned(),
            address: at(text),
            socket: std::fs::File::open("/").unwrap().into(),
            given: false,
        };
        let sockets = vec![socket("http", "127.0.0.1:81"), socket("echo", "127.0.0.1:82")];
        let mut inherited = Inherited { sockets, ..Inherited::default() };
        assert!(inherited.claim("echo", &at("127.0.0.1:83")).is_none());
        assert!(inherited.claim("chat", &at("127.0.0.1:0")).is_none());
        assert_eq!(inherited.claim("echo", &at("127.0.0.1:0")).unwrap().address, at("127.0.0.1:82"));
        assert!(inherited.claim("echo", &at("127.0.0.1:0")).is_none());
        let renamed = inherited.claim("files", &at("127.0.0.1:81")).unwrap();
        assert_eq!(renamed.name, "http", "who has another name by now listens at the same place");
    }
}
