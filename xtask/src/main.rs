//! Developer chores that are not part of the product: `cargo xtask help` lists them.

mod codegen;
mod demo;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer chores of Peregrine")]
enum Task {
    /// Generate Rust from the format's data tables (`data/*.json`).
    Codegen {
        /// Change nothing; fail if the committed output is not what would be generated.
        #[arg(long)]
        check: bool,
    },
    /// Write the capture that ships with the project, `conformance/captures/demo.scap`.
    DemoCapture,
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Codegen { check } => codegen::run(check),
        Task::DemoCapture => demo::run(),
    }
}
