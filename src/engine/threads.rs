//! A thread for each connection: the same sessions behind plain blocking calls.
use super::Setup;
use super::control::Control;
use std::io;
/// stub
pub fn serve(_: Setup, _: Control) -> io::Result<()> {
    Ok(())
}
