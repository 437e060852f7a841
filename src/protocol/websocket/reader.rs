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

#[derive(Debug, Clone, Copy)]
struct Message {
    is_text: bool,
    /// Bytes announced so far.
    length: u64,
    utf8: Utf8,
}

impl Reader {
    /// The next frame, if it is complete. A message may have `max` bytes in all its frames.
    ///
    /// # Errors
    /// What the client did wrong. Nothing behind it makes sense any more.
    pub fn next(&mut self, input: &mut Input<'_>, max: usize) -> Result<Option<Frame>, Violation> {
        let has_begun = self.0.as_ref().is_some_and(|partial| partial.head.is_some());
        if !has_begun {
            let Some((head, length)) = Head::parse(input.rest())? else { return Ok(None) };
            self.0.get_or_insert_default().begin(head, max)?;
            input.take(length);
        }
        let Some(partial) = &mut self.0 else { return Ok(None) };
        let frame = partial.read(input)?;
        if partial.head.is_none() && partial.message.is_none() {
            self.0 = None;
        }
        Ok(frame)
    }

    /// Whether nothing is kept.
    #[cfg(test)]
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
                self.message = Some(Message { is_text, length: head.length, utf8: Utf8::default() });
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
        if self.message.is_some_and(|message| message.length > max as u64) {
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
            if ends {
                self.message = None;
            }
        }
        if !is_whole {
            return Ok(None);
        }
        self.head = None;
        let payload = std::mem::take(&mut self.payload);
        Ok(Some(Frame { fin: head.fin, opcode: head.opcode, payload }))
    }
}
