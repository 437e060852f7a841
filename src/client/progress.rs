//! Progress bars, for people only: nothing is drawn where standard error is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::escape::Escaped;

/// Longest part of a name that is shown.
const NAME: usize = 40;

/// A bar for `len` bytes, or a counter if it is not known how many there are.
pub(super) fn bar(name: &str, len: Option<u64>) -> ProgressBar {
    let bar = len.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let template = if len.is_some() {
        "{msg} [{bar:24}] {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} {eta}"
    } else {
        "{msg} {bytes} {bytes_per_sec}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(Escaped::bounded(name.as_bytes(), NAME).to_string());
    bar
}
