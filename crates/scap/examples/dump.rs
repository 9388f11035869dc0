//! Prints the events of a capture, one a line: number, time, thread, CPU, type, parameters in hex.

use std::fmt::Write as _;
use std::io::Write as _;

use peregrine_scap::{Reader, Record};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut quiet = false;
    for path in std::env::args().skip(1) {
        if path == "-q" {
            quiet = true;
            continue;
        }
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let mut reader = Reader::open(&path)?;
        let mut line = String::new();
        let mut items = 0_u64;
        while let Some(record) = reader.next()? {
            line.clear();
            match record {
                Record::Restart => line += "restart",
                Record::Snapshot(item) => {
                    items += 1;
                    write!(line, "{item:?}")?;
                }
                Record::Event { event, .. } if !quiet => {
                    let name = event.ty.info().id;
                    write!(line, "{} {} {} {} {name}", event.num, event.ts, event.tid, event.cpu)?;
                    for index in 0..event.nparams() {
                        line.push(' ');
                        for byte in event.param(index).unwrap_or_default() {
                            write!(line, "{byte:02x}")?;
                        }
                        line.push(',');
                    }
                }
                Record::Event { .. } => {}
            }
            if !quiet {
                writeln!(out, "{line}")?;
            }
        }
        writeln!(out, "{path}: {items} items, {:?}", reader.counts())?;
    }
    Ok(())
}
