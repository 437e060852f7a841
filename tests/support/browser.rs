//! A real browser for the tests: Debian's Chromium without a screen, driven over its `DevTools` protocol.
//!
//! ```ignore
//! let Some(browser) = Browser::if_installed("the pages of the chat") else { return };
//! let mut page = browser.page();
//! page.goto("http://127.0.0.1:8080/");
//! page.click("#name");
//! page.type_text("Ali");
//! page.press("Enter");
//! page.wait_for("document.querySelector('.member')", PATIENCE);
//! assert_eq!(page.eval("document.title"), "Chat");
//! assert_eq!(page.problems(), Vec::<String>::new());
//! ```
//!
//! Any number of pages may be open at once, each as if another person had it: with cookies and storage of
//! its own, and in front. Every wait has a bound; what fails says what the browser said.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tempfile::TempDir;

use super::program::find;
use super::{PATIENCE, left_out, wait_for};

mod devtools;
mod page;

pub use page::{Message, Page};

use devtools::DevTools;

/// The names under which it is installed.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// What makes it start alone, in silence, and without asking anybody on the network.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--mute-audio",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
];

/// A browser with a profile of its own. It ends, with everything it started, when this is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    address: SocketAddr,
    /// The path of the browser itself at that address.
    path: String,
    /// Removed after the browser has ended.
    profile: TempDir,
}

impl Browser {
    /// The browser, if there is one on this machine. If not, says past the capture of the output that
    /// `what` was left out; where everything must run, that is a failure.
    pub fn if_installed(what: &str) -> Option<Self> {
        if installed().is_none() {
            left_out(&format!("  {what} (not installed: {})", NAMES[0]));
            return None;
        }
        Some(Self::start())
    }

    /// Starts it, and waits until it can be talked to.
    pub fn start() -> Self {
        let program = installed().unwrap_or_else(|| panic!("{} is not installed", NAMES[0]));
        let profile = tempfile::tempdir().unwrap();
        let log = profile.path().join("stderr");
        let mut command = Command::new(program);
        command.args(FLAGS).arg(format!("--user-data-dir={}", profile.path().join("data").display()));
        // Crash reports and caches go to the profile, whatever the person at this machine has.
        for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env(variable, profile.path());
        }
        command.arg("about:blank").stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(File::create(&log).unwrap()).process_group(0).spawn().unwrap();
        // The profile is new, and the machine may be busy.
        let endpoint = wait_for(3 * PATIENCE, || {
            let ended = child.try_wait().unwrap();
            endpoint(&log).or_else(|| ended.map(|status| panic!("it ended: {status}: {}", text(&log))))
        });
        let Some((address, path)) = endpoint else {
            end(&mut child);
            panic!("the browser does not come up: {}", text(&log));
        };
        Self { child, address, path, profile }
    }

    /// A new empty page, with cookies and storage of its own.
    pub fn page(&self) -> Page {
        let mut browser = DevTools::connect(self.address, &self.path);
        let context = browser.call("Target.createBrowserContext", json!({}));
        let wanted = json!({
            "url": "about:blank",
            "newWindow": true,
            "browserContextId": context["browserContextId"],
        });
        let target = browser.call("Target.createTarget", wanted);
        let id = target["targetId"].as_str().unwrap();
        Page::new(DevTools::connect(self.address, &format!("/devtools/page/{id}")))
    }

    /// A directory for what a test wants to keep until its end, such as screenshots.
    pub fn dir(&self) -> &Path {
        self.profile.path()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends the browser and the processes that it made.
fn end(child: &mut Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

fn installed() -> Option<PathBuf> {
    NAMES.iter().find_map(|name| find(name))
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// Where it listens, once it has said so: `DevTools listening on ws://127.0.0.1:PORT/devtools/...`.
fn endpoint(log: &Path) -> Option<(SocketAddr, String)> {
    let mut lines = BufReader::new(File::open(log).ok()?).lines().map_while(Result::ok);
    let url = lines.find_map(|line| Some(line.split_once("DevTools listening on ws://")?.1.to_owned()))?;
    let (address, path) = url.trim().split_once('/')?;
    // The line may be only half written yet.
    if path.len() < "devtools/browser/00000000-0000-0000-0000-000000000000".len() {
        return None;
    }
    Some((address.parse().ok()?, format!("/{path}")))
}
