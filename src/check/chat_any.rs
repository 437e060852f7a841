//! The multiuser chat of labs A and B, whatever it puts before a line: what one types, all others see.
//!
//! Nothing is assumed of names, notices or commands. That a member is in the room shows by its hearing
//! what another one says until then.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{Case, Client, Failure, Outcome, Target};

const P: &str = "chat";
/// How long one call to a new member is given before the next.
const CALL: Duration = Duration::from_millis(100);
/// How long to listen for what must not come.
const SILENCE: Duration = Duration::from_millis(300);
/// More than the kernels at both ends keep for one connection.
const FLOOD: usize = 3000;

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "all_others",
        "what one types, all the others see",
        "it is sent to one client only",
        all_others,
    )
    .remedy("keep a list of the sockets, and send to each of it but the one it came from")
    .several(),
    Case::new(
        P,
        "not_oneself",
        "who says something does not get it back",
        "the message is sent to everyone",
        not_oneself,
    )
    .remedy("skip the socket that the message came from")
    .several(),
    Case::new(
        P,
        "no_line_end",
        "a message without a line end is seen by the others",
        "the server waits for a newline",
        no_line_end,
    )
    .remedy("the labs' clients send what input() gives, which has no line end")
    .several(),
    Case::new(
        P,
        "in_order",
        "two hundred lines sent at once are seen whole and in order",
        "a buffer is taken for one line and cut, or a thread per message mixes them",
        in_order,
    )
    .several(),
    Case::new(
        P,
        "thirty_members",
        "each of thirty members sees every line exactly once",
        "a list is changed while it is walked, or the backlog is small",
        thirty_members,
    )
    .remedy("walk over a copy of the list: for s in list(sockets)")
    .several(),
    Case::new(
        P,
        "last_words",
        "what a member says before it leaves is seen",
        "the bytes that came with the end are dropped",
        last_words,
    )
    .several(),
    Case::new(
        P,
        "leaving",
        "when members leave, the others talk on",
        "a closed socket stays in the list, and sending to it fails",
        leaving,
    )
    .remedy("take a socket out of the list when recv() returns nothing or sending fails")
    .several(),
    Case::new(
        P,
        "member_resets",
        "members that reset harm nobody",
        "ConnectionResetError, or BrokenPipeError while sending to others, is not caught",
        member_resets,
    )
    .remedy("catch OSError around every recv() and sendall()")
    .several(),
    Case::new(
        P,
        "characters",
        "characters of any language arrive as they were sent",
        "text is decoded as ASCII",
        characters,
    )
    .several(),
    Case::new(
        P,
        "half_lines",
        "the halves of two people's lines are never mixed",
        "each recv is passed on as if it were a line",
        half_lines,
    )
    .remedy("collect what each client sends until its line is complete")
    .advised()
    .several(),
    Case::new(
        P,
        "who_does_not_read",
        "a member that does not read keeps nobody waiting",
        "sendall to it blocks the loop, or the thread of whoever speaks",
        who_does_not_read,
    )
    .remedy("give each member a queue and a thread of its own, or drop members whose socket takes no more")
    .advised()
    .several(),
];

/// A word that nobody in this room has said before.
fn word(about: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{about}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn say(client: &mut Client, text: &str) -> Outcome {
    client.send(format!("{text}\n").as_bytes()).map(drop)
}

fn expect(client: &mut Client, text: &str) -> Outcome {
    let told = |failure: Failure| {
        let expected = format!("{}, which another member sent", failure.expected);
        Failure { expected, ..failure }
    };
    client.find(text.as_bytes()).map(drop).map_err(told)
}

/// `n` members, each of whom is in the room for certain.
fn meet(target: &Target, n: usize) -> Outcome<Vec<Client>> {
    let mut members = vec![Client::connect(target)?];
    while members.len() < n {
        let mut new = Client::connect(target)?;
        let deadline = Instant::now() + target.within;
        loop {
            let call = word("are-you-there");
            say(members.first_mut().ok_or_else(nobody)?, &call)?;
            if new.hears(call.as_bytes(), CALL) {
                break;
            }
            if Instant::now() > deadline {
                return Err(new.unexpected("to see what another one types"));
            }
        }
        members.push(new);
    }
    Ok(members)
}

fn nobody() -> Failure {
    Failure::early("members", "there are none")
}

fn two(target: &Target) -> Outcome<[Client; 2]> {
    meet(target, 2)?.try_into().map_err(|_| nobody())
}

fn three(target: &Target) -> Outcome<[Client; 3]> {
    meet(target, 3)?.try_into().map_err(|_| nobody())
}

fn all_others(target: &Target) -> Outcome {
    let [mut a, mut b, mut c] = three(target)?;
    let (from_a, from_c) = (word("from-a"), word("from-c"));
    say(&mut a, &from_a)?;
    expect(&mut b, &from_a)?;
    expect(&mut c, &from_a)?;
    say(&mut c, &from_c)?;
    expect(&mut a, &from_c)?;
    expect(&mut b, &from_c)
}

fn not_oneself(target: &Target) -> Outcome {
    let [mut a, mut b] = two(target)?;
    let text = word("from-a");
    say(&mut a, &text)?;
    expect(&mut b, &text)?;
    if a.hears(text.as_bytes(), SILENCE) {
        return Err(a.unexpected("not to get back what it said itself"));
    }
    Ok(())
}

fn no_line_end(target: &Target) -> Outcome {
    // The second one has not ended a line yet, so no server can take it for one that does.
    let [mut a, mut b] = two(target)?;
    for text in [word("without-end"), word("again")] {
        b.send(text.as_bytes())?;
        expect(&mut a, &text)?;
    }
    Ok(())
}

fn in_order(target: &Target) -> Outcome {
    let [mut a, mut b] = two(target)?;
    let lines: Vec<String> = (0..200).map(|_| word("line")).collect();
    a.send((lines.join("\n") + "\n").as_bytes())?;
    lines.iter().try_for_each(|line| expect(&mut b, line))
}

fn thirty_members(target: &Target) -> Outcome {
    let mut members = meet(target, 30)?;
    let lines: Vec<String> = members.iter().map(|_| word("from") + ";").collect();
    for (member, line) in members.iter_mut().zip(&lines) {
        say(member, line)?;
    }
    for (number, member) in members.iter_mut().enumerate() {
        let mut heard = Vec::new();
        let others = || lines.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, line)| line);
        let deadline = Instant::now() + target.within;
        while !others().all(|line| count(&heard, line) > 0) && Instant::now() < deadline {
            heard.extend(member.until_quiet(CALL)?);
        }
        if let Some(line) = others().find(|line| count(&heard, line) != 1) {
            let times = count(&heard, line);
            return Err(member.unexpected(&format!("each line of 29 others once, not {line} {times} times")));
        }
    }
    Ok(())
}

fn count(heard: &[u8], line: &str) -> usize {
    heard.windows(line.len()).filter(|window| *window == line.as_bytes()).count()
}

fn last_words(target: &Target) -> Outcome {
    let [mut a, mut b] = two(target)?;
    let text = word("last-words");
    a.send(text.as_bytes())?.half_close()?;
    expect(&mut b, &text)
}

fn leaving(target: &Target) -> Outcome {
    let [mut a, mut b, c] = three(target)?;
    drop(c);
    for _ in 0..3 {
        let text = word("still-here");
        say(&mut a, &text)?;
        expect(&mut b, &text)?;
    }
    Ok(())
}

fn member_resets(target: &Target) -> Outcome {
    let [mut a, mut b, mut c] = three(target)?;
    c.send(b"half a li")?;
    c.reset();
    for _ in 0..3 {
        let text = word("still-here");
        say(&mut a, &text)?;
        expect(&mut b, &text)?;
    }
    Ok(())
}

fn characters(target: &Target) -> Outcome {
    let [mut a, mut b] = two(target)?;
    let text = format!("{} na\u{ef}ve \u{4f60}\u{597d} \u{1f980}", word("text"));
    say(&mut a, &text)?;
    expect(&mut b, &text)
}

fn half_lines(target: &Target) -> Outcome {
    let [mut a, mut b, mut c] = three(target)?;
    let (one, other) = (word("aaaa"), word("bbbb"));
    // Both end their lines, so both are known to.
    for member in [&mut a, &mut b] {
        let text = word("hello");
        say(member, &text)?;
        expect(&mut c, &text)?;
    }
    let (first, second) = one.split_at(4);
    a.send(first.as_bytes())?.pause(CALL);
    say(&mut b, &other)?;
    expect(&mut c, &other)?;
    say(&mut a, second)?;
    expect(&mut c, &one)
}

fn who_does_not_read(target: &Target) -> Outcome {
    let [mut a, mut b, _stalled] = three(target)?;
    let filling = "x".repeat(4000);
    for _ in 0..FLOOD {
        let text = word("flood");
        say(&mut a, &format!("{filling} {text}"))?;
        expect(&mut b, &text)?;
    }
    Ok(())
}
