//! switchboard: every protocol of the networking labs from one single-threaded reactor.

pub mod bind;
pub mod cli;
pub mod config;
pub mod conn;
pub mod engine;
pub mod escape;
pub mod framing;
pub mod input;
pub mod journal;
pub mod limits;
pub mod logging;
pub mod out;
pub mod peer;
pub mod ports_file;
pub mod program;
pub mod protocol;
pub mod room;
pub mod service;
pub mod shared;
pub mod show;
pub mod start;
pub mod telnet;
pub mod time;
pub mod timer;
