use proptest::prelude::*;

use super::*;

const MAX: usize = 100;
const PAUSE: Duration = Duration::from_millis(25);

/// Feeds pieces as a connection does: what is not taken stays in front of the next piece.
struct Feeder {
    lines: Lines,
    pending: Vec<u8>,
    got: Vec<String>,
    out: Out,
}

impl Feeder {
    fn new(telnet: Telnet) -> Self {
        Self { lines: Lines::new(telnet), pending: Vec::new(), got: Vec::new(), out: Out::default() }
    }

    fn feed(&mut self, piece: &[u8]) {
        self.pending.extend_from_slice(piece);
        let pending = std::mem::take(&mut self.pending);
        let mut input = Input::new(&pending);
        loop {
            let note = match self.lines.next(&mut input, MAX, &mut self.out) {
                Next::Message(message) => shown(&message),
                Next::Http(line) => format!("HTTP {}", shown(&line)),
                Next::TooLong => {
                    input.take_all();
                    "too long".to_owned()
                }
                Next::Incomplete => break,
            };
            self.got.push(note);
        }
        self.pending = input.rest().to_vec();
    }

    /// The pause passes, or the input ends.
    fn tail(&mut self, wanted: bool) {
        if !wanted {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        if let Some(message) = self.lines.take_tail(&mut Input::new(&pending), &mut self.out) {
            self.got.push(shown(&message));
        }
    }

    fn pause(&mut self) {
        let pauses = self.lines.pause(&self.pending, PAUSE).is_some();
        self.tail(pauses);
    }
}

fn shown(message: &Message<'_>) -> String {
    format!("{}|{:?}", String::from_utf8_lossy(&message.text), message.end)
}

fn messages(pieces: &[&[u8]]) -> Vec<String> {
    let mut feeder = Feeder::new(Telnet::WhenNegotiated);
    pieces.iter().for_each(|piece| feeder.feed(piece));
    feeder.got
}

#[test]
fn every_line_end_ends_a_line() {
    assert_eq!(messages(&[b"a\nb\r\nc\r\0d"]), ["a|Lf", "b|CrLf", "c|CrNul"]);
    assert_eq!(messages(&[b"\n\r\n"]), ["|Lf", "|CrLf"]);
    assert_eq!(messages(&[b"a\rb\0c\n"]), ["a\rb\0c|Lf"], "a lone CR or NUL is text");
}

#[test]
fn an_undecided_tail_is_a_message_after_a_pause() {
    let mut feeder = Feeder::new(Telnet::WhenNegotiated);
    feeder.feed(b"Hello");
    assert_eq!(feeder.lines.pause(&feeder.pending, PAUSE), Some(PAUSE));
    feeder.pause();
    feeder.feed(b"World");
    feeder.pause();
    assert_eq!(feeder.got, ["Hello|None", "World|None"]);
}

#[test]
fn a_line_end_that_comes_late_belongs_to_the_message_before() {
    for late in [&[b"\r\n".as_slice()][..], &[b"\n"], &[b"\r\0"], &[b"\r", b"\n"], &[b"\r", b"\0"]] {
        let mut feeder = Feeder::new(Telnet::WhenNegotiated);
        feeder.feed(b"Hello");
        feeder.pause();
        late.iter().for_each(|piece| feeder.feed(piece));
        feeder.feed(b"again\n");
        assert_eq!(feeder.got, ["Hello|None", "again|Lf"], "{late:?}");
    }
}

#[test]
fn a_line_connection_waits_for_the_line_end() {
    let mut feeder = Feeder::new(Telnet::WhenNegotiated);
    feeder.feed(b"first\nsec");
    assert_eq!(feeder.lines.pause(&feeder.pending, PAUSE), None);
    feeder.pause();
    feeder.feed(b"ond\nta");
    feeder.tail(true);
    assert_eq!(feeder.got, ["first|Lf", "second|Lf", "ta|None"], "the end of the input completes a tail");
}

#[test]
fn half_a_character_is_waited_for_longer() {
    let feeder = Feeder::new(Telnet::WhenNegotiated);
    let pause = |tail: &[u8]| feeder.lines.pause(tail, PAUSE);
    assert_eq!(pause("é".as_bytes()), Some(PAUSE));
    assert_eq!(pause(&"é".as_bytes()[..1]), Some(PAUSE * MID_CHARACTER));
    assert_eq!(pause(b"\xff\xfe"), Some(PAUSE), "what can be no character is not");
}

#[test]
fn a_line_may_be_as_long_as_allowed_and_no_longer() {
    let line = "x".repeat(MAX);
    assert_eq!(messages(&[format!("{line}\r\n").as_bytes()]), [format!("{line}|CrLf")]);
    assert_eq!(messages(&[format!("{line}x\n").as_bytes()]), ["too long"]);
    assert_eq!(messages(&[format!("{line}xx").as_bytes()]), ["too long"]);
}

#[test]
fn only_the_first_line_can_be_a_request_of_http() {
    assert_eq!(messages(&[b"GET / HTTP/1.1\r\nHost: x\r\n"]), ["HTTP GET / HTTP/1.1|CrLf", "Host: x|CrLf"]);
    assert_eq!(messages(&[b"hi\nGET / HTTP/1.1\n"]), ["hi|Lf", "GET / HTTP/1.1|Lf"]);
    assert_eq!(messages(&[b"GET milk and HTTP/1.1\n"]), ["GET milk and HTTP/1.1|Lf"]);
}

#[test]
fn telnet_options_vanish_and_other_bytes_255_do_not() {
    assert_eq!(messages(&[b"\xff\xfd\x06hi\xff\xfb\x1f there\r\n"]), ["hi there|CrLf"]);
    let mut feeder = Feeder::new(Telnet::WhenNegotiated);
    feeder.feed(b"\xff\xfe\xfd\n");
    assert_eq!(feeder.pending, b"");
    assert_eq!(feeder.got, ["\u{fffd}\u{fffd}\u{fffd}|Lf"]);
    assert_eq!(feeder.out.len(), 0);
}

#[test]
fn negotiation_alone_is_no_message() {
    // As PuTTY greets every server: the person has not typed anything.
    let mut feeder = Feeder::new(Telnet::WhenNegotiated);
    feeder.feed(b"\xff\xfb\x1f\xff\xfd\x03");
    feeder.pause();
    assert!(feeder.got.is_empty(), "{:?}", feeder.got);
    assert_eq!(feeder.out.bytes(), b"\xff\xfe\x1f\xff\xfc\x03", "but it is answered");
    feeder.feed(b"\r\nhi\r\n");
    assert_eq!(feeder.got, ["|CrLf", "hi|CrLf"], "nor does a line end belong to it");
}

#[test]
fn an_interrupted_telnet_is_answered_before_its_next_line() {
    let mut feeder = Feeder::new(Telnet::Always);
    feeder.feed(b"hi\r\n\xff\xf4\xff\xfd\x06");
    assert_eq!(feeder.out.bytes(), b"\xff\xfb\x06");
    feeder.feed(b"there\r\n");
    assert_eq!(feeder.got, ["hi|CrLf", "there|CrLf"]);
    assert_eq!(feeder.out.len(), 3, "and not twice");
}

fn pieces(text: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| text[pair[0]..pair[1]].to_vec()).collect()
}

/// Bytes that matter to the rule, more often than chance would have them.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..6),
        4 => "[a-zé🦀 ]{0,5}".prop_map(String::into_bytes),
        3 => prop::sample::select(vec![&b"\r\n"[..], b"\n", b"\r\0", b"\r", b"\0"]).prop_map(<[u8]>::to_vec),
        2 => prop::sample::select(vec![&b"\xff\xfd\x06"[..], b"\xff\xfb\x01", b"\xff\xf1", b"\xff\xff",
            b"\xff\xfa\x18\n\xff\xf0", b"\xff"]).prop_map(<[u8]>::to_vec),
        1 => Just(vec![b'x'; MAX]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Says the same of a text however it is cut, if no pause is in it.
fn assert_cuts_do_not_matter(telnet: Telnet, text: &[u8], pieces: &[Vec<u8>]) {
    let [mut whole, mut split] = [(); 2].map(|()| Feeder::new(telnet));
    whole.feed(text);
    // After a line that is too long the connection closes: what follows does not count.
    let is_closed = |feeder: &Feeder| feeder.got.iter().any(|note| note == "too long");
    for piece in pieces {
        if !is_closed(&split) {
            split.feed(piece);
        }
    }
    for feeder in [&mut whole, &mut split] {
        feeder.tail(!is_closed(feeder));
    }
    assert_eq!(whole.got, split.got, "{telnet:?}");
    assert_eq!(whole.out.bytes(), split.out.bytes(), "{telnet:?}");
}

fn byte_by_byte(text: &[u8]) -> Vec<Vec<u8>> {
    text.iter().map(|byte| vec![*byte]).collect()
}

#[test]
fn a_telnet_that_shows_itself_late_changes_nothing_before_it() {
    let text = b"one\xff\xff\ntwo\xff\xff\nthree\xff\xfb\x01\xff\xff\n";
    assert_cuts_do_not_matter(Telnet::WhenNegotiated, text, &byte_by_byte(text));
    let mut feeder = Feeder::new(Telnet::WhenNegotiated);
    feeder.feed(text);
    assert_eq!(feeder.got, ["one\u{fffd}\u{fffd}|Lf", "two\u{fffd}\u{fffd}|Lf", "three\u{fffd}|Lf"]);
}

#[test]
fn a_sequence_longer_than_a_line_is_too_long_however_it_comes() {
    for (inside, is_good) in [(MAX - 2, true), (MAX - 1, false)] {
        let text = [&b"\xff\xfa"[..], &vec![b'x'; inside], b"\xff\xf0hi\n"].concat();
        assert_cuts_do_not_matter(Telnet::Always, &text, &byte_by_byte(&text));
        let mut feeder = Feeder::new(Telnet::Always);
        feeder.feed(&text);
        assert_eq!(feeder.got[0], if is_good { "hi|Lf" } else { "too long" }, "{inside}");
    }
    // One that shows itself behind so much is none.
    for (before, is_good) in [(MAX - 1, true), (MAX, false)] {
        let text = [&b"\xff\xf1".repeat(before)[..before], b"\xff\xfb\x01hi\n"].concat();
        assert_cuts_do_not_matter(Telnet::WhenNegotiated, &text, &byte_by_byte(&text));
        let mut feeder = Feeder::new(Telnet::WhenNegotiated);
        feeder.feed(&text);
        assert_eq!(feeder.got.iter().any(|note| note == "too long"), !is_good, "{before}: {:?}", feeder.got);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn cuts_do_not_matter(text in text(), cuts in prop::collection::vec(any::<usize>(), 0..20)) {
        for telnet in [Telnet::Always, Telnet::WhenNegotiated] {
            assert_cuts_do_not_matter(telnet, &text, &pieces(&text, &cuts));
            assert_cuts_do_not_matter(telnet, &text, &byte_by_byte(&text));
        }
    }
}
