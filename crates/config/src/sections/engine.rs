//! `engine`: where system call events come from.

use std::path::PathBuf;

use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, IgnoredValue, Row, Setting, section, words};
use crate::issue::{ConfigCode, ConfigIssue};

/// Where system call events come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Engine {
    /// The running kernel. `modern_ebpf` and `kmod` come to the same, up to the name in messages.
    Live {
        /// `kmod` was asked for.
        kmod: bool,
        /// Rings and what goes into them.
        settings: LiveSettings,
    },
    /// A capture file.
    Replay {
        /// Its path; never empty.
        capture_file: PathBuf,
    },
    /// Nowhere: the program runs without events.
    NoDriver,
}

/// Rings of the running kernel and what goes into them.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveSettings {
    /// CPUs that share a ring; 0 means one ring for all.
    pub cpus_for_each_buffer: u16,
    /// Size of each ring.
    pub ring_size: RingSize,
    /// Do not report system calls that failed.
    pub drop_failed_exit: bool,
    /// Scan at the start through /proc only.
    pub disable_iterators: bool,
    /// How system calls are hooked.
    pub hooks: Hooks,
    /// What to watch of the machine.
    pub scope: Scope,
}

/// Size of a ring, as one of Falco's ten presets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSize(u8);

impl RingSize {
    /// `None` for a preset outside of 1 to 10.
    #[must_use]
    pub fn from_preset(preset: i16) -> Option<Self> {
        u8::try_from(preset).ok().filter(|preset| (1..=10).contains(preset)).map(Self)
    }

    /// 1 to 10.
    #[must_use]
    pub fn preset(self) -> i16 {
        self.0.into()
    }

    /// 1 MiB for preset 1, doubled with each further one.
    #[must_use]
    pub fn bytes(self) -> u32 {
        1 << (19 + self.0)
    }

    fn read(preset: i16, section: Option<&Node>) -> Result<Self, ConfigIssue> {
        Self::from_preset(preset).ok_or_else(|| {
            // The line feed at the end is part of Falco's text.
            let message = "The 'buf_size_preset' value must be between '1' and '10'\n";
            let issue = ConfigIssue::new(ConfigCode::Value, message);
            match section.and_then(|section| section.get("buf_size_preset")) {
                Some(node) => issue.at(node),
                None => issue,
            }
        })
    }
}

impl Default for RingSize {
    fn default() -> Self {
        Self(4)
    }
}

/// How system calls are hooked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hooks {
    /// The best way that the kernel takes.
    #[default]
    Auto,
    /// On the functions of those selected.
    PerSyscall,
    /// At the end of all.
    SysExit,
}

impl Default for Engine {
    fn default() -> Self {
        Self::Live { kmod: true, settings: ModernEbpf::default().with_ring(RingSize::default()) }
    }
}

impl Setting for Engine {
    fn schema(definitions: &mut Definitions) -> Json {
        EngineKeys::schema(definitions)
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(keys) = EngineKeys::read(node, key)? else { return Ok(None) };
        let at = |name: &str| node.get(name).unwrap_or(node);
        Ok(Some(match keys.kind.as_str() {
            "kmod" => {
                let ring_size = RingSize::read(keys.kmod.buf_size_preset, node.get("kmod"))?;
                let drop_failed_exit = keys.kmod.drop_failed_exit;
                let keys = ModernEbpf { drop_failed_exit, ..ModernEbpf::default() };
                Self::Live { kmod: true, settings: keys.with_ring(ring_size) }
            }
            "modern_ebpf" => {
                let (keys, node) = (keys.modern_ebpf, node.get("modern_ebpf"));
                let ring_size = RingSize::read(keys.buf_size_preset, node)?;
                Self::Live { kmod: false, settings: keys.with_ring(ring_size) }
            }
            "replay" if keys.replay.capture_file.is_empty() => {
                let message =
                    "engine.kind is 'replay' but no engine.replay.capture_file specified.";
                return Err(ConfigIssue::in_file(message).at(at("kind")).help(
                    "name the file: -o engine.replay.capture_file=PATH, or in the configuration",
                ));
            }
            "replay" => Self::Replay { capture_file: keys.replay.capture_file.into() },
            "nodriver" => Self::NoDriver,
            other => {
                return Err(ConfigIssue::in_file(format!(
                    "engine.kind '{other}' is not a valid kind."
                ))
                .at(at("kind"))
                .help("one of modern_ebpf, kmod, replay, nodriver"));
            }
        }))
    }

    fn ignored(node: &Node, key: &str, found: &mut Vec<IgnoredValue>) {
        EngineKeys::ignored(node, key, found);
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        EngineKeys::default().rows(key, about, rows);
    }
}

section! {
    /// The event source as it is written; [`Engine`] is what it comes to.
    pub(crate) EngineKeys "Engine" extra { "required": ["kind"] } {
        /// Source of events: kmod and modern_ebpf are the running kernel, replay is a capture file,
        /// nodriver is none.
        kind: String = "kmod".to_owned();
        /// Buffers with `kind: kmod`. Taken as for modern_ebpf: there is no kernel module.
        kmod: Kmod = Kmod::default();
        /// Buffers with `kind: modern_ebpf`.
        modern_ebpf: ModernEbpf = ModernEbpf::default();
        /// The file with `kind: replay`.
        replay: Replay = Replay::default();
    }
}

section! {
    /// Kernel module.
    pub(crate) Kmod "Kmod" extra { "minProperties": 1 } {
        /// Size of the ring of each CPU: 1 MB at 1, doubled with every step, 512 MB at 10.
        buf_size_preset: i16 = 4;
        /// Do not report system calls that failed.
        drop_failed_exit: bool = false;
    }
}

section! {
    /// BPF.
    pub(crate) ModernEbpf "ModernEbpf" {
        /// CPUs that share a ring; 0 means one ring for all.
        cpus_for_each_buffer: u16 = 2;
        /// Size of each ring, in the steps of `engine.kmod.buf_size_preset`.
        buf_size_preset: i16 = 4;
        /// Do not report system calls that failed.
        drop_failed_exit: bool = false;
        /// Read the initial state from /proc only, not through BPF iterators.
        disable_iterators: bool = false;
        /// How system calls are hooked: per_syscall (one hook per selected call), sys_exit (one
        /// hook at the exit of all), or auto, the first that the kernel supports.
        hooks: Hooks = Hooks::default(), extra { "$comment": "Peregrine" };
        /// What to watch of the machine.
        scope: Scope = Scope::default(), extra { "$comment": "Peregrine" };
    }
}

impl ModernEbpf {
    fn with_ring(self, ring_size: RingSize) -> LiveSettings {
        LiveSettings {
            cpus_for_each_buffer: self.cpus_for_each_buffer,
            ring_size,
            drop_failed_exit: self.drop_failed_exit,
            disable_iterators: self.disable_iterators,
            hooks: self.hooks,
            scope: self.scope,
        }
    }
}

section! {
    /// Part of the machine that is watched. Falco has no such thing.
    pub Scope "Scope" {
        /// Directory of a cgroup v2: only its tasks and those of the cgroups below it are
        /// monitored. Empty means the whole machine.
        cgroup: String = String::new();
    }
}

section! {
    /// A capture file.
    pub(crate) Replay "Replay" extra { "required": ["capture_file"] } {
        /// Path of the capture file.
        capture_file: String = String::new();
    }
}

words!(
    Hooks, { "type": "string", "enum": ["auto", "per_syscall", "sys_exit"] }, "auto",
    { "auto" => Self::Auto, "per_syscall" => Self::PerSyscall, "sys_exit" => Self::SysExit },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("engine.modern_ebpf.hooks '{word}' is not a way to hook system calls."))
);
