//! The file that tells scripts what listens where. That it is there, whole, is the signal that
//! everything listens: it is written under another name and then renamed.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::service::{Listener, Service};

/// Makes sure before the start that the file of an earlier run is no signal of this one.
///
/// # Errors
/// It cannot be removed, or the path is no regular file (renaming over a device would replace it).
pub fn clear(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::other("it is no regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a line per listener: `echo udp 127.0.0.1:10007`, `chat unix /tmp/chat`.
///
/// # Errors
/// The system's.
pub fn write(path: &Path, services: &[Service], listeners: &[Listener]) -> io::Result<()> {
    let temporary = temporary(path)?;
    let written = std::fs::write(&temporary, text(services, listeners));
    let result = written.and_then(|()| std::fs::rename(&temporary, path));
    if result.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

fn text(services: &[Service], listeners: &[Listener]) -> String {
    let mut text = String::new();
    for listener in listeners {
        let Some(service) = services.get(listener.service) else { continue };
        let transport = listener.address.transport();
        let _ = writeln!(text, "{} {transport} {}", service.name, listener.address);
    }
    text
}

/// A name in the same directory, since a rename cannot leave the file system.
fn temporary(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    Ok(path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Options, TABLE};
    use crate::service::Address;

    #[test]
    fn it_holds_a_line_per_listener_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ports");
        let row = TABLE.iter().find(|row| row.name == "echo").unwrap();
        let options = Options::parse(row.kind, toml::Table::new()).unwrap();
        let services =
            [Service { name: "echo".into(), row, options, policy: crate::access::Policy::default() }];
        let listener = |address| Listener {
            service: 0,
            address,
            socket: std::fs::File::open("/").unwrap().into(),
            outlet: None,
        };
        let listeners = [
            listener(Address::Udp(([127, 0, 0, 1], 10007).into())),
            listener(Address::Unix("/tmp/e".into())),
        ];
        std::fs::write(&path, "old").unwrap();
        clear(&path).unwrap();
        assert!(!path.exists());
        write(&path, &services, &listeners).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "echo udp 127.0.0.1:10007\necho unix /tmp/e\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_regular_file_stays() {
        assert!(clear(Path::new("/dev/null")).is_err());
        assert!(clear(Path::new("/")).is_err());
    }
}
