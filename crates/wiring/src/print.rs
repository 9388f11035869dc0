//! Standard output and standard error.

use std::io::{self, IsTerminal, Write};

use peregrine_diagnostics::paint;

/// Prints to standard output.
pub fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref())?;
    stdout.flush()
}

/// Prints to standard error, in one write, so that lines of the log or of alerts that go to the
/// same place are not mixed with it. A failure is ignored: there is no other place to report it.
pub fn print_error(text: impl AsRef<[u8]>) {
    let _ = io::stderr().lock().write_all(text.as_ref());
}

/// Prints problems to standard error, with colours on a terminal.
pub fn print_problems(text: &str) {
    if has_colors(&io::stderr()) {
        print_error(paint(text));
    } else {
        print_error(text);
    }
}

/// Whether what goes there may have colours.
pub fn has_colors(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
