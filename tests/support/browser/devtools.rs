//! A connection of the `DevTools` protocol: calls with their answers, and what happens in between.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket, client::client_with_config};

use super::PATIENCE;

/// How long a call may take; a page may have to be laid out first, on a busy machine.
const CALL: Duration = PATIENCE;

/// One end of it.
#[derive(Debug)]
pub(super) struct DevTools {
    socket: WebSocket<TcpStream>,
    /// Number of the last call.
    last: u64,
    /// What has happened and nobody has looked at yet, in order.
    pub(super) events: Vec<Value>,
}

impl DevTools {
    pub(super) fn connect(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(CALL)).unwrap();
        // A screenshot is one message.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let url = format!("ws://{address}{path}");
        let (socket, _) = client_with_config(url, stream, Some(config)).unwrap();
        Self { socket, last: 0, events: Vec::new() }
    }

    /// Calls a method; what it answers. A failure if it refuses.
    pub(super) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|reason| panic!("{method}: {reason}"))
    }

    /// Calls a method; what it answers, or why it refuses.
    pub(super) fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, String> {
        self.last += 1;
        let mut call = json!({ "id": self.last, "method": method });
        call["params"] = parameters;
        self.socket.send(Message::text(call.to_string())).unwrap();
        let deadline = Instant::now() + CALL;
        loop {
            let Some(mut message) = self.receive(deadline) else {
                panic!("{method}: no answer in {CALL:?}; it was called with {}", call["params"])
            };
            if message["id"] != self.last {
                self.events.push(message);
            } else if let Some(reason) = message.get("error") {
                return Err(reason["message"].as_str().unwrap_or_default().to_owned());
            } else {
                return Ok(message["result"].take());
            }
        }
    }

    /// Waits for something to happen, and takes it out of the events.
    pub(super) fn wait_for(&mut self, deadline: Instant, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        loop {
            if let Some(at) = self.events.iter().position(&wanted) {
                return Some(self.events.remove(at));
            }
            let message = self.receive(deadline)?;
            self.events.push(message);
        }
    }

    /// The next message; none if none comes before the deadline.
    fn receive(&mut self, deadline: Instant) -> Option<Value> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.socket.get_ref().set_read_timeout(Some(left)).unwrap();
            match self.socket.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(_) => {}
                Err(Error::Io(e)) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("the browser has gone: {error}"),
            }
        }
    }
}
