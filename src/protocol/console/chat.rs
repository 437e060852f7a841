//! `/ws/chat`: the room for browsers. Frames of JSON, one object each.
//!
//! What is said in the room comes from the room's log, encoded once for all browsers, and the log also
//! acknowledges: who says something hears it too, with the number that its page gave it. What is for one
//! browser alone (a welcome, the reply to a command, the list of members) is written here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Options;
use crate::out::Out;
use crate::protocol::Cx;
use crate::protocol::chat::{command, flood::Flood};
use crate::protocol::websocket::{Code, Frame, FrameProtocol, Next, Opcode, Rules, Wanted, WebSocket, frame};
use crate::room::{Kind, MemberId, Resumed, Rooms, Saying};
use crate::time::Time;

/// Names that a list of members has at the most.
const LISTED: usize = 200;

/// One browser. Small, for most of them only listen.
#[derive(Debug)]
pub struct WebChat {
    options: Arc<Options>,
    member: Option<MemberId>,
    flood: Flood,
}

/// What a page says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    /// The first frame of a connection: who comes, or comes back.
    join: Option<Join>,
    /// The number that the page gives to its line. Its lines count up from 1.
    id: u64,
    /// A line, or a command.
    text: Option<String>,
    /// Asks for the members.
    who: bool,
}

/// Who comes. With a token, epoch and sequence it comes back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Join {
    name: Option<String>,
    room: Option<String>,
    token: Option<String>,
    epoch: Option<String>,
    /// The last entry that it has.
    seq: u64,
}

/// The answer to a [`Join`].
#[derive(Debug, Serialize)]
struct Welcome {
    kind: &'static str,
    epoch: String,
    room: String,
    /// What `from` is in entries that this member wrote.
    you: u64,
    name: String,
    /// What to come back with; none if this machine gives no random numbers.
    token: Option<String>,
    /// The last entry of the room.
    seq: u64,
    /// The last number of a line that was taken.
    last: u64,
    /// The membership goes on.
    resumed: bool,
    /// How many entries were lost in between, at the most.
    missed: u64,
    /// Longest line in bytes.
    max: usize,
}

/// The answer to a command.
#[derive(Debug, Serialize)]
struct Reply<'a> {
    kind: &'static str,
    id: u64,
    text: &'a str,
    name: String,
    room: &'a str,
}

/// The answer to a line that cannot be said.
#[derive(Debug, Serialize)]
struct Refusal<'a> {
    kind: &'static str,
    id: u64,
    text: &'a str,
}

/// Who is in the room.
#[derive(Debug, Serialize)]
struct Members {
    kind: &'static str,
    /// In order; not all, if there are many.
    names: Vec<String>,
    count: usize,
}

impl WebChat {
    /// The conversation before its first frame.
    pub(super) fn session(options: &Arc<Options>) -> WebSocket<Self> {
        WebSocket::new(Self { options: Arc::clone(options), member: None, flood: Flood::default() })
    }

    /// What must be kept of it while it says nothing; `None` if that is more.
    pub(in crate::protocol) fn at_rest(&self, now: Time) -> Option<MemberId> {
        self.member.filter(|_| self.flood.is_settled(now))
    }

    /// The conversation of which this was kept.
    pub(in crate::protocol) fn woken(options: &Arc<Options>, member: MemberId) -> Self {
        Self { options: Arc::clone(options), member: Some(member), flood: Flood::default() }
    }

    fn join(&mut self, join: &Join, cx: &mut Cx<'_>) -> Next {
        if self.member.is_some() {
            return Next::Close(Code::POLICY, "one joins once");
        }
        let mut rooms = cx.shared.rooms();
        let resumed = self.resume(join, &mut rooms, cx);
        let id = resumed.map_or_else(|| self.enter(join, &mut rooms, cx), |resumed| resumed.id);
        self.member = Some(id);
        let welcome = Welcome {
            kind: "welcome",
            epoch: epoch(&rooms),
            room: rooms.room_name(id).to_owned(),
            you: rooms.author(id).unwrap_or(0),
            name: rooms.name(id),
            token: rooms.token(id).map(|token| token.to_string()),
            seq: rooms.last_seq(id),
            last: resumed.map_or(0, |resumed| resumed.last_client),
            resumed: resumed.is_some(),
            missed: resumed.map_or(0, |resumed| resumed.missed),
            max: self.options.max_line(),
        };
        send(&welcome, cx.out);
        Next::Yield
    }

    /// The membership that was lost with another connection.
    fn resume(&self, join: &Join, rooms: &mut Rooms, cx: &Cx<'_>) -> Option<Resumed> {
        let token = join.token.as_deref()?.parse().ok()?;
        let room = join.room.as_deref().unwrap_or(&self.options.room);
        let is_same_run = join.epoch.as_deref() == Some(&epoch(rooms));
        if is_same_run { rooms.resume(room, token, join.seq, cx.id) } else { None }
    }

    /// A new membership.
    fn enter(&self, join: &Join, rooms: &mut Rooms, cx: &Cx<'_>) -> MemberId {
        let options = &self.options;
        let id = rooms.join(&options.room, options.profile(), join.name.as_deref(), cx.id);
        if let Some(room) = &join.room {
            // One that cannot be entered any more leaves the page in the first room.
            let _ = rooms.move_to(id, room);
        }
        rooms.announce(id);
        id
    }

    fn text(&mut self, text: &str, id: u64, cx: &mut Cx<'_>) -> Next {
        let Some(member) = self.member else { return Next::Close(Code::POLICY, "one joins first") };
        self.flood.count(self.options.rate(), cx);
        if text.len() > self.options.max_line() {
            let text = format!("a line may have {} bytes at the most", self.options.max_line());
            self.send(&Refusal { kind: "refused", id, text: &text }, cx);
            return Next::Go;
        }
        match text.trim() {
            "exit" | "quit" | "/quit" => Next::Close(Code::NORMAL, "bye"),
            "" => self.reply(member, id, "", cx),
            command if command.starts_with('/') => self.command(member, id, command, cx),
            _ => {
                let saying = Saying { kind: Kind::Said, text, client: id };
                if cx.shared.rooms().say(member, saying).is_none() {
                    // It was said before its page lost the connection.
                    self.reply(member, id, "", cx);
                }
                Next::Go
            }
        }
    }

    fn command(&self, member: MemberId, id: u64, command: &str, cx: &mut Cx<'_>) -> Next {
        self.before_frame(cx);
        let said = command::run(&mut cx.shared.rooms(), member, command, id);
        match said {
            // Its entry is the answer.
            None => Next::Yield,
            Some(text) => self.reply(member, id, text.trim_end(), cx),
        }
    }

    fn reply(&self, member: MemberId, id: u64, text: &str, cx: &mut Cx<'_>) -> Next {
        self.before_frame(cx);
        let rooms = cx.shared.rooms();
        let (name, room) = (rooms.name(member), rooms.room_name(member));
        send(&Reply { kind: "reply", id, text, name, room }, cx.out);
        Next::Yield
    }

    fn members(&self, cx: &mut Cx<'_>) -> Next {
        let Some(member) = self.member else { return Next::Go };
        let (names, more) = cx.shared.rooms().names(member, LISTED);
        let count = names.len() + more;
        self.send(&Members { kind: "members", names, count }, cx);
        Next::Yield
    }

    /// A frame for this member alone.
    fn send(&self, body: &impl Serialize, cx: &mut Cx<'_>) {
        self.before_frame(cx);
        send(body, cx.out);
    }
}

impl FrameProtocol for WebChat {
    fn rules(&self) -> Rules {
        let wanted = Wanted { max: self.options.max_frame(), whole: true };
        Rules { wanted, ping_every: self.options.ping_every, patience: self.options.ping_patience }
    }

    fn frame(&mut self, frame: Frame, cx: &mut Cx<'_>) -> Next {
        if frame.opcode != Opcode::Text {
            return Next::Close(Code::UNSUPPORTED, "the frames of the chat are text");
        }
        if self.member.is_some_and(|id| !cx.shared.rooms().is_held_by(id, cx.id)) {
            return Next::Close(Code::POLICY, "this membership goes on over another connection");
        }
        match serde_json::from_slice(&frame.payload) {
            Ok(Said { join: Some(join), .. }) => self.join(&join, cx),
            Ok(Said { text: Some(text), id, .. }) => self.text(&text, id, cx),
            Ok(Said { who: true, .. }) => self.members(cx),
            _ => Next::Close(Code::POLICY, "a frame of the chat has join, text or who"),
        }
    }

    /// The room takes no more than its members can be given, so that none of them misses a line.
    fn must_wait(&self, cx: &Cx<'_>) -> bool {
        self.member.is_some_and(|id| cx.shared.rooms().is_ahead(id))
    }

    fn must_wait_until(&mut self, cx: &mut Cx<'_>) -> Option<Time> {
        self.flood.wait(self.options.rate(), cx)
    }

    fn before_frame(&self, cx: &mut Cx<'_>) {
        let Some(id) = self.member else { return };
        let mut rooms = cx.shared.rooms();
        if rooms.is_held_by(id, cx.id) {
            rooms.finish_line(id, cx.out);
        }
    }

    /// What was said until now is still heard, the acknowledgements among it.
    fn leave(&mut self, cx: &mut Cx<'_>) {
        let Some(id) = self.member.take() else { return };
        let mut rooms = cx.shared.rooms();
        if !rooms.is_held_by(id, cx.id) {
            return;
        }
        rooms.feed(id, cx.now, |bytes| {
            cx.out.push(bytes);
            bytes.len()
        });
        rooms.finish_line(id, cx.out);
        rooms.leave(id, cx.id);
    }

    /// Without a good-bye: its page may come back.
    fn closed(&mut self, cx: &mut Cx<'_>) {
        if let Some(id) = self.member.take() {
            cx.shared.rooms().suspend(id, cx.id, cx.now);
        }
    }

    fn member(&self) -> Option<MemberId> {
        self.member
    }
}

fn epoch(rooms: &Rooms) -> String {
    format!("{:016x}", rooms.epoch())
}

fn send(body: &impl Serialize, out: &mut Out) {
    // Strings and numbers always become JSON.
    let text = serde_json::to_vec(body).unwrap_or_default();
    frame::send(true, Opcode::Text, &text, out);
}
