//! Who is called what: one of a kind in the whole daemon, so that a name means the same in every room.
//!
//! A name has letters and digits of any script, `-`, `_` and `.`: no blank, no colon, no asterisk, so that
//! no name looks like a notice or like somebody's line. Names that differ in case only are the same.
//! A guest's name is the service's word and the author's number, which nobody else ever has: it is stored
//! nowhere, and nobody may take one like it.

use std::collections::HashMap;

use super::Refused;
use super::member::MemberId;

/// Longest name of a member or a room, in bytes.
pub const MAX_NAME: usize = 32;

/// The names taken, in small letters.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashMap<Box<str>, MemberId>,
    /// The words that guests' names begin with, in small letters: one per service at the most.
    guests: Vec<Box<str>>,
}

impl Names {
    /// From now on, this word and a number is a guest's name.
    pub(super) fn reserve(&mut self, guest: &str) {
        let guest = guest.to_lowercase();
        if !self.guests.iter().any(|word| **word == *guest) {
            self.guests.push(guest.into());
        }
    }

    /// Gives a name to a member.
    ///
    /// # Errors
    /// It is no name, a guest's, or somebody else's.
    pub(super) fn take(&mut self, name: &str, id: MemberId) -> Result<(), Refused> {
        if !is_name(name) {
            return Err(Refused::Unfit);
        }
        let folded = name.to_lowercase();
        if self.is_guest(&folded) {
            return Err(Refused::Reserved);
        }
        if self.taken.get(&*folded).is_some_and(|owner| *owner != id) {
            return Err(Refused::Taken);
        }
        self.taken.insert(folded.into(), id);
        Ok(())
    }

    /// Nobody is called that any more.
    pub(super) fn free(&mut self, name: &str) {
        self.taken.remove(&*name.to_lowercase());
    }

    /// Who is called that, if it is not a guest's name.
    pub(super) fn find(&self, name: &str) -> Option<MemberId> {
        self.taken.get(&*name.to_lowercase()).copied()
    }

    fn is_guest(&self, folded: &str) -> bool {
        let number = |word: &str| folded.strip_prefix(word).filter(|rest| !rest.is_empty());
        self.guests.iter().filter_map(|word| number(word)).any(|n| n.bytes().all(|b| b.is_ascii_digit()))
    }
}

/// Whether a name may be one, of a member or of a room.
pub fn is_name(name: &str) -> bool {
    let fit = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(fit)
}
