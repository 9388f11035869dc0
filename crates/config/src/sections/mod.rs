//! The keys, one file per section.

mod append_output;
mod capture;
mod containers;
mod drops;
mod engine;
mod files;
mod includes;
mod kubernetes;
mod libs;
mod log;
mod metrics;
mod outputs;
mod plugins;
mod rules;
mod throttling;
mod webserver;

pub use append_output::{AppendOutput, ExtraField};
pub use capture::{Capture, CaptureMode, OldestReader};
pub use containers::{Containers, Matchers};
pub use drops::{DropAction, DropActions, Share, SyscallEventDrops, SyscallEventTimeouts};
pub use engine::{Engine, Hooks, LiveSettings, RingSize, Scope};
pub use files::Files;
pub use includes::{Include, Strategy};
pub use kubernetes::Kubernetes;
pub use libs::{BaseSyscalls, FalcoLibs};
pub use log::{LibsLogger, LibsSeverity, LogFormat, LogLevel};
pub use metrics::{Interval, IntervalError, Metrics};
pub use outputs::{Age, Spool, WhenSpoolFull};
pub use outputs::{
    AlertFormat, AppName, Batch, BatchForm, ClientCertificate, Encoding, Facility, FieldChanges,
    FileCompression, FileOutput, FileRotation, Fsync, Headers, HttpExtras, HttpOutput, OtlpBatch,
    OtlpKeys, OtlpOutput, OtlpProtocol, OutputsQueue, OwnStdoutKeys, OwnSyslogKeys, Presentation,
    ProgramOutput, Renames, Retries, Select, StdoutOutput, SyslogAddress, SyslogForm,
    SyslogFraming, SyslogOutput, Tls, TlsKeys, Trust, WhenClosed, WhenFull,
};
pub use outputs::{KafkaCompression, KafkaOutput, KafkaSasl, NatsLogin, NatsOutput, SaslMechanism};
pub use plugins::{OwnPluginKeys, Plugin, Plugins};
pub use rules::{RuleMatching, RuleSelection};
pub use throttling::AlertThrottling;
pub use webserver::{ListenAddress, Webserver};
