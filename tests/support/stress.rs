//! `switchboard stress`, run for a test, and servers for it that do one thing wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;

use super::own_settings;

/// The program with these arguments, and none of this process's settings.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    for name in own_settings() {
        command.env_remove(name);
    }
    command.arg("stress").args(arguments).stdin(Stdio::null());
    command
}

/// What it did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub report: Value,
    pub stderr: String,
}

impl Done {
    pub fn number(&self, pointer: &str) -> f64 {
        let found = self.report.pointer(pointer).and_then(Value::as_f64);
        found.unwrap_or_else(|| panic!("{pointer} is no number in {:#}", self.brief()))
    }

    pub fn count(&self, pointer: &str) -> u64 {
        let found = self.report.pointer(pointer).and_then(Value::as_u64);
        found.unwrap_or_else(|| panic!("{pointer} is no whole number in {:#}", self.brief()))
    }

    pub fn errors(&self, kind: &str) -> u64 {
        let all = self.report["errors"].as_array().unwrap();
        let one = all.iter().find(|error| error["kind"] == kind);
        one.map_or(0, |error| error["count"].as_u64().unwrap())
    }

    /// The report without its long parts.
    pub fn brief(&self) -> Value {
        let mut brief = self.report.clone();
        if let Some(fields) = brief.as_object_mut() {
            fields.remove("latency_histogram_ns");
            fields.remove("slices");
        }
        brief
    }

    /// All is well, and something was answered.
    pub fn passed(&self) -> &Self {
        assert_eq!(self.code, 0, "{:#}\n{}", self.brief(), self.stderr);
        assert_eq!(self.report["passed"], true);
        assert_eq!(self.report["errors"].as_array().unwrap().len(), 0, "{:#}", self.brief());
        self
    }
}

pub fn done(output: Output) -> Done {
    let text = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{stderr}"));
    Done { code: output.status.code().unwrap(), report, stderr }
}

/// Runs it against a server, and reads its report.
pub fn stress(target: SocketAddr, arguments: &[&str]) -> Done {
    let target = target.to_string();
    let all = [&[target.as_str(), "--json", "-", "--quiet"], arguments].concat();
    done(command(&all).output().unwrap())
}

/// A server with a thread per connection, which gets its number.
pub fn server(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                serve(number, stream);
            });
        }
    });
    address
}

/// Echoes what comes, as `change` makes it (it gets the message's number); ends when that gives nothing.
pub fn echo(mut stream: TcpStream, mut change: impl FnMut(usize, Vec<u8>) -> Option<Vec<u8>>) {
    let mut buffer = vec![0; 64 * 1024];
    for number in 0.. {
        let n = stream.read(&mut buffer).unwrap_or(0);
        if n == 0 {
            return;
        }
        let Some(reply) = change(number, buffer[..n].to_vec()) else { return };
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}
