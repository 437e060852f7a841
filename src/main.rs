//! The program `switchboard`: see the library for everything else.

use std::process::ExitCode;

use clap::error::ErrorKind;
use switchboard::{cli, program};

fn main() -> ExitCode {
    let failure = match cli::parse(std::env::args_os()) {
        Ok(cli) => match program::run(&cli) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(failure) => failure,
        },
        Err(error) => {
            // What --help and --version print is no error.
            let _ = error.print();
            let wanted = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if wanted { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    program::complain(&failure);
    ExitCode::from(failure.exit_code())
}
