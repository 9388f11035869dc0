//! Standard output and standard error.

use std::io::{self, Write};

/// Prints to standard output.
pub(crate) fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref())?;
    stdout.flush()
}

/// Prints to standard error, in one write, so that lines of the log or of alerts that go to the
/// same place are not mixed with it. A failure is ignored: there is no other place to report it.
pub(crate) fn print_error(text: impl AsRef<[u8]>) {
    let _ = io::stderr().lock().write_all(text.as_ref());
}
