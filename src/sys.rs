//! What the program needs of the system and no safe interface offers. The only unsafe code of the program.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;

/// Takes over a descriptor that the process was started with, and closes it in programs that it starts
/// itself. To be called once for each, before anything else could have opened one of that number.
///
/// # Errors
/// There is no such descriptor, or it is one of the three that every program has.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it touches no memory, and a number that is no descriptor is an error.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, as the call above has shown, and by the contract of this function nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
