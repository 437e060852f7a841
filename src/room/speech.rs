//! What is said, and what is told of members: from here it goes into the log, and into the transcripts.

use std::sync::Arc;

use super::form::Kind;
use super::log::{Audience, New};
use super::member::{Flags, MemberId};
use super::{Refused, Rooms, Saying, since_1970, text};
use crate::journal::Journal;
use crate::limits::GATHER_OVER;

/// Who spoke last. Whoever says something mostly says more, and a guest's name is put together anew each
/// time that it is asked for.
#[derive(Debug, Default)]
pub(super) struct Speaker {
    /// 0 if nobody has spoken, or the name may be an old one.
    pub(super) author: u64,
    pub(super) name: String,
}

impl Rooms {
    /// Says something to everyone in the room. Returns the number of the entry; `None` if this client's
    /// line was said before.
    pub fn say(&mut self, id: MemberId, saying: Saying<'_>) -> Option<u64> {
        let author = self.author(id)?;
        let mut speaker = std::mem::take(&mut self.speaker);
        if speaker.author != author {
            speaker = Speaker { author, name: self.name(id) };
        }
        let seq = self.say_as(id, &speaker.name, saying);
        self.speaker = speaker;
        seq
    }

    /// The same under another name: for a member that passes on what others say. The caller sees to it
    /// that `name` is none that a member can take.
    pub fn say_as(&mut self, id: MemberId, name: &str, saying: Saying<'_>) -> Option<u64> {
        self.announce(id);
        let member = self.members.get_mut(id.key())?;
        if saying.client > 0 {
            let last = &mut member.extra().last_client;
            if saying.client <= *last {
                return None;
            }
            *last = saying.client;
        }
        let (at, author) = (member.room, member.author);
        let new = New {
            author,
            audience: Audience::Everyone,
            member: Some(id),
            kind: saying.kind,
            time: since_1970((self.clock)()),
            client: saying.client,
            name,
            text: &text::displayable(saying.text),
        };
        self.transcribe(at, &new);
        self.append(at, &new)
    }

    /// Says something to one member alone, wherever that is; returns its name and whether it is in the
    /// same room. It is in no history and in no transcript.
    ///
    /// # Errors
    /// Nobody is called that.
    pub fn tell(&mut self, id: MemberId, to: &str, saying: Saying<'_>) -> Result<(String, bool), Refused> {
        self.announce(id);
        let target = self.find(to).ok_or(Refused::NoSuchMember)?;
        let name = self.name(id);
        let Some(author) = self.author(id) else { return Err(Refused::NoSuchMember) };
        let Some(member) = self.members.get(target.key()) else { return Err(Refused::NoSuchMember) };
        let (at, audience) = (member.room, Audience::One(member.author));
        let is_here = self.members.get(id.key()).is_some_and(|own| own.room == at);
        let new = New {
            author,
            audience,
            member: Some(target),
            kind: Kind::Private,
            time: since_1970((self.clock)()),
            client: saying.client,
            name: &name,
            text: &text::displayable(saying.text),
        };
        self.append(at, &new);
        Ok((self.name(target), is_here))
    }

    /// Writes everything that is said to the public from now on to a journal as well.
    pub fn write_transcript(&mut self, journal: Arc<Journal>) {
        self.transcripts.push(journal);
    }

    /// The transcripts that have got lines since the last call.
    pub fn take_unwritten(&mut self) -> Vec<Arc<Journal>> {
        if std::mem::take(&mut self.unwritten) { self.transcripts.clone() } else { Vec::new() }
    }
}

impl Rooms {
    /// Tells the others that somebody came or went: at once in a small room, gathered in a large one.
    pub(super) fn tell_presence(&mut self, id: MemberId, joined: bool) {
        let name = self.name(id);
        let Some(at) = self.members.get(id.key()).map(|member| member.room) else { return };
        let Some(room) = self.rooms.get_mut(usize::from(at)) else { return };
        let gathers = room.presence.is_some();
        if gathers || room.members.len() > GATHER_OVER {
            room.presence.get_or_insert_default().note(&name, joined);
            if !gathers {
                self.gather(at);
            }
        } else {
            self.notice(id, &format!("{name} {}", if joined { "joined" } else { "left" }));
        }
    }

    /// Appends a notice about a member, which does not hear it itself (if it is told otherwise).
    pub(super) fn notice(&mut self, id: MemberId, text: &str) {
        let Some(member) = self.members.get(id.key()) else { return };
        let (at, author) = (member.room, member.author);
        self.append_notice(at, author, Some(id), text);
    }

    pub(super) fn append_notice(&mut self, at: u16, author: u64, member: Option<MemberId>, text: &str) {
        let time = since_1970((self.clock)());
        let (audience, kind) = (Audience::Everyone, Kind::Notice);
        self.append(at, &New { author, audience, member, kind, time, client: 0, name: "", text });
    }

    fn append(&mut self, at: u16, new: &New<'_>) -> Option<u64> {
        let room = self.rooms.get_mut(usize::from(at))?;
        room.fresh += room.log.append(new, &mut self.encoder);
        let seq = room.log.end() - 1;
        if new.audience == Audience::Everyone
            && let Some(id) = new.member
        {
            self.members.get_mut(id.key()).into_iter().for_each(|own| own.flags.insert(Flags::OWN_AHEAD));
        }
        if room.log.is_too_long() {
            self.evict(at);
        }
        self.mark_pending(at);
        Some(seq)
    }

    fn transcribe(&mut self, at: u16, new: &New<'_>) {
        let Some(room) = self.rooms.get(usize::from(at)) else { return };
        for journal in &self.transcripts {
            journal.add(|to| self.encoder.transcribe(&room.name, &new.entry(0), to));
            self.unwritten = true;
        }
    }

    /// Cuts the log's tail. Whoever is in the middle of an entry that goes keeps the rest of it, and what
    /// goes unheard is set down where counting entries would be wrong: own ones, private ones.
    fn evict(&mut self, at: u16) {
        let Some(room) = self.rooms.get_mut(usize::from(at)) else { return };
        let first = room.log.first_to_keep();
        for id in &room.members {
            if let Some(member) = self.members.get_mut(id.key())
                && member.cursor < first
                && let Some(profile) = self.profiles.get(member.profile())
            {
                member.keep_rest(profile.form, &room.log);
            }
        }
        for (seq, record) in room.log.records(room.log.start()).take_while(|(seq, _)| *seq < first) {
            let Some(member) = record.member.and_then(|id| self.members.get_mut(id.key())) else { continue };
            let profile = self.profiles.get(member.profile());
            let hears_own = profile.is_some_and(|profile| profile.form.hears_own());
            member.lose(at, seq, record, hears_own);
        }
        room.log.cut(first);
    }
}
