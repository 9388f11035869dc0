//! Developer chores that are not part of the product: `cargo xtask help` lists them.

mod bench;
mod bpf;
mod codegen;
mod demo;
mod kernels;
mod kubernetes;
mod lengthen;
mod seeds;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer chores of Peregrine")]
enum Task {
    /// Compare the instruction counts of the benchmarks with `benches/baseline.json`.
    ///
    /// Each toolchain (rustc, valgrind, architecture) has a baseline of its own. Requires valgrind
    /// and gungraun-runner.
    #[command(after_help = "\
Examples:
  cargo xtask bench --check     did an event become more expensive? CI asks the same
  cargo xtask bench --accept    it did, and the commit says why; or this toolchain has no baseline")]
    Bench(bench::Options),
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
    /// Make a long capture out of a short one for benchmarks, by repeating its events.
    LengthenCapture {
        /// A capture, plain or gzip-compressed.
        input: PathBuf,
        /// Number of repetitions.
        times: u64,
        /// Where to write the plain result.
        output: PathBuf,
    },
    /// Boot kernels in virtual machines and run checks on them.
    ///
    /// Kernels are Debian's, for x86_64 and aarch64. Requires qemu, and for a foreign architecture
    /// gcc and Rust's standard library; what is not available is skipped, and the table says why.
    #[command(after_help = "\
Examples:
  cargo xtask kernels --report docs/kernels.md          everything, about half an hour
  cargo xtask kernels --kernel 6.1 --arch arm64         one kernel
  cargo xtask kernels --kernel newest --check load      does the newest kernel take the probe?
  cargo xtask kernels --image /boot/vmlinuz-6.8.0       a kernel of your own")]
    Kernels(kernels::Options),
    /// Run the program on a real node of Kubernetes, and compare its alerts with the pods there.
    ///
    /// Requires root, the programs of Kubernetes and a script that starts them; where they are
    /// missing, it says so and succeeds.
    #[command(after_help = "\
Examples:
  cargo xtask kubernetes --script k8s-node.sh --node /var/tmp/node              everything
  cargo xtask kubernetes --script k8s-node.sh --node DIR --before 0 --count 2   a quick look")]
    Kubernetes(kubernetes::Options),
    /// Write seeds for the fuzz targets, cut from captures and rules, to `fuzz/seeds/`.
    FuzzSeeds,
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Bench(options) => bench::run(&options),
        Task::Codegen { check } => codegen::run(check),
        Task::Bpf { check } => bpf::build(check),
        Task::DemoCapture => demo::run(),
        Task::LengthenCapture { input, times, output } => lengthen::run(&input, times, &output),
        Task::Kernels(options) => kernels::run(&options),
        Task::Kubernetes(options) => kubernetes::run(&options),
        Task::FuzzSeeds => seeds::run(),
    }
}
