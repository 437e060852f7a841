//! Who came and went, gathered into one line: in a large room a notice for each would be all that is heard.

use std::fmt::Write;

use crate::limits::ROOM_NAMES_SHOWN;

/// What has gathered since the last line.
#[derive(Debug, Default)]
pub(super) struct Presence {
    joined: Names,
    left: Names,
}

#[derive(Debug, Default)]
struct Names {
    shown: Vec<String>,
    more: usize,
}

impl Presence {
    pub(super) fn note(&mut self, name: &str, joined: bool) {
        let names = if joined { &mut self.joined } else { &mut self.left };
        if names.shown.len() < ROOM_NAMES_SHOWN {
            names.shown.push(name.to_owned());
        } else {
            names.more += 1;
        }
    }

    /// `ali, ben and 40 others joined; cem left`.
    pub(super) fn line(&self) -> String {
        let parts = [self.joined.part("joined"), self.left.part("left")];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

impl Names {
    fn part(&self, verb: &str) -> String {
        let mut part = self.shown.join(", ");
        if self.more > 0 {
            let plural = if self.more == 1 { "" } else { "s" };
            // Writing to a string cannot fail.
            let _ = write!(part, " and {} other{plural}", self.more);
        }
        if part.is_empty() { part } else { format!("{part} {verb}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_counted() {
        let mut presence = Presence::default();
        presence.note("ali", true);
        presence.note("ben", false);
        assert_eq!(presence.line(), "ali joined; ben left");
        for n in 0..ROOM_NAMES_SHOWN {
            presence.note(&n.to_string(), false);
        }
        assert!(presence.line().starts_with("ali joined; ben, 0, 1, "), "{}", presence.line());
        assert!(presence.line().ends_with(" and 1 other left"), "{}", presence.line());
    }
}
