//! Multiuser chat (labs A and B): what one types, all others see. For telnet, nc and the labs' clients.
//!
//! There is no prompt: the first line is a message already. A name is given; `/nick` changes it. In the
//! raw style there are no names, notices or commands: the text alone goes from one to all others.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::line::{Line, LineProtocol, Rules, refuse_http, refuse_long};
use super::{Cx, Flow, Protocol, Why};
use crate::framing::{Message, Telnet};
use crate::journal::is_stdout;
use crate::room::{Kind, MemberId, Saying};
use crate::time::Time;

pub mod command;
pub mod flood;
mod options;

pub use options::{Look, Options, transcripts};

use flood::Flood;

/// How long one who says nothing is taken for somebody who may be a browser at the wrong port.
const UNKNOWN: Duration = Duration::from_millis(300);

/// One member's conversation.
#[derive(Debug)]
pub struct Chat {
    options: Arc<Options>,
    member: Option<MemberId>,
    flood: Flood,
    /// The others know of it; it is no HTTP client.
    is_known: bool,
}

impl Protocol for Line<Chat> {
    type Options = Options;

    fn prepare(options: &Options) -> Result<(), String> {
        options.prepare()
    }

    fn private(options: &Options) -> Option<&Path> {
        options.transcript.as_deref().filter(|path| !is_stdout(path))
    }

    fn new(options: &Arc<Options>) -> Self {
        let options = Arc::clone(options);
        Self::new(Chat { options, member: None, flood: Flood::default(), is_known: false })
    }
}

impl LineProtocol for Chat {
    fn rules(&self) -> Rules {
        Rules {
            max_line: self.options.max_line(),
            pause: self.options.pause,
            quiet: (!self.is_known).then_some(UNKNOWN),
            telnet: Telnet::Always,
        }
    }

    /// It hears everything from now on; the others are told when it is clear who that is.
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        let mut rooms = cx.shared.rooms();
        let id = rooms.join(&self.options.room, self.options.profile(), None, cx.id);
        self.member = Some(id);
        cx.out.push(command::introduction(&rooms, id).as_bytes());
        Flow::Continue
    }

    /// The room takes no more than its members can be given, so that none of them misses a line.
    fn must_wait(&self, cx: &Cx<'_>) -> bool {
        self.member.is_some_and(|id| cx.shared.rooms().is_ahead(id))
    }

    fn must_wait_until(&mut self, cx: &mut Cx<'_>) -> Option<Time> {
        let until = self.flood.wait(self.options.rate(), cx)?;
        if self.flood.is_news() && !self.options.is_raw() {
            let rate = self.options.flood;
            self.reply(&format!("* too fast: what you send is passed on at {rate} messages a second\n"), cx);
        }
        Some(until)
    }

    fn message(&mut self, message: &Message<'_>, cx: &mut Cx<'_>) -> Flow {
        self.flood.count(self.options.rate(), cx);
        // Good text is found to be good much faster than it is repaired.
        let text = str::from_utf8(&message.text)
            .map_or_else(|_| String::from_utf8_lossy(&message.text), Cow::Borrowed);
        self.announce(cx);
        if self.options.is_raw() {
            return self.say(Kind::Said, &text, cx);
        }
        match text.trim() {
            "" => Flow::Continue,
            "exit" | "quit" | "/quit" => self.leave(Why::Complete, cx),
            command if command.starts_with('/') => {
                self.command(command, cx);
                // It may have looked at every member: the next one comes after others had their turn.
                Flow::Yield
            }
            _ => self.say(Kind::Said, &text, cx),
        }
    }

    fn http(&mut self, _: &Message<'_>, cx: &mut Cx<'_>) -> Flow {
        self.finish_line(cx);
        refuse_http(cx)
    }

    fn too_long(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.finish_line(cx);
        refuse_long(self.rules().max_line, cx)
    }

    /// It has been there for a moment and sent no request.
    fn quiet(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.announce(cx);
        Flow::Continue
    }

    fn eof(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.leave(Why::PeerDone, cx)
    }

    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.reply(if self.options.is_raw() { "" } else { "* the server is going down\n" }, cx);
        Flow::Finish(Why::Shutdown)
    }

    fn closed(&mut self, cx: &mut Cx<'_>, _: Why) {
        if let Some(id) = self.member.take() {
            cx.shared.rooms().leave(id, cx.id);
        }
    }

    fn member(&self) -> Option<MemberId> {
        self.member
    }
}

impl Chat {
    /// What must be kept of it while it says nothing; `None` if that is more.
    pub(super) fn at_rest(&self, now: Time) -> Option<MemberId> {
        self.member.filter(|_| self.is_known && self.flood.is_settled(now))
    }

    /// The conversation of which this was kept.
    pub(super) fn woken(options: &Arc<Options>, member: MemberId) -> Self {
        let options = Arc::clone(options);
        Self { options, member: Some(member), flood: Flood::default(), is_known: true }
    }

    fn announce(&mut self, cx: &Cx<'_>) {
        if let Some(id) = self.member
            && !std::mem::replace(&mut self.is_known, true)
        {
            cx.shared.rooms().announce(id);
        }
    }

    fn command(&self, command: &str, cx: &mut Cx<'_>) {
        let Some(id) = self.member else { return };
        self.finish_line(cx);
        let reply = command::run(&mut cx.shared.rooms(), id, command, 0);
        cx.out.push(reply.unwrap_or_default().as_bytes());
    }

    /// Ends the conversation, but not in the middle of a line.
    fn leave(&self, why: Why, cx: &mut Cx<'_>) -> Flow {
        self.reply("", cx);
        Flow::Finish(why)
    }

    fn say(&self, kind: Kind, text: &str, cx: &Cx<'_>) -> Flow {
        if let Some(id) = self.member {
            cx.shared.rooms().say(id, Saying { kind, text, client: 0 });
        }
        Flow::Continue
    }

    /// A line for this member alone.
    fn reply(&self, text: &str, cx: &mut Cx<'_>) {
        self.finish_line(cx);
        cx.out.push(text.as_bytes());
    }

    /// What this member alone is told must not land inside a line that is half sent.
    fn finish_line(&self, cx: &mut Cx<'_>) {
        if let Some(id) = self.member {
            cx.shared.rooms().finish_line(id, cx.out);
        }
    }
}
