//! What is measured: the rows of the table.

use std::time::Duration;

use super::args::{Args, Group, Service};

/// How many connections send where idle ones are beside them, and files are asked for.
const SOME: u32 = 64;

/// One kind of load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Load {
    /// What it belongs to.
    pub(super) group: Group,
    /// What programs call it.
    pub(super) id: String,
    /// What people call it.
    pub(super) title: String,
    /// What is counted.
    pub(super) unit: &'static str,
    /// What is spoken.
    pub(super) service: Service,
    /// Connections that send.
    pub(super) active: u32,
    /// Connections beside them.
    pub(super) idle: u32,
    /// A connection per request.
    pub(super) churn: bool,
}

/// Everything that is to be done.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Loads, in their order.
    pub(super) loads: Vec<Load>,
    /// Numbers of idle connections whose memory is measured.
    pub(super) held: Vec<u32>,
    /// A slice of load.
    pub(super) slice: Duration,
    /// Slices for each contestant and load.
    pub(super) rounds: u32,
    /// Bytes of an echo.
    pub(super) size: usize,
}

impl Plan {
    /// What the flags ask for.
    pub(super) fn new(args: &Args) -> Self {
        let (slice, rounds) = if args.quick { (100, 6) } else { (200, 9) };
        let held = if args.has(Group::Memory) { held(args) } else { Vec::new() };
        Self {
            loads: loads(args),
            held,
            slice: args.slice.unwrap_or(Duration::from_millis(slice)).max(Duration::from_millis(10)),
            rounds: args.rounds.unwrap_or(rounds),
            size: usize::try_from(args.size).unwrap_or(64),
        }
    }

    /// Steps of the progress bar for so many contestants.
    pub(super) fn steps(&self, contestants: usize) -> u64 {
        // A slice is a step; so are the connecting before the slices, and holding once.
        let slices = u64::from(self.rounds) + 1;
        (self.loads.len() as u64 * slices + self.held.len() as u64) * contestants as u64
    }
}

fn held(args: &Args) -> Vec<u32> {
    let default: &[u32] = if args.quick { &[100, 1000] } else { &[100, 1000, 10_000] };
    let asked = if args.idle.is_empty() { default } else { &args.idle };
    asked.iter().copied().filter(|&n| n > 0).collect()
}

fn loads(args: &Args) -> Vec<Load> {
    let load = |group, service: Service, title: String, active| Load {
        group,
        id: format!("{}-{active}", service.name()),
        title,
        unit: "echoes",
        service,
        active,
        idle: 0,
        churn: false,
    };
    let or = |asked: &[u32], default: &[u32]| if asked.is_empty() { default } else { asked }.to_vec();
    let mut all = Vec::new();
    let busy: &[u32] = if args.quick { &[1, 64, 1000] } else { &[1, 64, 1000, 4000] };
    for n in or(&args.connections, busy) {
        all.push(load(Group::Echo, Service::Echo, format!("echo, {}", connections(n)), n));
    }
    let beside: &[u32] = if args.quick { &[1000] } else { &[0, 1000, 10_000] };
    for n in or(&args.idle, beside) {
        let title = format!("echo, {SOME}, {} idle beside", crate::start::grouped(n.into()));
        let id = format!("idle-{n}");
        all.push(Load { idle: n, id, ..load(Group::Idle, Service::Echo, title, SOME) });
    }
    let churn = load(Group::Churn, Service::Echo, "connect, echo, close".to_owned(), 16);
    all.push(Load { churn: true, id: "churn".to_owned(), unit: "connections", ..churn });
    for n in if args.quick { vec![100] } else { vec![10, 100, 1000] } {
        let title = format!("chat, {} listen to one", crate::start::grouped(n));
        let members = u32::try_from(n).unwrap_or(0) + 1;
        let id = format!("chat-{n}");
        all.push(Load { id, unit: "deliveries", ..load(Group::Chat, Service::Chat, title, members) });
    }
    let http = load(Group::Http, Service::Http, format!("HTTP, file of 1 KiB, {}", connections(SOME)), SOME);
    all.push(Load { unit: "requests", ..http });
    all.retain(|load| args.has(load.group));
    all
}

fn connections(n: u32) -> String {
    if n == 1 {
        "1 connection".to_owned()
    } else {
        format!("{} connections", crate::start::grouped(n.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, FromArgMatches};

    fn plan(words: &[&str]) -> Plan {
        let command = Args::augment_args(clap::Command::new("compare"));
        let matches = command.try_get_matches_from([&["compare"], words].concat()).unwrap();
        Plan::new(&Args::from_arg_matches(&matches).unwrap())
    }

    #[test]
    fn everything_is_measured_unless_less_is_asked_for() {
        let ids = |plan: &Plan| plan.loads.iter().map(|load| load.id.clone()).collect::<Vec<_>>().join(" ");
        let all = plan(&[]);
        assert_eq!(
            ids(&all),
            "echo-1 echo-64 echo-1000 echo-4000 idle-0 idle-1000 idle-10000 churn chat-10 chat-100 chat-1000 http-64"
        );
        assert_eq!(all.held, [100, 1000, 10_000]);
        let quick = plan(&["--quick"]);
        assert!(quick.loads.len() < all.loads.len() && quick.rounds >= 6 && quick.slice < all.slice);
        let some = plan(&["--only", "echo,idle", "--connections", "2,3", "--idle", "0,5", "--rounds", "4"]);
        assert_eq!((ids(&some).as_str(), some.rounds), ("echo-2 echo-3 idle-0 idle-5", 4));
        assert!(some.held.is_empty());
        assert_eq!(some.steps(2), 4 * 5 * 2);
    }
}
