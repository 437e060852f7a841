//! The engines by name, and what each of them can do for a service: all that is said of that is made from
//! here.

use clap::ValueEnum;
use serde::Deserialize;

use crate::protocol::{Row, Transport};

/// The ways to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// One thread, one poll
    #[default]
    Reactor,
    /// A thread per connection
    Threads,
    /// A process per connection
    Processes,
    /// One client at a time
    Iterative,
}

/// How an engine serves a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serving {
    /// In these words.
    Served(String),
    /// Not at all, and why.
    Refused(&'static str),
}

impl Engine {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reactor => "reactor",
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::Iterative => "iterative",
        }
    }

    /// What it is, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Self::Reactor => "one thread and one poll for every socket",
            Self::Threads => "a thread per connection, blocking calls",
            Self::Processes => "the parent accepts and forks: a process per connection, blocking calls",
            Self::Iterative => "one client at a time over all services; the next one waits until it is done",
        }
    }

    /// Whether it serves several clients at once.
    pub fn is_concurrent(self) -> bool {
        self != Self::Iterative
    }

    /// How it serves the services of a row, if it does.
    pub fn serving(self, row: &Row) -> Serving {
        let has_room = row.rooms;
        let by = match self {
            Self::Reactor => "by the one thread",
            Self::Threads if row.transport == Transport::Lan => "by two threads",
            Self::Threads if has_room => "by a thread, and one more that writes what others say",
            Self::Threads => "by a thread",
            Self::Processes if row.transport == Transport::Lan => "by the parent, which has the rooms",
            Self::Processes if has_room => "by the parent, which has the rooms; a process passes the bytes",
            Self::Processes => "by a process",
            Self::Iterative if has_room => {
                return Serving::Refused("it has one client at a time, and nobody would be there to hear it");
            }
            Self::Iterative => "one client at a time",
        };
        let datagrams = match self {
            Self::Threads | Self::Iterative if row.transport.has_udp() => "; UDP by a thread of its own",
            Self::Processes if row.transport.has_udp() => "; UDP by a process of its own",
            _ => "",
        };
        let limits = match (self, row.together) {
            (Self::Processes, limits) if !limits.is_empty() => format!("; {limits}"),
            _ => String::new(),
        };
        Serving::Served(format!("{by}{datagrams}{limits}"))
    }

    /// Why it serves no service of a row; `None` if it does.
    pub fn refusal(self, row: &Row) -> Option<&'static str> {
        match self.serving(row) {
            Serving::Served(_) => None,
            Serving::Refused(reason) => Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::TABLE;

    #[test]
    fn engines_are_named_as_they_are_written() {
        for engine in Engine::value_variants() {
            let value = engine.to_possible_value().unwrap();
            assert_eq!(value.get_name(), engine.name());
        }
    }

    #[test]
    fn only_who_has_one_client_at_a_time_refuses_and_only_rooms() {
        for (engine, row) in
            Engine::value_variants().iter().flat_map(|it| TABLE.iter().map(move |row| (it, row)))
        {
            let refused = engine.refusal(row).is_some();
            assert_eq!(refused, !engine.is_concurrent() && row.rooms, "{engine:?} {}", row.name);
        }
    }
}
