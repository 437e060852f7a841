//! Lines of a chat: who says them, and that everybody else gets each one once, in order, and whole.
//!
//! A line says who sent it, the how-many-eth it is, and when it was sent. What a server puts before it (a
//! name, an address) is passed over, as are lines that are nobody's (`* guest2 joined`).

use serde::{Deserialize, Serialize};

use super::Mistake;
use crate::load::clock::Nanos;
use crate::load::fault::Fault;

/// Shortest line that has room for everything.
pub const SHORTEST: usize = 64;
/// Longest line that is waited for.
const LONGEST: usize = 128 * 1024;

/// Who says how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Bytes of a line, with its line feed.
    pub size: usize,
    /// How many of the members say something.
    pub senders: u32,
    /// Different in each run, so that another run's lines are not taken for ours.
    pub run: u32,
}

impl Recipe {
    /// A line. Number 0 is the roll call: said until everybody has heard it.
    pub fn line(&self, sender: u32, number: u32, time: Nanos) -> Vec<u8> {
        let mut line = format!("sb{:08x}:{sender:x}:{number:x}:{time:x}:", self.run).into_bytes();
        pad(&mut line, number, self.size);
        line
    }

    /// What every line of ours has in it.
    fn mark(&self) -> String {
        format!("sb{:08x}:", self.run)
    }
}

fn pad(line: &mut Vec<u8>, number: u32, size: usize) {
    let letters = b"abcdefghijklmnopqrstuvwxyz";
    let missing = size.saturating_sub(line.len() + 1);
    line.extend((0..missing).map(|at| letters.get((at + number as usize) % 26).copied().unwrap_or(b'a')));
    line.push(b'\n');
}

/// A line that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Who said it.
    pub sender: u32,
    /// Its number.
    pub number: u32,
    /// When it was sent.
    pub time: Nanos,
    /// How many before it did not come.
    pub missed: u32,
}

/// What one member has heard.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Which of the senders it is, if any: its own lines may come back or not.
    pub me: Option<u32>,
    /// Whether it has heard the roll call, so that the server has it in the room.
    pub present: bool,
    /// A line that is not whole.
    pending: Vec<u8>,
    /// By sender, the number that comes next.
    next: Vec<u32>,
}

impl Receiver {
    /// One that has heard nothing.
    pub fn new(recipe: &Recipe, me: Option<u32>) -> Self {
        Self { me, present: false, pending: Vec::new(), next: vec![1; recipe.senders as usize] }
    }

    /// The number of the next line of a sender.
    pub fn next_of(&self, sender: u32) -> u32 {
        self.next.get(sender as usize).copied().unwrap_or(u32::MAX)
    }

    /// Takes what came, and adds the lines of others that it completes.
    ///
    /// # Errors
    /// A line is not what was sent, or came again, or in the wrong order.
    pub fn take(&mut self, recipe: &Recipe, bytes: &[u8], heard: &mut Vec<Heard>) -> Result<(), Mistake> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.pending.is_empty() && part.ends_with(b"\n") {
                self.line(recipe, part, heard)?;
                continue;
            }
            self.pending.extend_from_slice(part);
            if self.pending.ends_with(b"\n") {
                let line = std::mem::take(&mut self.pending);
                self.line(recipe, &line, heard)?;
            } else if self.pending.len() > LONGEST {
                return Err(mistake(Fault::Wrong, "a line feed", &self.pending));
            }
        }
        Ok(())
    }

    fn line(&mut self, recipe: &Recipe, line: &[u8], heard: &mut Vec<Heard>) -> Result<(), Mistake> {
        let Some(at) = memchr::memmem::find(line, recipe.mark().as_bytes()) else { return Ok(()) };
        let text = line.get(at..).unwrap_or_default();
        let said = parse(text).ok_or_else(|| mistake(Fault::Wrong, "a whole line", text))?;
        let whole = recipe.line(said.sender, said.number, said.time);
        if text.trim_ascii_end() != whole.trim_ascii_end() {
            return Err(Mistake::new(at as u64, &whole, text, "a chat line was changed".to_owned()));
        }
        if said.number == 0 {
            self.present = true;
            return Ok(());
        }
        if self.me == Some(said.sender) {
            return Ok(());
        }
        let next = self.next.get_mut(said.sender as usize);
        let next = next.ok_or_else(|| mistake(Fault::Wrong, "a line of a sender that there is", text))?;
        if said.number < *next {
            let expected = format!("line {next} of sender {}", said.sender);
            return Err(mistake(Fault::Disorder, &expected, text));
        }
        let missed = said.number - *next;
        *next = said.number + 1;
        heard.push(Heard { missed, ..said });
        Ok(())
    }
}

fn parse(text: &[u8]) -> Option<Heard> {
    let mut fields = std::str::from_utf8(text).ok()?.split(':').skip(1);
    let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
    let (sender, count, time) = (number()?, number()?, number()?);
    Some(Heard { sender: sender.try_into().ok()?, number: count.try_into().ok()?, time, missed: 0 })
}

fn mistake(fault: Fault, expected: &str, came: &[u8]) -> Mistake {
    Mistake { fault, expected: expected.to_owned(), ..Mistake::new(0, b"", came, String::new()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: Recipe = Recipe { size: 80, senders: 2, run: 0xbeef };

    fn take(receiver: &mut Receiver, bytes: &[u8]) -> Result<Vec<(u32, u32, u32)>, Mistake> {
        let mut heard = Vec::new();
        receiver.take(&RECIPE, bytes, &mut heard)?;
        Ok(heard.iter().map(|line| (line.sender, line.number, line.missed)).collect())
    }

    #[test]
    fn lines_of_others_are_heard_whatever_stands_around_them() {
        let mut receiver = Receiver::new(&RECIPE, Some(1));
        let mut bytes = b"* guest2 joined\nguest1: ".to_vec();
        bytes.extend(RECIPE.line(0, 0, 5));
        bytes.extend(RECIPE.line(1, 1, 5));
        bytes.extend(b"<127.0.0.1> ");
        bytes.extend(RECIPE.line(0, 1, 6));
        for part in bytes.chunks(7).take(bytes.len().div_ceil(7) - 1) {
            assert_eq!(take(&mut receiver, part), Ok(vec![]));
        }
        let rest = bytes.len() / 7 * 7;
        assert_eq!(take(&mut receiver, &bytes[rest..]), Ok(vec![(0, 1, 0)]));
        assert!(receiver.present);
    }

    #[test]
    fn gaps_are_counted_and_repetitions_are_wrong() {
        let mut receiver = Receiver::new(&RECIPE, None);
        assert_eq!(take(&mut receiver, &RECIPE.line(0, 1, 9)), Ok(vec![(0, 1, 0)]));
        assert_eq!(take(&mut receiver, &RECIPE.line(0, 4, 9)), Ok(vec![(0, 4, 2)]));
        assert_eq!(take(&mut receiver, &RECIPE.line(1, 1, 9)), Ok(vec![(1, 1, 0)]));
        assert_eq!(take(&mut receiver, &RECIPE.line(0, 4, 9)).unwrap_err().fault, Fault::Disorder);
        let mut changed = RECIPE.line(1, 2, 9);
        changed[60] ^= 1;
        assert_eq!(take(&mut receiver, &changed).unwrap_err().fault, Fault::Wrong);
    }

    #[test]
    fn a_line_has_its_size() {
        assert_eq!(RECIPE.line(1, 77, 123_456_789_012_345).len(), 80);
        let longest = Recipe { size: SHORTEST, ..RECIPE }.line(0xffff, 0xff_ffff, u64::MAX / 256);
        assert_eq!(longest.len(), SHORTEST);
    }
}
