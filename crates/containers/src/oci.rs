//! The OCI specification of a container, as far as it says what the runtime does not.

use peregrine_state::{Mount, Resources};
use serde_json::Value;

use crate::json::{borrowed, cpus, items, number, text, texts};

/// A specification. Each part may be missing or of another type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec<'a>(pub(crate) &'a Value);

impl<'a> Spec<'a> {
    /// The value at a path of names with `/` before each.
    fn at(self, path: &str) -> Option<&'a Value> {
        self.0.pointer(path)
    }

    /// `NAME=VALUE`, of the image and of the container.
    pub(crate) fn env(self) -> Vec<String> {
        texts(self.0, "/process/env")
    }

    /// The user that its first process is started as.
    pub(crate) fn uid(self) -> Option<i64> {
        let process = self.at("/process")?;
        // A missing number is the root's: the specification leaves zeros out.
        Some(process.pointer("/user/uid").and_then(Value::as_i64).unwrap_or_default())
    }

    pub(crate) fn annotation(self, name: &str) -> &'a str {
        let annotations = self.at("/annotations").and_then(Value::as_object);
        annotations.and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it uses the host's namespace of this kind: it then has none of its own.
    pub(crate) fn host_namespace(self, kind: &str) -> bool {
        let Some(linux) = self.at("/linux") else { return false };
        !items(linux, "/namespaces").any(|namespace| borrowed(namespace, "/type") == kind)
    }

    /// Whether nothing is kept from it. There is no flag for that: a privileged container has no
    /// masked and read-only paths, no seccomp filter, and may write to `/sys`.
    pub(crate) fn privileged(self) -> bool {
        let Some(linux) = self.at("/linux") else { return false };
        let none = |name: &str| match linux.get(name) {
            None | Some(Value::Null) => true,
            Some(Value::Array(items)) => items.is_empty(),
            Some(_) => false,
        };
        let profile = self.at("/process/apparmorProfile").and_then(Value::as_str);
        let free = ["maskedPaths", "readonlyPaths", "seccomp"].into_iter().all(none)
            && matches!(profile, None | Some("" | "unconfined"));
        let mut mounts = self.at("/mounts").and_then(Value::as_array).into_iter().flatten();
        let mut sysfs = mounts
            .by_ref()
            .filter(|mount| matches!(mount.get("type").and_then(Value::as_str), Some("sysfs")));
        free && sysfs.all(|mount| !options(mount).any(|option| option == "ro"))
    }

    /// Its limits. Those that are not given have the kernel's defaults, as in the reference.
    pub(crate) fn resources(self) -> Resources {
        let number = |name: &str| number(self.0, &format!("/linux/resources/{name}"));
        let or = |value: i64, default: i64| if value > 0 { value } else { default };
        Resources {
            cpu_period: or(number("cpu/period"), 100_000),
            cpu_quota: number("cpu/quota"),
            cpu_shares: or(number("cpu/shares"), 1024),
            cpuset_cpu_count: cpus(borrowed(self.0, "/linux/resources/cpu/cpus")),
            memory_limit: number("memory/limit"),
            swap_limit: number("memory/swap"),
        }
    }

    /// What is mounted into it from the host. Its own file systems (`/proc`, `/dev` …) are left
    /// out, as docker and CRI runtimes leave them out.
    pub(crate) fn mounts(self) -> Vec<Mount> {
        items(self.0, "/mounts").filter_map(mount).collect()
    }
}

fn options(mount: &Value) -> impl Iterator<Item = &str> {
    items(mount, "/options").filter_map(Value::as_str)
}

fn mount(mount: &Value) -> Option<Mount> {
    let bind = |option: &str| matches!(option, "bind" | "rbind");
    if borrowed(mount, "/type") != "bind" && !options(mount).any(bind) {
        return None;
    }
    const PROPAGATION: [&str; 6] = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];
    let propagation = options(mount).find(|option| PROPAGATION.contains(option));
    Some(Mount {
        source: text(mount, "/source"),
        destination: text(mount, "/destination"),
        mode: String::new(),
        writable: !options(mount).any(|option| option == "ro"),
        // What the specification of mounts says when nothing is given.
        propagation: propagation.unwrap_or("rprivate").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn binds_are_mounts() {
        let spec = json!({"mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]},
            {"destination": "/a", "type": "bind", "source": "/h", "options": ["rbind", "ro", "rslave"]},
            {"destination": "/b", "source": "/i", "options": ["bind"]},
            7,
        ]});
        let mounts = Spec(&spec).mounts();
        let mount = |source: &str, destination: &str, writable, propagation: &str| Mount {
            source: source.to_owned(),
            destination: destination.to_owned(),
            mode: String::new(),
            writable,
            propagation: propagation.to_owned(),
        };
        assert_eq!(
            mounts,
            [mount("/h", "/a", false, "rslave"), mount("/i", "/b", true, "rprivate")]
        );
    }

    #[test]
    fn privileged_containers_are_unconfined() {
        let sys = |options: &[&str]| json!([{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": options}]);
        let free = json!({"linux": {"maskedPaths": null}, "process": {}, "mounts": sys(&["rw"])});
        assert!(Spec(&free).privileged());
        let read_only = json!({"linux": {}, "process": {}, "mounts": sys(&["nosuid", "ro"])});
        let masked = json!({"linux": {"maskedPaths": ["/proc/kcore"]}, "mounts": sys(&["rw"])});
        for confined in [read_only, masked, json!({}), json!(null), json!([1])] {
            assert!(!Spec(&confined).privileged(), "{confined}");
        }
    }

    #[test]
    fn missing_namespaces_are_the_hosts() {
        let spec = json!({"linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}});
        assert!(!Spec(&spec).host_namespace("pid") && Spec(&spec).host_namespace("network"));
        assert!(!Spec(&json!({})).host_namespace("pid"));
    }

    #[test]
    fn limits_have_defaults() {
        let cpu = json!({"quota": 5, "cpus": "0-3,7"});
        let spec = json!({"linux": {"resources": {"cpu": cpu, "memory": {"limit": 9}}}});
        let limits = Resources {
            cpu_period: 100_000,
            cpu_quota: 5,
            cpu_shares: 1024,
            cpuset_cpu_count: 5,
            memory_limit: 9,
            swap_limit: 0,
        };
        assert_eq!(Spec(&spec).resources(), limits);
    }

    #[test]
    fn zero_is_left_out() {
        assert_eq!(Spec(&json!({"process": {"user": {}}})).uid(), Some(0));
        assert_eq!(Spec(&json!({"process": {"user": {"uid": 1000}}})).uid(), Some(1000));
        assert_eq!(Spec(&json!({})).uid(), None);
    }
}
