//! Statuses (RFC 9110, section 15), and requests that are answered with a problem.

use std::borrow::Cow;
use std::io;

use rustix::io::Errno;

/// A status code and its phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status(pub(super) u16, pub(super) &'static str);

impl Status {
    pub(super) const OK: Self = Self(200, "OK");
    pub(super) const NO_CONTENT: Self = Self(204, "No Content");
    pub(super) const PARTIAL: Self = Self(206, "Partial Content");
    pub(super) const MOVED: Self = Self(301, "Moved Permanently");
    pub(super) const NOT_MODIFIED: Self = Self(304, "Not Modified");
    pub(super) const BAD_REQUEST: Self = Self(400, "Bad Request");
    pub(super) const FORBIDDEN: Self = Self(403, "Forbidden");
    pub(super) const NOT_FOUND: Self = Self(404, "Not Found");
    pub(super) const METHOD_NOT_ALLOWED: Self = Self(405, "Method Not Allowed");
    pub(super) const TIMEOUT: Self = Self(408, "Request Timeout");
    pub(super) const PRECONDITION_FAILED: Self = Self(412, "Precondition Failed");
    pub(super) const TOO_LARGE: Self = Self(413, "Content Too Large");
    pub(super) const URI_TOO_LONG: Self = Self(414, "URI Too Long");
    pub(super) const NOT_SATISFIABLE: Self = Self(416, "Range Not Satisfiable");
    pub(super) const EXPECTATION_FAILED: Self = Self(417, "Expectation Failed");
    pub(super) const HEAD_TOO_LARGE: Self = Self(431, "Request Header Fields Too Large");
    pub(super) const INTERNAL: Self = Self(500, "Internal Server Error");
    pub(super) const NOT_IMPLEMENTED: Self = Self(501, "Not Implemented");
    pub(super) const UNAVAILABLE: Self = Self(503, "Service Unavailable");
    pub(super) const VERSION: Self = Self(505, "HTTP Version Not Supported");
}

/// Why a request is not served: what its sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: Status,
    /// One line that says what is wrong.
    pub(super) text: Cow<'static, str>,
    /// Where the next request begins can no longer be trusted, or nobody may wait for it: close.
    pub(super) closes: bool,
}

impl Refusal {
    /// A refusal after which the connection goes on.
    pub(super) fn new(status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), closes: false }
    }

    /// A refusal after which the connection closes.
    pub(super) fn closing(status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        Self { closes: true, ..Self::new(status, text) }
    }

    /// What was sent breaks the protocol (RFC 9112): nothing behind it can be trusted.
    pub(super) fn bad(text: &'static str) -> Self {
        Self::closing(Status::BAD_REQUEST, text)
    }
}

impl From<io::Error> for Refusal {
    /// What to say when a file cannot be opened or read. A path that leaves the root, by a symbolic
    /// link or otherwise, does not exist as far as anybody here is told.
    fn from(error: io::Error) -> Self {
        let missing = || Self::new(Status::NOT_FOUND, "there is no such file or directory");
        let Some(errno) = Errno::from_io_error(&error) else {
            let escaped = error.kind() == io::ErrorKind::PermissionDenied;
            return if escaped { missing() } else { Self::new(Status::INTERNAL, "reading failed") };
        };
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP | Errno::XDEV => missing(),
            Errno::ACCESS | Errno::PERM => {
                Self::new(Status::FORBIDDEN, "the server has no permission to read it")
            }
            Errno::NXIO | Errno::NODEV => Self::new(Status::FORBIDDEN, NOT_A_FILE),
            // Somebody moves directories about while the path is walked.
            Errno::AGAIN => Self::new(Status::UNAVAILABLE, "the file is being moved; try again"),
            Errno::MFILE | Errno::NFILE => {
                Self::closing(Status::UNAVAILABLE, "too many files are open; try again soon")
            }
            _ => Self::new(Status::INTERNAL, "the file system reports an error"),
        }
    }
}

/// What is said of sockets, pipes and devices.
pub(super) const NOT_A_FILE: &str = "it is neither a regular file nor a directory";
