//! The file that tells scripts what listens where. That it is there, whole, is the signal that
//! everything listens: it is written under another name and then renamed.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::service::{Service, Spot};

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

/// Writes a line per listener: `echo udp 127.0.0.1:10007`, `chat unix /tmp/chat`. A file that says so already,
/// as that of a run that is being replaced, stays as it is: it may be in a directory that was another user's.
///
/// # Errors
/// The system's.
pub fn write(path: &Path, services: &[Service], spots: &[Spot]) -> io::Result<()> {
    let (temporary, text) = (temporary(path)?, text(services, spots));
    if std::fs::read(path).is_ok_and(|bytes| bytes == text.as_bytes()) {
        return Ok(());
    }
    let written = std::fs::write(&temporary, text);
    let result = written.and_then(|()| std::fs::rename(&temporary, path));
    if result.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

fn text(services: &[Service], spots: &[Spot]) -> String {
    let mut text = String::new();
    for Spot { service, address, .. } in spots {
        let Some(service) = services.get(*service) else { continue };
        let _ = writeln!(text, "{} {} {address}", service.name, address.transport());
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
        let spot = |address| Spot { service: 0, address, given: false };
        let spots =
            [spot(Address::Udp(([127, 0, 0, 1], 10007).into())), spot(Address::Unix("/tmp/e".into()))];
        std::fs::write(&path, "old").unwrap();
        clear(&path).unwrap();
        assert!(!path.exists());
        write(&path, &services, &spots).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "echo udp 127.0.0.1:10007\necho unix /tmp/e\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_regular_file_stays() {
        assert!(clear(Path::new("/dev/null")).is_err());
        assert!(clear(Path::new("/")).is_err());
    }
}
