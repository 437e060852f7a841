//! The time server of lab E, exercise 9-1: `reqtime` brings the server's local time as strftime `%c`,
//! over TCP and UDP, with or without a line end.

use std::sync::Arc;

use super::line::{Line, LineProtocol, complain};
use super::{Answer, Cx, Flow, NoOptions, Protocol};
use crate::framing::{End, Message};

const REQUEST: &[u8] = b"reqtime";

/// A conversation of requests.
#[derive(Debug)]
pub struct Reqtime;

impl Protocol for Line<Reqtime> {
    type Options = NoOptions;

    fn new(_: &Arc<NoOptions>) -> Self {
        Self::new(Reqtime)
    }
}

impl LineProtocol for Reqtime {
    fn message(&mut self, message: &Message<'_>, cx: &mut Cx<'_>) -> Flow {
        answer(&message.text, message.end, cx);
        Flow::Continue
    }

    fn is_whole(&self, text: &[u8]) -> bool {
        text == REQUEST
    }

    fn datagram(&mut self, datagram: &[u8], cx: &mut Cx<'_>) -> Answer {
        let message = Message::of_datagram(datagram);
        answer(&message.text, message.end, cx);
        Answer::Reply
    }
}

fn answer(request: &[u8], end: End, cx: &mut Cx<'_>) {
    if request.trim_ascii() == REQUEST {
        cx.out.print(format_args!("{}", cx.shared.local_time()));
        cx.out.push(end.bytes());
    } else {
        complain("unknown request", request, "send reqtime", end, cx);
    }
}
