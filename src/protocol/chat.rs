//! Multiuser chat (labs A and B): what one types, all others see. For telnet, nc and the labs' clients.
//!
//! There is no prompt: the first line is a message already. A name is given; `/nick` changes it.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::line::{Line, LineProtocol, Rules, refuse_http, refuse_long};
use super::{Cx, Flow, Protocol, Why};
use crate::config::duration;
use crate::escape::is_hidden;
use crate::framing::{Message, Telnet};
use crate::room::{BadName, MAX_NAME, MemberId};

const HELP: &str = "* lines go to everyone; /nick NAME, /who, /quit (or exit, quit)\n";

/// What a `chat` service may be told.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The room that one enters; services that name the same share it.
    pub room: String,
    /// What the names given begin with.
    pub guest: String,
    /// Longest message in bytes, at most 16,384.
    pub max_line: usize,
    /// How long an unterminated message stays quiet until it is passed on.
    #[serde(with = "duration")]
    pub pause: Duration,
}

/// A line of this length and the room's log still hold several of them.
const LONGEST_LINE: usize = 16 * 1024;

impl Default for Options {
    fn default() -> Self {
        Self {
            room: "lobby".to_owned(),
            guest: "guest".to_owned(),
            max_line: 4096,
            pause: Duration::from_millis(300),
        }
    }
}

/// One member's conversation.
#[derive(Debug)]
pub struct Chat {
    options: Arc<Options>,
    member: Option<MemberId>,
}

impl Protocol for Line<Chat> {
    type Options = Options;

    fn new(options: &Arc<Options>) -> Self {
        Self::new(Chat { options: Arc::clone(options), member: None })
    }
}

impl LineProtocol for Chat {
    fn rules(&self) -> Rules {
        Rules {
            max_line: self.options.max_line.min(LONGEST_LINE),
            pause: self.options.pause,
            telnet: Telnet::Always,
            ..Rules::default()
        }
    }

    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        let mut rooms = cx.shared.rooms();
        let id = rooms.join(&self.options.room, &self.options.guest, cx.id);
        let name = rooms.name(id).unwrap_or_default().to_owned();
        rooms.say(id, format_args!("* {name} joined"));
        self.member = Some(id);
        Flow::Continue
    }

    /// The room takes no more than its members can be given, so that none of them misses a line.
    fn must_wait(&self, cx: &Cx<'_>) -> bool {
        self.member.is_some_and(|id| cx.shared.rooms().is_ahead(id))
    }

    fn message(&mut self, message: &Message<'_>, cx: &mut Cx<'_>) -> Flow {
        let text = displayable(&message.text);
        match text.trim() {
            "" => Flow::Continue,
            "exit" | "quit" | "/quit" => self.leave(Why::Complete, cx),
            command if command.starts_with('/') => {
                self.command(command, cx);
                // It may have looked at every member: the next one comes after others had their turn.
                Flow::Yield
            }
            _ => self.say(&text, cx),
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

    fn eof(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.leave(Why::PeerDone, cx)
    }

    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.reply("* the server is going down\n", cx);
        Flow::Finish(Why::Shutdown)
    }

    fn closed(&mut self, cx: &mut Cx<'_>, _: Why) {
        let Some(id) = self.member.take() else { return };
        let mut rooms = cx.shared.rooms();
        let name = rooms.name(id).unwrap_or_default().to_owned();
        rooms.say(id, format_args!("* {name} left"));
        rooms.leave(id);
    }

    fn member(&self) -> Option<MemberId> {
        self.member
    }
}

impl Chat {
    /// Ends the conversation, but not in the middle of a line.
    fn leave(&self, why: Why, cx: &mut Cx<'_>) -> Flow {
        self.reply("", cx);
        Flow::Finish(why)
    }

    fn say(&self, text: &str, cx: &Cx<'_>) -> Flow {
        if let Some(id) = self.member {
            let mut rooms = cx.shared.rooms();
            let name = rooms.name(id).unwrap_or_default().to_owned();
            rooms.say(id, format_args!("{name}: {text}"));
        }
        Flow::Continue
    }

    fn command(&mut self, command: &str, cx: &mut Cx<'_>) {
        match command.split_once(' ').unwrap_or((command, "")) {
            ("/nick", name) => self.rename(name.trim(), cx),
            ("/who", _) => self.who(cx),
            ("/help", _) => self.reply(HELP, cx),
            (unknown, _) => {
                let unknown = unknown.chars().take(MAX_NAME).collect::<String>();
                self.reply(&format!("* there is no {unknown}; try /help\n"), cx);
            }
        }
    }

    fn rename(&self, name: &str, cx: &mut Cx<'_>) {
        let Some(id) = self.member else { return };
        let mut rooms = cx.shared.rooms();
        let old = rooms.name(id).unwrap_or_default().to_owned();
        let renamed = rooms.rename(id, name);
        if renamed.is_ok() && old != name {
            rooms.say(id, format_args!("* {old} is now {name}"));
        }
        drop(rooms);
        let reply = match renamed {
            Ok(()) => format!("* you are {name}\n"),
            Err(BadName::Taken) => format!("* {name} is taken; you are still {old}\n"),
            Err(BadName::Unfit) => {
                format!(
                    "* a name has 1 to {MAX_NAME} bytes of letters, digits, - _ and .; you are still {old}\n"
                )
            }
        };
        self.reply(&reply, cx);
    }

    fn who(&self, cx: &mut Cx<'_>) {
        let names = self.member.map(|id| cx.shared.rooms().names(id).join(", ")).unwrap_or_default();
        self.reply(&format!("* here: {names}\n"), cx);
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

/// Text that is safe on another's terminal: invalid UTF-8 replaced, control and reordering characters
/// dropped (a tab becomes a blank).
fn displayable(text: &[u8]) -> String {
    let shown = |c: char| if c == '\t' { Some(' ') } else { (!is_hidden(c)).then_some(c) };
    String::from_utf8_lossy(text).chars().filter_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_reaches_a_terminal() {
        assert_eq!(displayable(b"a\x1b[2Jb\x08\x7f\tc\xff\r"), "a[2Jb c\u{fffd}");
        assert_eq!(displayable("x\u{202e}y\u{9b}z é🦀".as_bytes()), "xyz é🦀");
    }
}
