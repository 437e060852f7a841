//! A service without sockets, for the tests of protocols: bytes in, bytes out, jobs done as they come.

use tempfile::TempDir;

use super::{ConnId, Options, Row, Why};
use crate::conn::{Conn, Env, Life, Pool};
use crate::limits;
use crate::out::Front;
use crate::peer::Peer;
use crate::shared::Shared;
use crate::shared::tests::shared;
use crate::time::Time;

/// A service with a directory of its own.
pub(super) struct Bench {
    pub(super) dir: TempDir,
    pub(super) options: Options,
    pub(super) now: Time,
    shared: Shared,
    pool: Pool,
}

/// A connection to it.
pub(super) struct Peering {
    pub(super) conn: Conn,
    pub(super) said: Vec<u8>,
    /// The peer takes what it is sent.
    pub(super) reads: bool,
}

impl Bench {
    /// A service of a protocol with these settings.
    pub(super) fn new(protocol: &str, dir: TempDir, settings: toml::Table) -> Self {
        let options = Options::parse(Row::find(protocol).unwrap().kind, settings).unwrap();
        Self { dir, options, shared: shared(), pool: Pool::default(), now: Time::START }
    }

    pub(super) fn connect(&mut self) -> Peering {
        let mut peer = Peering { conn: Conn::new(self.options.session()), said: Vec::new(), reads: true };
        self.call(&mut peer, Conn::open);
        peer
    }

    pub(super) fn call<T>(
        &mut self,
        peer: &mut Peering,
        call: impl FnOnce(&mut Conn, &mut Env<'_>) -> T,
    ) -> T {
        let id = ConnId { key: 0, generation: 0 };
        let mut env =
            Env { now: self.now, shared: &self.shared, pool: &mut self.pool, peer: &Peer::Unix, id };
        let result = call(&mut peer.conn, &mut env);
        self.flush(peer);
        result
    }

    /// The peer takes what waits for it, if it reads.
    pub(super) fn flush(&mut self, peer: &mut Peering) {
        while let (true, Some(out)) = (peer.reads, peer.conn.out()) {
            let taken = match out.front(&[]) {
                Front::Empty => break,
                Front::Bytes(first, second) => [first, second].concat(),
                Front::File(range) => {
                    let mut bytes = vec![0; usize::try_from(range.len).unwrap()];
                    std::os::unix::fs::FileExt::read_exact_at(&*range.file, &mut bytes, range.offset)
                        .unwrap();
                    bytes
                }
            };
            out.advance(taken.len() as u64);
            peer.said.extend(taken);
        }
        peer.conn.settle(&[], &mut self.pool);
    }

    /// Does what the connection waits for, once.
    pub(super) fn work(&mut self, peer: &mut Peering) {
        for (_, job) in self.pool.take_jobs() {
            job.run();
            peer.conn.job_done();
        }
        self.call(peer, Conn::go_on);
    }

    /// Does what the connection waits for, until it waits for its peer.
    pub(super) fn settle(&mut self, peer: &mut Peering) {
        loop {
            self.shared.end_turn();
            let jobs = self.pool.take_jobs();
            if jobs.is_empty() && !peer.conn.has_turn() {
                return;
            }
            for (_, job) in jobs {
                job.run();
                peer.conn.job_done();
            }
            self.call(peer, Conn::go_on);
        }
    }

    pub(super) fn send(&mut self, peer: &mut Peering, bytes: &[u8]) {
        for piece in bytes.chunks(limits::READ_BUFFER) {
            if peer.conn.life() == Life::Open {
                assert!(peer.conn.wants_input(), "nothing is left to wait for");
                self.call(peer, |conn, env| conn.input(piece, env));
                self.settle(peer);
            }
        }
    }

    /// Lets time pass, and what is due happen.
    pub(super) fn wait(&mut self, peer: &mut Peering, ms: u64) {
        self.now = Time::from_millis(self.now.as_millis() + ms);
        self.call(peer, Conn::tick);
        self.settle(peer);
    }

    /// A connection from its first byte to its end; what was answered.
    pub(super) fn exchange(&mut self, parts: &[&[u8]]) -> String {
        let mut peer = self.connect();
        for part in parts {
            self.send(&mut peer, part);
        }
        self.call(&mut peer, Conn::peer_done);
        self.settle(&mut peer);
        assert_ne!(peer.conn.life(), Life::Open);
        self.close(&mut peer);
        peer.text()
    }

    pub(super) fn close(&mut self, peer: &mut Peering) {
        self.call(peer, |conn, env| conn.closed(Why::PeerReset, env));
        for (_, job) in self.pool.take_jobs() {
            job.run();
        }
    }
}

impl Peering {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.said.clone()).unwrap()
    }
}
