//! Says what is wrong with rules files: `validate [--json] FILE…`

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::process::ExitCode;

use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};

fn main() -> std::io::Result<ExitCode> {
    let syscall = EventSource { name: "syscall".to_owned(), vocabulary: Fields::syscall() };
    let mut loader = Loader::new(vec![syscall], Vec::new());
    let mut json = false;
    let mut results = Vec::new();
    for argument in std::env::args().skip(1) {
        if argument == "--json" {
            json = true;
            continue;
        }
        results.push(loader.load(&argument, &std::fs::read(&argument)?));
    }
    if json {
        let all: serde_json::Value = results.iter().map(|result| result.to_json()).collect();
        println!("{}", serde_json::json!({ "falco_load_results": all }));
    } else {
        for result in &results {
            println!("{}\n{}", result.summary(), result.explanation());
        }
    }
    let right = results.iter().all(|result| result.successful());
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
