//! What an idle connection costs: one contestant after the other, since what the kernel keeps is counted for
//! all of them together.

use std::time::Duration;

use super::args::{Group, Service};
use super::lane::{self, Stop};
use super::machine;
use super::plan::Load;
use super::report::MemoryCell;
use super::server::Server;
use crate::load::session::to_f64;
use crate::load::watch::Sample;

/// What the kernel may give back meanwhile without being waited for.
const STEADY: u64 = 256 * 1024;
/// How often it is looked whether it does.
const LOOKS: usize = 20;
const LOOK: Duration = Duration::from_millis(50);

/// Holds so many connections, each used once, and looks at the memory before and after.
pub(super) fn measure(name: &str, server: Result<Server, String>, held: u32, stop: &mut Stop) -> MemoryCell {
    let cell = server.and_then(|mut server| {
        try_it(&server, held, stop).map_err(|why| {
            let ended = server.has_ended();
            ended.map_or(why, |status| format!("the server ended: {status}"))
        })
    });
    match cell {
        Ok(cell) => MemoryCell { contestant: name.to_owned(), ..cell },
        Err(why) => MemoryCell { contestant: name.to_owned(), failure: Some(why), ..MemoryCell::default() },
    }
}

fn try_it(server: &Server, held: u32, stop: &mut Stop) -> Result<MemoryCell, String> {
    let pid = server.pid.ok_or("its process is not known: write NAME=HOST:PORT@PID")?;
    let load = Load {
        group: Group::Memory,
        id: String::new(),
        title: String::new(),
        unit: "connections",
        service: Service::Echo,
        active: 0,
        idle: held,
        churn: false,
    };
    let mut session = lane::start(server, &load, 64, true, stop).map_err(|error| error.to_string())?;
    // What the first connection brings about is no connection's cost.
    session.connect(1, 0);
    session.prove();
    settle();
    let gone = || format!("there is no process {pid}");
    let before = (Sample::of(pid).ok_or_else(gone)?, machine::kernel_memory());
    lane::hold(&mut session, held + 1)?;
    let after = (Sample::of(pid).ok_or_else(gone)?, machine::kernel_memory());
    session.close();
    let per = |now: u64, then: u64| to_f64(now.saturating_sub(then)) / f64::from(held.max(1));
    Ok(MemoryCell {
        pss: Some(per(after.0.pss, before.0.pss)),
        kernel: Some(per(after.1, before.1)),
        threads: after.0.threads,
        processes: after.0.processes,
        ..MemoryCell::default()
    })
}

/// Waits until what was closed before is given back.
fn settle() {
    let mut last = machine::kernel_memory();
    for _ in 0..LOOKS {
        std::thread::sleep(LOOK);
        let now = machine::kernel_memory();
        if now + STEADY >= last {
            return;
        }
        last = now;
    }
}
