//! The hidden mode in which this program reads about other processes, for the agent.

use std::ffi::OsString;
use std::process::ExitCode;

use peregrine_probe::reader::{self, ReaderMode};

/// The first argument in that mode.
const WORD: &str = "__reader";

/// Reads, if the program was started for that.
pub fn run(arguments: &[OsString]) -> Option<ExitCode> {
    let wanted = arguments.get(1).is_some_and(|word| word == WORD);
    wanted.then(|| u8::try_from(reader::main(arguments)).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Readers that are this very program, also after an update has replaced its file.
pub fn mode() -> ReaderMode {
    ReaderMode::Process { program: "/proc/self/exe".into(), argument: WORD.to_owned() }
}
