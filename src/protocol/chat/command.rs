//! What begins with a slash.

use crate::room::{Kind, MAX_NAME, MemberId, Refused, Rooms, Saying};

const HELP: &str = "\
* what you type goes to everyone in the room
* /nick NAME        take another name
* /who              who is here
* /me WAVES         do something
* /msg NAME TEXT    say it to one alone, in whatever room
* /rooms            which rooms there are
* /join ROOM        go to another one, or open it
* /quit             leave (exit or quit alone do it too)
";
/// Names and rooms that one reply lists.
const LISTED: usize = 200;
const NAME_RULE: &str = "1 to 32 bytes of letters, digits, - _ and .";
const _: () = assert!(MAX_NAME == 32);

/// Does what a command says; returns what the member alone is told of it, lines that end in LF. `None` if
/// what it said to all is the answer. `client` is the number that its client gave to the command; one that
/// was used before does nothing. [`Rooms::finish_line`] comes first.
pub fn run(rooms: &mut Rooms, id: MemberId, command: &str, client: u64) -> Option<String> {
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    if word == "/me" && !rest.is_empty() {
        let said = rooms.say(id, Saying { kind: Kind::Action, text: rest, client });
        return said.is_none().then(String::new);
    }
    if !rooms.claim(id, client) {
        return Some(String::new());
    }
    Some(match word {
        "/nick" => nick(rooms, id, rest),
        "/who" => who(rooms, id),
        "/rooms" => list(rooms),
        "/join" => join(rooms, id, rest),
        "/me" => "* /me WHAT YOU DO\n".to_owned(),
        "/msg" => msg(rooms, id, rest),
        "/help" => HELP.to_owned(),
        unknown => format!("* there is no {}; try /help\n", shown(unknown)),
    })
}

fn join(rooms: &mut Rooms, id: MemberId, room: &str) -> String {
    let old = rooms.room_name(id).to_owned();
    let moved = rooms.move_to(id, room);
    let new = rooms.room_name(id);
    let reply = match moved {
        Ok(0) => format!("* you are in {new}\n"),
        Ok(1) => format!("* you are in {new}; 1 message in {old} was skipped\n"),
        Ok(n) => format!("* you are in {new}; {n} messages in {old} were skipped\n"),
        Err(Refused::SameRoom) => format!("* you are in {old} already\n"),
        Err(Refused::TooManyRooms) => format!("* there are too many rooms; you are still in {old}\n"),
        Err(_) => format!("* a room's name has {NAME_RULE}; you are still in {old}\n"),
    };
    if moved.is_ok() { reply + &introduction(rooms, id) } else { reply }
}

/// Says that what comes first was said before.
pub(super) fn introduction(rooms: &Rooms, id: MemberId) -> String {
    let is_raw = rooms.form_of(id).is_some_and(|form| !form.has_notices());
    match rooms.history(id) {
        _ if is_raw => String::new(),
        0 => String::new(),
        1 => "* the last line said here:\n".to_owned(),
        n => format!("* the last {n} lines said here:\n"),
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

fn list(rooms: &Rooms) -> String {
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
