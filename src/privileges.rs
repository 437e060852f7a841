//! Becoming another user once the ports are bound, for good.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{
    Gid, ROOT, Uid, User, getegid, geteuid, getresgid, getresuid, initgroups, seteuid, setresgid, setresuid,
};

use crate::mutation::{Mutant, is_planted};

/// Why this process has not become another user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is nobody's.
    #[error("--user {0}: there is no user of this name")]
    Unknown(String),
    /// That would drop nothing.
    #[error("--user {0}: that is a superuser; name one that may do less")]
    Superuser(String),
    /// This process may not.
    #[error("--user {0}: only root can become another user")]
    NotRoot(String),
    /// The system did not do it.
    #[error("--user {0}: {1}: {2}")]
    System(String, &'static str, Errno),
    /// It was done, and could be undone.
    #[error("--user {0}: the privileges could be regained")]
    Regained(String),
}

/// Becomes this user, with the groups that it has. A process that is it already stays as it is. To be called
/// before there are threads.
///
/// # Errors
/// Why not. The process may be in between then, and must end.
pub fn become_user(name: &str) -> Result<(), Error> {
    if is_planted(Mutant::PrivilegesKept) {
        return Ok(());
    }
    let failed = |what| move |error| Error::System(name.to_owned(), what, error);
    let unknown = || Error::Unknown(name.to_owned());
    let user = User::from_name(name).map_err(failed("looking for it"))?.ok_or_else(unknown)?;
    if user.uid == ROOT {
        return Err(Error::Superuser(name.to_owned()));
    }
    if is_only(user.uid, user.gid) {
        return Ok(());
    }
    if geteuid() != ROOT {
        return Err(Error::NotRoot(name.to_owned()));
    }
    let groups_of = CString::new(name).map_err(|_| unknown())?;
    // The groups first: the user could not change them any more.
    initgroups(&groups_of, user.gid).map_err(failed("its groups"))?;
    setresgid(user.gid, user.gid, user.gid).map_err(failed("its group"))?;
    setresuid(user.uid, user.uid, user.uid).map_err(failed("its identity"))?;
    if !is_only(user.uid, user.gid) || seteuid(ROOT).is_ok() {
        return Err(Error::Regained(name.to_owned()));
    }
    log::info!("from here on the user {name}");
    Ok(())
}

/// Whether the process is that and nothing else, and has nothing else to go back to.
fn is_only(uid: Uid, gid: Gid) -> bool {
    let uids = getresuid().is_ok_and(|it| [it.real, it.effective, it.saved] == [uid; 3]);
    let gids = getresgid().is_ok_and(|it| [it.real, it.effective, it.saved] == [gid; 3]);
    uids && gids && (geteuid(), getegid()) == (uid, gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_nobody_can_become_is_said() {
        let said = |name: &str| become_user(name).unwrap_err().to_string();
        assert_eq!(said("no-such-user-here"), "--user no-such-user-here: there is no user of this name");
        assert_eq!(said("root"), "--user root: that is a superuser; name one that may do less");
    }
}
