//! The server of lab C that says who connected, receives until the peer is done, and shows it all.

use std::sync::Arc;

use serde::Deserialize;

use super::{Cx, Flow, Handler, Protocol, Why};
use crate::peer::Peer;

/// What a `collect` service may be told.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Bytes of each connection that are kept and shown; the rest is counted.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep: 64 * 1024 }
    }
}

/// What one peer has sent so far. Boxed, so that a session stays small.
#[derive(Debug)]
pub struct Collect(Box<State>);

#[derive(Debug)]
struct State {
    options: Arc<Options>,
    kept: Vec<u8>,
    dropped: u64,
}

impl Protocol for Collect {
    type Options = Options;

    fn new(options: &Arc<Options>) -> Self {
        Self(Box::new(State { options: Arc::clone(options), kept: Vec::new(), dropped: 0 }))
    }
}

impl Handler for Collect {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.shared.show(&connected_by(cx.peer), b"");
        Flow::Continue
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        let state = &mut *self.0;
        let bytes = cx.input.take_all();
        let room = state.options.keep.saturating_sub(state.kept.len());
        let (keep, rest) = bytes.split_at(room.min(bytes.len()));
        state.kept.extend_from_slice(keep);
        state.dropped += rest.len() as u64;
        Flow::Continue
    }

    /// Shows what came whatever ended the connection: what a reset peer sent is of interest too.
    fn closed(&mut self, cx: &mut Cx<'_>, _: Why) {
        let state = &mut *self.0;
        cx.shared.show("", &std::mem::take(&mut state.kept));
        if state.dropped > 0 {
            cx.shared.show(&format!("... and {} bytes more, not kept", state.dropped), b"");
        }
    }
}

/// As Python prints the address that `accept` returned.
pub(super) fn connected_by(peer: &Peer) -> String {
    match peer.ip() {
        Some(ip) => format!("Connected by ('{ip}', {})", peer.port()),
        None => "Connected by a local program".to_owned(),
    }
}
