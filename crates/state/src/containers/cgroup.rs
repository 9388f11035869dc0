//! Which container a control group belongs to: every runtime names its groups in its own way.

use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_limits::CGROUP_SETS;

use super::ContainerKind;
use crate::texts::Texts;

/// Digits of a whole container id.
const FULL_ID: usize = 64;
/// Digits that users see.
const SHORT_ID: usize = 12;

/// A container, as far as the path of a control group tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Match<'a> {
    id: &'a [u8],
    /// Set for runtimes that will say nothing more of it.
    kind: Option<ContainerKind>,
}

/// What stands before and after the id, in the order in which they are tried.
const LAYOUTS: [(&[u8], &[u8]); 13] = [
    // podman
    (b"/libpod-", b".scope"),
    (b"/libpod-", b".scope/container"),
    (b"/libpod-", b""),
    (b"/libpod-payload-", b".scope"),
    (b"/libpod-payload-", b".scope/container"),
    (b"/libpod-payload-", b""),
    // docker, and containerd without systemd
    (b"/", b""),
    (b"/docker-", b".scope"),
    // cri-o
    (b"/crio-", b""),
    // containerd with systemd
    (b"/cri-containerd-", b".scope"),
    (b"/crio-", b".scope"),
    (b":cri-containerd:", b""),
    (b"/nerdctl-", b".scope"),
];

/// Remembers what the control groups of threads said: there are few sets of them and many threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cgroups {
    known: HashMap<Texts, Known>,
}

/// What a set of control groups says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Id of the container of its threads, empty for the host.
    pub(crate) container: Arc<[u8]>,
    /// Its runtime, where that will say nothing more.
    pub(crate) kind: Option<ContainerKind>,
    /// The set itself, for all threads to share.
    pub(crate) groups: Texts,
}

impl Cgroups {
    /// What these control groups say.
    pub(crate) fn container(&mut self, groups: &Texts) -> Known {
        if let Some(known) = self.known.get(groups) {
            return known.clone();
        }
        let found = groups.iter().find_map(|group| {
            let path = group.splitn(2, |&b| b == b'=').nth(1)?;
            container_id(path).filter(|found| !found.id.is_empty())
        });
        let (container, kind) =
            found.map_or_else(Default::default, |found| (found.id.into(), found.kind));
        let found = Known { container, kind, groups: groups.clone() };
        if self.known.len() >= CGROUP_SETS.get() {
            CGROUP_SETS.reach();
            self.known.clear();
        }
        self.known.insert(groups.clone(), found.clone());
        found
    }
}

/// The container that the path of a control group belongs to; `None` for the host.
fn container_id(path: &[u8]) -> Option<Match<'_>> {
    // Old captures keep the end of the line.
    let path = path.trim_ascii_end();
    let of = |kind| move |id| Match { id, kind };
    let runc = LAYOUTS.iter().find_map(|&(prefix, suffix)| hex_id(path, prefix, suffix));
    runc.map(of(None))
        .or_else(|| lxc(path).map(of(Some(ContainerKind::Lxc))))
        .or_else(|| libvirt(path).map(of(Some(ContainerKind::LibvirtLxc))))
        .or_else(|| bpm(path).map(of(Some(ContainerKind::Bpm))))
        // Last, as nearly everything looks like it.
        .or_else(|| containerd(path).map(of(None)))
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

    fn id(path: &str) -> Option<String> {
        let found = container_id(path.as_bytes())?;
        Some(String::from_utf8_lossy(found.id).into_owned())
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
        assert_eq!(
            container_id(b"/bpm-x.1").and_then(|found| found.kind),
            Some(ContainerKind::Bpm)
        );
    }
}
