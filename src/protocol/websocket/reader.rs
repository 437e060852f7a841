//! Frames from a client's bytes, however these are cut.
//!
//! A payload is kept as it comes, never reserved for what a head announces, and text is looked at byte by
//! byte. Between messages nothing is kept but a null pointer: an idle connection costs nothing here.

use super::frame::{Code, Head, Opcode, Violation, mask};
use super::utf8::Utf8;
use crate::input::Input;

/// A whole frame, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// It is the last one of its message.
    pub fin: bool,
    /// What it is.
    pub opcode: Opcode,
    /// What it brings. A text is UTF-8 from the first to the last frame of its message.
    pub payload: Vec<u8>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Reader(Option<Box<Partial>>);

const _: () = assert!(size_of::<Reader>() == 8);

#[derive(Debug, Default)]
struct Partial {
    /// The frame that is being read.
    head: Option<Head>,
    payload: Vec<u8>,
    /// The message whose last frame has not come.
    message: Option<Message>,
}

#[derive(Debug)]
struct Message {
    is_text: bool,
    /// Bytes announced so far.
    length: u64,
    utf8: Utf8,
    /// The payload of its frames so far, where messages are wanted whole.
    joined: Vec<u8>,
}

/// What a client may send, and how it is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Longest message in bytes, all its frames together.
    pub max: usize,
    /// Messages, not frames: those of one message are joined.
    pub whole: bool,
}

impl Reader {
    /// The next frame, if it is complete.
    ///
    /// # Errors
    /// What the client did wrong. Nothing behind it makes sense any more.
    pub fn next(&mut self, input: &mut Input<'_>, wanted: Wanted) -> Result<Option<Frame>, Violation> {
        loop {
            let has_begun = self.0.as_ref().is_some_and(|partial| partial.head.is_some());
            if !has_begun {
                let Some((head, length)) = Head::parse(input.rest())? else { return Ok(None) };
                self.0.get_or_insert_default().begin(head, wanted.max)?;
                input.take(length);
            }
            let Some(partial) = &mut self.0 else { return Ok(None) };
            let Some(mut frame) = partial.read(input)? else { return Ok(None) };
            if wanted.whole && !partial.join(&mut frame) {
                continue;
            }
            if frame.fin && !frame.opcode.is_control() {
                partial.message = None;
            }
            if partial.message.is_none() {
                self.0 = None;
            }
            return Ok(Some(frame));
        }
    }

    /// Whether nothing is kept.
    pub(super) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Bytes that are kept for a payload.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |partial| partial.payload.capacity())
    }
}

impl Partial {
    /// Takes a head, if its frame may come now.
    fn begin(&mut self, head: Head, max: usize) -> Result<(), Violation> {
        let is_text = head.opcode == Opcode::Text;
        match (head.opcode, &mut self.message) {
            (Opcode::Text | Opcode::Binary, None) => {
                let (length, utf8) = (head.length, Utf8::default());
                self.message = Some(Message { is_text, length, utf8, joined: Vec::new() });
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Violation::protocol("a message begins before the last one ends"));
            }
            (Opcode::Continuation, None) => {
                return Err(Violation::protocol("there is no message to go on with"));
            }
            (Opcode::Continuation, Some(message)) => {
                message.length = message.length.saturating_add(head.length);
            }
            _ => {}
        }
        if self.message.as_ref().is_some_and(|message| message.length > max as u64) {
            return Err(Violation(Code::TOO_BIG, "the message is too long"));
        }
        self.head = Some(head);
        Ok(())
    }

    /// Takes what has come of the payload.
    fn read(&mut self, input: &mut Input<'_>) -> Result<Option<Frame>, Violation> {
        let Some(head) = self.head else { return Ok(None) };
        let (before, length) = (self.payload.len(), usize::try_from(head.length).unwrap_or(usize::MAX));
        self.payload.extend_from_slice(input.take(length - before));
        let fresh = self.payload.get_mut(before..).unwrap_or_default();
        mask(fresh, head.mask, before);
        let is_whole = before + fresh.len() == length;
        if !head.opcode.is_control()
            && let Some(message) = &mut self.message
        {
            let ends = is_whole && head.fin;
            let is_good =
                !message.is_text || (message.utf8.accepts(fresh) && (!ends || message.utf8.is_whole()));
            if !is_good {
                return Err(Violation(Code::NOT_UTF8, "a text is not UTF-8"));
            }
        }
        if !is_whole {
            return Ok(None);
        }
        self.head = None;
        let payload = std::mem::take(&mut self.payload);
        Ok(Some(Frame { fin: head.fin, opcode: head.opcode, payload }))
    }

    /// Joins a frame to the ones before it in its message; whether that is whole then.
    fn join(&mut self, frame: &mut Frame) -> bool {
        let Some(message) = self.message.as_mut().filter(|_| !frame.opcode.is_control()) else { return true };
        if frame.fin && message.joined.is_empty() && frame.opcode != Opcode::Continuation {
            return true;
        }
        message.joined.append(&mut frame.payload);
        if frame.fin {
            frame.payload = std::mem::take(&mut message.joined);
            frame.opcode = if message.is_text { Opcode::Text } else { Opcode::Binary };
        }
        frame.fin
    }
}
