//! More clients than descriptors.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::common::{assert_serves, connect, text, ticks};
use crate::support::daemon::concurrent_engines;
use crate::support::{Start, wait_for};

const LIMIT: u32 = 256;
const CLIENTS: usize = 400;
const LEAVE: usize = 200;
/// Of those who have waited in vain.
const GIVE_UP: usize = 30;
/// For all who have waited: on a busy machine, and with a process for each.
const AT_ONCE: Duration = Duration::from_secs(8);

/// Whether a connection is served by now: one that is not waits in the backlog.
fn is_served(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    match stream.read(&mut [0; 10]) {
        Ok(n) => n > 0,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
            false
        }
    }
}

fn within(time: Duration, stream: &mut TcpStream) -> bool {
    wait_for(time, || is_served(stream).then_some(())).is_some()
}

#[test]
fn without_descriptors_it_waits_and_does_not_spin() {
    concurrent_engines().for_each(runs_out);
}

fn runs_out(engine: &'static str) {
    let daemon = Start::engine(engine).descriptors(LIMIT).run();
    let mut streams: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(daemon.tcp("echo"))).collect();
    streams.iter_mut().for_each(|stream| stream.write_all(b"x").unwrap());
    // Those that are served are the first ones. What is lasting is looked at: a client may be slow to be served.
    let mut served = 0;
    while served < CLIENTS && within(Duration::from_secs(1), &mut streams[served]) {
        served += 1;
    }
    assert!((100..LIMIT as usize).contains(&served), "{engine}: {served} served with {LIMIT} descriptors");
    let (before, start) = (ticks(&daemon), Instant::now());
    // The load is looked at over a time; there is nothing to wait for.
    std::thread::sleep(Duration::from_secs(2));
    let used = ticks(&daemon) - before;
    println!("{engine}: {served} of {CLIENTS} served; {used} ticks in {:?}", start.elapsed());
    let allowed = u64::try_from(start.elapsed().as_millis()).unwrap() / 10 * 2 / 100;
    assert!(used <= allowed, "{engine}: {used} ticks while it could do nothing\n{}", daemon.output());
    let warnings = text(&daemon.stderr()).matches("not accepting").count();
    assert!((1..=10).contains(&warnings), "{engine}: {warnings} warnings\n{}", daemon.output());
    // Those who leave make room at once for those who wait, and these for others. Some leave before their turn.
    let mut waiting = streams.split_off(served);
    waiting.drain(..GIVE_UP);
    streams.truncate(served.saturating_sub(LEAVE));
    let left_at = Instant::now();
    while let Some(mut next) = (!waiting.is_empty()).then(|| waiting.remove(0)) {
        assert!(
            within(AT_ONCE, &mut next),
            "{engine}: {} are not served\n{}",
            waiting.len() + 1,
            daemon.output()
        );
    }
    println!("{engine}: all who waited were served within {:?}", left_at.elapsed());
    assert!(left_at.elapsed() < AT_ONCE, "{engine}: it took {:?}", left_at.elapsed());
    drop(streams);
    assert_serves(&daemon);
}
