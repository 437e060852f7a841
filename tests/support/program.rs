//! Other people's programs: nc, telnet, curl, Python.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use super::{PATIENCE, wait_for};

/// Where a program is, if it is installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// A file among the tests.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A program that runs with its input and output in our hands. It is killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Program {
    /// Starts it. Standard error is read together with standard output.
    pub fn start<S: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(name);
        for variable in super::own_settings() {
            command.env_remove(variable);
        }
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let output = Arc::default();
        let readers = vec![
            follow(child.stdout.take().unwrap(), Arc::clone(&output)),
            follow(child.stderr.take().unwrap(), Arc::clone(&output)),
        ];
        Self { name: name.to_owned(), input: child.stdin.take(), child, output, readers }
    }

    /// Types something.
    pub fn say(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.input.as_mut().unwrap().write_all(text.as_ref()).unwrap();
        self
    }

    /// Ends its input.
    pub fn end_input(&mut self) -> &mut Self {
        self.input = None;
        self
    }

    /// Everything it has put out so far.
    pub fn output(&self) -> Vec<u8> {
        self.output.lock().unwrap().clone()
    }

    /// Waits until its output has `text` in it `times` times.
    pub fn expect_times(&mut self, text: &str, times: usize) -> &mut Self {
        let seen = wait_for(PATIENCE, || (self.text().matches(text).count() >= times).then_some(()));
        assert!(seen.is_some(), "{}: no {text:?} in {:?}", self.name, self.text());
        self
    }

    /// Waits until its output has `text` in it.
    pub fn expect(&mut self, text: &str) -> &mut Self {
        self.expect_times(text, 1)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output()).into_owned()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, and all that it put out.
    pub fn finish(&mut self) -> (ExitStatus, Vec<u8>) {
        let status = wait_for(PATIENCE, || self.child.try_wait().unwrap());
        let status = status.unwrap_or_else(|| panic!("{} does not end: {:?}", self.name, self.text()));
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status, self.output())
    }

    /// All that it put out, as text, when it has ended well.
    pub fn succeed(&mut self) -> String {
        let (status, output) = self.finish();
        let text = String::from_utf8_lossy(&output).into_owned();
        assert!(status.success(), "{}: {status}: {text}", self.name);
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(mut from: impl Read + Send + 'static, to: Arc<Mutex<Vec<u8>>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            to.lock().unwrap().extend_from_slice(&buffer[..n]);
        }
    })
}
