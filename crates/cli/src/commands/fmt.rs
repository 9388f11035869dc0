//! `peregrine rules fmt`: rules files in one layout.

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use anyhow::anyhow;
use peregrine_args::FmtCommand;
use peregrine_authoring::fmt::{format, syntax_problems};
use peregrine_authoring::unified_diff;
use peregrine_files::replace;

use peregrine_wiring::print::{print, print_error};

/// Formats the files. Those that cannot be formatted do not keep others from it.
pub(crate) fn run(args: &FmtCommand) -> anyhow::Result<ExitCode> {
    let (mut unformatted, mut failed) = (false, false);
    for named in &args.files {
        let files = match Path::new(named).is_dir() {
            true => peregrine_rules::files_at(named)?.files,
            false => vec![named.clone()],
        };
        for file in files {
            match one(&file, args) {
                Ok(changed) => unformatted |= changed,
                Err(error) if error.is::<io::Error>() => return Err(error),
                Err(error) => {
                    failed = true;
                    print_error(format!("{error}\n"));
                }
            }
        }
    }
    let unformatted = unformatted && (args.check || args.diff);
    Ok(if failed { ExitCode::from(2) } else { ExitCode::from(u8::from(unformatted)) })
}

/// Formats a file. Returns whether it was not formatted.
fn one(file: &str, args: &FmtCommand) -> anyhow::Result<bool> {
    let (name, text) = match file {
        "-" => ("<stdin>", io::read_to_string(io::stdin())),
        _ => (file, fs::read_to_string(file)),
    };
    let text = text.map_err(|error| anyhow!("{name}: cannot be read: {error}"))?;
    let formatted = format(&text).map_err(|error| {
        let reasons =
            syntax_problems(name, &text).into_iter().map(|problem| format!("{problem}\n"));
        anyhow!("{}{name}: stays as it is: {error}", reasons.collect::<String>())
    })?;
    let changed = text != formatted;
    if args.diff {
        print(unified_diff(name, &text, &formatted))?;
    } else if args.check {
        print(if changed { format!("{name}: is not formatted\n") } else { String::new() })?;
    } else if file == "-" {
        print(formatted)?;
    } else if changed {
        replace(Path::new(file), formatted.as_bytes())
            .map_err(|error| anyhow!("{name}: cannot be written: {error}"))?;
        print(format!("{name}: formatted\n"))?;
    }
    Ok(changed)
}
