//! The chat page in a real browser, in a room with people at terminals, over a network that fails.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use serde_json::{Value, json};

mod support;

use support::browser::Page;
use support::proxy::Proxy;
use support::{Browser, PATIENCE, Program, Start, have};

/// The texts of the messages that the page shows.
const TEXTS: &str = "[...document.querySelectorAll('#log li.m .text')].map(e => e.textContent)";
/// What it shows between them.
const NOTES: &str = "[...document.querySelectorAll('#log li:not(.m)')].map(e => e.textContent).join('|')";

fn open(browser: &Browser, at: SocketAddr) -> Page {
    let mut page = browser.page();
    page.goto(&format!("http://{at}/chat"));
    page.wait_for("document.querySelector('#state').dataset.state == 'on'", PATIENCE);
    page
}

fn say(page: &mut Page, text: &str) {
    page.click("#text");
    page.type_text(text);
    page.press("Enter");
}

fn rename(page: &mut Page, name: &str) {
    page.click("#me");
    page.eval("document.querySelector('#name').value = ''");
    page.type_text(name);
    page.press("Enter");
    page.wait_for(&format!("document.querySelector('#my-name').textContent == {}", json!(name)), PATIENCE);
}

fn wait_for_text(page: &mut Page, text: &str) {
    page.wait_for(&format!("{TEXTS}.includes({})", json!(text)), PATIENCE);
}

fn texts(page: &mut Page) -> Vec<String> {
    let texts = page.eval(TEXTS);
    texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Somebody at a terminal, without one.
struct Line(BufReader<TcpStream>);

impl Line {
    fn join(at: SocketAddr, name: &str) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = Self(BufReader::new(stream));
        line.say(&format!("/nick {name}"));
        line.find(&format!("you are {name}"));
        line
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    fn find(&mut self, part: &str) -> String {
        loop {
            let line = self.next();
            assert!(!line.is_empty(), "the end, without {part}");
            if line.contains(part) {
                return line;
            }
        }
    }
}

#[test]
fn a_browser_and_telnet_in_one_room() {
    let Some(browser) = Browser::if_installed("a browser and telnet in one room") else { return };
    let daemon = Start::reactor().run();
    let (console, chat) = (daemon.tcp("console"), daemon.tcp("chat"));
    let mut page = open(&browser, console);
    rename(&mut page, "ali");
    let mut ben = Line::join(chat, "ben");
    page.wait_for("document.querySelector('#names').textContent.includes('ben')", PATIENCE);
    for text in [
        "hello there",
        "<img src=x onerror=\"document.title='bad'\">",
        "<script>alert(1)</script>&amp;",
        "\u{202e}evil\u{1b}[2J é 🦀",
    ] {
        ben.say(text);
        let shown = text.replace(['\u{202e}', '\u{1b}'], "");
        wait_for_text(&mut page, &shown);
        say(&mut page, text);
        assert_eq!(ben.find("ali: "), format!("ali: {shown}"));
    }
    assert_eq!(page.eval("document.querySelectorAll('#log img, #log script').length"), 0);
    assert!(page.eval("document.title").as_str().unwrap().starts_with("lobby"));
    // What one says oneself is there once, acknowledged.
    page.wait_for("document.querySelectorAll('#pending li').length == 0", PATIENCE);
    assert_eq!(texts(&mut page).iter().filter(|text| *text == "hello there").count(), 2);
    assert_eq!(page.eval("document.querySelectorAll('#log li.own').length"), 4);
    if have(&["telnet"], "telnet in the room of the page") {
        let mut telnet = Program::start("telnet", ["127.0.0.1".to_owned(), chat.port().to_string()]);
        telnet.expect("Connected").say("from telnet\n");
        wait_for_text(&mut page, "from telnet");
        say(&mut page, "to telnet");
        telnet.expect("ali: to telnet");
    }
    say(&mut page, "/me waves");
    assert_eq!(ben.find("waves"), "** ali waves");
    say(&mut page, "/who");
    page.wait_for(&format!("{NOTES}.includes('ben')"), PATIENCE);
    assert_eq!(page.problems(), Vec::<String>::new());
}

#[test]
fn what_was_not_seen_is_counted_in_the_title() {
    let Some(browser) = Browser::if_installed("the unread count") else { return };
    let daemon = Start::reactor().run();
    let mut page = open(&browser, daemon.tcp("console"));
    let mut ben = Line::join(daemon.tcp("chat"), "ben");
    page.eval("document.hasFocus = () => false");
    for n in 0..3 {
        ben.say(&format!("unseen {n}"));
    }
    page.wait_for("document.title.startsWith('(3) ')", PATIENCE);
    assert_eq!(page.eval("document.querySelectorAll('li.fresh').length"), 1);
    page.eval("document.hasFocus = () => true; window.dispatchEvent(new Event('focus'))");
    assert!(page.eval("document.title").as_str().unwrap().starts_with("lobby"));
    // Who reads further up is told, and not moved.
    for n in 0..60 {
        ben.say(&format!("line {n}"));
    }
    wait_for_text(&mut page, "line 59");
    page.eval("document.querySelector('#scroll').scrollTop = 0");
    page.wait_for("document.querySelector('#scroll').scrollTop == 0", PATIENCE);
    ben.say("below");
    page.wait_for("document.querySelector('#newer').textContent == '1 new message'", PATIENCE);
    assert_eq!(page.eval("document.querySelector('#scroll').scrollTop"), 0);
    page.click("#newer");
    page.wait_for("document.querySelector('#newer').hidden", PATIENCE);
}

#[test]
fn many_pasted_lines_over_a_network_that_fails_come_once_and_in_order() {
    let Some(browser) = Browser::if_installed("the chat page over a network that fails") else { return };
    let daemon = Start::reactor().run();
    let proxy = Proxy::to(daemon.tcp("console"));
    let mut page = open(&browser, proxy.address);
    rename(&mut page, "ali");
    let mut ben = Line::join(daemon.tcp("chat"), "ben");
    let all: Vec<String> = (0..300).map(|n| format!("line {n} {}", "x".repeat(n))).collect();
    for (round, lines) in all.chunks(100).enumerate() {
        page.click("#text");
        page.type_text(&lines.join("\n"));
        page.wait_for("document.querySelector('#hint').textContent.startsWith('100 lines')", PATIENCE);
        page.press("Enter");
        // Somewhere in the middle.
        let first = ben.next();
        assert_eq!(first, format!("ali: {}", lines[0]));
        proxy.cut();
        page.wait_for("document.querySelector('#state').dataset.state == 'off'", PATIENCE);
        ben.say(&format!("said in break {round}"));
        say(&mut page, &format!("written in break {round}"));
        proxy.mend(daemon.tcp("console"));
        page.eval("document.querySelector('#now').click()");
        for line in lines[1..].iter().chain([&format!("written in break {round}")]) {
            assert_eq!(ben.next(), format!("ali: {line}"), "once, in order, and nobody left");
        }
        page.wait_for("document.querySelectorAll('#pending li').length == 0", PATIENCE);
        wait_for_text(&mut page, &format!("said in break {round}"));
    }
    let shown = texts(&mut page);
    let own: Vec<&String> = shown.iter().filter(|text| text.starts_with("line")).collect();
    assert_eq!(own, all.iter().collect::<Vec<_>>());
    assert_eq!(shown.len(), 306, "nothing is there twice");
}

#[test]
fn what_was_missed_is_shown_as_a_gap() {
    let Some(browser) = Browser::if_installed("a gap on the chat page") else { return };
    let daemon = Start::reactor().run();
    let proxy = Proxy::to(daemon.tcp("console"));
    let mut page = open(&browser, proxy.address);
    let mut ben = Line::join(daemon.tcp("chat"), "ben");
    let mut cem = Line::join(daemon.tcp("chat"), "cem");
    page.wait_for("document.querySelector('#count').textContent == '3'", PATIENCE);
    proxy.cut();
    page.wait_for("document.querySelector('#state').dataset.state == 'off'", PATIENCE);
    // More than the room keeps.
    for n in 0..400 {
        ben.say(&format!("{n} {}", "x".repeat(3000)));
        cem.find(&format!("{n} x"));
    }
    proxy.mend(daemon.tcp("console"));
    page.eval("document.querySelector('#now').click()");
    page.wait_for(&format!("{TEXTS}.at(-1)?.startsWith('399 ')"), PATIENCE);
    let missed = page.eval("document.querySelector('li.gap').textContent");
    let missed: usize = missed.as_str().unwrap().split(' ').next().unwrap().parse().unwrap();
    let shown = texts(&mut page).len();
    assert!(missed > 100 && shown + missed >= 400 && shown + missed <= 405, "{shown} shown, {missed} missed");
}

#[test]
fn a_daemon_that_starts_anew_is_found_again() {
    let Some(browser) = Browser::if_installed("the chat page when the daemon starts anew") else { return };
    let mut first = Start::reactor().run();
    let proxy = Proxy::to(first.tcp("console"));
    let mut page = open(&browser, proxy.address);
    rename(&mut page, "ali");
    say(&mut page, "before");
    wait_for_text(&mut page, "before");
    page.wait_for("document.querySelectorAll('#pending li').length == 0", PATIENCE);
    first.signal(rustix::process::Signal::TERM);
    page.wait_for("document.querySelector('#state').textContent.includes('has stopped')", PATIENCE);
    assert!(first.wait(PATIENCE).success());
    say(&mut page, "while it was down");
    let second = Start::reactor().run();
    let mut ben = Line::join(second.tcp("chat"), "ben");
    proxy.mend(second.tcp("console"));
    page.eval("document.querySelector('#now').click()");
    assert_eq!(ben.find("ali"), "* ali joined", "under the same name");
    assert_eq!(ben.next(), "ali: while it was down");
    page.wait_for(&format!("{NOTES}.includes('started anew')"), PATIENCE);
    page.wait_for("document.querySelectorAll('#pending li').length == 0", PATIENCE);
    assert_eq!(texts(&mut page), ["before", "while it was down"]);
}

/// Pictures for people to look at, in the tests' own directory below `target`.
#[test]
fn the_pages_fit_their_windows() {
    let Some(browser) = Browser::if_installed("the pages' pictures") else { return };
    let daemon = Start::reactor().run();
    let mut page = open(&browser, daemon.tcp("console"));
    rename(&mut page, "ali");
    let mut ben = Line::join(daemon.tcp("chat"), "ben");
    let mut ceyda = Line::join(daemon.tcp("chat"), "ceyda");
    ben.say("Is this the room from the lab sheet?");
    wait_for_text(&mut page, "Is this the room from the lab sheet?");
    say(&mut page, "It is. I am in a browser, you are in telnet.");
    ceyda.say("and I am a Python program of twenty lines 🐍");
    wait_for_text(&mut page, "and I am a Python program of twenty lines 🐍");
    ceyda.say(&format!("a long word: {}", "wide".repeat(60)));
    ben.say("/me waves");
    page.wait_for("document.querySelector('li.action')", PATIENCE);
    ben.say("/msg ali nobody else reads this");
    page.wait_for("document.querySelector('li.private')", PATIENCE);
    say(&mut page, "several\nlines\nat once");
    say(&mut page, "/who");
    page.wait_for("document.querySelector('li.reply')", PATIENCE);
    page.wait_for("document.querySelectorAll('#names li').length == 3", PATIENCE);
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, width, height, mobile) in
        [("wide", 1100, 760, false), ("phone", 390, 780, true), ("tiny", 320, 560, true)]
    {
        for dark in [false, true] {
            page.emulate(width, height, mobile, dark);
            page.wait_for("!isNaN(scrollX)", PATIENCE);
            let overflow = page.eval("document.documentElement.scrollWidth - innerWidth");
            assert!(overflow.as_i64().unwrap() <= 0, "{name}: {overflow} pixels too wide");
            let scheme = if dark { "dark" } else { "light" };
            page.screenshot(&pictures.join(format!("chat-{name}-{scheme}.png")));
        }
    }
    page.click("#people");
    page.wait_for("document.querySelector('#members').getBoundingClientRect().right <= innerWidth", PATIENCE);
    page.screenshot(&pictures.join("chat-members.png"));
    let mut front = browser.page();
    front.goto(&format!("http://{}/", daemon.tcp("console")));
    for (name, width, height, mobile) in
        [("wide", 1100, 1150, false), ("phone", 390, 780, true), ("tiny", 320, 560, true)]
    {
        for dark in [false, true] {
            front.emulate(width, height, mobile, dark);
            let overflow = front.eval("document.documentElement.scrollWidth - innerWidth");
            assert!(overflow.as_i64().unwrap() <= 0, "{name}: {overflow} pixels too wide");
            let scheme = if dark { "dark" } else { "light" };
            front.screenshot(&pictures.join(format!("front-{name}-{scheme}.png")));
        }
    }
    assert_eq!((front.problems(), page.problems()), (Vec::new(), Vec::new()));
}

/// What a screen reader is told.
#[test]
fn the_page_has_names_for_what_it_shows() {
    let Some(browser) = Browser::if_installed("the names of what the chat page shows") else { return };
    let daemon = Start::reactor().run();
    let mut page = open(&browser, daemon.tcp("console"));
    let unnamed = page.eval(
        "[...document.querySelectorAll('button, input, textarea, a')].filter(e => e.checkVisibility()
           && !(e.innerText.trim() || e.title || e.labels?.length || e.querySelector('[alt]'))).map(e => e.id)",
    );
    assert_eq!(unnamed, json!([]));
    assert_eq!(page.eval("document.querySelector('#log').ariaLive"), "polite");
    assert_eq!(page.eval("document.activeElement.id"), "text", "one can type at once");
    page.click("#me");
    assert_eq!(page.eval("document.activeElement.id"), "name");
    page.press("Escape");
    assert_eq!(page.eval("document.querySelector('#dialog').open"), Value::Bool(false));
}
