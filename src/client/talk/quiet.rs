//! A terminal that shows nothing by itself.
//!
//! Between two lines the editor gives the terminal back as it found it. What is typed in that moment would be
//! shown by the terminal at once, wherever the cursor is, and by the editor a moment later. So the mode that
//! the editor finds is one that shows nothing and keeps nothing back.

use std::io;

use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The mode lasts as long as this does.
#[derive(Debug)]
pub(super) struct Quiet {
    before: Termios,
}

impl Quiet {
    /// `None` if there is no terminal.
    pub(super) fn begin() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        quiet.input_modes.remove(InputModes::ICRNL);
        tcsetattr(io::stdin(), OptionalActions::Drain, &quiet).ok()?;
        Some(Self { before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}
