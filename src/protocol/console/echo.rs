//! `/ws/echo`: every frame of data comes back as it was sent, for who tests a client.

use std::sync::Arc;

use super::Options;
use crate::protocol::Cx;
use crate::protocol::websocket::{Frame, FrameProtocol, Next, Rules, Wanted, WebSocket, frame};

/// Has nothing to remember but how long a message may be.
#[derive(Debug)]
pub struct WebEcho {
    options: Arc<Options>,
}

impl WebEcho {
    /// The conversation before its first frame.
    pub(super) fn session(options: &Arc<Options>) -> WebSocket<Self> {
        WebSocket::new(Self { options: Arc::clone(options) })
    }
}

impl FrameProtocol for WebEcho {
    fn rules(&self) -> Rules {
        Rules {
            wanted: Wanted { max: self.options.max_message, whole: false },
            ping_every: self.options.ping_every,
            patience: self.options.ping_patience,
        }
    }

    fn frame(&mut self, frame: Frame, cx: &mut Cx<'_>) -> Next {
        frame::send(frame.fin, frame.opcode, &frame.payload, cx.out);
        Next::Go
    }
}
