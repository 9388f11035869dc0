//! The process of an event with its ancestors, its user and its container.

use std::collections::BTreeSet;

use peregrine_fields::CAPABILITIES;
use peregrine_state::{Container, ContainerKind, State, Thread};

use super::yaml::{map, put};
use peregrine_params::{Shown, text};

/// The thread that acts, in the state that a test begins with.
pub(super) struct Person<'a> {
    pub(super) state: &'a State,
    pub(super) tid: i64,
    /// Fields that rules name.
    pub(super) named: &'a BTreeSet<String>,
}

type Parts = Vec<(String, Shown)>;

fn number(value: impl ToString) -> Shown {
    Shown::plain(value)
}

impl Person<'_> {
    /// The values of a test about the thread.
    pub(super) fn parts(&self) -> Parts {
        let mut parts = Vec::new();
        let Some(thread) = self.state.by_tid(self.tid).filter(|thread| !thread.is_unknown()) else {
            put(&mut parts, "proc", Shown::Null);
            put(&mut parts, "thread", map(vec![("tid".to_owned(), number(self.tid))]));
            return parts;
        };
        put(&mut parts, "proc", map(self.process(thread)));
        let of_thread = self.thread(thread);
        if !of_thread.is_empty() {
            put(&mut parts, "thread", map(of_thread));
        }
        put(&mut parts, "user", map(self.user(thread)));
        if self.names("group.") {
            let mut group = vec![("gid".to_owned(), number(thread.gid))];
            let name = self.state.group(thread, thread.gid).unwrap_or_default();
            let none: &[u8] = if thread.gid == 0 { b"root" } else { b"<NA>" };
            put(&mut group, "name", text(if name.is_empty() { none } else { name }));
            put(&mut parts, "group", map(group));
        }
        if !thread.container.is_empty() {
            self.container(thread, &mut parts);
        }
        parts
    }

    /// Whether a rule names a field that begins so.
    fn names(&self, start: &str) -> bool {
        self.named.iter().any(|name| name.starts_with(start))
    }

    fn process(&self, thread: &Thread) -> Parts {
        let leader = self.state.leader(thread).unwrap_or(thread);
        let mut parts = program(thread);
        put(&mut parts, "cwd", text(self.state.cwd(thread)));
        put(&mut parts, "pid", number(thread.pid));
        if thread.vpid != thread.pid {
            put(&mut parts, "vpid", number(thread.vpid));
        }
        let ids = [("sid", thread.sid), ("vpgid", thread.vpgid), ("pgid", thread.pgid)];
        for (name, id) in ids {
            put(&mut parts, name, number(id));
        }
        if thread.tty != 0 {
            put(&mut parts, "tty", number(thread.tty));
        }
        let exec = &thread.exec;
        let flags = [
            ("is_exe_writable", exec.exe_writable),
            ("is_exe_upper_layer", exec.exe_upper_layer),
            ("is_exe_lower_layer", exec.exe_lower_layer),
            ("is_exe_from_memfd", exec.exe_from_memfd),
        ];
        for (name, _) in flags.into_iter().filter(|(_, set)| *set) {
            put(&mut parts, name, Shown::plain(true));
        }
        if self.names("proc.exe_ino") {
            let ino = [("exe_ino", exec.exe_ino), ("exe_ino.ctime", exec.exe_ino_ctime)];
            for (name, value) in ino.into_iter().chain([("exe_ino.mtime", exec.exe_ino_mtime)]) {
                put(&mut parts, name, if value == 0 { Shown::Null } else { number(value) });
            }
        }
        if self.names("proc.duration") || self.names("proc.pid.ts") || self.names("proc.exe_ino") {
            match thread.clone_ts {
                0 => put(&mut parts, "duration", Shown::Null),
                started => put(&mut parts, "pid.ts", number(started)),
            }
        }
        if self.names("proc.env") {
            put(&mut parts, "env", self.env(thread, "proc.env"));
        }
        let more = [
            ("proc.fdlimit", "fdlimit", self.state.fdlimit(thread)),
            ("proc.vmsize", "vmsize", self.state.usage(thread).vmsize_kb.into()),
            ("proc.vmrss", "vmrss", self.state.usage(thread).vmrss_kb.into()),
            ("proc.vmswap", "vmswap", self.state.usage(thread).vmswap_kb.into()),
        ];
        for (_, name, value) in more.into_iter().filter(|(field, ..)| self.names(field)) {
            put(&mut parts, name, number(value));
        }
        match self.ancestors(leader) {
            ancestors if ancestors.is_empty() && thread.pid == 1 => {}
            ancestors if ancestors.is_empty() => put(&mut parts, "parent", Shown::Null),
            ancestors => put(&mut parts, "ancestors", Shown::List(ancestors)),
        }
        parts
    }

    /// The ancestors, the parent first. The list ends where nothing more is known.
    fn ancestors(&self, leader: &Thread) -> Vec<Shown> {
        let mut ancestors = Vec::new();
        let mut last = leader;
        for ancestor in self.state.ancestors(leader) {
            if ancestor.is_unknown() {
                break;
            }
            let mut parts = program(ancestor);
            put(&mut parts, "pid", number(ancestor.pid));
            if ancestor.vpid != ancestor.pid {
                put(&mut parts, "vpid", number(ancestor.vpid));
            }
            let ids = [("sid", ancestor.sid), ("vpgid", ancestor.vpgid), ("pgid", ancestor.pgid)];
            for (name, id) in ids {
                put(&mut parts, name, number(id));
            }
            if self.names("proc.ppid.duration") || self.names("proc.ppid.ts") {
                match ancestor.clone_ts {
                    0 => put(&mut parts, "duration", Shown::Null),
                    started => put(&mut parts, "pid.ts", number(started)),
                }
            }
            if self.names("proc.aenv") {
                put(&mut parts, "env", self.env(ancestor, "proc.aenv"));
            }
            ancestors.push(map(parts));
            last = ancestor;
        }
        if last.pid != 1 {
            // Otherwise the first process of the machine would be taken for the last parent.
            if let Some(Shown::Map(parts)) = ancestors.last_mut() {
                put(parts, "parent", Shown::Null);
            }
        }
        ancestors
    }

    /// The variables that rules name; all if one names the whole environment.
    fn env(&self, thread: &Thread, field: &str) -> Shown {
        let variable = |name: &String| {
            let name = name.strip_prefix(field)?.strip_prefix('[')?.strip_suffix(']')?;
            name.parse::<u32>().is_err().then(|| name.as_bytes().to_vec())
        };
        let variables: Vec<_> = self.named.iter().filter_map(variable).collect();
        let named = |text: &&[u8]| {
            variables.is_empty()
                || variables.iter().any(|name| {
                    text.strip_prefix(&**name).is_some_and(|rest| rest.starts_with(b"="))
                })
        };
        Shown::List(self.state.env(thread).iter().filter(named).map(text).collect())
    }

    fn thread(&self, thread: &Thread) -> Parts {
        let mut parts = Vec::new();
        if thread.tid != thread.pid {
            put(&mut parts, "tid", number(thread.tid));
            put(&mut parts, "vtid", number(thread.vtid));
        }
        let sets = [
            ("thread.cap_inheritable", "cap_inheritable", thread.cap_inheritable),
            ("thread.cap_permitted", "cap_permitted", thread.cap_permitted),
            ("thread.cap_effective", "cap_effective", thread.cap_effective),
        ];
        for (_, name, bits) in sets.into_iter().filter(|(field, ..)| self.names(field)) {
            let names = CAPABILITIES.iter().enumerate();
            let names = names.filter(|(bit, _)| bits & 1 << bit != 0);
            let names = names.map(|(_, name)| Shown::Text(format!("CAP_{name}"))).collect();
            put(&mut parts, name, Shown::List(names));
        }
        if self.names("thread.cgroup") {
            put(&mut parts, "cgroups", Shown::List(thread.cgroups.iter().map(text).collect()));
        }
        parts
    }

    fn user(&self, thread: &Thread) -> Parts {
        let mut parts = vec![("uid".to_owned(), number(thread.uid))];
        let account = self.state.user(thread, thread.uid);
        put(
            &mut parts,
            "name",
            match account {
                Some(account) => text_or_none(account.name),
                None if thread.uid == 0 => Shown::Text("root".to_owned()),
                None => Shown::Text("<NA>".to_owned()),
            },
        );
        let rare = [("user.homedir", "homedir"), ("user.shell", "shell")];
        for (field, name) in rare.into_iter().filter(|(field, _)| self.names(field)) {
            let value = account.map(|it| if field == "user.shell" { it.shell } else { it.home });
            let root: &[u8] = if field == "user.shell" { b"<NA>" } else { b"/root" };
            let none = if thread.uid == 0 { root } else { b"<NA>" };
            put(&mut parts, name, text(value.unwrap_or(none)));
        }
        if self.names("user.login") {
            put(&mut parts, "loginuid", number(thread.loginuid.cast_signed()));
            if let Some(login) = self.state.user(thread, thread.loginuid) {
                put(&mut parts, "loginname", text(login.name));
            }
        }
        parts
    }

    fn container(&self, thread: &Thread, parts: &mut Parts) {
        let mut own = vec![("id".to_owned(), text(&thread.container))];
        let Some(container) = self.state.containers().get(&thread.container) else {
            // Its runtime has not described it.
            put(&mut own, "name", Shown::Null);
            put(parts, "container", map(own));
            return;
        };
        let shown = |text: &str| Shown::Text(text.to_owned());
        if !container.full_id.is_empty() && container.full_id != container.id {
            put(&mut own, "full_id", shown(&container.full_id));
        }
        let texts = [
            ("name", &container.name),
            ("image", &container.image),
            ("image.repository", &container.image_repo),
            ("image.tag", &container.image_tag),
            ("image.id", &container.image_id),
            ("image.digest", &container.image_digest),
            ("ip", &container.ip),
        ];
        for (name, value) in texts {
            put(&mut own, name, shown(value));
        }
        if container.kind != ContainerKind::Unknown {
            put(&mut own, "type", shown(container.kind.name()));
        }
        let flags = [
            ("privileged", container.privileged),
            ("host_pid", container.host_pid),
            ("host_network", container.host_network),
            ("host_ipc", container.host_ipc),
        ];
        for (name, _) in flags.into_iter().filter(|(_, set)| *set) {
            put(&mut own, name, Shown::plain(true));
        }
        if self.names("container.mount") && !container.mounts.is_empty() {
            put(&mut own, "mounts", Shown::List(mounts(container)));
        }
        if self.names("container.start_ts") || self.names("container.duration") {
            put(&mut own, "start_ts", number(container.created.saturating_mul(1_000_000_000)));
        }
        for probe in &container.probes {
            let name = match probe.kind {
                peregrine_state::ProbeKind::Healthcheck => "healthcheck",
                peregrine_state::ProbeKind::Liveness => "liveness_probe",
                peregrine_state::ProbeKind::Readiness => "readiness_probe",
            };
            let words = std::iter::once(&probe.exe).chain(&probe.args).cloned();
            put(&mut own, name, Shown::Text(words.collect::<Vec<_>>().join(" ")));
        }
        let of_pod = |name: &str| name.starts_with("io.kubernetes.pod.");
        if self.names("container.label") {
            let labels = container.labels.iter().filter(|(name, _)| !of_pod(name));
            let labels: Parts = labels.map(|(name, value)| (name.clone(), shown(value))).collect();
            if !labels.is_empty() {
                put(&mut own, "labels", map(labels));
            }
        }
        put(parts, "container", map(own));
        let names = [
            ("k8s.pod.name", "io.kubernetes.pod.name"),
            ("k8s.ns.name", "io.kubernetes.pod.namespace"),
            ("k8s.pod.uid", "io.kubernetes.pod.uid"),
        ];
        for (field, label) in names {
            if let Some(value) = container.labels.get(label) {
                put(parts, field, shown(value));
            }
        }
    }
}

/// The names of a program and its arguments.
fn program(thread: &Thread) -> Parts {
    let exec = &thread.exec;
    let args = exec.args.iter().map(text).collect();
    let parts = [
        ("name", text(exec.comm())),
        ("exe", text(&exec.exe)),
        ("exepath", text(&exec.exepath)),
        ("args", Shown::List(args)),
    ];
    parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn mounts(container: &Container) -> Vec<Shown> {
    let mount = |mount: &peregrine_state::Mount| {
        let text = |text: &String| Shown::Text(text.clone());
        map(vec![
            ("source".to_owned(), text(&mount.source)),
            ("dest".to_owned(), text(&mount.destination)),
            ("mode".to_owned(), text(&mount.mode)),
            ("rdwr".to_owned(), Shown::plain(mount.writable)),
            ("propagation".to_owned(), text(&mount.propagation)),
        ])
    };
    container.mounts.iter().map(mount).collect()
}

fn text_or_none(bytes: &[u8]) -> Shown {
    if bytes.is_empty() { Shown::Null } else { text(bytes) }
}
