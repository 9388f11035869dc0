//! Prints the contents of captures, one record per line; with `-q` only counts.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use peregrine_event::Event;
use peregrine_scap::{Reader, Record, ScapError};

fn main() -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut quiet = false;
    for path in std::env::args().skip(1) {
        if path == "-q" {
            quiet = true;
        } else if let Err(error) = dump(&path, quiet, &mut out) {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn dump(path: &str, quiet: bool, out: &mut impl Write) -> Result<(), ScapError> {
    let mut reader = Reader::open(path)?;
    let mut items = 0_u64;
    while let Some(record) = reader.next()? {
        items += u64::from(matches!(record, Record::Snapshot(_)));
        if quiet {
            continue;
        }
        match record {
            Record::Restart => writeln!(out, "restart"),
            Record::Snapshot(item) => writeln!(out, "{item:?}"),
            Record::Event { event, .. } => line(&event, out),
        }
        .map_err(ScapError::Write)?;
    }
    writeln!(out, "{path}: {items} items, {:?}", reader.counts()).map_err(ScapError::Write)
}

/// Number, time, thread, CPU, type, and the parameters in hex.
fn line(event: &Event<'_>, out: &mut impl Write) -> io::Result<()> {
    let id = event.ty.info().id;
    write!(out, "{} {} {} {} {id}", event.num, event.ts, event.tid, event.cpu)?;
    for index in 0..event.nparams() {
        write!(out, " ")?;
        for byte in event.param(index).unwrap_or_default() {
            write!(out, "{byte:02x}")?;
        }
        write!(out, ",")?;
    }
    writeln!(out)
}
