//! Health checks in the form of docker, which others have taken over.

use peregrine_state::{HealthProbe, ProbeKind};

/// The command of a check: `test` is its kind and the words behind it. `shell` runs commands of the
/// kind `CMD-SHELL`; `/bin/sh -c` does, if it is empty.
pub(crate) fn healthcheck(test: Vec<String>, shell: Vec<String>) -> Option<HealthProbe> {
    let mut test = test.into_iter();
    let (exe, args) = match test.next()?.as_str() {
        "CMD" => (test.next()?, test.collect()),
        "CMD-SHELL" => {
            let mut shell = shell.into_iter();
            let exe = shell.next().unwrap_or_else(|| "/bin/sh".to_owned());
            let mut args: Vec<_> = shell.collect();
            if args.is_empty() {
                args.push("-c".to_owned());
            }
            args.push(test.next()?);
            (exe, args)
        }
        _ => return None,
    };
    Some(HealthProbe { kind: ProbeKind::Healthcheck, exe, args })
}
