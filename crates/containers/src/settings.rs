//! What users configure: the `init_config` of the plugin `container`.

use std::path::PathBuf;
use std::time::Duration;

use peregrine_event::source::ContainerEngine;
use peregrine_state::StaticContainer;
use serde_json::{Map, Value};
use thiserror::Error;

/// Everything that can be configured about clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// By the number of their [`EngineKind`].
    engines: [EngineSettings; 4],
    /// Whether control groups of LXC are matched.
    pub lxc: bool,
    /// Whether control groups of libvirt's LXC are matched.
    pub libvirt_lxc: bool,
    /// Whether control groups of BPM are matched.
    pub bpm: bool,
    /// The container that everything belongs to, if there is one.
    pub static_container: Option<StaticContainer>,
    /// Longest value of a label, bytes. Labels with longer ones are left out.
    pub label_max_len: usize,
    /// Whether the sizes of writable layers are asked for.
    pub with_size: bool,
    /// When a container is told to rules.
    pub hooks: Hooks,
    /// Which messages are logged.
    pub log_level: LogLevel,
    /// Where the root directory of the host is: elsewhere in a container. Sockets are below it.
    pub host_root: PathBuf,
    /// Times.
    pub timing: Timing,
}

/// An engine that has a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum EngineKind {
    Podman,
    Docker,
    Cri,
    Containerd,
}

/// An engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// Whether it is asked, and its control groups are matched.
    pub enabled: bool,
    /// Its sockets, without the host's root. A `*` stands for one component.
    pub sockets: Vec<String>,
}

/// At which changes of a container rules see a `container` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// When it is made.
    pub create: bool,
    /// When it starts.
    pub start: bool,
}

/// Which messages are logged: those of this level and above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warning,
    Error,
}

/// Times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Longest time for an answer about one container.
    pub request: Duration,
    /// How long an unknown container is asked for.
    pub lookup: Duration,
    /// How long the first event waits for the containers that there are.
    pub start: Duration,
    /// Time from the end of a container to when it is forgotten.
    pub removal: Duration,
}

/// Why a text configures nothing.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// It is no JSON.
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is no object.
    #[error("it is no map")]
    NoMap,
    /// A value has another type, or is none of those that are allowed.
    #[error("{key}: {wanted} is expected")]
    Value {
        /// The key, sections before it.
        key: String,
        /// What is expected.
        wanted: &'static str,
    },
}

/// A key that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsIssue {
    /// The key, sections before it.
    pub key: String,
    /// What is the matter.
    pub message: String,
}

impl EngineKind {
    /// All of them, in the order in which control groups are matched.
    pub const ALL: [Self; 4] = [Self::Podman, Self::Docker, Self::Cri, Self::Containerd];

    /// Its name in the configuration, in metrics and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Cri => "cri",
            Self::Containerd => "containerd",
        }
    }

    /// Its position in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or_default()
    }

    fn default_sockets(self) -> &'static [&'static str] {
        match self {
            Self::Podman => &["/run/podman/podman.sock", "/run/user/*/podman/podman.sock"],
            Self::Docker => &["/var/run/docker.sock"],
            Self::Cri => &[
                "/run/containerd/containerd.sock",
                "/run/crio/crio.sock",
                "/run/k3s/containerd/containerd.sock",
                "/run/host-containerd/containerd.sock",
                // Beside the reference's.
                "/run/cri-dockerd.sock",
                "/run/k0s/containerd.sock",
                "/var/snap/microk8s/common/run/containerd.sock",
            ],
            // Beside the reference's: what nerdctl and ctr start is in no namespace of CRI.
            Self::Containerd => &[
                "/run/containerd/containerd.sock",
                "/run/k3s/containerd/containerd.sock",
                "/run/host-containerd/containerd.sock",
                "/run/k0s/containerd.sock",
                "/var/snap/microk8s/common/run/containerd.sock",
            ],
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(10),
            lookup: Duration::from_secs(3),
            start: Duration::from_secs(1),
            removal: Duration::from_secs(5),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let engine = |kind: EngineKind| EngineSettings {
            enabled: true,
            sockets: kind.default_sockets().iter().map(|&socket| socket.to_owned()).collect(),
        };
        Self {
            engines: EngineKind::ALL.map(engine),
            lxc: true,
            libvirt_lxc: true,
            bpm: true,
            static_container: None,
            label_max_len: 100,
            with_size: false,
            hooks: Hooks { create: true, start: false },
            log_level: LogLevel::Info,
            host_root: PathBuf::from("/"),
            timing: Timing::default(),
        }
    }
}

impl Settings {
    /// The settings of an engine.
    pub fn engine(&self, kind: EngineKind) -> &EngineSettings {
        let [podman, docker, cri, containerd] = &self.engines;
        match kind {
            EngineKind::Podman => podman,
            EngineKind::Docker => docker,
            EngineKind::Cri => cri,
            EngineKind::Containerd => containerd,
        }
    }

    fn engine_mut(&mut self, kind: EngineKind) -> &mut EngineSettings {
        let [podman, docker, cri, containerd] = &mut self.engines;
        match kind {
            EngineKind::Podman => podman,
            EngineKind::Docker => docker,
            EngineKind::Cri => cri,
            EngineKind::Containerd => containerd,
        }
    }

    /// The engines whose control groups are matched.
    pub fn matched(&self) -> Vec<ContainerEngine> {
        let enabled = |kind| self.engine(kind).enabled;
        [
            (ContainerEngine::Podman, enabled(EngineKind::Podman)),
            (ContainerEngine::Docker, enabled(EngineKind::Docker)),
            (ContainerEngine::Cri, enabled(EngineKind::Cri)),
            (ContainerEngine::Containerd, enabled(EngineKind::Containerd)),
            (ContainerEngine::Lxc, self.lxc),
            (ContainerEngine::LibvirtLxc, self.libvirt_lxc),
            (ContainerEngine::Bpm, self.bpm),
        ]
        .into_iter()
        .filter_map(|(engine, enabled)| enabled.then_some(engine))
        .collect()
    }

    /// Reads the `init_config` of the plugin, as plugins get it: a map as JSON, empty or `null` for
    /// the defaults. Also tells the keys that have no effect.
    ///
    /// # Errors
    /// When the text is no JSON, or a value can't be used.
    pub fn from_json(text: &str) -> Result<(Self, Vec<SettingsIssue>), SettingsError> {
        let mut read = Reader { settings: Self::default(), issues: Vec::new() };
        if !text.trim().is_empty() {
            match serde_json::from_str(text)? {
                Value::Null => {}
                Value::Object(map) => read.top(&map)?,
                _ => return Err(SettingsError::NoMap),
            }
        }
        Ok((read.settings, read.issues))
    }
}

struct Reader {
    settings: Settings,
    issues: Vec<SettingsIssue>,
}

type Read<T = ()> = Result<T, SettingsError>;

impl Reader {
    fn top(&mut self, map: &Map<String, Value>) -> Read {
        for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            match key.as_str() {
                "label_max_len" => self.settings.label_max_len = size(key, value)?,
                "with_size" => self.settings.with_size = flag(key, value)?,
                "hooks" => self.hooks(value)?,
                "log_level" => self.settings.log_level = level(value)?,
                "host_root" => self.settings.host_root = text(key, value)?.into(),
                "engines" => self.engines(object(key, value)?)?,
                _ => self.unknown(key.clone()),
            }
        }
        Ok(())
    }

    fn engines(&mut self, map: &Map<String, Value>) -> Read {
        for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            let key = format!("engines.{name}");
            let engine = object(&key, value)?;
            let kind = EngineKind::ALL.into_iter().find(|kind| kind.name() == name);
            if let Some(kind) = kind {
                self.engine(kind, &key, engine)?;
                continue;
            }
            let target = match name.as_str() {
                "lxc" => &mut self.settings.lxc,
                "libvirt_lxc" => &mut self.settings.libvirt_lxc,
                "bpm" => &mut self.settings.bpm,
                "static" => {
                    self.static_container(&key, engine)?;
                    continue;
                }
                _ => {
                    self.unknown(key);
                    continue;
                }
            };
            if let Some(enabled) = engine.get("enabled") {
                *target = flag(&format!("{key}.enabled"), enabled)?;
            }
            self.others(&key, engine, &["enabled"]);
        }
        Ok(())
    }

    fn engine(&mut self, kind: EngineKind, key: &str, map: &Map<String, Value>) -> Read {
        let settings = self.settings.engine_mut(kind);
        if let Some(enabled) = map.get("enabled") {
            settings.enabled = flag(&format!("{key}.enabled"), enabled)?;
        }
        if let Some(sockets) = map.get("sockets").filter(|sockets| !sockets.is_null()) {
            settings.sockets = texts(&format!("{key}.sockets"), sockets)?;
        }
        self.others(key, map, &["enabled", "sockets"]);
        Ok(())
    }

    fn static_container(&mut self, key: &str, map: &Map<String, Value>) -> Read {
        let enabled = match map.get("enabled") {
            Some(enabled) => flag(&format!("{key}.enabled"), enabled)?,
            None => false,
        };
        let part = |name: &str| match map.get(name) {
            Some(value) if !value.is_null() => text(&format!("{key}.{name}"), value),
            _ => Ok(String::new()),
        };
        let (id, name) = (part("container_id")?, part("container_name")?);
        let container = StaticContainer { id, name, image: part("container_image")? };
        self.settings.static_container = enabled.then_some(container);
        let keys = ["enabled", "container_id", "container_name", "container_image"];
        self.others(key, map, &keys);
        Ok(())
    }

    fn hooks(&mut self, value: &Value) -> Read {
        let wanted = "a list of `create` and `start`";
        let mut hooks = Hooks { create: false, start: false };
        for hook in texts("hooks", value)? {
            match hook.as_str() {
                "create" => hooks.create = true,
                "start" => hooks.start = true,
                _ => return Err(SettingsError::Value { key: "hooks".to_owned(), wanted }),
            }
        }
        self.settings.hooks = hooks;
        Ok(())
    }

    fn others(&mut self, section: &str, map: &Map<String, Value>, known: &[&str]) {
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            self.unknown(format!("{section}.{key}"));
        }
    }

    fn unknown(&mut self, key: String) {
        let message = format!("the plugin `container` has no key `{key}`");
        self.issues.push(SettingsIssue { key, message });
    }
}

fn wrong<T>(key: &str, wanted: &'static str) -> Read<T> {
    Err(SettingsError::Value { key: key.to_owned(), wanted })
}

fn object<'a>(key: &str, value: &'a Value) -> Read<&'a Map<String, Value>> {
    value.as_object().map_or_else(|| wrong(key, "a map"), Ok)
}

fn flag(key: &str, value: &Value) -> Read<bool> {
    value.as_bool().map_or_else(|| wrong(key, "true or false"), Ok)
}

fn size(key: &str, value: &Value) -> Read<usize> {
    let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
    size.map_or_else(|| wrong(key, "a number that is not negative"), Ok)
}

fn text(key: &str, value: &Value) -> Read<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        // YAML takes `1234` for a number.
        Value::Number(number) => Ok(number.to_string()),
        _ => wrong(key, "a text"),
    }
}

fn texts(key: &str, value: &Value) -> Read<Vec<String>> {
    let Some(items) = value.as_array() else { return wrong(key, "a list of texts") };
    items.iter().map(|item| text(key, item)).collect()
}

fn level(value: &Value) -> Read<LogLevel> {
    match value.as_str() {
        Some("trace") => Ok(LogLevel::Trace),
        Some("debug") => Ok(LogLevel::Debug),
        Some("info") => Ok(LogLevel::Info),
        Some("warn" | "warning") => Ok(LogLevel::Warning),
        Some("error") => Ok(LogLevel::Error),
        _ => wrong("log_level", "trace, debug, info, warn or error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Settings, Vec<String>) {
        let (settings, issues) = Settings::from_json(text).unwrap();
        (settings, issues.into_iter().map(|issue| issue.key).collect())
    }

    fn error(text: &str) -> String {
        Settings::from_json(text).unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_the_defaults() {
        for text in ["", " ", "null", "{}", r#"{"engines": null}"#, r#"{"engines": {}}"#] {
            assert_eq!(read(text), (Settings::default(), vec![]), "{text}");
        }
    }

    #[test]
    fn engines_that_are_not_named_stay_as_they_are() {
        let (settings, issues) = read(
            r#"{"engines": {"docker": {"enabled": true, "sockets": ["/a.sock"]},
                "podman": {"enabled": false}, "bpm": {"enabled": false},
                "static": {"enabled": true, "container_id": 12, "container_name": "n"}}}"#,
        );
        assert!(issues.is_empty() && !settings.bpm && settings.lxc);
        assert_eq!(settings.engine(EngineKind::Docker).sockets, ["/a.sock"]);
        assert!(!settings.engine(EngineKind::Podman).enabled);
        assert_eq!(settings.engine(EngineKind::Cri).sockets.len(), 7);
        let container = settings.static_container.unwrap();
        assert_eq!((container.id.as_str(), container.name.as_str()), ("12", "n"));
    }

    #[test]
    fn unknown_keys_are_told_and_wrong_values_are_errors() {
        let (_, issues) = read(
            r#"{"label_len": 1, "engines": {"rkt": {}, "cri": {"socket": "x"}, "lxc": {"a": 1}}}"#,
        );
        assert_eq!(issues, ["engines.cri.socket", "engines.lxc.a", "engines.rkt", "label_len"]);
        assert_eq!(error("[]"), "it is no map");
        assert_eq!(error(r#"{"with_size": 1}"#), "with_size: true or false is expected");
        assert_eq!(
            error(r#"{"engines": {"cri": {"sockets": "x"}}}"#),
            "engines.cri.sockets: a list of texts is expected"
        );
        assert!(error("{").starts_with("it is no JSON"));
        assert!(error(r#"{"hooks": ["remove"]}"#).starts_with("hooks: a list of"));
        assert!(error(r#"{"log_level": "loud"}"#).starts_with("log_level: trace"));
    }

    #[test]
    fn other_keys_are_read() {
        let (settings, _) = read(
            r#"{"label_max_len": 7, "with_size": true, "hooks": ["start"], "log_level": "debug"}"#,
        );
        assert_eq!((settings.label_max_len, settings.with_size), (7, true));
        assert_eq!(settings.hooks, Hooks { create: false, start: true });
        assert_eq!(settings.log_level, LogLevel::Debug);
    }
}
