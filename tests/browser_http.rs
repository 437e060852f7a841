//! The listing of a directory in a real browser: sorted, walked through, in every light and size, and
//! with names that would like to be more than names.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::json;

mod support;

use support::browser::Page;
use support::{Browser, PATIENCE, Start};

const HOSTILE: &str = "\"><img src=x onerror=alert(1)>";

/// Names, sizes, and days since 1970: each order is another one.
const FILES: &[(&str, usize, u64)] = &[
    ("Annual report 2026.pdf", 2_400_000, 20_400),
    ("holiday.webp", 843_776, 20_550),
    ("notes.md", 1_536, 20_100),
    ("a name that goes on and on, as the names of files from some meetings do (final) (2).txt", 12, 19_000),
    ("caf\u{e9} \u{1f642}.txt", 0, 20_777),
    (HOSTILE, 7, 20_300),
];

fn fill(root: &Path) {
    fs::remove_file(root.join("hello.txt")).unwrap();
    fs::remove_dir_all(root.join("sub")).unwrap();
    fs::create_dir_all(root.join("photos/2026 summer/beach")).unwrap();
    fs::write(root.join("photos/2026 summer/sand.jpg"), b"no picture").unwrap();
    for (name, size, day) in FILES {
        fs::write(root.join(name), vec![b'.'; *size]).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400);
        File::open(root.join(name)).unwrap().set_modified(at).unwrap();
    }
}

/// The names on the page, folders and the way up left out.
fn names(page: &mut Page) -> Vec<String> {
    let js = "[...document.querySelectorAll('tbody td a span')].map(e => e.textContent)";
    let all: Vec<String> = serde_json::from_value(page.eval(js)).unwrap();
    all.into_iter().filter(|name| !name.ends_with('/') && name != "Up").collect()
}

/// Clicks something that leads to another address, and waits until that is there.
fn follow(page: &mut Page, selector: &str, address: &str) {
    page.click(selector);
    let there =
        format!("document.readyState == 'complete' && decodeURI(location.href).endsWith({address:?})");
    page.wait_for(&there, PATIENCE);
}

/// The files in this order, by their place in [`FILES`].
fn sorted<K: Ord>(by: impl Fn(&(&str, usize, u64)) -> K, falling: bool) -> Vec<String> {
    let mut files: Vec<_> = FILES.to_vec();
    files.sort_by_key(|file| by(file));
    if falling {
        files.reverse();
    }
    files.into_iter().map(|(name, ..)| name.to_owned()).collect()
}

#[test]
fn the_listing_in_a_browser() {
    let Some(browser) = Browser::if_installed("the listing in a browser") else { return };
    let daemon = Start::reactor().run();
    fill(&daemon.path("root"));
    let url = format!("http://{}/", daemon.tcp("http"));
    let mut page = browser.page();
    page.emulate(1200, 800, false, false);
    page.goto(&url);
    assert_eq!(page.eval("document.title"), "/");
    every_column_sorts(&mut page);
    names_are_only_names(&mut page, daemon.tcp("http"));
    in_and_out(&mut page, &url);
    every_light_and_size(&mut page, &url, browser.dir());
    assert_eq!(page.messages(), [], "the browser has nothing to say of it");
}

fn every_column_sorts(page: &mut Page) {
    let by_name = |falling| sorted(|(name, ..)| name.to_lowercase(), falling);
    assert_eq!(names(page), by_name(false), "as it comes");
    let header = |n: u32| format!("thead th:nth-child({n}) a");
    let turns: [(u32, &str, Vec<String>); 6] = [
        (1, "?sort=name&order=desc", by_name(true)),
        (1, "?sort=name&order=asc", by_name(false)),
        (2, "?sort=size&order=desc", sorted(|(_, size, _)| *size, true)),
        (2, "?sort=size&order=asc", sorted(|(_, size, _)| *size, false)),
        (3, "?sort=time&order=desc", sorted(|(_, _, day)| *day, true)),
        (3, "?sort=time&order=asc", sorted(|(_, _, day)| *day, false)),
    ];
    for (column, query, expected) in turns {
        follow(page, &header(column), query);
        assert_eq!(names(page), expected, "{query}");
        let order = if query.ends_with("desc") { "descending" } else { "ascending" };
        let shown = page.eval("[...document.querySelectorAll('th')].map(e => e.getAttribute('aria-sort'))");
        let mut headings = json!([null, null, null]);
        headings[column as usize - 1] = json!(order);
        assert_eq!(shown, headings, "{query}");
    }
}

fn names_are_only_names(page: &mut Page, address: SocketAddr) {
    assert_eq!(page.eval("document.querySelectorAll('img, script').length"), 0);
    assert!(names(page).iter().any(|name| name == HOSTILE));
    // Every link leads to the file that it names. Asked from outside: no script of the page could, as
    // its policy forbids everything.
    let js = "[...document.querySelectorAll('tbody a')].map(a => [a.textContent.trim(), a.pathname])";
    let links: Vec<(String, String)> = serde_json::from_value(page.eval(js)).unwrap();
    for (name, path) in links.iter().filter(|(name, _)| !name.ends_with('/')) {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let size = FILES.iter().find(|(file, ..)| file == name).unwrap().1;
        assert!(reply.starts_with(b"HTTP/1.1 200 ") && reply.len() > size, "{name}: {path}");
    }
    assert_eq!(links.len(), FILES.len() + 1);
}

fn in_and_out(page: &mut Page, url: &str) {
    page.goto(url);
    follow(page, "tbody a[href='photos/']", "/photos/");
    follow(page, "tbody a[href^='2026']", "/photos/2026 summer/");
    assert_eq!(page.eval("document.title"), "/photos/2026 summer/");
    assert_eq!(names(page), ["sand.jpg"]);
    // The way back: up, by the breadcrumbs, and by the browser itself.
    follow(page, "tbody a[href='../']", "/photos/");
    page.eval("history.back()");
    page.wait_for("decodeURI(location.href).endsWith('/2026 summer/')", PATIENCE);
    follow(page, "h1 a:nth-of-type(2)", "/photos/");
    page.eval("history.back()");
    page.wait_for("decodeURI(location.href).endsWith('/2026 summer/')", PATIENCE);
    follow(page, "h1 a", url);
    assert_eq!(names(page).len(), FILES.len());
}

fn every_light_and_size(page: &mut Page, url: &str, dir: &Path) {
    let mut looks = Vec::new();
    for (name, width, height, is_mobile) in [
        ("desk", 1200, 800, false),
        ("phone", 390, 800, true),
        ("narrow", 375, 667, true),
        ("narrower", 360, 640, true),
        ("small", 320, 568, true),
    ] {
        for is_dark in [false, true] {
            page.emulate(width, height, is_mobile, is_dark);
            page.goto(url);
            let overflow = page.eval("document.documentElement.scrollWidth - innerWidth");
            assert!(overflow.as_i64().unwrap() <= 0, "{name}: wider than the window by {overflow}");
            // Fingers need room: 44 pixels are what platforms ask for.
            let height = page.eval("document.querySelector('tbody a').getBoundingClientRect().height");
            let least = if is_mobile { 44.0 } else { 32.0 };
            assert!(height.as_f64().unwrap() >= least, "{name}: a row is {height} high");
            everything_is_there(page, name, width);
            assert!(contrast(page) >= 4.5, "{name}: text is hard to read, dark: {is_dark}");
            looks.push(page.eval("getComputedStyle(document.body).backgroundColor"));
            let shade = if is_dark { "dark" } else { "light" };
            page.screenshot(&dir.join(format!("{name}-{shade}.png")));
        }
    }
    assert_ne!(looks[0], looks[1], "dark is not light");
    // To be looked at: where the test is told to keep its pictures.
    if let Some(keep) = std::env::var_os("SWITCHBOARD_SCREENSHOTS") {
        for picture in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if picture.path().extension().is_some_and(|extension| extension == "png") {
                fs::copy(picture.path(), Path::new(&keep).join(picture.file_name())).unwrap();
            }
        }
    }
}

/// Sizes, times and the headings to sort by them can be seen whole, on whatever device, and reached by a finger.
fn everything_is_there(page: &mut Page, name: &str, width: u32) {
    let js =
        "[...document.querySelectorAll('th a, tbody td:not(:empty) time, tbody td:nth-child(2):not(:empty)')]
        .map(e => e.getBoundingClientRect())
        .map(r => [r.width, r.height, r.left, r.right])";
    let places: Vec<[f64; 4]> = serde_json::from_value(page.eval(js)).unwrap();
    // Of three headings, of a folder's time, of each file's time and size.
    assert_eq!(places.len(), 3 + 1 + 2 * FILES.len(), "{name}");
    for [across, high, left, right] in places {
        let is_seen = across > 20.0 && high > 10.0 && left >= 0.0 && right <= f64::from(width);
        assert!(is_seen, "{name}: {across} by {high} from {left} to {right}");
    }
    let clock = page.eval("getComputedStyle(document.querySelector('time span')).display");
    assert!(clock != "none" || width > 480, "{name}: there is room for the clock");
}

/// The least contrast of any text of the page to what is behind it, by the formula of WCAG 2.
fn contrast(page: &mut Page) -> f64 {
    let js = "(() => {
        const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
            .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
            return .2126 * r + .7152 * g + .0722 * b };
        const behind = e => { for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor;
            if (!/, 0\\)$/.test(c)) return c } return 'rgb(255, 255, 255)' };
        return Math.min(...[...document.querySelectorAll('a, td, footer, h1, h1 i')].map(e => {
            const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
            return (a + .05) / (b + .05) })) })()";
    page.eval(js).as_f64().unwrap()
}
