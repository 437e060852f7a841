//! A person, or a pipe, in conversation with a far end: what is typed is said, what is heard is shown, both
//! at once. What every chat client shares; it knows nothing of sockets.
//!
//! Three threads: one reads what is typed, one hears, and the caller's one says and decides when it is over.
//! The far end may be slow (then saying waits, and typing after it), and so may the screen (then hearing waits).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::Error;

mod editor;
mod gate;
pub mod lines;
mod quiet;
mod screen;
mod signals;
pub mod text;

pub use screen::Screen;

/// How long the far end may take to close after somebody who typed has left: what was said last must get there.
const LEAVING: Duration = Duration::from_millis(500);
/// How long what has come is still shown after saying has failed.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Lines typed, or read from a pipe, that wait to be said.
const TYPED_AHEAD: usize = 64;

/// Where what is typed goes.
pub trait Speak: Send + Sync {
    /// Says a line, which has no line feed in it.
    ///
    /// # Errors
    /// The far end is gone, or takes nothing.
    fn say(&self, line: &str) -> Result<(), Error>;

    /// Nothing more will be said. Tells whether the far end will answer that by closing.
    fn finish(&self) -> bool;

    /// Makes whoever says or hears stop at once.
    fn abort(&self);
}

/// What has come from the far end: lines without line feeds, not yet safe to show.
pub type Heard = Result<Vec<Vec<u8>>, Error>;

/// When a conversation is over.
#[derive(Debug, Clone)]
pub struct Manners {
    /// The words that end it when they are typed.
    pub quit: Vec<String>,
    /// Whether hearing one of them, alone on a line, ends it too.
    pub heed: bool,
    /// After the end of piped input: how long the far end may take to say the rest, and to close.
    pub wait: Duration,
    /// Whether what was said is shown, where typing has not shown it already.
    pub show_own: bool,
    /// What a terminal shows first.
    pub greeting: String,
    /// What a terminal shows when the far end has closed.
    pub farewell: &'static str,
}

impl Manners {
    /// Whether a line is a quit word alone.
    pub fn is_quit(&self, line: &str) -> bool {
        let word = line.trim();
        !word.is_empty() && self.quit.iter().any(|quit| quit == word)
    }
}

/// What the threads tell the one that decides.
#[derive(Debug)]
enum Event {
    /// A line, or several that were pasted.
    Typed(String),
    /// Nothing more will be typed.
    TypingEnded,
    /// The input failed.
    TypingFailed(Error),
    /// Ctrl-C.
    Interrupted,
    /// A signal to end the program.
    Signal(i32),
    /// The far end has closed, or failed, or said the quit word.
    HearingEnded(Result<(), Error>),
}

/// Converses until one side has had enough.
///
/// # Errors
/// The far end failed, or closed before it was told everything; or the terminal failed.
pub fn talk<S, H>(screen: Screen, speak: &Arc<S>, hear: H, manners: &Manners) -> Result<(), Error>
where
    S: Speak + 'static,
    H: Iterator<Item = Heard> + Send + 'static,
{
    let screen = Arc::new(screen);
    let (tell, events) = sync_channel(TYPED_AHEAD);
    signals::watch(&screen, &tell)?;
    start("typing", {
        let (screen, tell, speak) = (Arc::clone(&screen), tell.clone(), Arc::clone(speak));
        let manners = manners.clone();
        move || {
            let quit = |line: &str| manners.is_quit(line);
            screen.read(&quit, &mut |event| {
                if matches!(event, Event::Interrupted) {
                    // Whoever says something to a far end that takes nothing must hear of this too.
                    speak.abort();
                }
                tell.send(event).is_ok()
            });
        }
    })?;
    start("hearing", {
        let (screen, manners) = (Arc::clone(&screen), manners.clone());
        move || {
            let ended = listen(&screen, hear, &manners);
            let _ = tell.send(Event::HearingEnded(ended));
        }
    })?;
    let signal = Conversation { screen: &screen, speak: &**speak, events: &events, manners }.hold();
    screen.stop_editing();
    match signal? {
        Some(signal) => signals::obey(signal),
        None => Ok(()),
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(|_| ()).map_err(|error| Error::File { what: "starting a thread".into(), error })
}

/// Shows what is heard, until the far end closes, fails, or says the quit word.
fn listen(screen: &Screen, hear: impl Iterator<Item = Heard>, manners: &Manners) -> Result<(), Error> {
    screen.announce(&manners.greeting);
    for heard in hear {
        let mut shown = String::new();
        let mut over = false;
        for line in heard? {
            let line = text::displayable(&line);
            over = manners.heed && manners.is_quit(&line);
            if over {
                break;
            }
            text::push(&mut shown, &line, screen.has_colours());
        }
        if !shown.is_empty() {
            screen.print(shown)?;
        }
        if over {
            screen.say_farewell("* the other side said good-bye");
            return Ok(());
        }
    }
    screen.say_farewell(manners.farewell);
    Ok(())
}

/// The thread that says and decides.
#[derive(Debug)]
struct Conversation<'a, S> {
    screen: &'a Screen,
    speak: &'a S,
    events: &'a Receiver<Event>,
    manners: &'a Manners,
}

impl<S: Speak> Conversation<'_, S> {
    /// The signal that ended it, if one did.
    fn hold(&self) -> Result<Option<i32>, Error> {
        loop {
            match self.events.recv() {
                Ok(Event::Typed(typed)) => {
                    if self.say(&typed)? {
                        return self.leave(LEAVING, Duration::ZERO);
                    }
                }
                Ok(Event::TypingEnded) => {
                    let wait = self.manners.wait;
                    let (closing, silent) =
                        if self.screen.is_edited() { (LEAVING, Duration::ZERO) } else { (wait, wait) };
                    return self.leave(closing, silent);
                }
                Ok(Event::HearingEnded(ended)) => return ended.and_then(|()| self.nothing_is_left()),
                Ok(Event::TypingFailed(error)) => return Err(error),
                Ok(Event::Signal(signal)) => return Ok(Some(signal)),
                Ok(Event::Interrupted) | Err(_) => return Ok(None),
            }
        }
    }

    /// Says what was typed; whether a quit word was among it.
    fn say(&self, typed: &str) -> Result<bool, Error> {
        for line in typed.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
            if self.manners.is_quit(line) {
                return Ok(true);
            }
            if line.is_empty() && self.screen.is_edited() {
                // Enter alone says nothing.
                continue;
            }
            if let Err(error) = self.speak.say(line) {
                // What the far end said before it went may tell why.
                let ended = self.wait_for_end(LAST_WORDS);
                return Err(ended.err().unwrap_or(error));
            }
            if self.manners.show_own && !self.screen.is_edited() {
                self.screen.print(format!("{}\n", text::displayable(line.as_bytes())))?;
            }
        }
        Ok(false)
    }

    /// Nothing more will be said. What is said to us is still shown until the far end closes, for `closing`
    /// at the most, or for `silent` if it never does.
    fn leave(&self, closing: Duration, silent: Duration) -> Result<Option<i32>, Error> {
        let closes = self.speak.finish();
        self.screen.stop_editing();
        self.wait_for_end(if closes { closing } else { silent })
    }

    fn wait_for_end(&self, wait: Duration) -> Result<Option<i32>, Error> {
        let deadline = Instant::now() + wait;
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::HearingEnded(ended)) => return ended.map(|()| None),
                Ok(Event::Signal(signal)) => return Ok(Some(signal)),
                Ok(Event::Interrupted) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Ok(None);
                }
                Ok(Event::Typed(_) | Event::TypingEnded | Event::TypingFailed(_)) => {}
            }
        }
    }

    /// The far end has closed: that is in order unless something was still to be said.
    fn nothing_is_left(&self) -> Result<Option<i32>, Error> {
        let unsaid = self.events.try_iter().any(|event| matches!(event, Event::Typed(_)));
        if unsaid && !self.screen.is_edited() {
            return Err(Error::Network(
                "the server closed the connection before it was told everything".into(),
            ));
        }
        Ok(None)
    }
}

/// What the reading of the input calls: false when nobody wants to know any more.
type Tell<'a> = dyn FnMut(Event) -> bool + 'a;

/// Kept here so that the channel's type is named once.
type Events = SyncSender<Event>;
