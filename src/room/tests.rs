use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn conn(key: u32) -> ConnId {
    ConnId { key, generation: 0 }
}

/// Everything the member has to hear.
fn hear(rooms: &mut Rooms, id: MemberId) -> String {
    let mut heard = Vec::new();
    while rooms.feed(id, |bytes| {
        heard.extend_from_slice(bytes);
        bytes.len()
    }) == Fed::More
    {}
    String::from_utf8(heard).unwrap()
}

#[test]
fn a_line_reaches_everyone_else_in_the_room_once() {
    let mut rooms = Rooms::default();
    let [a, b, c] = [1, 2, 3].map(|n| rooms.join("lobby", "guest", conn(n)));
    let elsewhere = rooms.join("attic", "guest", conn(4));
    rooms.say(a, format_args!("one"));
    rooms.say(b, format_args!("two"));
    rooms.say(a, format_args!("three"));
    assert_eq!(hear(&mut rooms, a), "two\n");
    assert_eq!(hear(&mut rooms, b), "one\nthree\n");
    assert_eq!(hear(&mut rooms, c), "one\ntwo\nthree\n");
    assert_eq!(hear(&mut rooms, c), "");
    assert_eq!(hear(&mut rooms, elsewhere), "");
}

#[test]
fn a_round_visits_whoever_lacks_something_and_ends() {
    let mut rooms = Rooms::default();
    let ids: Vec<_> = (0..5).map(|n| rooms.join("lobby", "guest", conn(n))).collect();
    rooms.say(ids[0], format_args!("hi"));
    let mut fed = Vec::new();
    while let Some((id, conn)) = rooms.next_pending() {
        hear(&mut rooms, id);
        fed.push(conn.key);
        if fed.len() == 2 {
            // Somebody leaves in the middle of the round and nobody is forgotten.
            rooms.leave(ids[1]);
        }
    }
    fed.sort_unstable();
    assert_eq!(fed, [1, 2, 3, 4]);
    assert!(!rooms.has_pending());
}

#[test]
fn the_rest_of_a_half_sent_line_survives_the_cut_and_comes_first() {
    let mut rooms = Rooms::default();
    let (a, slow) = (rooms.join("lobby", "guest", conn(1)), rooms.join("lobby", "guest", conn(2)));
    rooms.say(a, format_args!("0123456789"));
    assert_eq!(rooms.feed(slow, |bytes| bytes.len().min(4)), Fed::Blocked);
    let long = "x".repeat(1000);
    for _ in 0..300 {
        rooms.say(a, format_args!("{long}"));
    }
    let heard = hear(&mut rooms, slow);
    let (rest, heard) = heard.split_once('\n').unwrap();
    assert_eq!(rest, "456789");
    let (notice, heard) = heard.split_once('\n').unwrap();
    let missed: usize =
        notice.strip_prefix("* you missed ").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(missed + heard.lines().count(), 300, "{notice}");
}

#[test]
fn a_private_reply_never_splits_a_line() {
    let mut rooms = Rooms::default();
    let (a, b) = (rooms.join("lobby", "guest", conn(1)), rooms.join("lobby", "guest", conn(2)));
    rooms.say(a, format_args!("hello"));
    rooms.say(a, format_args!("again"));
    rooms.feed(b, |_| 2);
    let mut out = Out::default();
    rooms.finish_line(b, &mut out);
    assert_eq!(out.bytes(), b"llo\n");
    assert_eq!(hear(&mut rooms, b), "again\n");
}

#[test]
fn names_are_unique_and_cannot_be_forged() {
    let mut rooms = Rooms::default();
    let (a, b) = (rooms.join("lobby", "guest", conn(1)), rooms.join("lobby", "guest", conn(2)));
    assert_eq!(rooms.rename(a, "Ali"), Ok(()));
    assert_eq!(rooms.rename(b, "ALI"), Err(BadName::Taken));
    assert_eq!(rooms.rename(a, "ali"), Ok(()), "one's own name in another case");
    for unfit in ["", "a b", "x:y", "a\u{202e}b", "\x1b[2J", &"n".repeat(MAX_NAME + 1)] {
        assert_eq!(rooms.rename(b, unfit), Err(BadName::Unfit), "{unfit:?}");
    }
    assert_eq!(rooms.names(a), ["ali", "guest2"]);
}

#[test]
fn an_empty_room_is_freed() {
    let mut rooms = Rooms::default();
    let a = rooms.join("lobby", "guest", conn(1));
    rooms.say(a, format_args!("hello?"));
    rooms.leave(a);
    assert_eq!((rooms.rooms.len(), rooms.members.len(), rooms.has_pending()), (0, 0, false));
}

proptest! {
    /// Model: every member hears exactly what others said after it joined, in order, minus what it was
    /// told it missed; whatever piecewise way its socket takes it.
    #[test]
    fn everyone_hears_what_others_said(steps in prop::collection::vec((0u8..8, 0usize..6, 1usize..6000), 1..150)) {
        let mut rooms = Rooms::default();
        let mut members: Vec<(MemberId, u32)> = Vec::new();
        let mut owed: HashMap<u32, Vec<String>> = HashMap::new();
        let mut heard: HashMap<u32, String> = HashMap::new();
        let mut next = 0;
        for (what, who, size) in steps {
            let member = members.get(who).copied();
            match (what, member) {
                (0, _) if members.len() < 6 => {
                    members.push((rooms.join("lobby", "guest", conn(next)), next));
                    owed.insert(next, Vec::new());
                    heard.insert(next, String::new());
                    next += 1;
                }
                (1, Some((id, name))) => {
                    members.remove(who);
                    rooms.leave(id);
                    owed.remove(&name);
                }
                (2..=4, Some((id, name))) => {
                    let line = format!("{name}:{}", "y".repeat(size));
                    rooms.say(id, format_args!("{line}"));
                    for (other, lines) in &mut owed {
                        if *other != name {
                            lines.push(line.clone());
                        }
                    }
                }
                (_, Some((id, name))) => {
                    let text = heard.entry(name).or_default();
                    rooms.feed(id, |bytes| {
                        let taken = bytes.len().min(size);
                        text.push_str(std::str::from_utf8(&bytes[..taken]).unwrap());
                        taken
                    });
                }
                _ => {}
            }
        }
        for (id, name) in members {
            let text = heard.remove(&name).unwrap() + &hear(&mut rooms, id);
            let mut owed = owed.remove(&name).unwrap().into_iter();
            for line in text.lines() {
                if let Some(missed) = line.strip_prefix("* you missed ") {
                    let missed: usize = missed.split(' ').next().unwrap().parse().unwrap();
                    for _ in 0..missed {
                        prop_assert!(owed.next().is_some());
                    }
                } else {
                    prop_assert_eq!(Some(line.to_owned()), owed.next());
                }
            }
            prop_assert_eq!(owed.next(), None);
        }
    }
}
