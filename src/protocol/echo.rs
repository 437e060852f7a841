//! Echo (RFC 862): what comes in goes out, over TCP and UDP.

use std::sync::Arc;

use super::{Answer, Cx, Flow, Handler, NoOptions, Protocol};

/// Has nothing to remember.
#[derive(Debug)]
pub struct Echo;

impl Protocol for Echo {
    type Options = NoOptions;

    fn new(_: &Arc<NoOptions>) -> Self {
        Self
    }
}

impl Handler for Echo {
    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.input.pass_to(cx.out);
        Flow::Continue
    }

    fn datagram(&mut self, datagram: &[u8], cx: &mut Cx<'_>) -> Answer {
        cx.out.push(datagram);
        Answer::Reply
    }
}
