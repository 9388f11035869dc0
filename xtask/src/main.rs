//! Developer chores that are not part of the product: `cargo xtask help` lists them.

mod codegen;

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
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Codegen { check } => codegen::run(check),
    }
}
