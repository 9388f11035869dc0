//! What outputs need from the machine, checked before the first alert.

use std::path::{Path, PathBuf};

use peregrine_diagnostics::redact;
use rustix::fs::{Access, access};

use crate::{ConfigError, Loaded, SyslogAddress};

/// Words at the start of a command that a shell knows itself.
const SHELL_WORDS: [&str; 44] = [
    ".", ":", "[", "alias", "bg", "break", "case", "cd", "command", "continue", "echo", "eval",
    "exec", "exit", "export", "false", "fg", "for", "getopts", "hash", "if", "jobs", "kill",
    "local", "printf", "pwd", "read", "readonly", "return", "set", "shift", "test", "time",
    "times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset", "until", "wait",
    "while",
];

impl Loaded {
    /// Whether the outputs that are enabled can work: the directory of the file, the program.
    ///
    /// # Errors
    /// Names key, place, value and remedy.
    pub fn check_outputs(&self) -> Result<(), ConfigError> {
        let config = &self.config;
        if let Some(file) = &config.file_output {
            let directory = file.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
                let directory = directory.display();
                let message = format!("file_output.filename: {directory} is no directory");
                let help = "create the directory, or name a file elsewhere";
                return Err(self.error("file_output.filename", message, help));
            }
        }
        let syslog = &config.syslog_output;
        let has_datagrams =
            matches!(syslog.peregrine.address, SyslogAddress::Local(_) | SyslogAddress::Udp(..));
        if syslog.enabled && syslog.peregrine.spool.enabled && has_datagrams {
            let key = "syslog_output.peregrine.spool.enabled";
            let message = format!("{key}: nothing tells what has arrived at this address");
            return Err(self.error(key, message, "use an address with `tcp://` or `tls://`"));
        }
        if let Some(program) = &config.program_output
            && let Some(missing) = missing_program(&program.command)
        {
            let message = format!(
                "program_output.program: there is no program {missing} that this user can execute"
            );
            let help = "install it, or name it by its path";
            return Err(self.error("program_output.program", redact(&message), help));
        }
        Ok(())
    }
}

/// The program that a command starts, if it does not exist. `None` as well if only a shell can
/// tell.
fn missing_program(command: &str) -> Option<&str> {
    let is_plain = |word: &&str| {
        word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./+-".contains(&byte))
    };
    let word = command.split_whitespace().next().filter(is_plain)?;
    if SHELL_WORDS.contains(&word) {
        return None;
    }
    let is_program = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    let found = match word.contains('/') {
        true => is_program(Path::new(word)),
        false => {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path)
                .map(|directory: PathBuf| directory.join(word))
                .any(|path| is_program(&path))
        }
    };
    (!found).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_that_are_certainly_missing_are_reported() {
        for command in [
            "cat > /dev/null",
            "/bin/sh -c x",
            "while read -r l; do :; done",
            "A=b prog",
            "$PROG",
            "(prog)",
            "'prog'",
            "",
            "exec prog",
        ] {
            assert_eq!(missing_program(command), None, "{command}");
        }
        assert_eq!(missing_program("no-such-prog | cat"), Some("no-such-prog"));
        assert_eq!(missing_program(" /etc/passwd x"), Some("/etc/passwd"));
        assert_eq!(missing_program("/no/such/prog"), Some("/no/such/prog"));
    }
}
