//! Character generator (RFC 864): a stream of printable lines, over TCP only; over UDP it would be
//! an amplifier. Nothing paces it but the reader.

use std::sync::Arc;

use super::{Cx, Flow, Handler, NoOptions, Protocol};

/// The 95 printable characters of ASCII.
const FIRST: u8 = b' ';
const COUNT: u8 = 95;
/// Characters of a line; each line begins one character later than the one before.
const WIDTH: u8 = 72;

/// Remembers where the next line begins.
#[derive(Debug)]
pub struct Chargen {
    start: u8,
}

impl Protocol for Chargen {
    type Options = NoOptions;

    fn new(_: &Arc<NoOptions>) -> Self {
        Self { start: 0 }
    }
}

impl Handler for Chargen {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.resume(cx)
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.input.take_all();
        Flow::Yield
    }

    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        while !cx.out.is_full() {
            cx.out.push(&line(self.start));
            self.start = (self.start + 1) % COUNT;
        }
        Flow::Yield
    }
}

/// The line that begins with the given character of the 95, with its CR LF.
fn line(start: u8) -> [u8; WIDTH as usize + 2] {
    let mut line = [0; WIDTH as usize + 2];
    for (place, byte) in (0..WIDTH).zip(&mut line) {
        *byte = FIRST + (start + place) % COUNT;
    }
    let [.., cr, lf] = &mut line;
    (*cr, *lf) = (b'\r', b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_rfc() {
        let first = line(0);
        assert!(first.starts_with(b" !\"#$%&'()*+,-./0123456789"));
        assert!(first.ends_with(b"efg\r\n"));
        assert!(line(94).starts_with(b"~ !\""), "it wraps around");
        assert_eq!(first.len(), 74);
    }
}
