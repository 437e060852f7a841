//! Daytime (RFC 867): the date and time as a line of text, over TCP and UDP.

use std::sync::Arc;

use super::{Answer, Cx, Flow, Handler, NoOptions, Protocol, Why};
use crate::out::Out;
use crate::shared::Shared;

/// Has nothing to remember.
#[derive(Debug)]
pub struct Daytime;

impl Protocol for Daytime {
    type Options = NoOptions;

    fn new(_: &Arc<NoOptions>) -> Self {
        Self
    }
}

impl Handler for Daytime {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        tell(cx.shared, cx.out);
        Flow::Finish(Why::Complete)
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.input.take_all();
        Flow::Continue
    }

    fn datagram(&mut self, _: &[u8], cx: &mut Cx<'_>) -> Answer {
        tell(cx.shared, cx.out);
        Answer::Reply
    }
}

/// `Sat Nov 21 01:07:09 2026` and CR LF.
fn tell(shared: &Shared, out: &mut Out) {
    out.print(format_args!("{}\r\n", shared.local_time()));
}
