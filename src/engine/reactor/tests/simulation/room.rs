//! What the room promises: everybody gets the lines of all others, whole, in the same order; who was too
//! slow is told exactly how many are missing, where they are missing.
//!
//! The witness says nothing and reads at once, so it has every line of the log but that of its own coming.
//! With that each member's lines are compared.

use std::collections::HashMap;

/// Lines that are for one member alone.
const PRIVATE: [&str; 2] = ["* here: ", "* the server is going down"];

/// The room's log, as the witness heard it.
#[derive(Debug)]
pub(super) struct Log<'a> {
    lines: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
}

/// One who listened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listener<'a> {
    pub(super) guest: usize,
    pub(super) heard: &'a [u8],
    /// It stayed to the end, and everything was delivered.
    pub(super) is_final: bool,
}

impl<'a> Log<'a> {
    pub(super) fn new(heard: &'a [u8]) -> Result<Self, String> {
        let lines = whole_lines(heard, true)?;
        let places: HashMap<_, _> = lines.iter().enumerate().map(|(at, line)| (*line, at)).collect();
        if places.len() < lines.len() {
            return Err("the witness heard a line twice".to_owned());
        }
        Ok(Self { lines, places })
    }

    /// Compares what a member heard with the log.
    pub(super) fn check(&self, listener: Listener<'_>) -> Result<(), String> {
        let own = format!("guest{}", listener.guest);
        let came = format!("* {own} joined");
        let mut next = self.places.get(&*came).copied();
        let (mut has_heard, mut missed) = (false, 0);
        for line in whole_lines(listener.heard, listener.is_final)? {
            if let Some(more) = line.strip_prefix("* you missed ") {
                missed += more.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
                continue;
            }
            let Some(&place) = self.places.get(line) else {
                return Err(format!("it heard what nobody said: {}", shorten(line)));
            };
            if is_of(line, &own) {
                return Err(format!("it heard itself: {}", shorten(line)));
            }
            let is_first = !std::mem::replace(&mut has_heard, true);
            // Whoever comes hears everything from before the others are told of it.
            let from = next.filter(|from| !is_first || *from < place).unwrap_or(place);
            if place < from {
                return Err(format!("it heard this too late: {}", shorten(line)));
            }
            let lost = self.count(from..place, &own);
            if lost != missed && !(is_first && lost < missed) {
                return Err(format!("{lost} lines are missing before {}, not {missed}", shorten(line)));
            }
            (next, missed) = (Some(place + 1), 0);
        }
        let lost = next.map_or(0, |next| self.count(next..self.lines.len(), &own));
        if listener.is_final && lost != missed {
            return Err(format!("{lost} lines are missing at the end, not {missed}"));
        }
        Ok(())
    }

    /// Who has left is known to have, if it was known to be there. In a large room that is gathered.
    pub(super) fn check_leaving(&self, guest: usize, has_left: bool) -> Result<(), String> {
        let knows = |what: &str| self.places.contains_key(&*format!("* guest{guest} {what}"));
        let is_wrong = if has_left { knows("joined") && !knows("left") } else { knows("left") };
        let gathers = self.lines.iter().any(|line| line.starts_with("* ") && line.contains(", "));
        if is_wrong && !gathers {
            Err("what the room knows of its leaving is wrong".to_owned())
        } else {
            Ok(())
        }
    }

    fn count(&self, range: std::ops::Range<usize>, own: &str) -> usize {
        self.lines[range].iter().filter(|line| !is_of(line, own)).count()
    }
}

/// Whether a member is the author of a line, or it is a notice about it.
fn is_of(line: &str, name: &str) -> bool {
    let rest = line.trim_start_matches(['*', ' ']).strip_prefix(name);
    let notice = line.starts_with("* ") && rest.is_some_and(|rest| rest == " joined" || rest == " left");
    notice || (!line.starts_with("* ") && rest.is_some_and(|rest| rest.starts_with([':', ' '])))
}

/// The lines; those for one alone are left out, and the last if it is not whole.
fn whole_lines(heard: &[u8], is_final: bool) -> Result<Vec<&str>, String> {
    let end = heard.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if is_final && end < heard.len() {
        return Err("the last line is not whole".to_owned());
    }
    let text = std::str::from_utf8(&heard[..end]).map_err(|error| error.to_string())?;
    let private = |line: &&str| PRIVATE.iter().any(|private| line.starts_with(private));
    Ok(text.lines().filter(|line| !private(line)).collect())
}

fn shorten(line: &str) -> String {
    line.chars().take(60).collect()
}
