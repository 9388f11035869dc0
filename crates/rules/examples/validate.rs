//! Says what is wrong with rules files: `validate [--json | --describe] [--containers] FILE…`

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::process::ExitCode;

use peregrine_fields::Fields;
use peregrine_rules::{EventSource, LoadResult, Loader};

fn main() -> std::io::Result<ExitCode> {
    let (mut json, mut describe) = (false, false);
    let containers = std::env::args().any(|argument| argument == "--containers");
    let syscall = EventSource::syscall(Fields::syscall().with_containers(containers));
    let mut loader = Loader::new(vec![syscall], Vec::new());
    let mut results = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => json = true,
            "--describe" => describe = true,
            "--containers" => {}
            path => results.push(loader.load(path, &std::fs::read(path)?)),
        }
    }
    if describe {
        println!("{}", loader.rules().describe(&|_, _| Vec::new()));
    } else if json {
        let all: serde_json::Value = results.iter().map(LoadResult::to_json).collect();
        println!("{}", serde_json::json!({ "falco_load_results": all }));
    } else {
        for result in &results {
            println!("{}\n{}", result.summary(), result.explanation());
        }
    }
    let right = results.iter().all(LoadResult::successful);
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
