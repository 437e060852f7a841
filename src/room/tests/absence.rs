//! Members who lose their connection and come back.

use super::*;

fn say(rooms: &mut Rooms, id: MemberId, text: &str, client: u64) -> Option<u64> {
    rooms.say(id, Saying { kind: Kind::Said, text, client })
}

#[test]
fn who_comes_back_in_time_misses_nothing_and_has_not_left() {
    let mut rooms = rooms();
    let (a, b) = (rooms.join_lobby(1), rooms.join("lobby", &frames(), Some("Ben"), conn(2)));
    rooms.announce(a);
    say(&mut rooms, b, "first", 1);
    let token = rooms.token(b).unwrap();
    assert_eq!(rooms.token(b), Some(token));
    let seen = bodies(&rooms.hear_bytes(b)).last().unwrap()["seq"].as_u64().unwrap();
    rooms.hear(a);
    rooms.suspend(b, conn(2), Time::START);
    rooms.say_plain(a, "while you were away");
    assert!(std::iter::from_fn(|| rooms.next_pending()).all(|(id, _)| id != b), "it is not fed");
    assert_eq!(rooms.rename(a, "ben"), Err(Refused::Taken), "its name is kept");
    let back = rooms.resume("lobby", token, seen, conn(3)).unwrap();
    assert_eq!(back, Resumed { id: b, from: seen + 1, missed: 0, last_client: 1, former: None });
    assert_eq!(say(&mut rooms, b, "first", 1), None, "what was said is not said again");
    assert!(say(&mut rooms, b, "second", 2).is_some());
    let heard = bodies(&rooms.hear_bytes(b));
    let texts: Vec<_> = heard.iter().map(|body| body["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["while you were away", "second"]);
    rooms.leave(b, conn(2));
    assert_eq!(rooms.hear(a), "Ben: second\n", "the old connection's end is not the member's");
    rooms.leave(b, conn(3));
    assert_eq!(rooms.hear(a), "* Ben left\n");
    assert_eq!(rooms.resume("lobby", token, seen, conn(4)), None);
}

#[test]
fn who_stays_away_leaves() {
    let mut rooms = rooms();
    let (a, b) = (rooms.join_lobby(1), rooms.join("lobby", &frames(), Some("Ben"), conn(2)));
    rooms.announce(b);
    rooms.hear(a);
    let token = rooms.token(b).unwrap();
    rooms.suspend(b, conn(2), Time::START);
    let half = Time::START.after(ROOM_ABSENCE / 2);
    rooms.resume("lobby", token, 0, conn(2)).unwrap();
    rooms.suspend(b, conn(2), half);
    rooms.tick(Time::START.after(ROOM_ABSENCE));
    assert_eq!(rooms.hear(a), "", "it was away twice, each time shorter");
    assert_eq!(rooms.due(), half.after(ROOM_ABSENCE));
    rooms.tick(half.after(ROOM_ABSENCE));
    assert_eq!(rooms.hear(a), "* Ben left\n");
    assert_eq!((rooms.resume("lobby", token, 0, conn(3)), rooms.due()), (None, Time::NEVER));
    let plain = rooms.join_lobby(5);
    rooms.suspend(plain, conn(5), half);
    assert_eq!(rooms.author(plain), None, "without a token there is no coming back");
}

#[test]
fn a_gap_is_counted() {
    let mut rooms = rooms();
    let (a, b) = (rooms.join_lobby(1), rooms.join("lobby", &frames(), None, conn(2)));
    let token = rooms.token(b).unwrap();
    let seen = rooms.last_seq(b);
    rooms.suspend(b, conn(2), Time::START);
    for _ in 0..1000 {
        rooms.say_plain(a, &"x".repeat(1000));
    }
    let back = rooms.resume("lobby", token, seen, conn(3)).unwrap();
    assert!(back.missed > 500, "{back:?}");
    let heard = bodies(&rooms.hear_bytes(b));
    assert_eq!(heard[0]["seq"], back.from);
    assert_eq!(back.missed + heard.len() as u64, rooms.last_seq(b) - seen);
}

#[test]
fn a_second_connection_takes_the_membership_over() {
    let mut rooms = rooms();
    let b = rooms.join("lobby", &frames(), None, conn(2));
    let token = rooms.token(b).unwrap();
    let back = rooms.resume("lobby", token, 0, conn(3)).unwrap();
    assert_eq!(back.former, Some(conn(2)));
    assert_eq!(rooms.due(), Time::START, "an engine is to look at once");
    assert_eq!(rooms.take_expelled(), [conn(2)]);
    assert!(rooms.is_held_by(b, conn(3)) && !rooms.is_held_by(b, conn(2)));
    rooms.suspend(b, conn(2), Time::START);
    assert_eq!(rooms.due(), Time::NEVER, "the old connection has no say any more");
    let shown: Token = token.to_string().parse().unwrap();
    assert_eq!(shown, token);
    assert_eq!(format!("{token:?}"), "Token(..)", "no log gets to know it");
}

#[test]
fn no_token_can_be_made_up() {
    let mut rooms = rooms();
    let members = [1, 2].map(|n| rooms.join("lobby", &frames(), None, conn(n)));
    let [first, second] = members.map(|id| rooms.token(id).unwrap().to_string());
    let (place, seal) = second.split_at(8);
    for forged in [format!("{place}{}", &first[8..]), format!("{}{seal}", &first[..8]), "0".repeat(32)] {
        assert_eq!(rooms.resume("lobby", forged.parse().unwrap(), 0, conn(3)), None, "{forged}");
    }
    // Its place is another's by now.
    rooms.leave(members[1], conn(2));
    let third = rooms.join("lobby", &frames(), None, conn(4));
    assert_eq!(third, members[1]);
    rooms.token(third).unwrap();
    assert_eq!(rooms.resume("lobby", second.parse().unwrap(), 0, conn(5)), None);
}
