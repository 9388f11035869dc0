//! Which container a control group belongs to: every runtime names its groups in its own way.

use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_event::source::ContainerEngine;
use peregrine_limits::CGROUP_SETS;

use crate::texts::Texts;

/// Digits of a whole container id.
const FULL_ID: usize = 64;
/// Digits that users see.
const SHORT_ID: usize = 12;

/// Which control groups are those of containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matchers {
    /// Engines whose groups are recognised.
    pub engines: Vec<ContainerEngine>,
    /// Every thread is in this container, and no group is looked at.
    pub static_container: Option<StaticContainer>,
    /// Groups of the host, such as `/build`: neither they nor those below are containers.
    pub host_groups: Vec<String>,
}

/// A container that the configuration describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticContainer {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
}

impl Default for Matchers {
    fn default() -> Self {
        Self { engines: ORDER.to_vec(), static_container: None, host_groups: Vec::new() }
    }
}

/// Remembers what the control groups of threads said: there are few sets of them and many threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cgroups {
    matchers: Matchers,
    /// A group that only a container has counts before all others.
    certain_first: bool,
    known: HashMap<Texts, Known>,
}

/// What a set of control groups says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Id of the container of its threads, empty for the host.
    pub(crate) container: Arc<[u8]>,
    /// What recognised a group; `None` for the host.
    pub(crate) engine: Option<ContainerEngine>,
    /// Path of that group.
    pub(crate) path: Arc<[u8]>,
    /// The set itself, for all threads to share.
    pub(crate) groups: Texts,
}

impl Known {
    /// Whether only a container has such a group.
    pub(crate) fn is_certain(&self) -> bool {
        self.engine != Some(ContainerEngine::Containerd)
    }
}

impl Cgroups {
    pub(crate) fn new(matchers: Matchers, certain_first: bool) -> Self {
        Self { matchers, certain_first, known: HashMap::new() }
    }

    pub(crate) fn matchers(&self) -> &Matchers {
        &self.matchers
    }

    /// What these control groups say.
    pub(crate) fn container(&mut self, groups: &Texts) -> Known {
        if let Some(known) = self.known.get(groups) {
            return known.clone();
        }
        let found = self.matchers.find(groups, self.certain_first);
        if self.known.len() >= CGROUP_SETS.get() {
            CGROUP_SETS.reach();
            self.known.clear();
        }
        self.known.insert(groups.clone(), found.clone());
        found
    }
}

impl Matchers {
    fn find(&self, groups: &Texts, certain_first: bool) -> Known {
        let known = |container, engine, path: &[u8]| Known {
            container,
            engine: Some(engine),
            path: path.into(),
            groups: groups.clone(),
        };
        if let Some(fixed) = &self.static_container {
            return known(fixed.id.as_bytes().into(), ContainerEngine::Static, b"");
        }
        let mut named = None;
        for group in groups.iter() {
            let Some(path) = group.splitn(2, |&b| b == b'=').nth(1) else { continue };
            // Old captures keep the end of the line.
            let path = path.trim_ascii_end();
            let Some((engine, id)) = self.container_id(path) else { continue };
            if engine != ContainerEngine::Containerd || !certain_first {
                return known(id.into(), engine, path);
            }
            named = named.or(Some((id, path)));
        }
        named.map_or_else(
            || Known { groups: groups.clone(), ..Known::default() },
            |(id, path)| known(id.into(), ContainerEngine::Containerd, path),
        )
    }

    /// The container whose control group has this path.
    fn container_id<'a>(&self, path: &'a [u8]) -> Option<(ContainerEngine, &'a [u8])> {
        let engines = ORDER.iter().filter(|engine| self.engines.contains(engine));
        let mut ids = engines.filter_map(|&engine| Some((engine, container_id(engine, path)?)));
        ids.next().filter(|_| !self.is_host(path))
    }

    fn is_host(&self, path: &[u8]) -> bool {
        self.host_groups.iter().any(|group| {
            let group = group.trim_end_matches('/').as_bytes();
            path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    }
}

/// The order in which engines are tried. Nearly all groups look like those of containerd: it comes
/// last.
const ORDER: [ContainerEngine; 7] = [
    ContainerEngine::Podman,
    ContainerEngine::Docker,
    ContainerEngine::Cri,
    ContainerEngine::Lxc,
    ContainerEngine::LibvirtLxc,
    ContainerEngine::Bpm,
    ContainerEngine::Containerd,
];

/// What stands before and after an id in the groups of an engine.
type Layouts = [(&'static [u8], &'static [u8])];

const PODMAN: &Layouts = &[
    (b"/libpod-", b".scope"),
    (b"/libpod-", b".scope/container"),
    (b"/libpod-", b""),
    (b"/libpod-payload-", b".scope"),
    (b"/libpod-payload-", b".scope/container"),
    (b"/libpod-payload-", b""),
];

const DOCKER: &Layouts = &[(b"/", b""), (b"/docker-", b".scope")];

const CRI: &Layouts = &[
    (b"/", b""),
    (b"/crio-", b""),
    (b"/cri-containerd-", b".scope"),
    (b"/crio-", b".scope"),
    (b":cri-containerd:", b""),
    (b"/docker-", b".scope"),
    (b"/nerdctl-", b".scope"),
];

/// Id of the container whose control group, of this engine, has this path.
fn container_id(engine: ContainerEngine, path: &[u8]) -> Option<&[u8]> {
    let hex = |layouts: &Layouts| {
        layouts.iter().find_map(|&(prefix, suffix)| hex_id(path, prefix, suffix))
    };
    let id = match engine {
        ContainerEngine::Podman => hex(PODMAN),
        ContainerEngine::Docker => hex(DOCKER),
        ContainerEngine::Cri => hex(CRI),
        ContainerEngine::Containerd => containerd(path),
        ContainerEngine::Lxc => lxc(path),
        ContainerEngine::LibvirtLxc => libvirt(path),
        ContainerEngine::Bpm => bpm(path),
        ContainerEngine::Static => None,
    };
    id.filter(|id| !id.is_empty())
}

/// What stands between the last `prefix` and the last `suffix`.
fn between<'a>(path: &'a [u8], prefix: &[u8], suffix: &[u8]) -> Option<&'a [u8]> {
    let start = rfind(path, prefix)? + prefix.len();
    let end = if suffix.is_empty() { path.len() } else { rfind(path, suffix)? };
    path.get(start..end)
}

fn hex_id<'a>(path: &'a [u8], prefix: &[u8], suffix: &[u8]) -> Option<&'a [u8]> {
    let id = between(path, prefix, suffix)?;
    let whole = id.len() == FULL_ID && id.iter().all(u8::is_ascii_hexdigit);
    whole.then(|| id.get(..SHORT_ID)).flatten()
}

/// `/namespace/container`, with names that anybody may choose, so groups of systemd must be told
/// apart.
fn containerd(path: &[u8]) -> Option<&[u8]> {
    let id = between(path, namespace(path)?, b"")?;
    let systemd = [&b".service"[..], b".slice", b".scope"].iter().any(|end| path.ends_with(end));
    let fits = (1..=FULL_ID).contains(&id.len());
    (fits && !systemd).then(|| id.get(..SHORT_ID.min(id.len()))).flatten()
}

/// The first component, with its slashes, that is alphanumeric words with `.`, `_` or `-` between
/// them.
fn namespace(path: &[u8]) -> Option<&[u8]> {
    let slashes = || path.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(at, _)| at);
    slashes().zip(slashes().skip(1)).find_map(|(from, to)| {
        let mut words = path.get(from + 1..to)?.split(|b| b"._-".contains(b));
        let name = words.all(|w| !w.is_empty() && w.iter().all(u8::is_ascii_alphanumeric));
        name.then(|| path.get(from..=to)).flatten()
    })
}

fn lxc(path: &[u8]) -> Option<&[u8]> {
    [&b"/lxc/"[..], b"/lxc.payload/", b"/lxc.payload."].iter().find_map(|prefix| {
        let rest = path.get(find(path, prefix)? + prefix.len()..)?;
        rest.split(|&b| b == b'/').next()
    })
}

fn libvirt(path: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = path.strip_suffix(b".libvirt-lxc")
        && let Some(slash) = rfind(rest, b"/")
    {
        return rest.get(slash + 1..);
    }
    const ESCAPED: &[u8] = b"-lxc\\x2";
    if let Some(start) = find(path, ESCAPED)
        && let Some(rest) =
            path.strip_suffix(b".scope/libvirt").or_else(|| path.strip_suffix(b".scope"))
    {
        // `\x2d` is a dash as systemd writes it: its last digit goes too.
        return rest.get(start + ESCAPED.len() + 1..);
    }
    const LEGACY: &[u8] = b"/libvirt/lxc/";
    path.get(find(path, LEGACY)? + LEGACY.len()..)
}

fn bpm(path: &[u8]) -> Option<&[u8]> {
    let rest = path.get(find(path, b"bpm-")? + 4..)?;
    let id = find(rest, b".scope").and_then(|end| rest.get(..end)).unwrap_or(rest);
    let valid = |&b: &u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (!id.is_empty() && id.iter().all(valid)).then_some(id)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn rfind(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).rposition(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ad95e3a2b1f55e4e6e2f9b0a3e5f0f8f8c1c6b0b4e0e4e9c7b3e8d8f1a2b3c4d";

    fn found(matchers: &Matchers, path: &str) -> Known {
        matchers.find(&Texts::new(format!("cpu={path}\0").as_bytes()), false)
    }

    fn id(path: &str) -> Option<String> {
        let Known { container, engine, .. } = found(&Matchers::default(), path);
        engine.map(|_| String::from_utf8_lossy(&container).into_owned())
    }

    #[test]
    fn runtimes_with_hex_ids() {
        for path in [
            format!("/docker/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/kubepods/besteffort/pod9a/{ID}"),
            format!("/kubepods.slice/pod9a.slice/cri-containerd-{ID}.scope"),
            format!("/kubepods.slice/pod9a.slice/crio-{ID}.scope"),
            format!("/kubepods/pod9a/crio-{ID}"),
            format!("/kubepods-pod9a.slice:cri-containerd:{ID}"),
            format!("/user.slice/libpod-{ID}.scope"),
            format!("/user.slice/libpod-{ID}.scope/container"),
            format!("/system.slice/nerdctl-{ID}.scope"),
        ] {
            assert_eq!(id(&path).as_deref(), Some(&ID[..12]), "{path}");
        }
    }

    #[test]
    fn the_host_is_no_container() {
        for path in
            ["/", "", "/user.slice", "/init.scope", "/a.slice/sshd.service", "/a.slice/x.service\n"]
        {
            assert_eq!(id(path), None, "{path}");
        }
    }

    #[test]
    fn runtimes_with_names() {
        assert_eq!(id("/default/my-redis").as_deref(), Some("my-redis"));
        assert_eq!(id("/default/a-name-beyond-the-limit").as_deref(), Some("a-name-beyon"));
        assert_eq!(id("/lxc/box/ns").as_deref(), Some("box"));
        assert_eq!(id("/lxc.payload.box").as_deref(), Some("box"));
        let path = "/machine.slice/machine-lxc\\x2d22\\x2dlibvirt.scope";
        assert_eq!(id(path).as_deref(), Some("22\\x2dlibvirt"));
        assert_eq!(found(&Matchers::default(), "/bpm-x.1").engine, Some(ContainerEngine::Bpm));
    }

    #[test]
    fn groups_of_the_host_are_configured() {
        let host_groups = vec!["/build".to_owned(), "/ci/".to_owned()];
        let matchers = Matchers { host_groups, ..Matchers::default() };
        for (path, host) in [
            (format!("/build/{ID}"), true),
            ("/build".to_owned(), true),
            ("/ci/a/b".to_owned(), true),
            (format!("/builder/{ID}"), false),
        ] {
            assert_eq!(found(&matchers, &path).engine.is_none(), host, "{path}");
        }
    }

    #[test]
    fn engines_can_be_switched_off() {
        let engines = vec![ContainerEngine::Docker];
        let matchers = Matchers { engines, ..Matchers::default() };
        assert_eq!(found(&matchers, "/default/my-redis").engine, None);
        assert_eq!(found(&matchers, &format!("/x/{ID}")).engine, Some(ContainerEngine::Docker));
        let none = Matchers { engines: Vec::new(), ..Matchers::default() };
        assert_eq!(found(&none, &format!("/x/{ID}")).engine, None);
        let fixed = StaticContainer { id: "all".into(), name: "n".into(), image: "i".into() };
        let fixed = Matchers { static_container: Some(fixed), ..Matchers::default() };
        let Known { container, engine, .. } = found(&fixed, "/");
        assert_eq!((&*container, engine), (&b"all"[..], Some(ContainerEngine::Static)));
    }

    #[test]
    fn names_that_anybody_chooses_come_last_where_they_are_no_proof() {
        let groups = format!("cpu=/a/b\0memory=/docker/{ID}\0");
        let find =
            |certain_first| Matchers::default().find(&Texts::new(groups.as_bytes()), certain_first);
        let known = find(true);
        assert_eq!(&*known.container, &ID.as_bytes()[..12]);
        assert_eq!(&*known.path, format!("/docker/{ID}").as_bytes());
        assert!(known.is_certain());
        // As the reference engine has it.
        let known = find(false);
        assert_eq!((&*known.container, &*known.path), (&b"b"[..], &b"/a/b"[..]));
        assert!(!known.is_certain());
    }
}
