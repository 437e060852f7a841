use std::time::Duration;

use super::*;
use crate::limits::{ROOM_ABSENCE, ROOM_NAMES_SHOWN};
use crate::time::Time;

mod absence;
mod model;

fn conn(key: u32) -> ConnId {
    ConnId { key, generation: 0 }
}

fn lines(history: usize) -> Profile {
    let form = Form::Line(Style::default());
    Profile { form, guest: "guest".to_owned(), history, quiet_reader: Duration::from_secs(60) }
}

fn raw() -> Profile {
    Profile { form: Form::Line(Style { raw: true, timestamps: false }), ..lines(0) }
}

fn frames() -> Profile {
    Profile { form: Form::Frame, ..lines(0) }
}

fn rooms() -> Rooms {
    let clock = || UNIX_EPOCH + Duration::from_secs(1_795_223_229);
    Rooms::new(clock, TimeZone::UTC)
}

impl Rooms {
    fn join_lobby(&mut self, key: u32) -> MemberId {
        self.join("lobby", &lines(0), None, conn(key))
    }

    fn say_plain(&mut self, id: MemberId, text: &str) {
        self.say(id, Saying { kind: Kind::Said, text, client: 0 });
    }

    /// Everything that a member has to hear.
    fn hear_bytes(&mut self, id: MemberId) -> Vec<u8> {
        let mut heard = Vec::new();
        while self.feed(id, Time::START, |bytes| {
            heard.extend_from_slice(bytes);
            bytes.len()
        }) == Fed::More
        {}
        heard
    }

    fn hear(&mut self, id: MemberId) -> String {
        String::from_utf8(self.hear_bytes(id)).unwrap()
    }

    /// The same without notices of who came.
    fn hear_said(&mut self, id: MemberId) -> String {
        let heard = self.hear(id);
        heard.split_inclusive('\n').filter(|line| !line.ends_with(" joined\n")).collect()
    }
}

/// The bodies of frames that follow each other.
fn bodies(mut frames: &[u8]) -> Vec<serde_json::Value> {
    let mut bodies = Vec::new();
    while !frames.is_empty() {
        assert_eq!(frames[0], 0x81);
        let (start, len) = match frames[1] {
            126 => (4, usize::from(u16::from_be_bytes([frames[2], frames[3]]))),
            127 => (10, usize::try_from(u64::from_be_bytes(frames[2..10].try_into().unwrap())).unwrap()),
            len => (2, usize::from(len)),
        };
        bodies.push(serde_json::from_slice(&frames[start..start + len]).unwrap());
        frames = &frames[start + len..];
    }
    bodies
}

#[test]
fn a_line_reaches_everyone_else_in_the_room_once() {
    let mut rooms = rooms();
    let [a, b, c] = [1, 2, 3].map(|n| rooms.join_lobby(n));
    let elsewhere = rooms.join("attic", &lines(0), None, conn(4));
    rooms.say_plain(a, "one");
    rooms.say_plain(b, "two");
    rooms.say_plain(a, "three");
    assert_eq!(rooms.hear_said(a), "guest2: two\n");
    assert_eq!(rooms.hear_said(b), "guest1: one\nguest1: three\n");
    assert_eq!(rooms.hear_said(c), "guest1: one\nguest2: two\nguest1: three\n");
    assert_eq!(rooms.hear_said(c), "");
    assert_eq!(rooms.hear_said(elsewhere), "");
}

#[test]
fn every_form_hears_the_same_in_its_own_way() {
    let mut rooms = rooms();
    let timed = Profile { form: Form::Line(Style { raw: false, timestamps: true }), ..lines(0) };
    let [talker, plain, raw, framed, timed] = [lines(0), lines(0), raw(), frames(), timed]
        .map(|profile| rooms.join("lobby", &profile, None, conn(0)));
    rooms.say(talker, Saying { kind: Kind::Action, text: "waves\x1b[2J", client: 0 });
    assert_eq!(rooms.hear(plain), "* guest1 joined\n** guest1 waves[2J\n");
    assert_eq!(rooms.hear(raw), "waves[2J\n");
    assert_eq!(rooms.hear(timed), "[01:07:09] * guest1 joined\n[01:07:09] ** guest1 waves[2J\n");
    let heard = bodies(&rooms.hear_bytes(framed));
    assert_eq!((heard.len(), &heard[1]["kind"], &heard[1]["name"]), (2, &"action".into(), &"guest1".into()));
    assert_eq!(heard[1]["epoch"], format!("{:016x}", rooms.epoch()));
    assert_eq!(heard[1]["seq"], rooms.last_seq(framed));
    rooms.say(framed, Saying { kind: Kind::Said, text: "mine", client: 7 });
    let own = bodies(&rooms.hear_bytes(framed));
    assert_eq!((own.len(), &own[1]["id"], &own[1]["text"]), (2, &7.into(), &"mine".into()), "acknowledged");
    assert_eq!(rooms.say(framed, Saying { kind: Kind::Said, text: "mine", client: 7 }), None, "said once");
}

#[test]
fn a_round_visits_whoever_lacks_something_and_ends() {
    let mut rooms = rooms();
    let ids: Vec<_> = (0..5).map(|n| rooms.join_lobby(n)).collect();
    rooms.say_plain(ids[0], "hi");
    let mut fed = Vec::new();
    while let Some((id, at)) = rooms.next_pending() {
        rooms.hear(id);
        fed.push(at.key);
        if fed.len() == 2 {
            // Somebody leaves in the middle of the round and nobody is forgotten.
            rooms.leave(ids[1], conn(1));
        }
    }
    assert!([0, 2, 3, 4].iter().all(|key| fed.contains(key)), "{fed:?}");
    assert!(!rooms.has_pending());
}

#[test]
fn the_rest_of_a_half_sent_line_survives_the_cut_and_comes_first() {
    let mut rooms = rooms();
    let (a, slow) = (rooms.join("lobby", &raw(), None, conn(1)), rooms.join_lobby(2));
    rooms.announce(a);
    rooms.hear(slow);
    rooms.say_plain(a, "0123456789");
    assert_eq!(rooms.feed(slow, Time::START, |bytes| bytes.len().min(12)), Fed::Blocked);
    let long = "x".repeat(1000);
    for _ in 0..300 {
        rooms.say_plain(a, &long);
    }
    let heard = rooms.hear(slow);
    let (rest, heard) = heard.split_once('\n').unwrap();
    assert_eq!(rest, "456789");
    let (notice, heard) = heard.split_once('\n').unwrap();
    let missed: usize =
        notice.strip_prefix("* you missed ").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(missed + heard.lines().count(), 300, "{notice}");
}

#[test]
fn a_private_reply_never_splits_a_line() {
    let mut rooms = rooms();
    let (a, b) = (rooms.join_lobby(1), rooms.join_lobby(2));
    rooms.announce(a);
    rooms.hear(b);
    rooms.say_plain(a, "hello");
    rooms.say_plain(a, "again");
    rooms.feed(b, Time::START, |_| 10);
    let mut out = Out::default();
    rooms.finish_line(b, &mut out);
    assert_eq!(out.bytes(), b"llo\n");
    assert_eq!(rooms.hear(b), "guest1: again\n");
}

#[test]
fn names_are_one_of_a_kind_and_cannot_be_forged() {
    let mut rooms = rooms();
    let (a, b) = (rooms.join_lobby(1), rooms.join("attic", &lines(0), Some("Cem"), conn(2)));
    assert_eq!(rooms.rename(a, "Ali"), Ok(()));
    assert_eq!(rooms.rename(b, "ALI"), Err(Refused::Taken), "in another room as well");
    assert_eq!(rooms.rename(a, "ali"), Ok(()), "one's own name in another case");
    for unfit in ["", "a b", "x:y", "*", "a\u{202e}b", "\x1b[2J", &"n".repeat(MAX_NAME + 1)] {
        assert_eq!(rooms.rename(b, unfit), Err(Refused::Unfit), "{unfit:?}");
    }
    assert_eq!(rooms.rename(b, "Guest77"), Err(Refused::Reserved));
    assert_eq!(rooms.name(b), "Cem");
    assert_eq!(rooms.rename(b, "guest2"), Ok(()), "back to one's own");
    assert_eq!(rooms.rename(a, "cem"), Ok(()), "a name that was given up is free");
    rooms.leave(a, conn(1));
    assert_eq!(rooms.rename(b, "ali"), Ok(()), "as is one whose owner has left");
    let again = rooms.join_lobby(3);
    assert_eq!(rooms.name(again), "guest3", "no number comes twice");
}

#[test]
fn nobody_hears_of_one_who_was_never_announced() {
    let mut rooms = rooms();
    let (a, quiet) = (rooms.join_lobby(1), rooms.join_lobby(2));
    rooms.announce(a);
    rooms.say_plain(a, "heard by all who are there");
    assert!(rooms.hear(quiet).ends_with("all who are there\n"));
    assert_eq!(rooms.names(a, 10), (vec!["guest1".to_owned()], 0));
    rooms.leave(quiet, conn(2));
    assert_eq!(rooms.hear(a), "");
}

#[test]
fn a_private_line_is_heard_by_one_in_whatever_room() {
    let mut rooms = rooms();
    let [a, b, c] = [1, 2, 3].map(|n| rooms.join_lobby(n));
    let away = rooms.join("attic", &lines(5), Some("Ben"), conn(4));
    [a, b, c].iter().for_each(|id| rooms.announce(*id));
    [a, b, c, away].iter().for_each(|id| _ = rooms.hear(*id));
    let saying = Saying { kind: Kind::Private, text: "psst", client: 0 };
    assert_eq!(rooms.tell(a, "GUEST2", saying), Ok(("guest2".to_owned(), true)));
    assert_eq!(rooms.tell(a, "ben", saying), Ok(("Ben".to_owned(), false)));
    assert_eq!(rooms.tell(a, "nobody", saying), Err(Refused::NoSuchMember));
    assert_eq!(rooms.hear(b), "guest1 (to you): psst\n");
    assert_eq!(rooms.hear(away), "guest1 (to you): psst\n");
    assert_eq!((rooms.hear(a), rooms.hear(c)), (String::new(), String::new()));
    let later = rooms.join("lobby", &lines(5), None, conn(5));
    assert_eq!(rooms.hear(later), "", "it is no history");
}

#[test]
fn history_is_the_last_lines_said() {
    let mut rooms = rooms();
    let a = rooms.join_lobby(1);
    for n in 0..5 {
        rooms.say_plain(a, &n.to_string());
        let passing = rooms.join_lobby(9);
        rooms.announce(passing);
        rooms.leave(passing, conn(9));
    }
    let b = rooms.join("lobby", &lines(3), None, conn(2));
    assert_eq!(rooms.history(b), 3);
    assert_eq!(rooms.next_pending().map(|(id, _)| id), Some(a));
    rooms.say_plain(a, "new");
    assert_eq!(rooms.hear(b), "guest1: 2\nguest1: 3\nguest1: 4\nguest1: new\n");
    assert_eq!(rooms.history(b), 0);
}

#[test]
fn who_moves_skips_the_rest_of_the_old_room() {
    let mut rooms = rooms();
    let (a, b) = (rooms.join_lobby(1), rooms.join_lobby(2));
    rooms.announce(a);
    rooms.announce(b);
    rooms.hear(b);
    rooms.say_plain(a, "one");
    rooms.say_plain(b, "mine");
    rooms.say_plain(a, "two");
    rooms.feed(b, Time::START, |_| 3);
    rooms.finish_line(b, &mut Out::default());
    assert_eq!(rooms.move_to(b, "Attic"), Ok(1), "the one it had begun to hear does not count");
    assert_eq!(rooms.move_to(b, "attic"), Err(Refused::SameRoom));
    assert_eq!(rooms.move_to(b, "no room"), Err(Refused::Unfit));
    assert_eq!(rooms.list(), [("Attic", 1), ("lobby", 1)]);
    rooms.say_plain(a, "alone");
    assert_eq!(rooms.hear(b), "");
    assert!(rooms.hear(a).ends_with("guest2: mine\n* guest2 left\n"));
    assert_eq!(rooms.move_to(b, "lobby"), Ok(0));
    assert_eq!(rooms.hear(a), "* guest2 joined\n");
}

#[test]
fn rooms_that_members_open_are_bounded_and_freed() {
    let mut rooms = rooms();
    let ids: Vec<_> = (0..=u32::try_from(ROOMS).unwrap()).map(|n| rooms.join_lobby(n)).collect();
    for (n, id) in ids.iter().enumerate().skip(2) {
        assert_eq!(rooms.move_to(*id, &format!("r{n}")), Ok(0));
    }
    assert_eq!(rooms.move_to(ids[1], "one-more"), Err(Refused::TooManyRooms));
    assert_eq!(rooms.move_to(ids[2], "lobby"), Ok(0));
    assert_eq!(rooms.move_to(ids[1], "one-more"), Ok(0));
    for (n, id) in ids.iter().enumerate() {
        rooms.say_plain(*id, "good-bye");
        rooms.leave(*id, conn(u32::try_from(n).unwrap()));
    }
    assert_eq!((rooms.rooms.len(), rooms.members.len(), rooms.has_pending()), (0, 0, false));
    assert_eq!(rooms.by_name.len(), 0);
}

#[test]
fn in_a_large_room_comings_and_goings_are_one_line_a_second() {
    let mut rooms = rooms();
    let ids: Vec<_> = (0..200).map(|n| rooms.join_lobby(n)).collect();
    assert_eq!(rooms.due(), Time::NEVER);
    ids.iter().for_each(|id| rooms.announce(*id));
    rooms.leave(ids[199], conn(199));
    assert_eq!(rooms.hear(ids[0]), "");
    let mut now = Time::from_millis(5000);
    rooms.tick(now);
    assert_eq!(rooms.due(), Time::from_millis(6000), "gathered from when it is looked at");
    now = rooms.due();
    rooms.tick(now);
    let heard = rooms.hear(ids[0]);
    let others = 200 - ROOM_NAMES_SHOWN;
    assert!(heard.starts_with("* guest1, guest2, "), "{heard}");
    assert!(heard.ends_with(&format!(" and {others} others joined; guest200 left\n")), "{heard}");
    assert_eq!(rooms.due(), Time::NEVER);
}

#[test]
fn one_who_takes_nothing_is_given_up() {
    let mut rooms = rooms();
    let [a, blocked, slow] = [1, 2, 3].map(|n| rooms.join_lobby(n));
    rooms.say_plain(a, &"x".repeat(100));
    let at = Time::from_millis;
    assert_eq!(rooms.feed(blocked, at(1000), |_| 0), Fed::Blocked);
    assert_eq!(rooms.feed(slow, at(1000), |_| 0), Fed::Blocked);
    assert_eq!(rooms.feed(slow, at(50_000), |_| 1), Fed::Blocked, "it takes a little");
    assert_eq!(rooms.feed(blocked, at(50_000), |_| 0), Fed::Blocked);
    assert_eq!(rooms.due(), at(61_000));
    rooms.tick(at(61_000));
    assert_eq!(rooms.take_expelled(), [conn(2)]);
    assert_eq!((rooms.expelled(), rooms.due()), (1, at(110_000)));
    rooms.hear(slow);
    rooms.tick(at(110_000));
    assert_eq!((rooms.take_expelled(), rooms.due()), (vec![], Time::NEVER));
}

#[test]
fn the_transcript_has_what_was_said_to_the_public() {
    let mut rooms = rooms();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("transcript");
    rooms.write_transcript(Arc::new(Journal::open(&path).unwrap()));
    let (a, b) = (rooms.join_lobby(1), rooms.join_lobby(2));
    rooms.say_plain(a, "hello\x1b[2J\nfake: line\r\u{202e} é");
    rooms.say(b, Saying { kind: Kind::Action, text: "waves", client: 0 });
    let _ = rooms.tell(a, "guest2", Saying { kind: Kind::Private, text: "secret", client: 0 });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "not before the turn's end");
    rooms.take_unwritten().iter().for_each(|journal| journal.flush());
    assert!(rooms.take_unwritten().is_empty());
    let date = "2026-11-21T01:07:09+00:00 lobby";
    let expected = format!("{date} guest1: hello[2Jfake: line é\n{date} ** guest2 waves\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
}
