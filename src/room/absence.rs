//! Members whose connection was lost and who come back: with a token, under the same name, at the entry
//! after the last one they heard.

use std::fmt;

use sha1::{Digest, Sha1};

use super::member::{Flags, MemberId};
use super::{Form, Rooms};
use crate::limits::{ROOM_ABSENCE, ROOM_ABSENT};
use crate::protocol::ConnId;
use crate::time::Time;

/// What proves a membership: in its first 32 bits the member's place, in the others a seal. Nobody can guess
/// one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token(u128);

impl Token {
    fn member(self) -> MemberId {
        MemberId::new((self.0 >> SEAL) as usize)
    }
}

/// Bits of a seal.
const SEAL: u32 = 96;

/// The token of a member: who does not know the secret cannot make one.
fn seal(secret: &[u8; 16], id: MemberId, author: u64) -> u128 {
    let key = id.key() as u128;
    let sum =
        Sha1::new().chain_update(secret).chain_update(key.to_be_bytes()).chain_update(author.to_be_bytes());
    let sum = sum.chain_update(secret).finalize();
    let bytes = sum.first_chunk::<16>().copied().unwrap_or_default();
    key << SEAL | u128::from_be_bytes(bytes) >> (128 - SEAL)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Token {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// A membership that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// The member, as before.
    pub id: MemberId,
    /// Number of the first entry that it will hear.
    pub from: u64,
    /// How many entries between are gone, at the most: some may not have been for it.
    pub missed: u64,
    /// The last number that its client gave to a line that was said.
    pub last_client: u64,
    /// The connection that had it, if that is not known to be gone.
    pub former: Option<ConnId>,
}

impl Rooms {
    /// The token of a member; `None` if this machine gives no random numbers. It is kept nowhere: it says
    /// which member that is, and what only this run of the daemon can have made of it.
    pub fn token(&mut self, id: MemberId) -> Option<Token> {
        let secret = self.secret?;
        let member = self.members.get_mut(id.key())?;
        member.flags.insert(Flags::HAS_TOKEN);
        Some(Token(seal(&secret, id, member.author)))
    }

    /// Takes a line's number for a line that is no entry of the log, such as a command; false if it was
    /// used before.
    pub fn claim(&mut self, id: MemberId, client: u64) -> bool {
        let Some(member) = self.members.get_mut(id.key()) else { return false };
        if client == 0 {
            return true;
        }
        let last = &mut member.extra().last_client;
        let is_new = client > *last;
        *last = client.max(*last);
        is_new
    }

    /// The connection of a member is gone; its name is kept for a while, and nobody is told that it left.
    /// Without a token it leaves. Nothing happens if the membership has gone over to another connection.
    pub fn suspend(&mut self, id: MemberId, conn: ConnId, now: Time) {
        let Some(member) = self.members.get_mut(id.key()).filter(|member| member.conn == conn) else {
            return;
        };
        if !member.is(Flags::HAS_TOKEN) {
            return self.leave(id, conn);
        }
        if member.is(Flags::ABSENT) {
            return;
        }
        member.flags.insert(Flags::ABSENT);
        let author = member.author;
        // What was half sent is lost with the connection: it comes again.
        member.offset = 0;
        member.extra().rest = Vec::new();
        member.extra().stalled = now;
        let awaited = member.is(Flags::AWAITED);
        member.flags.insert(Flags::AWAITED);
        self.absent.push_back((id, author));
        if !awaited {
            self.await_return(now.after(ROOM_ABSENCE), id, author);
        }
        if self.absent.len() > ROOM_ABSENT
            && let Some((id, author)) = self.absent.front().copied()
        {
            self.miss(id, author);
        }
    }

    /// A member comes back to `room` with its token: it goes on after entry `seq` of this run of the
    /// daemon, on another connection. `None` if there is no such member, or it is in another room.
    pub fn resume(&mut self, room: &str, token: Token, seq: u64, conn: ConnId) -> Option<Resumed> {
        let (secret, id) = (self.secret?, token.member());
        let member = self.members.get_mut(id.key()).filter(|member| member.is(Flags::HAS_TOKEN))?;
        if seal(&secret, id, member.author) != token.0 {
            return None;
        }
        let at = member.room;
        let log = &self.rooms.get(usize::from(at)).filter(|known| known.name.eq_ignore_ascii_case(room))?.log;
        let former = (!member.is(Flags::ABSENT)).then_some(member.conn);
        member.flags.remove(Flags::ABSENT);
        member.conn = conn;
        member.go_back(seq.saturating_add(1), log);
        let (from, author) = (member.cursor, member.author);
        let missed = from.saturating_sub(seq.saturating_add(1));
        let last_client = member.extra().last_client;
        self.absent.retain(|absent| *absent != (id, author));
        self.mark_pending(at);
        // Nobody reads there any more, and if somebody does, it is not for them.
        self.expelled.extend(former);
        Some(Resumed { id, from, missed, last_client, former })
    }

    /// Sees whether a member is still away, and for how long.
    pub(super) fn look_for(&mut self, id: MemberId, author: u64, now: Time) {
        let Some(member) = self.members.get_mut(id.key()).filter(|member| member.author == author) else {
            return;
        };
        let due = member.extra().stalled.after(ROOM_ABSENCE);
        if !member.is(Flags::ABSENT) {
            member.flags.remove(Flags::AWAITED);
        } else if due > now {
            self.await_return(due, id, author);
        } else {
            self.miss(id, author);
        }
    }

    /// A member that did not come back leaves; not if it has.
    pub(super) fn miss(&mut self, id: MemberId, author: u64) {
        let Some(at) = self.absent.iter().position(|absent| *absent == (id, author)) else { return };
        self.absent.remove(at);
        self.remove(id);
    }

    /// In what form a member hears.
    pub fn form_of(&self, id: MemberId) -> Option<Form> {
        self.members.get(id.key()).map(|member| self.form(member))
    }
}
