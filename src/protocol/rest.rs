//! Members of chat rooms who only listen: of most, nothing but the membership needs to be kept.
//!
//! Thousands of them lie in the reactor's slots. While nothing is going on their conversation is eight bytes
//! there, without a block of memory of its own; before the next call it is made again, from what its
//! service is told.

use super::chat::Chat;
use super::console::chat::WebChat;
use super::line::Line;
use super::websocket::WebSocket;
use super::{Cx, Flow, Handler, Options, Session, Why};
use crate::framing::LinesAtRest;
use crate::room::MemberId;
use crate::time::Time;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub enum AtRest {
    /// A member by lines.
    Chat(MemberId, LinesAtRest),
    /// A browser, and whether it was asked if it is there.
    Web(MemberId, bool),
}

const _: () = assert!(size_of::<AtRest>() <= 8);

impl Handler for AtRest {
    /// Never called: an engine that lets sessions rest wakes them first.
    fn input(&mut self, _cx: &mut Cx<'_>) -> Flow {
        debug_assert!(false, "a session was called that is at rest");
        Flow::Abort(Why::Failed)
    }

    fn member(&self) -> Option<MemberId> {
        let (Self::Chat(member, _) | Self::Web(member, _)) = self;
        Some(*member)
    }
}

impl Session {
    /// Gives up the memory of a conversation in which nothing is going on, if it can be made again. For
    /// engines that call [`Session::wake`] before anything else; neither input nor output may wait.
    #[inline]
    pub fn rest(&mut self, now: Time) {
        let rest = match self {
            Self::Chat(line) => {
                line.at_rest(|chat| chat.at_rest(now)).map(|(id, lines)| AtRest::Chat(id, lines))
            }
            Self::WebChat(socket) => {
                socket.at_rest(|chat| chat.at_rest(now)).map(|(id, asked)| AtRest::Web(id, asked))
            }
            _ => None,
        };
        if let Some(rest) = rest {
            *self = Self::AtRest(rest);
        }
    }

    /// Makes the conversation again that [`Session::rest`] gave up; `options` are those of its service.
    #[inline]
    pub fn wake(&mut self, options: &Options) {
        match (&*self, options) {
            (Self::AtRest(AtRest::Chat(member, lines)), Options::Chat(options)) => {
                *self = Self::Chat(Line::woken(*lines, Chat::woken(options, *member)));
            }
            (Self::AtRest(AtRest::Web(member, asked)), Options::Console(options)) => {
                *self = Self::WebChat(WebSocket::woken(*asked, WebChat::woken(options, *member)));
            }
            _ => {}
        }
    }
}
