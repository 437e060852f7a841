//! The rooms against a model: every member hears exactly what was for it after it joined, in order, minus
//! what it was told it missed; in whatever rooms, forms and pieces.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Join { form: u8, room: u8 },
    Leave(usize),
    Say(usize, usize),
    Act(usize, usize),
    Tell(usize, usize, usize),
    Rename(usize, u8),
    Move(usize, u8),
    Feed(usize, usize),
    Reply(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (who, size) = (0usize..6, 1usize..6000);
    prop_oneof![
        2 => (0u8..4, 0u8..2).prop_map(|(form, room)| Step::Join { form, room }),
        1 => who.clone().prop_map(Step::Leave),
        6 => (who.clone(), size.clone()).prop_map(|(who, size)| Step::Say(who, size)),
        1 => (who.clone(), size.clone()).prop_map(|(who, size)| Step::Act(who, size)),
        2 => (who.clone(), who.clone(), size.clone()).prop_map(|(who, to, size)| Step::Tell(who, to, size)),
        1 => (who.clone(), 0u8..4).prop_map(|(who, name)| Step::Rename(who, name)),
        1 => (who.clone(), 0u8..3).prop_map(|(who, room)| Step::Move(who, room)),
        4 => (who.clone(), size).prop_map(|(who, size)| Step::Feed(who, size)),
        1 => who.prop_map(Step::Reply),
    ]
}

/// What the model knows of a member.
#[derive(Debug)]
struct Known {
    id: MemberId,
    key: u32,
    form: Form,
    room: String,
    name: String,
    /// What it must have heard by the end: a text, or that it skips the rest of a room.
    owed: Vec<Owed>,
    heard: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq)]
enum Owed {
    Line(String),
    /// From here back, so many lines may be missing without a word.
    Skipped(usize),
}

#[derive(Debug)]
struct Model {
    rooms: Rooms,
    members: Vec<Known>,
    next: u32,
}

const FORMS: [Form; 4] = [
    Form::Line(Style { raw: false, timestamps: false }),
    Form::Line(Style { raw: true, timestamps: false }),
    Form::Line(Style { raw: false, timestamps: true }),
    Form::Frame,
];

/// What a member of a form makes of an entry.
fn shown(form: Form, kind: Kind, name: &str, text: &str) -> Option<String> {
    let line = match (form, kind) {
        (Form::Frame, kind) => return Some(format!("{} {name} {text}", kind.word())),
        (Form::Line(Style { raw: true, .. }), Kind::Notice) => return None,
        (Form::Line(Style { raw: true, .. }), _) => text.to_owned(),
        (_, Kind::Said) => format!("{name}: {text}"),
        (_, Kind::Action) => format!("** {name} {text}"),
        (_, Kind::Notice) => format!("* {text}"),
        (_, Kind::Private) => format!("{name} (to you): {text}"),
    };
    let timed = form == Form::Line(Style { raw: false, timestamps: true });
    Some(if timed { format!("[01:07:09] {line}") } else { line })
}

impl Model {
    /// The model's side of an entry; `to` hears it alone.
    fn owe(&mut self, by: usize, kind: Kind, text: &str, to: Option<usize>) {
        let (author, name) = (self.members[by].key, self.members[by].name.clone());
        let room = self.members[to.unwrap_or(by)].room.clone();
        let name = if kind == Kind::Notice { String::new() } else { name };
        let target = to.map(|to| self.members[to].key);
        for member in &mut self.members {
            let own = member.key == author;
            let hears = match target {
                Some(target) => member.key == target || (own && member.form.hears_own()),
                None => !own || member.form.hears_own(),
            };
            if member.room == room && hears {
                member.owed.extend(shown(member.form, kind, &name, text).map(Owed::Line));
            }
        }
    }

    fn step(&mut self, step: &Step) {
        let count = self.members.len();
        match *step {
            Step::Join { form, room } if count < 6 => {
                let form = FORMS[usize::from(form)];
                let room = format!("room{room}");
                let profile = Profile { form, ..lines(0) };
                let id = self.rooms.join(&room, &profile, None, conn(self.next));
                let (key, name) = (self.next, self.rooms.name(id));
                self.members.push(Known { id, key, form, room, name, owed: vec![], heard: vec![] });
                self.next += 1;
                self.rooms.announce(id);
                let text = format!("{} joined", self.members[count].name);
                self.owe(count, Kind::Notice, &text, None);
            }
            Step::Leave(who) if who < count => {
                let text = format!("{} left", self.members[who].name);
                self.owe(who, Kind::Notice, &text, None);
                let gone = self.members.remove(who);
                self.rooms.leave(gone.id, conn(gone.key));
            }
            Step::Say(who, size) if who < count => self.say(who, Kind::Said, size),
            Step::Act(who, size) if who < count => self.say(who, Kind::Action, size),
            Step::Tell(who, to, size) if who < count && to < count => {
                let text = "p".repeat(size);
                let (from, name) = (self.members[who].id, self.members[to].name.clone());
                self.rooms.tell(from, &name, Saying { kind: Kind::Private, text: &text, client: 0 }).unwrap();
                self.owe(who, Kind::Private, &text, Some(to));
            }
            Step::Rename(who, name) if who < count => self.rename(who, &format!("name{name}")),
            Step::Move(who, room) if who < count => self.go(who, format!("room{room}")),
            Step::Feed(who, size) if who < count => {
                let Known { id, heard, .. } = &mut self.members[who];
                self.rooms.feed(*id, Time::START, |bytes| {
                    let taken = bytes.len().min(size);
                    heard.extend_from_slice(&bytes[..taken]);
                    taken
                });
            }
            Step::Reply(who) if who < count => self.finish_line(who),
            _ => {}
        }
    }

    fn say(&mut self, who: usize, kind: Kind, size: usize) {
        let text = "y".repeat(size);
        self.rooms.say(self.members[who].id, Saying { kind, text: &text, client: 0 });
        self.owe(who, kind, &text, None);
    }

    fn rename(&mut self, who: usize, name: &str) {
        let old = self.members[who].name.clone();
        let taken = self.members.iter().any(|member| member.name == name);
        let expected = if taken && old != name { Err(Refused::Taken) } else { Ok(()) };
        assert_eq!(self.rooms.rename(self.members[who].id, name), expected);
        if !taken {
            self.members[who].name = name.to_owned();
            self.owe(who, Kind::Notice, &format!("{old} is now {name}"), None);
        }
    }

    fn go(&mut self, who: usize, room: String) {
        if room == self.members[who].room {
            return;
        }
        self.finish_line(who);
        let name = self.members[who].name.clone();
        let skipped = self.rooms.move_to(self.members[who].id, &room).unwrap();
        let skipped = usize::try_from(skipped).unwrap();
        self.members[who].owed.push(Owed::Skipped(skipped));
        // Its own leaving is no line for itself, whatever the form: it is elsewhere by then.
        let before = self.members[who].owed.len();
        self.owe(who, Kind::Notice, &format!("{name} left"), None);
        self.members[who].owed.truncate(before);
        self.members[who].room = room;
        self.owe(who, Kind::Notice, &format!("{name} joined"), None);
    }

    fn finish_line(&mut self, who: usize) {
        let mut out = Out::default();
        self.rooms.finish_line(self.members[who].id, &mut out);
        self.members[who].heard.extend_from_slice(out.bytes());
    }

    fn check(mut self) {
        for member in std::mem::take(&mut self.members) {
            let heard = [member.heard, self.rooms.hear_bytes(member.id)].concat();
            let heard = if member.form == Form::Frame { framed(&heard) } else { lined(&heard) };
            compare(heard, &member.owed, member.form.has_notices());
        }
    }
}

/// What was heard: a line, or how many were missed.
fn lined(heard: &[u8]) -> Vec<Result<String, usize>> {
    let text = str::from_utf8(heard).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let line = |line: &str| match line.strip_prefix("* you missed ") {
        Some(rest) => Err(rest.split(' ').next().unwrap().parse().unwrap()),
        None => Ok(line.to_owned()),
    };
    text.lines().map(line).collect()
}

fn framed(heard: &[u8]) -> Vec<Result<String, usize>> {
    let item = |body: serde_json::Value| {
        if let Some(missed) = body["missed"].as_u64() {
            return Err(usize::try_from(missed).unwrap());
        }
        let word = |key: &str| body[key].as_str().unwrap().to_owned();
        Ok(format!("{} {} {}", word("kind"), word("name"), word("text")))
    };
    bodies(heard).into_iter().map(item).collect()
}

/// Both in order; whoever is told how much it missed must have missed just that. One who is told nothing
/// must at least hear nothing else.
fn compare(heard: Vec<Result<String, usize>>, owed: &[Owed], is_told: bool) {
    let mut heard = heard.into_iter().peekable();
    for room in owed.split_inclusive(|owed| matches!(owed, Owed::Skipped(_))) {
        let (mut lines, skipped) = match room.split_last() {
            Some((Owed::Skipped(n), lines)) => (lines, *n),
            _ => (room, 0),
        };
        while lines.len() > skipped || (!is_told && !lines.is_empty()) {
            let passed = match heard.peek() {
                Some(Ok(line)) if lines[0] == Owed::Line(line.clone()) => 1,
                Some(Err(missed)) => *missed,
                _ if !is_told => {
                    lines = &lines[1..];
                    continue;
                }
                other => panic!("heard {other:?} instead of {:?}", lines[0]),
            };
            heard.next();
            assert!(passed <= lines.len(), "it was told of more than it missed");
            lines = &lines[passed..];
        }
        assert!(!is_told || lines.len() == skipped, "{} are missing, not {skipped}", lines.len());
    }
    assert_eq!(heard.next(), None);
}

proptest! {
    #[test]
    fn everyone_hears_what_is_for_it(steps in prop::collection::vec(step(), 1..200)) {
        let mut model = Model { rooms: rooms(), members: Vec::new(), next: 0 };
        for step in &steps {
            model.step(step);
        }
        model.check();
    }
}
