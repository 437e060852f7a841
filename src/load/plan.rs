//! What is to be put on a server, in the caller's words, and whether it makes sense.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::args::Speak;
use super::exchange::chat;
use super::ramp::Ramp;
use super::table;
use crate::client::{Error, Target};
use crate::limits;

/// Longest message: what is in flight must fit into memory twice.
const LONGEST: usize = 16 * 1024 * 1024;
/// Most requests in flight per connection.
const PIPELINE: u32 = 65_536;
/// What the receivers of a chat remember: a number per sender each.
const CHAT_PAIRS: u64 = 16 * 1024 * 1024;

/// Which connections become more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rising {
    /// Those that send requests
    Active,
    /// Those that are held
    Idle,
}

/// A load for one server.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub target: Target,
    /// What it speaks.
    pub speak: Speak,
    /// Over UDP.
    pub udp: bool,
    /// Bytes of a message.
    pub size: usize,
    /// Whether the size was asked for.
    pub has_size: bool,
    /// Connections that are held.
    pub idle: u32,
    /// Connections that send requests.
    pub active: u32,
    /// Requests a second of all together; none: a closed loop.
    pub rate: Option<f64>,
    /// Requests in flight per connection.
    pub pipeline: u32,
    /// A connection per request.
    pub churn: bool,
    /// Connections end with a reset.
    pub reset: bool,
    /// Requests in all; none: as many as there is time for.
    pub requests: Option<u64>,
    /// How long a connection, or any byte of a reply, may take.
    pub timeout: Duration,
    /// Whether replies are compared.
    pub verify: bool,
    /// `modify`: what comes back; learnt if not given.
    pub expect: Option<String>,
    /// `raw`: what comes back; learnt if not given.
    pub expect_bytes: Option<Vec<u8>>,
    /// `raw`: what is sent.
    pub send: Option<Vec<u8>>,
    /// `http`: what is asked for.
    pub path: Option<String>,
    /// `chat`: how many speak.
    pub senders: u32,
    /// A local server's process.
    pub pid: Option<u32>,
    /// Threads in all.
    pub workers: Option<u32>,
    /// Whether limits that would stop it are no reason not to begin.
    pub anyway: bool,
    /// Connections become more and more.
    pub ramp: Option<Ramp>,
}

impl Load {
    /// 50 connections that send 64 bytes to be echoed, each as fast as it gets them back.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            speak: Speak::Echo,
            udp: false,
            size: 64,
            has_size: false,
            idle: 0,
            active: 50,
            rate: None,
            pipeline: 1,
            churn: false,
            reset: false,
            requests: None,
            timeout: Duration::from_secs(5),
            verify: true,
            expect: None,
            expect_bytes: None,
            send: None,
            path: None,
            senders: 1,
            pid: None,
            workers: None,
            anyway: false,
            ramp: None,
        }
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// What does not, and what would.
    pub fn check(&self) -> Result<(), Error> {
        let complaint = self.complain_of_numbers().or_else(|| self.complain_of_protocol());
        complaint.map_or(Ok(()), |complaint| Err(Error::Usage(complaint)))
    }

    fn complain_of_numbers(&self) -> Option<String> {
        let (least, most) = self.size_bounds();
        let ramp_active = self.ramp.as_ref().is_some_and(|ramp| ramp.rising == Rising::Active);
        let workers = self.workers.unwrap_or(1);
        Some(if self.idle == 0 && self.active == 0 && self.ramp.is_none() {
            "no connection is asked for: give --idle or --active".to_owned()
        } else if !(least..=most).contains(&self.size) {
            format!("--size: a message has {least} to {most} bytes here")
        } else if !(1..=PIPELINE).contains(&self.pipeline) {
            format!("--pipeline: 1 to {PIPELINE}")
        } else if self.timeout < Duration::from_millis(1) {
            "--timeout: at least 1ms".to_owned()
        } else if !(1..=1024).contains(&workers) {
            "--workers: 1 to 1024".to_owned()
        } else if self.rate.is_some() && self.active == 0 && !ramp_active {
            "--rate needs connections that send: give --active".to_owned()
        } else if self.requests == Some(0) {
            "--requests: at least 1".to_owned()
        } else if self.churn && self.pipeline > 1 {
            "--churn is one request per connection: it has no --pipeline".to_owned()
        } else if self.ramp.is_some() && self.requests.is_some() {
            "--ramp has steps of a --duration, not of --requests".to_owned()
        } else {
            return None;
        })
    }

    fn complain_of_protocol(&self) -> Option<String> {
        let is = |speak| self.speak == speak;
        let takes_size = matches!(self.speak, Speak::Echo | Speak::Modify | Speak::Chat);
        Some(if self.has_size && !takes_size {
            "--size counts for echo, modify and chat".to_owned()
        } else if self.expect.is_some() && !is(Speak::Modify) {
            "--expect counts for modify and raw".to_owned()
        } else if self.path.is_some() && !is(Speak::Http) {
            "--path counts for http".to_owned()
        } else if self
            .path
            .as_ref()
            .is_some_and(|path| !path.starts_with('/') || path.contains(|c: char| c <= ' '))
        {
            "--path begins with a / and has no blanks (write %20)".to_owned()
        } else if self.send.is_some() != is(Speak::Raw) {
            "--as raw sends the bytes of --send FILE; the two go together".to_owned()
        } else if self.send.as_ref().is_some_and(|bytes| bytes.is_empty() || bytes.len() > LONGEST) {
            format!("--send: a file of 1 to {LONGEST} bytes")
        } else if self.udp && !matches!(self.speak, Speak::Echo | Speak::Reqtime | Speak::Raw) {
            "--udp goes with echo, reqtime and raw".to_owned()
        } else if self.udp && (self.churn || self.idle > 0) {
            "--udp has no connections: --idle and --churn make no sense".to_owned()
        } else if is(Speak::Chat) {
            return self.complain_of_chat();
        } else if self.senders != 1 {
            "--senders counts for chat".to_owned()
        } else {
            return None;
        })
    }

    fn complain_of_chat(&self) -> Option<String> {
        let drives = self.active > 0;
        Some(if self.churn || self.ramp.is_some() || self.workers.unwrap_or(1) > 1 {
            "a chat is one room, driven by one thread: --churn, --ramp and --workers do not go with it"
                .to_owned()
        } else if drives && self.active < 2 {
            "a chat needs two members at least: --active 2".to_owned()
        } else if drives && !(1..=self.active).contains(&self.senders) {
            format!("--senders: 1 to {}, the members", self.active)
        } else if u64::from(self.active) * u64::from(self.senders) > CHAT_PAIRS {
            format!("--active times --senders is {CHAT_PAIRS} at the most")
        } else {
            return None;
        })
    }

    fn size_bounds(&self) -> (usize, usize) {
        match self.speak {
            Speak::Echo if self.udp => (1, limits::DATAGRAM),
            Speak::Modify => (table::SHORTEST_LINE, limits::MAX_LINE),
            Speak::Chat => (chat::SHORTEST, limits::MAX_LINE),
            _ => (1, LONGEST),
        }
    }

    /// The most connections that there shall be at once, if that is known.
    pub fn most(&self) -> u32 {
        match &self.ramp {
            None => self.idle.saturating_add(self.active),
            Some(ramp) => {
                let beside = if ramp.rising == Rising::Idle { self.active } else { self.idle };
                beside.saturating_add(ramp.most.unwrap_or(0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(change: impl FnOnce(&mut Load)) -> Result<(), Error> {
        let mut load = Load::new(Target { host: "h".to_owned(), port: 1 });
        change(&mut load);
        load.check()
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        assert!(load(|_| {}).is_ok());
        let refused = |word: &str, change: fn(&mut Load)| {
            let text = load(change).expect_err(word).to_string();
            assert!(text.contains(word), "{word}: {text}");
        };
        refused("--active", |load| load.active = 0);
        refused("--size", |load| load.size = 0);
        refused("--size", |load| (load.speak, load.size) = (Speak::Modify, 3));
        refused("--size", |load| (load.udp, load.size) = (true, 70_000));
        refused("--size", |load| (load.speak, load.has_size) = (Speak::Http, true));
        refused("--pipeline", |load| load.pipeline = 0);
        refused("--churn", |load| (load.churn, load.pipeline) = (true, 2));
        refused("--rate", |load| (load.rate, load.idle, load.active) = (Some(1.0), 5, 0));
        refused("--send", |load| load.speak = Speak::Raw);
        refused("--udp", |load| (load.udp, load.speak) = (true, Speak::Http));
        refused("--idle", |load| (load.udp, load.idle) = (true, 5));
        refused("--path", |load| load.path = Some("/".to_owned()));
        refused("--senders", |load| load.senders = 2);
        refused("--active 2", |load| (load.speak, load.active) = (Speak::Chat, 1));
    }
}
