//! Two machines on one network: namespaces of the kernel, joined by a cable. Only root may make them.

use std::process::Command;

/// A pair of machines, `192.0.2.1` and `192.0.2.2`, with nothing between them and nobody else.
pub struct Machines {
    names: [String; 2],
}

impl Machines {
    /// Two machines, or why there are none.
    pub fn new(name: &str) -> Result<Self, String> {
        let id = std::process::id();
        let names = ["a", "b"].map(|one| format!("swbd-{name}-{id}-{one}"));
        // From here on whatever was made is taken away again.
        let machines = Self { names };
        for (at, namespace) in machines.names.iter().enumerate() {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
            if at == 1 {
                let other = &machines.names[0];
                ip(&[
                    "-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", other,
                ])?;
            }
        }
        for (at, namespace) in machines.names.iter().enumerate() {
            let address = format!("192.0.2.{}/24", at + 1);
            ip(&["-n", namespace, "addr", "add", &address, "broadcast", "+", "dev", "eth0"])?;
            ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
            // An address that can be used at once: there is nobody to have it already.
            let address = format!("fe80::{}/64", at + 1);
            ip(&["-n", namespace, "addr", "add", &address, "dev", "eth0", "nodad"])?;
            // The lab's sender uses 255.255.255.255, which needs a route that says by which interface.
            ip(&["-n", namespace, "route", "add", "default", "dev", "eth0"])?;
        }
        Ok(machines)
    }

    /// The words that run something on one of them, 0 or 1.
    pub fn on<'a>(&'a self, machine: usize, words: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["netns", "exec", &self.names[machine]];
        all.extend(words);
        all
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in &self.names {
            // It may not have been made.
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}

fn ip(words: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(words).output().map_err(|error| format!("ip: {error}"))?;
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("ip {}: {reason}", words.join(" "))) }
}
