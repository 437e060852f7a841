//! Discard (RFC 863): what comes in is dropped, over TCP and UDP.

use std::sync::Arc;

use super::{Cx, Flow, Handler, NoOptions, Protocol};

/// Has nothing to remember, and never answers.
#[derive(Debug)]
pub struct Discard;

impl Protocol for Discard {
    type Options = NoOptions;

    fn new(_: &Arc<NoOptions>) -> Self {
        Self
    }
}

impl Handler for Discard {
    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.input.take_all();
        Flow::Continue
    }
}
