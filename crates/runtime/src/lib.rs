//! A run: sources, the event loop with its observers, and the files that it records.
//!
//! The command line maps the configuration to the settings of this crate, which knows neither.
//! Everything that may be slow, such as writing captures, happens on threads of its own.
//!
//! ```
//! use peregrine_runtime::Log;
//! use peregrine_runtime::capture::{Backpressure, CaptureWriter, FileSettings};
//! use peregrine_state::{Config, State};
//!
//! let path = std::env::temp_dir().join("runtime-example.scap");
//! let log = Log::new(|level, line| eprintln!("{level}: {line}"));
//! let mut writer = CaptureWriter::start(Backpressure::Wait, log)?;
//! let state = State::new(Config::default());
//! let file = writer.create(FileSettings::by_name(&path), state.full_snapshot(0));
//! writer.finish(file);
//! writer.close();
//! assert!(std::fs::metadata(&path)?.len() > 0);
//! # std::fs::remove_file(&path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod capture;
pub mod clock;
pub mod control;
mod event_loop;
mod limits;
mod log;
pub mod memory;
pub mod observers;
pub mod privileges;
mod profile;
pub mod reload;
mod run;
pub mod service;
mod settings;
pub mod signals;
pub mod sources;
mod stop;
mod update;
mod watchdog;

pub use log::{BackgroundLog, Log, LogFormat, LogSettings};
pub use profile::ProfileReport;
pub use run::{Run, RunContext, RunError, RunReport};
pub use settings::{RunSettings, SourceSettings};
pub use update::{MetricsChange, Update};
