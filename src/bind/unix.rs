//! Unix sockets: a file left behind by a run that was killed must not keep the next one from starting.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::limits;
use crate::service::{Address, Listener};

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
    paths: Vec<PathBuf>,
    belongs_to_another: Arc<AtomicBool>,
}

impl SocketFiles {
    /// Those of these listeners.
    pub fn of(listeners: &[Listener]) -> Self {
        let path = |listener: &Listener| match &listener.address {
            Address::Unix(path) if !listener.given => Some(path.clone()),
            _ => None,
        };
        Self { paths: listeners.iter().filter_map(path).collect(), belongs_to_another: Arc::default() }
    }

    /// To be set while another process answers for the sockets: then the files stay.
    pub fn belongs_to_another(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.belongs_to_another)
    }
}

impl Drop for SocketFiles {
    fn drop(&mut self) {
        if self.belongs_to_another.load(Ordering::SeqCst) {
            return;
        }
        for path in &self.paths {
            // There is nobody left to tell, and the next start copes with it.
            let _ = std::fs::remove_file(path);
        }
    }
}
