//! `switchboard udp-chat`: lab A's chat without a server. What is typed goes to everybody on the network in a
//! datagram, and what they say comes the same way.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Error;
use super::talk::{Heard, Manners, Screen, Speak, talk, text};
use crate::config::duration;
use crate::lan::{self, Lan, Place, copies::Copies, pieces};
use crate::limits;
use crate::time::Time;

/// Between two datagrams of a piped text: nobody waits for them to be received, so this bounds what is lost.
const PACE: Duration = Duration::from_millis(2);

const EXAMPLES: &str = "\
Examples:
  switchboard udp-chat                             everybody on this network
  switchboard udp-chat --broadcast 127.255.255.255 everybody on this machine
  switchboard udp-chat --group 239.255.40.0        those who join this group
  switchboard udp-chat --group ff02::4000 --interface eth0
  echo hello | switchboard udp-chat                say one thing

exit or quit alone on a line ends it, as Ctrl-D does; the word is not sent. Without --broadcast and
--group the text goes to the broadcast address of every interface that is up: 255.255.255.255 would
leave by one of them only. It speaks to the labs' own programs; those share port 40000 with nobody,
so on one machine there is room for one of them or for any number of these.";

/// Chat with everybody on the network: a datagram for each line, no server
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The port that everybody uses [e.g. --port 40001]
    #[arg(short, long, value_name = "PORT", default_value_t = lan::PORT)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Put a name before what is sent: `NAME: text` [e.g. --name ali]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Send to this broadcast address instead of that of every interface; may be repeated
    /// [e.g. --broadcast 192.168.1.255]
    #[arg(long, value_name = "ADDR", conflicts_with = "interface")]
    broadcast: Vec<Ipv4Addr>,

    /// Use a multicast group, IPv4 or IPv6, instead of broadcast [e.g. --group 239.255.40.0]
    #[arg(long, value_name = "ADDR", conflicts_with = "broadcast")]
    group: Option<IpAddr>,

    /// Use this interface only [e.g. --interface eth0]
    #[arg(short, long, value_name = "NAME")]
    interface: Option<String>,

    /// Show the address that each line came from
    #[arg(long)]
    from: bool,

    /// The words that end the chat, alone on a line, when typed; none if empty [e.g. --quit bye]
    #[arg(long, value_name = "WORD,..", value_delimiter = ',', default_value = "exit,quit")]
    quit: Vec<String>,

    /// With piped input: how long to show what others say after the end of it [e.g. --wait 1m]
    #[arg(short, long, value_name = "DURATION", default_value = "0s", value_parser = duration::parse)]
    wait: Duration,
}

/// Chats.
///
/// # Errors
/// No socket, or nobody can be reached.
pub fn run(args: &Args) -> Result<(), Error> {
    let lan = Place {
        port: args.port,
        broadcast: args.broadcast.clone(),
        group: args.group,
        interface: args.interface.clone(),
        addresses: Vec::new(),
    };
    let lan = lan.open().map_err(Error::Network)?;
    let to: Vec<String> = lan.outlet.addresses().map(|ip| ip.to_string()).collect();
    let greeting =
        format!("* chatting with {} on port {}; {} ends it", to.join(", "), args.port, "exit, Ctrl-D");
    let copies = Mutex::new(Copies::new(lan.outlet.own_port(), args.port));
    let screen = Screen::open();
    let pace = if screen.is_edited() { Duration::ZERO } else { PACE };
    let network = Arc::new(Network { lan, copies, started: Instant::now(), name: args.name.clone(), pace });
    let hear = Incoming { network: Arc::clone(&network), from: args.from };
    let manners = Manners {
        quit: args.quit.clone(),
        heed: false,
        wait: args.wait,
        show_own: true,
        greeting,
        farewell: "",
    };
    talk(screen, &network, hear, &manners)
}

/// Everybody else.
#[derive(Debug)]
struct Network {
    lan: Lan,
    copies: Mutex<Copies>,
    started: Instant,
    name: Option<String>,
    pace: Duration,
}

impl Network {
    fn now(&self) -> Time {
        Time::since_start(self.started.elapsed())
    }

    fn is_new(&self, datagram: &[u8], from: std::net::SocketAddr) -> bool {
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        copies.is_new(datagram, from, self.now())
    }
}

impl Speak for Network {
    fn say(&self, line: &str) -> Result<(), Error> {
        if line.is_empty() {
            return Ok(());
        }
        let line = self.name.as_ref().map_or_else(|| line.to_owned(), |name| format!("{name}: {line}"));
        for piece in pieces(&line) {
            self.copies
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .note_sent(piece.as_bytes(), self.now());
            self.lan.outlet.send(piece.as_bytes()).map_err(|error| {
                Error::Network(format!("nobody can be reached: {error}; is the network up?"))
            })?;
            std::thread::sleep(self.pace);
        }
        Ok(())
    }

    fn finish(&self) -> bool {
        false
    }

    fn abort(&self) {}
}

/// What the others say.
#[derive(Debug)]
struct Incoming {
    network: Arc<Network>,
    from: bool,
}

impl Iterator for Incoming {
    type Item = Heard;

    fn next(&mut self) -> Option<Heard> {
        let mut buffer = vec![0; limits::READ_BUFFER];
        loop {
            let (n, from) = match self.network.lan.receiving.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Some(Err(Error::Network(format!("receiving: {error}")))),
            };
            let datagram = buffer.get(..n).unwrap_or_default();
            if self.network.is_new(datagram, from) {
                let text = datagram.strip_suffix(b"\n").unwrap_or(datagram);
                let lines = text.split(|byte| *byte == b'\n').map(|line| self.line(line, from.ip()));
                return Some(Ok(lines.collect()));
            }
        }
    }
}

impl Incoming {
    fn line(&self, line: &[u8], from: IpAddr) -> Vec<u8> {
        let line = text::displayable(line);
        if self.from { format!("{} {line}", from.to_canonical()).into_bytes() } else { line.into_bytes() }
    }
}
