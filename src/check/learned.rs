//! What a server makes of a message, learnt by asking it: labs B and D leave to the student whether a
//! message gets a prefix or a name, is reversed, counted, or put in capitals.

use std::time::Duration;

use super::{Client, Outcome, Target};

/// Longer than the pause after which an answer without a line end counts as complete.
const QUIET: Duration = Duration::from_millis(250);
/// Two messages that no change turns into the same answer.
const ASKED: [&str; 2] = ["Hello", "Networks: Lab 2"];

/// What may be done to the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Same,
    Upper,
    Lower,
    Swapped,
    Title,
    Reversed,
    Length,
}

const CHANGES: [Change; 7] = [
    Change::Same,
    Change::Upper,
    Change::Lower,
    Change::Swapped,
    Change::Title,
    Change::Reversed,
    Change::Length,
];

impl Change {
    fn of(self, text: &str) -> String {
        let swap = |c: char| if c.is_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
        match self {
            Self::Same => text.to_owned(),
            Self::Upper => text.to_uppercase(),
            Self::Lower => text.to_lowercase(),
            Self::Swapped => text.chars().map(swap).collect(),
            Self::Title => title(text),
            Self::Reversed => text.chars().rev().collect(),
            Self::Length => text.len().to_string(),
        }
    }
}

/// Every word begins with a capital, as Python's `title` has it.
fn title(text: &str) -> String {
    let mut inside = false;
    let letter = |c: char| {
        let was_inside = std::mem::replace(&mut inside, c.is_alphabetic());
        if was_inside { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }
    };
    text.chars().map(letter).collect()
}

/// A server's way of answering: something before, the text changed, something after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Learned {
    before: Vec<u8>,
    change: Change,
    after: Vec<u8>,
}

impl Learned {
    /// Asks the server, twice, on connections of their own, without line ends.
    pub(super) fn from(target: &Target) -> Outcome<Self> {
        let [first, second] = ASKED;
        let (to_first, _) = ask(target, first)?;
        let (to_second, client) = ask(target, second)?;
        let fits = |learned: &Self| learned.answer(second) == to_second;
        let found = CHANGES.iter().flat_map(|change| Self::possible(*change, first, &to_first)).find(fits);
        found.ok_or_else(|| {
            client.unexpected(
                "an answer made of the message in one way: something before or after it, capitals, \
                 reversed, or its length",
            )
        })
    }

    /// Every way in which `answer` may have been made of `text` by this change.
    fn possible(change: Change, text: &str, answer: &[u8]) -> Vec<Self> {
        let changed = change.of(text).into_bytes();
        let places = answer.windows(changed.len().max(1)).enumerate();
        let fitting = places.filter(|(_, window)| *window == changed.as_slice()).map(|(at, _)| at);
        let split = |at: usize| Self {
            before: answer.get(..at).unwrap_or_default().to_vec(),
            change,
            after: answer.get(at + changed.len()..).unwrap_or_default().to_vec(),
        };
        fitting.map(split).collect()
    }

    /// The answer to a message without a line end.
    pub(super) fn answer(&self, text: &str) -> Vec<u8> {
        [&self.before, self.change.of(text).as_bytes(), &self.after].concat()
    }

    /// What an answer to this text has in it, wherever the server puts a line end that was sent with it.
    /// A server that counts may count that too.
    pub(super) fn core(&self, text: &str) -> Vec<u8> {
        if self.change == Change::Length { Vec::new() } else { self.change.of(text).into_bytes() }
    }
}

/// The answer to a message without a line end, on a connection of its own; and that connection.
fn ask(target: &Target, text: &str) -> Outcome<(Vec<u8>, Client)> {
    let mut client = Client::connect(target)?;
    client.send(text.as_bytes())?;
    let answer = client.until_quiet(QUIET)?;
    Ok((answer, client))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(answers: [&str; 2]) -> Option<Learned> {
        let fits = |learned: &Learned| learned.answer(ASKED[1]) == answers[1].as_bytes();
        let possible = |change: &Change| Learned::possible(*change, ASKED[0], answers[0].as_bytes());
        CHANGES.iter().flat_map(possible).find(fits)
    }

    #[test]
    fn the_changes_of_the_sheets_are_learnt() {
        let answers = |first: &str, second: &str| learned([first, second]).map(|l| l.answer("Ab c"));
        let is = |first, second, third: &str| assert_eq!(answers(first, second), Some(third.into()));
        is("Hello Ali", "Networks: Lab 2 Ali", "Ab c Ali");
        is("Here's the data: Hello", "Here's the data: Networks: Lab 2", "Here's the data: Ab c");
        is("olleH", "2 baL :skrowteN", "c bA");
        is("5", "15", "4");
        is("length 5\n", "length 15\n", "length 4\n");
        is("HELLO", "NETWORKS: LAB 2", "AB C");
        is("hELLO!", "nETWORKS: lAB 2!", "aB C!");
    }

    #[test]
    fn an_answer_that_has_nothing_to_do_with_the_message_is_not() {
        assert_eq!(learned(["Thanks", "Thanks"]), None);
        assert_eq!(learned(["Hello Ali", "Hello Ali"]), None);
        assert_eq!(learned(["", ""]), None);
    }
}
