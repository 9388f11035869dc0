//! Developer chores that are not part of the product: `cargo xtask help` lists them.

mod bpf;
mod codegen;
mod demo;
mod lengthen;
mod seeds;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer chores of Peregrine")]
enum Task {
    /// Generate Rust and C from the format's data tables (`data/*.json`).
    Codegen {
        /// Change nothing; fail if the committed output is not what would be generated.
        #[arg(long)]
        check: bool,
    },
    /// Compile the kernel side (`bpf/`) with clang-19, for every architecture.
    Bpf {
        /// Change nothing; fail if a committed object is not what its source compiles to.
        #[arg(long)]
        check: bool,
    },
    /// Write the capture that ships with the project, `conformance/captures/demo.scap`.
    DemoCapture,
    /// Make a long capture out of a short one, for benchmarks: its events again and again.
    LengthenCapture {
        /// A capture, plain or gzip.
        input: PathBuf,
        /// How often.
        times: u64,
        /// Where to write the plain result.
        output: PathBuf,
    },
    /// Cut captures and rules into first inputs for the fuzz targets, `fuzz/seeds/`.
    FuzzSeeds,
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Codegen { check } => codegen::run(check),
        Task::Bpf { check } => bpf::build(check),
        Task::DemoCapture => demo::run(),
        Task::LengthenCapture { input, times, output } => lengthen::run(&input, times, &output),
        Task::FuzzSeeds => seeds::run(),
    }
}
