//! What begins with a slash.

use super::Chat;
use crate::out::Out;
use crate::protocol::Cx;
use crate::room::{Kind, MAX_NAME, MemberId, Refused, Rooms, Saying};

const HELP: &str = "\
* what you type goes to everyone in the room
* /nick NAME  take a name          /who         who is here
* /me WAVES   do something         /msg NAME TEXT  to one alone
* /join ROOM  go to another room   /rooms       which there are
* /quit, or exit or quit alone     /help        this
";
/// Names and rooms that one reply lists.
const LISTED: usize = 200;
const NAME_RULE: &str = "1 to 32 bytes of letters, digits, - _ and .";
const _: () = assert!(MAX_NAME == 32);

impl Chat {
    pub(super) fn command(&mut self, command: &str, cx: &mut Cx<'_>) {
        let Some(id) = self.member else { return };
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        let reply = match word {
            "/nick" => nick(&mut cx.shared.rooms(), id, rest),
            "/who" => who(&cx.shared.rooms(), id),
            "/rooms" => rooms(&cx.shared.rooms()),
            "/join" => return self.join(id, rest, cx),
            "/me" if rest.is_empty() => "* /me WHAT YOU DO\n".to_owned(),
            "/me" => {
                self.say(Kind::Action, rest, cx);
                return;
            }
            "/msg" => msg(&mut cx.shared.rooms(), id, rest),
            "/help" => HELP.to_owned(),
            unknown => format!("* there is no {}; try /help\n", shown(unknown)),
        };
        self.reply(&reply, cx);
    }

    fn join(&self, id: MemberId, room: &str, cx: &mut Cx<'_>) {
        self.finish_line(cx);
        let mut rooms = cx.shared.rooms();
        let old = rooms.room_name(id).to_owned();
        let reply = match rooms.move_to(id, room) {
            Ok(0) => format!("* you are in {}\n", rooms.room_name(id)),
            Ok(1) => format!("* you are in {}; 1 message in {old} was skipped\n", rooms.room_name(id)),
            Ok(n) => format!("* you are in {}; {n} messages in {old} were skipped\n", rooms.room_name(id)),
            Err(Refused::SameRoom) => format!("* you are in {old} already\n"),
            Err(Refused::TooManyRooms) => format!("* there are too many rooms; you are still in {old}\n"),
            Err(_) => format!("* a room's name has {NAME_RULE}; you are still in {old}\n"),
        };
        cx.out.push(reply.as_bytes());
        introduce_history(&rooms, id, cx.out);
    }
}

/// Says that what comes first was said before.
pub(super) fn introduce_history(rooms: &Rooms, id: MemberId, out: &mut Out) {
    let is_raw = rooms.form_of(id).is_some_and(|form| !form.has_notices());
    match rooms.history(id) {
        _ if is_raw => {}
        0 => {}
        1 => out.push(b"* the last line said here:\n"),
        n => out.print(format_args!("* the last {n} lines said here:\n")),
    }
}

fn nick(rooms: &mut Rooms, id: MemberId, name: &str) -> String {
    let old = rooms.name(id);
    match rooms.rename(id, name) {
        Ok(()) => format!("* you are {name}\n"),
        Err(Refused::Taken) => format!("* {name} is taken; you are still {old}\n"),
        Err(Refused::Reserved) => format!("* {name} is a guest's name; you are still {old}\n"),
        Err(_) => format!("* a name has {NAME_RULE}; you are still {old}\n"),
    }
}

fn who(rooms: &Rooms, id: MemberId) -> String {
    let (names, more) = rooms.names(id, LISTED);
    format!("* here: {}{}\n", names.join(", "), and_more(more))
}

fn rooms(rooms: &Rooms) -> String {
    let all = rooms.list();
    let shown: Vec<String> = all.iter().take(LISTED).map(|(name, n)| format!("{name} ({n})")).collect();
    format!("* rooms: {}{}\n", shown.join(", "), and_more(all.len() - shown.len()))
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" and {more} more") }
}

fn msg(rooms: &mut Rooms, id: MemberId, rest: &str) -> String {
    let Some((to, text)) = rest.split_once(char::is_whitespace) else {
        return "* /msg NAME TEXT\n".to_owned();
    };
    let saying = Saying { kind: Kind::Private, text: text.trim(), client: 0 };
    match rooms.tell(id, to, saying) {
        Ok((name, _)) => format!("* told {name}\n"),
        Err(_) => format!("* nobody is called {}\n", shown(to)),
    }
}

/// What was typed, short and harmless.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !crate::escape::is_hidden(*c)).take(MAX_NAME).collect()
}
