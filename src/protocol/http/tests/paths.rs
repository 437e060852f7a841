//! Whatever a path says, it names a file below the root or nothing: compared with a plain model of what
//! should be found, over real directories and links.

use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Site, rows, statuses};
use crate::limits;

/// Links that the model follows one after the other; the kernel gives up at 40.
const LINKS: usize = 40;

/// What a target should bring.
#[derive(Debug, PartialEq, Eq)]
enum Model {
    Refused(u16),
    File(Vec<u8>),
    Listing,
}

impl Model {
    fn of(root: &Path, target: &[u8]) -> Self {
        if target.len() > limits::HTTP_TARGET {
            return Self::Refused(414);
        }
        if target.contains(&b'#') {
            return Self::Refused(400);
        }
        let path = target.split(|b| *b == b'?').next().unwrap();
        let mut names = Vec::new();
        for segment in path.split(|b| *b == b'/').filter(|segment| !segment.is_empty()) {
            match decode(segment) {
                None => return Self::Refused(400),
                Some(name) if name == b"." || name == b".." || name.contains(&0) => {
                    return Self::Refused(400);
                }
                Some(name) if name.contains(&b'/') => return Self::Refused(404),
                Some(name) => names.push(PathBuf::from(std::ffi::OsString::from_vec(name))),
            }
        }
        if names.iter().any(|name| name.as_os_str().as_bytes().starts_with(b".")) {
            return Self::Refused(404);
        }
        let Some(found) = resolve(root, names.into_iter().collect()) else { return Self::Refused(404) };
        let is_sound = !path.windows(2).any(|pair| pair == b"//");
        Self::found(&found, path.ends_with(b"/"), is_sound)
    }

    fn found(path: &Path, has_slash: bool, is_sound: bool) -> Self {
        match (fs::metadata(path), has_slash) {
            (Ok(it), false) if it.is_file() => Self::File(fs::read(path).unwrap()),
            (Ok(it), _) if it.is_dir() && !(has_slash && is_sound) => Self::Refused(301),
            (Ok(it), true) if it.is_dir() => {
                fs::read(path.join("index.html")).map_or(Self::Listing, Self::File)
            }
            _ => Self::Refused(404),
        }
    }
}

/// A name, percent-decoded once; none if a percent sign is followed by something else than two digits.
fn decode(segment: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: Option<&u8>| char::from(*b?).to_digit(16);
    let (mut name, mut at) = (Vec::new(), 0);
    while let Some(&byte) = segment.get(at) {
        if byte == b'%' {
            let value = digit(segment.get(at + 1))? * 16 + digit(segment.get(at + 2))?;
            name.push(u8::try_from(value).unwrap());
            at += 3;
        } else {
            name.push(byte);
            at += 1;
        }
    }
    Some(name)
}

/// Where a path below the root leads, one name after the other; none if it is not there, or leaves the
/// root on its way, be it to come back.
fn resolve(root: &Path, path: PathBuf) -> Option<PathBuf> {
    let (mut here, mut depth, mut links) = (root.to_owned(), 0, 0);
    let mut ahead: Vec<PathBuf> = vec![path];
    while let Some(path) = ahead.pop() {
        let mut components = path.components();
        let Some(first) = components.next() else { continue };
        ahead.push(components.as_path().to_owned());
        match first {
            Component::Normal(name) => {
                let next = here.join(name);
                if fs::symlink_metadata(&next).ok()?.is_symlink() {
                    links += 1;
                    ahead.push(fs::read_link(&next).ok()?);
                } else {
                    (here, depth) = (next, depth + 1);
                }
            }
            Component::ParentDir if depth > 0 => {
                here.pop();
                depth -= 1;
            }
            Component::CurDir => {}
            _ => return None,
        }
        if links > LINKS {
            return None;
        }
    }
    Some(here)
}

/// More directories and links than any other test needs.
fn site() -> Site {
    let site = Site::of_old();
    let root = site.root();
    for path in ["d/e/f.txt", "d/g.txt", "d\\e", "..d/x", "...", "%2e%2e", "%2e%2e%2fa", "d/index.html/in"] {
        rows::put(root, path, format!("content of {path}").as_bytes(), 100);
    }
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "no UTF-8").unwrap();
    for (to, from) in [
        ("..", "up"),
        ("../..", "d/up"),
        ("../root/a.txt", "d/e/around"),
        ("../d/./e/../g.txt", "d/winding"),
        ("d/e", "short"),
        ("short/f.txt", "chain"),
        ("/", "top"),
        (".", "self"),
        (".secret", "visible"),
        ("../../outside/passwd", "d/out"),
    ] {
        symlink(to, root.join(from)).unwrap();
    }
    symlink(root.join("a.txt"), root.join("absolute-inside")).unwrap();
    site
}

/// Names of the tree.
const NAMES: &str = "a.txt sub deep b.txt d e f.txt g.txt up out passwd outside root relative absolute loop \
    around winding short chain top self visible absolute-inside with%20index index.html d%5ce d\\e %ff%fe \
    long.bin etc";

/// What tries to be more than a name.
const TRICKS: &str = ".. . %2e %2E%2e .%2e %2e. ... ..d %252e%252e %2e%2e%2fa %2f %2F %5c \\ ..\\ ..%5c.. %00 \
    a.txt%00 % %4 %zz %c0%ae %c0%af %e0%80%af ? # ~ ; ..; : * %0d%0a %20 .secret %2esecret x/../y %u002e";

/// A piece of a path, names of the tree more often than chance would have them.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let one_of = |words: &'static str| {
        prop::sample::select(words.split_whitespace().collect::<Vec<_>>())
            .prop_map(|word| word.as_bytes().to_vec())
    };
    prop_oneof![
        8 => one_of(NAMES),
        3 => one_of(TRICKS),
        1 => vec(prop::sample::select((b'!'..=b'~').chain(128..=255).collect::<Vec<u8>>()), 0..6),
        1 => (1_usize..5000).prop_map(|n| vec![b'x'; n]),
    ]
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    let slash = prop::sample::select(&["/", "/", "/", "/", "//", ""][..]);
    vec((slash, piece()), 0..7).prop_map(|parts| {
        let joined = parts.into_iter().flat_map(|(slash, piece)| [slash.as_bytes().to_vec(), piece]);
        [b"/".to_vec(), joined.collect::<Vec<_>>().concat()].concat()
    })
}

thread_local! {
    static SITE: Site = site();
}

fn check(target: &[u8]) {
    SITE.with(|site| {
        let model = Model::of(site.root(), target);
        let (got, _) = site.ask([[b"GET ", target, b" HTTP/1.0\r\n\r\n"].concat().as_slice()]);
        let shown = || format!("{}: {model:?}: {}", target.escape_ascii(), got.escape_ascii());
        let end = got.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let (head, body) = got.split_at(end);
        match &model {
            Model::Refused(status) => assert_eq!(statuses(head), [*status], "{}", shown()),
            Model::File(content) => {
                assert!(statuses(head) == [200] && body == content, "{}", shown());
            }
            Model::Listing => {
                let is_page = body.starts_with(b"<!doctype html>");
                assert!(statuses(head) == [200] && is_page, "{}", shown());
            }
        }
        assert!(!got.windows(6).any(|window| window == b"SECRET"), "{}", shown());
    });
}

#[test]
fn the_model_tells_what_is_there_from_what_is_not() {
    let content = |text: &str| Model::File(text.as_bytes().to_vec());
    SITE.with(|site| {
        for (target, expected) in [
            ("/chain", content("content of d/e/f.txt")),
            ("/d/winding", content("content of d/g.txt")),
            ("/self/self/d%5ce?x", content("content of d\\e")),
            ("/%252e%252e", content("content of %2e%2e")),
            ("/visible", content("hidden\n")),
            ("/d/e/around", Model::Refused(404)),
            ("/up/root/a.txt", Model::Refused(404)),
            ("/d/out", Model::Refused(404)),
            ("/absolute-inside", Model::Refused(404)),
            ("/d/index.html/", Model::Listing),
        ] {
            assert_eq!(Model::of(site.root(), target.as_bytes()), expected, "{target}");
            check(target.as_bytes());
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_path_brings_what_it_names_or_nothing(target in target()) {
        check(&target);
    }

    #[test]
    fn any_bytes_bring_what_they_name_or_nothing(rest in vec(any::<u8>(), 0..40)) {
        let rest = rest.into_iter().filter(|b| *b > b' ' && *b != 127);
        check(&std::iter::once(b'/').chain(rest).collect::<Vec<u8>>());
    }
}
