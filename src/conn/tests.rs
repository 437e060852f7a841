use std::collections::VecDeque;

use super::*;
use crate::helper::Job;
use crate::out::Front;
use crate::protocol::{Handler, table::Probe};
use crate::shared::tests::shared;

/// Does what the test has planned, one step a call, and notes the calls.
#[derive(Debug, Default)]
struct Planned {
    plan: VecDeque<Flow>,
    take: usize,
    say: Vec<u8>,
}

impl Planned {
    fn step(&mut self, call: &str, cx: &mut Cx<'_>) -> Flow {
        let take = if call == "open" { 0 } else { self.take };
        let taken = String::from_utf8_lossy(cx.input.take(take)).into_owned();
        cx.out.print(format_args!("[{call} {taken}]"));
        cx.out.push(&self.say);
        self.plan.pop_front().unwrap_or(Flow::Continue)
    }
}

impl Probe for Planned {}

impl Handler for Planned {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.step("open", cx)
    }
    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.step("input", cx)
    }
    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.step("resume", cx)
    }
    fn eof(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.step("eof", cx)
    }
    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.step("expired", cx)
    }
    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.step("drain", cx)
    }
}

fn session(plan: impl IntoIterator<Item = Flow>, take: usize, say: usize) -> Session {
    let planned = Planned { plan: plan.into_iter().collect(), take, say: vec![b'.'; say] };
    Session::Probe(Box::new(Box::new(planned)))
}

struct Bench {
    conn: Conn,
    shared: Shared,
    pool: Pool,
}

impl Bench {
    fn new(session: Session) -> Self {
        Self { conn: Conn::new(session), shared: shared(), pool: Pool::default() }
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Conn, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: Time::from_millis(1000),
            shared: &self.shared,
            pool: &mut self.pool,
            peer: &Peer::Unix,
            id: ConnId { key: 0, generation: 0 },
        };
        call(&mut self.conn, &mut env)
    }

    /// What was said since the last time, dots left out; the socket takes all of it.
    fn said(&mut self) -> String {
        let mut text = Vec::new();
        while let Some(out) = self.conn.out() {
            let Front::Bytes(first, second) = out.front(&[]) else { break };
            let taken = [first, second].concat();
            out.advance(taken.len() as u64);
            text.extend(taken.iter().filter(|byte| **byte != b'.'));
        }
        self.conn.settle(&[], &mut self.pool);
        String::from_utf8(text).unwrap()
    }
}

#[test]
fn input_that_is_left_is_offered_again_with_more() {
    let mut bench = Bench::new(session([], 3, 0));
    bench.call(|conn, env| conn.input(b"abcde", env));
    bench.call(|conn, env| conn.input(b"fg", env));
    assert_eq!(bench.said(), "[input abc][input def]");
    assert!(!bench.conn.has_turn(), "the handler waits for more, not for room");
}

#[test]
fn input_left_because_the_output_was_full_is_offered_when_there_is_room() {
    let mut bench = Bench::new(session([], 1, limits::OUT_HIGH_MARK));
    bench.call(|conn, env| conn.input(b"ab", env));
    assert!(!bench.conn.wants_input() && !bench.conn.has_turn());
    bench.call(Conn::peer_done);
    assert_eq!(bench.said(), "[input a]");
    assert!(bench.conn.has_turn());
    bench.call(Conn::go_on);
    assert_eq!(bench.said(), "[input b]");
    bench.call(Conn::go_on);
    assert_eq!(bench.said(), "[eof ]", "the end comes after all the input");
}

#[test]
fn who_yields_is_resumed_once_per_turn() {
    let mut bench = Bench::new(session([Flow::Yield, Flow::Yield], 0, 0));
    bench.call(Conn::open);
    assert!(bench.conn.has_turn());
    assert!(bench.call(Conn::go_on), "it yielded again");
    assert!(!bench.call(Conn::go_on));
    assert_eq!(bench.said(), "[open ][resume ][resume ]");
}

#[test]
fn another_session_takes_over_with_the_input_that_was_not_taken() {
    let next = session([], 9, 0);
    let mut bench = Bench::new(session([Flow::Become(Box::new(next))], 2, 0));
    bench.call(|conn, env| conn.input(b"upgrade", env));
    assert_eq!(bench.said(), "[input up][open ][input grade]");
}

#[test]
fn a_finished_session_is_not_called_and_what_it_owes_is_kept() {
    let mut bench = Bench::new(session([Flow::Finish(Why::Complete)], 9, 0));
    bench.call(|conn, env| conn.input(b"bye", env));
    bench.call(|conn, env| conn.input(b"more", env));
    bench.call(Conn::drain);
    assert_eq!(bench.conn.life(), Life::Finishing(Why::Complete));
    assert_eq!(bench.said(), "[input bye]");
    assert!(bench.conn.deadline() > Time::from_millis(1000), "the peer has not for ever to take it");
}

#[test]
fn the_drain_waits_for_input_that_was_held() {
    let mut bench = Bench::new(session([], 1, limits::OUT_HIGH_MARK));
    bench.call(|conn, env| conn.input(b"ab", env));
    bench.call(Conn::drain);
    assert_eq!(bench.said(), "[input a]");
    bench.call(Conn::go_on);
    assert_eq!(bench.said(), "[input b]");
    bench.call(Conn::go_on);
    assert_eq!(bench.said(), "[drain ]");
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let mut bench = Bench::new(session([], 9, 0));
    bench.call(|conn, env| conn.input(b"x", env));
    bench.said();
    assert!(bench.conn.buffers.is_none());
    assert_eq!(bench.pool.free.len(), 1);
}

#[test]
fn who_waits_for_a_job_is_not_called_until_it_is_done_and_then_first_for_that() {
    let mut bench = Bench::new(session([Flow::Wait(Job::of(|| ()))], 1, 0));
    bench.call(|conn, env| conn.input(b"ab", env));
    assert_eq!(bench.said(), "[input a]");
    assert!(!bench.conn.wants_input() && !bench.conn.has_turn());
    bench.call(Conn::drain);
    bench.call(Conn::peer_done);
    assert!(!bench.call(Conn::go_on));
    assert_eq!(bench.said(), "");
    let jobs = bench.pool.take_jobs();
    assert_eq!(jobs.len(), 1);
    jobs.into_iter().for_each(|(_, job)| job.run());
    bench.conn.job_done();
    assert!(!bench.conn.wants_input(), "first it hears of its job");
    while bench.call(Conn::go_on) {}
    assert_eq!(bench.said(), "[resume b][drain ][eof ]");
}

#[test]
fn the_end_of_a_job_waits_for_room_in_the_output() {
    let mut bench = Bench::new(session([Flow::Wait(Job::of(|| ()))], 1, limits::OUT_HIGH_MARK));
    bench.call(|conn, env| conn.input(b"ab", env));
    bench.conn.job_done();
    assert!(!bench.conn.has_turn() && !bench.conn.wants_input());
    assert_eq!(bench.said(), "[input a]");
    bench.call(Conn::go_on);
    assert_eq!(bench.said(), "[resume b]");
}
