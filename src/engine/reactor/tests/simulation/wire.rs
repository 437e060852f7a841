//! One connection of the simulated network, seen from between its ends.

use std::collections::VecDeque;

use crate::protocol::ConnId;

/// What is on its way to the server.
#[derive(Debug)]
pub(super) enum Segment {
    Bytes(Vec<u8>),
    Fin,
    Reset,
}

/// How the client reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    /// Bytes that it takes at once.
    pub(super) chunk: usize,
    /// Milliseconds between two reads, one less, at the most.
    pub(super) pause: u64,
}

impl Reader {
    pub(super) const EAGER: Self = Self { chunk: usize::MAX, pause: 0 };
}

/// What happened and was not told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Edge {
    pub(super) readable: bool,
    pub(super) writable: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) listener: usize,
    /// The connection's name, once the server watches it.
    pub(super) id: Option<ConnId>,
    /// Towards the server: what is on its way, with the moment it arrives, and what has arrived.
    pub(super) flight: VecDeque<(u64, Segment)>,
    pub(super) inbox: VecDeque<u8>,
    /// Bytes that the server's socket holds; what comes later waits on its way.
    pub(super) room: usize,
    pub(super) fin: bool,
    pub(super) reset: bool,
    /// Towards the client: what the server's socket has taken, and how much it takes.
    pub(super) outbox: VecDeque<u8>,
    pub(super) window: usize,
    /// A write found less room than it wanted.
    pub(super) blocked: bool,
    /// Nothing slows it down: something is measured by it.
    pub(super) is_reliable: bool,
    pub(super) reader: Reader,
    pub(super) is_reading: bool,
    /// What the client has read, and whether it has seen the end.
    pub(super) received: Vec<u8>,
    pub(super) taken: u64,
    pub(super) seen_end: bool,
    /// The client has sent its end, or a reset.
    pub(super) finished: bool,
    pub(super) gone: bool,
    /// The server will write no more; it has closed.
    pub(super) shut: bool,
    pub(super) closed: bool,
    /// It was closed on unread input while the client had not read everything: a reset took the rest.
    pub(super) destroyed: bool,
    pub(super) edge: Edge,
    pub(super) is_queued: bool,
    /// Edges that the server was told and whose end it has not found.
    pub(super) told_readable: bool,
    /// By which poll: an event of the present one may still be in the server's hands.
    pub(super) told_in: u64,
    pub(super) denied_write: bool,
    /// When the server read last, and for the first writes after that: how long after, and how many bytes.
    pub(super) read_at: u64,
    pub(super) answers: Vec<(u64, usize)>,
    pub(super) read: u64,
    pub(super) written: u64,
}

impl Wire {
    pub(super) fn new(listener: usize, room: usize, window: usize, reader: Reader) -> Self {
        Self {
            listener,
            id: None,
            flight: VecDeque::new(),
            inbox: VecDeque::new(),
            room,
            fin: false,
            reset: false,
            outbox: VecDeque::new(),
            window,
            blocked: false,
            is_reliable: false,
            reader,
            is_reading: false,
            received: Vec::new(),
            taken: 0,
            seen_end: false,
            finished: false,
            gone: false,
            shut: false,
            closed: false,
            destroyed: false,
            edge: Edge::default(),
            is_queued: false,
            told_readable: true,
            told_in: 0,
            denied_write: false,
            read_at: 0,
            answers: Vec::new(),
            read: 0,
            written: 0,
        }
    }

    /// Whether a read would find something: bytes, the end or an error.
    pub(super) fn is_readable(&self) -> bool {
        !self.inbox.is_empty() || self.fin || self.reset
    }

    pub(super) fn free(&self) -> usize {
        self.window.saturating_sub(self.outbox.len())
    }

    /// As the kernel has it: a third must be free before a socket counts as writable.
    pub(super) fn is_writable(&self) -> bool {
        self.reset || self.free() > 0 && self.free() >= self.window / 3
    }

    /// A reset has come from the server: what the client had not read is lost.
    pub(super) fn destroy(&mut self) {
        self.destroyed |= !self.outbox.is_empty();
        self.outbox.clear();
    }
}

/// Moves bytes from the front of a queue; there are as many. Whole slices, for builds that are not optimized.
pub(super) fn move_out(queue: &mut VecDeque<u8>, to: &mut [u8]) {
    let (first, second) = queue.as_slices();
    let n = first.len().min(to.len());
    let (head, tail) = to.split_at_mut(n);
    head.copy_from_slice(&first[..n]);
    tail.copy_from_slice(&second[..tail.len()]);
    queue.drain(..to.len());
}
