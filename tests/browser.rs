//! The driver of the browser that other tests use: if it lies, they do.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use serde_json::json;

mod support;

use support::{Browser, PATIENCE, Start};

const PAGE: &str = "<!doctype html><title>one</title><meta name=viewport content='width=device-width'>
<link rel=icon href='data:,'>
<style>body { color: black } @media (prefers-color-scheme: dark) { body { color: white } }</style>
<form onsubmit=\"document.title = 'sent ' + field.value; return false\"><input id=field></form>
<p style='height: 3000px'></p><a id=far href=two.html>two</a>";

#[test]
fn the_browser_does_what_it_is_told() {
    let Some(browser) = Browser::if_installed("the driver of the browser") else { return };
    let daemon = Start::reactor().run();
    fs::write(daemon.path("root/one.html"), PAGE).unwrap();
    let two = "<link rel=icon href='data:,'><script>console.log('seen', 2); nonsense()</script>";
    fs::write(daemon.path("root/two.html"), two).unwrap();
    let url = format!("http://{}/one.html", daemon.tcp("http"));
    let (mut page, mut other) = (browser.page(), browser.page());
    page.goto(&url);
    other.goto(&url);
    for (page, name) in [(&mut page, "Ali"), (&mut other, "Bo \u{1f642}")] {
        page.click("#field");
        page.type_text(name);
        page.press("Enter");
        page.wait_for("document.title != 'one'", PATIENCE);
        assert_eq!(page.eval("document.title"), format!("sent {name}"));
        assert_eq!(page.eval("[document.hasFocus(), document.visibilityState]"), json!([true, "visible"]));
    }
    // Cookies are each page's own.
    page.eval("document.cookie = 'a=b'");
    assert_eq!((page.eval("document.cookie"), other.eval("document.cookie")), (json!("a=b"), json!("")));

    page.emulate(375, 700, true, true);
    let look =
        "[innerWidth, innerHeight, getComputedStyle(document.body).color, navigator.maxTouchPoints > 0]";
    assert_eq!(page.eval(look), json!([375, 700, "rgb(255, 255, 255)", true]));
    let picture = browser.dir().join("picture.png");
    page.screenshot(&picture);
    let bytes = fs::read(picture).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    // Its width and height, in pixels of the screen.
    assert_eq!(bytes[16..24], [0, 0, 2, 238, 0, 0, 5, 120]);

    assert!(page.problems().is_empty() && page.messages().is_empty(), "{:?}", page.messages());
    page.click("#far");
    page.wait_for("location.pathname == '/two.html' && document.readyState == 'complete'", PATIENCE);
    let messages: Vec<_> = page.messages().iter().map(|message| message.text.clone()).collect();
    assert_eq!(messages[0], "seen 2");
    assert!(page.problems()[0].contains("nonsense is not defined"), "{messages:?}");
    assert_eq!(page.try_eval("null.x").map_err(|reason| reason.contains("TypeError")), Err(true));
    assert!(other.problems().is_empty(), "a page hears only of itself: {:?}", other.messages());
}
