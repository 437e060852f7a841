//! Unix sockets: a file left behind by a run that was killed must not keep the next one from starting.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::service::{Address, Listener, Spot};

/// Listens on a path. A socket file on which nobody answers is replaced.
///
/// # Errors
/// The system's; `AddrInUse` if somebody answers, or if the path is no socket.
pub(super) fn listen(path: &Path) -> io::Result<OwnedFd> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path, &address) => {
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        result => result?,
    }
    socket.set_nonblocking(true)?;
    socket.listen(limits::BACKLOG)?;
    Ok(socket.into())
}

fn is_stale(path: &Path, address: &SockAddr) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let refused = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // A server whose queue is full must not make us wait.
        socket.set_nonblocking(true)?;
        socket.connect(address)
    };
    is_socket && refused().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// The files of the Unix sockets; removed when this is dropped, unless another process answers for them.
#[derive(Debug, Default)]
pub struct SocketFiles {
    paths: Mutex<Vec<PathBuf>>,
    belongs_to_another: Arc<AtomicBool>,
}

impl SocketFiles {
    /// Those of these listeners.
    pub fn of(listeners: &[Listener]) -> Self {
        let spots: Vec<Spot> = listeners.iter().map(Listener::spot).collect();
        let files = Self::default();
        files.set(&spots);
        files
    }

    /// These are the ones from now on; the others are removed.
    pub fn set(&self, spots: &[Spot]) {
        let path = |spot: &Spot| match &spot.address {
            Address::Unix(path) if !spot.given || is_planted(Mutant::GivenFileRemoved) => Some(path.clone()),
            _ => None,
        };
        let paths: Vec<PathBuf> = spots.iter().filter_map(path).collect();
        let mut own = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        remove(own.iter().filter(|path| !paths.contains(path) && !is_planted(Mutant::SocketFileLeft)));
        *own = paths;
    }

    /// To be set while another process answers for the sockets: then the files stay.
    pub fn belongs_to_another(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.belongs_to_another)
    }
}

fn remove<'a>(paths: impl Iterator<Item = &'a PathBuf>) {
    for path in paths {
        // There is nobody left to tell, and the next start copes with it.
        let _ = std::fs::remove_file(path);
    }
}

impl Drop for SocketFiles {
    fn drop(&mut self) {
        if !self.belongs_to_another.load(Ordering::SeqCst) {
            remove(self.paths.lock().unwrap_or_else(PoisonError::into_inner).iter());
        }
    }
}
