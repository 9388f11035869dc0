//! Container runtimes of a place, and what is created with them.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::agent::{ANY, OF_IMAGE, OF_NAMESPACE, PAUSE};
use crate::created::{Created, Expected};
use crate::cri::{Cri, Namespaces, Pod, Spec};
use crate::place::{Daemon, OWNER, Place, succeed, wait_until};

/// Programs of all runtimes.
pub(crate) const ALL: &[&str] =
    &["dockerd", "docker", "containerd", "ctr", "podman", "conmon", "lxc-start", "newuidmap"];

/// In seconds: longer than a test.
pub(crate) const LONG: &str = "3600";

/// What runs containers one by one.
pub(crate) trait Runtime: Sync {
    /// Starts a container of this name that ends after so many seconds.
    fn run(&self, name: &str, seconds: &str) -> Created;

    /// Starts a process in a container that runs.
    fn exec(&self, name: &str, container: &Created) -> Created;

    /// Removes a container that has ended, if it does not remove itself.
    fn remove(&self, _: &Created) {}
}

pub(crate) struct Containerd<'a> {
    place: &'a Place,
    daemon: Option<Daemon>,
}

pub(crate) struct Docker<'a> {
    place: &'a Place,
    options: &'static [&'static str],
    daemon: Option<Daemon>,
    image: String,
}

pub(crate) struct Podman<'a> {
    place: &'a Place,
    /// Of a user, without rights on the machine.
    rootless: bool,
    service: Option<Daemon>,
    image: String,
}

pub(crate) struct Ctr<'a>(pub(crate) &'a Containerd<'a>);

pub(crate) struct Lxc<'a>(pub(crate) &'a Place);

/// Containers of one pod, on the network of the node.
pub(crate) struct InPod<'a> {
    pub(crate) pods: &'a Pods<'a>,
    pub(crate) pod: &'a PodSpec,
}

/// Pods of containerd.
pub(crate) struct Pods<'a> {
    place: &'a Place,
    pub(crate) cri: Cri,
}

/// A pod that runs, and what each of its processes is told with.
pub(crate) struct PodSpec {
    pub(crate) pod: Pod,
    pub(crate) expected: Vec<(&'static str, Expected)>,
}

/// An image of Docker's form, in a file.
const ARCHIVE: &str = "image.tar";

/// Makes the root file system of all images: a directory and an archive.
pub(crate) fn make_root(place: &Place) {
    let root = place.path("rootfs");
    for directory in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
    let program = ["/bin/busybox", "/usr/bin/busybox"].into_iter();
    let copied = { program }.any(|path| fs::copy(path, root.join("bin/busybox")).is_ok());
    assert!(copied, "busybox is in no usual place");
    for name in ["sh", "sleep", "true", "cat"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    let archive = place.path("rootfs.tar");
    succeed(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(archive).arg("."));
}

impl<'a> Containerd<'a> {
    /// Without an image: see `Podman::export`.
    pub(crate) fn start(place: &'a Place) -> Self {
        let data = place.path("data");
        let (data, runc) = (data.display(), place.path("runc"));
        place.write(
            "containerd.toml",
            &format!(
                r#"version = 2
root = "{data}/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "localhost/pause:1.0"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "{}"
"#,
                runc.display()
            ),
        );
        let mut containerd = Self { place, daemon: None };
        containerd.up();
        containerd
    }

    /// Starts it again.
    pub(crate) fn up(&mut self) {
        let mut command = self.place.command("containerd");
        command.arg("--config").arg(self.place.path("containerd.toml"));
        self.daemon = Some(self.place.start("containerd", &mut command));
        let cri = self.cri();
        wait_until("containerd answers", || cri.answers());
    }

    /// Ends it. Its containers stay.
    pub(crate) fn down(&mut self) {
        self.daemon.take().map(Daemon::end);
    }

    pub(crate) fn cri(&self) -> Cri {
        Cri::new(self.place.inside("/run/containerd/containerd.sock"))
    }

    /// Takes the images of the archive, for pods and for `ctr`.
    pub(crate) fn import(&self) {
        let archive = self.place.path(ARCHIVE);
        for namespace in ["k8s.io", self.place.name()] {
            let arguments = ["--namespace", namespace, "images", "import"];
            succeed(self.place.command("ctr").args(arguments).arg(&archive));
        }
    }
}

impl<'a> Docker<'a> {
    pub(crate) fn start(place: &'a Place, options: &'static [&'static str]) -> Self {
        let mut docker = Self { place, options, daemon: None, image: String::new() };
        docker.up();
        let archive = place.path("rootfs.tar");
        docker.image = place.run("docker", &["import", archive.to_str().unwrap(), "bb:1.0"]);
        docker
    }

    /// Starts it again.
    pub(crate) fn up(&mut self) {
        let place = self.place;
        let mut command = place.command("dockerd");
        command.args(["--containerd", "/run/containerd/containerd.sock", "--live-restore"]);
        command.arg("--data-root").arg(place.path("data").join("docker"));
        let runc = format!("scoped={}", place.path("runc").display());
        command.args(["--exec-root", "/run/docker", "--default-runtime", "scoped"]);
        command.args(["--add-runtime", &runc, "--host", "unix:///run/docker.sock"]);
        command.args(self.options);
        self.daemon = Some(place.start("dockerd", &mut command));
        wait_until("docker answers", || {
            place.command("docker").arg("version").output().unwrap().status.success()
        });
    }

    /// Ends it. Its containers stay.
    pub(crate) fn down(&mut self) {
        self.daemon.take().map(Daemon::end);
    }

    /// Starts a container with all of the machine's namespaces and rights, of an image that has two
    /// names.
    #[track_caller]
    pub(crate) fn run_special(&self, name: &str) -> Created {
        self.place.run("docker", &["tag", "bb:1.0", "127.0.0.1:5000/shop/bb"]);
        let volume = format!("{}:/mnt/volume:ro", self.place.path("rootfs").display());
        let rights = ["--privileged", "--volume", &volume];
        let namespaces = ["--pid", "host", "--ipc", "host", "--network", "host"];
        let image = "127.0.0.1:5000/shop/bb";
        self.run_image(image, name, LONG, &[&rights[..], &namespaces].concat())
            .with("container.privileged", true)
            .with("container.host_pid", true)
            .with("container.host_ipc", true)
            .with("container.host_network", true)
            .with("container.ip", Expected::Nothing)
            .with("container.image", image)
            .with("container.image.repository", image)
            .with("container.image.tag", "latest")
            .with("proc.vpid", Expected::Something)
            .with("container.mounts", format!("{volume}:false:rprivate"))
    }

    /// Starts a container with these options.
    #[track_caller]
    pub(crate) fn run_with(&self, name: &str, seconds: &str, options: &[&str]) -> Created {
        self.run_image("bb:1.0", name, seconds, options)
    }

    fn run_image(&self, image: &str, name: &str, seconds: &str, options: &[&str]) -> Created {
        let mark = format!("mark-{name}");
        let parent = format!("/{}/docker", self.place.name());
        let mut command = self.place.command("docker");
        command.args(["run", "--detach", "--name", name, "--cgroup-parent", &parent]);
        command.args(["--label", &format!("mark={name}")]).args(options).arg(image);
        let id = succeed(command.args(["sh", "-c", &format!("sleep {seconds}"), &mark]));
        let none = options.contains(&"none");
        let ip = if none { Expected::Nothing } else { Expected::Something };
        of_image(created("docker", mark, id, name), "bb")
            .with("container.image.id", self.image.trim_start_matches("sha256:"))
            .with("container.ip", ip)
            .with("container.label[mark]", name)
    }
}

impl Runtime for Docker<'_> {
    fn run(&self, name: &str, seconds: &str) -> Created {
        // One that lives for long may outlive the daemon, which removes what it finds with `--rm`.
        let keep = ["--network", "none", "--rm"];
        let keep = keep.split_at(if seconds == LONG { 2 } else { 3 }).0;
        self.run_with(name, seconds, keep)
    }

    fn exec(&self, name: &str, container: &Created) -> Created {
        let mark = format!("mark-{name}");
        self.place.run("docker", &["exec", &container.id, "sh", "-c", ":", &mark]);
        container.process("docker exec", &mark)
    }
}

impl<'a> Podman<'a> {
    /// With its image, and without its service.
    pub(crate) fn new(place: &'a Place, rootless: bool) -> Self {
        let mut podman = Self { place, rootless, service: None, image: String::new() };
        let archive = place.path("rootfs.tar");
        let mut import = podman.command();
        podman.image = succeed(import.arg("import").arg(&archive).arg("localhost/bb:1.0"));
        podman
    }

    /// Starts the service that answers on the socket.
    pub(crate) fn up(&mut self) {
        let socket = if self.rootless {
            fs::create_dir_all(self.place.inside(&format!("/run/user/{OWNER}/podman"))).unwrap();
            let own = self.place.inside(&format!("/run/user/{OWNER}/podman"));
            let owner = OWNER.parse().ok();
            std::os::unix::fs::chown(own, owner, owner).unwrap();
            format!("/run/user/{OWNER}/podman/podman.sock")
        } else {
            "/run/podman/podman.sock".to_owned()
        };
        let mut command = self.command();
        command.args(["system", "service", "--time", "0", &format!("unix://{socket}")]);
        let name = if self.rootless { "podman-rootless" } else { "podman" };
        self.service = Some(self.place.start(name, &mut command));
        // It listens before it answers.
        let version = ["--url", &format!("unix://{socket}"), "version"];
        wait_until("podman answers", || {
            self.place.command("podman").args(version).output().unwrap().status.success()
        });
    }

    /// Ends the service.
    pub(crate) fn down(&mut self) {
        self.service.take().map(Daemon::end);
    }

    /// Writes the image and one for pause processes into the archive.
    pub(crate) fn export(&self) {
        let archive = self.place.path("rootfs.tar");
        let mut import = self.command();
        // A pause process that can be told from others.
        let entry = format!(r#"ENTRYPOINT ["/bin/sh","-c","sleep 1000","{PAUSE}"]"#);
        import.args(["import", "--change", &entry]);
        succeed(import.arg(&archive).arg("localhost/pause:1.0"));
        let mut save = self.command();
        save.args(["save", "--quiet", "--multi-image-archive", "--format", "docker-archive"]);
        let images = ["localhost/bb:1.0", "localhost/pause:1.0"];
        succeed(save.arg("--output").arg(self.place.path(ARCHIVE)).args(images));
    }

    /// Starts a container with these options.
    #[track_caller]
    pub(crate) fn run_with(&self, name: &str, seconds: &str, options: &[&str]) -> Created {
        let mark = format!("mark-{name}");
        let mut command = self.command();
        command.args(["run", "--detach", "--name", name, "--label", &format!("mark={name}")]);
        // `exec` asks for the limits that its container has.
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
        if !self.rootless {
            command.args(["--cgroup-parent", &format!("/{}/podman", self.place.name())]);
        }
        command.args(options).arg("localhost/bb:1.0");
        let id = succeed(command.args(["sh", "-c", &format!("sleep {seconds}"), &mark]));
        let ip = if options.contains(&"none") { Expected::Nothing } else { Expected::Something };
        let kind = if self.rootless { "podman rootless" } else { "podman" };
        of_image(created(kind, mark, id, name), "localhost/bb")
            .with("container.type", "podman")
            .with("container.image.id", self.image.trim_start_matches("sha256:"))
            .with("container.image.digest", Expected::Something)
            .with("container.ip", ip)
            .with("container.label[mark]", name)
    }

    pub(crate) fn command(&self) -> Command {
        let place = self.place;
        let data = place.path("data");
        let mut command = if self.rootless {
            // Its containers have no group of their own.
            let group = place.containers().join("rootless");
            fs::create_dir_all(&group).unwrap();
            let mut command = place.command_in(&group, "setpriv");
            command.args(["--reuid", OWNER, "--regid", OWNER, "--clear-groups", "--"]);
            command.args(["podman", "--storage-driver", "vfs"]);
            command.env("HOME", data.join("home"));
            command.env("XDG_RUNTIME_DIR", format!("/run/user/{OWNER}"));
            command
        } else {
            let mut command = place.command("podman");
            command.arg("--root").arg(data.join("podman"));
            command.args(["--runroot", "/run/containers/storage"]);
            command
        };
        command.args(["--cgroup-manager", "cgroupfs", "--runtime"]).arg(place.path("runc"));
        command
    }
}

impl Runtime for Podman<'_> {
    fn run(&self, name: &str, seconds: &str) -> Created {
        self.run_with(name, seconds, &["--rm", "--network", "none"])
    }

    fn exec(&self, name: &str, container: &Created) -> Created {
        let mark = format!("mark-{name}");
        succeed(self.command().args(["exec", &container.id, "sh", "-c", ":", &mark]));
        let kind = if self.rootless { "podman rootless exec" } else { "podman exec" };
        container.process(kind, &mark)
    }
}

impl Runtime for Ctr<'_> {
    /// In a namespace called as the group, so that the container's group is where `ctr` has it.
    fn run(&self, name: &str, seconds: &str) -> Created {
        let place = self.0.place;
        let mark = format!("mark-{name}");
        let mut command = place.command("ctr");
        command.args(["--namespace", place.name(), "run", "--detach", "--runc-binary"]);
        command.arg(place.path("runc")).args(["--label", &format!("mark={name}")]);
        command.args(["localhost/bb:1.0", name, "sh", "-c", &format!("sleep {seconds}"), &mark]);
        succeed(&mut command);
        of_image(created("ctr", mark, name.to_owned(), name), "localhost/bb")
            .with("container.type", "containerd")
            .with("container.image.digest", Expected::Something)
            .with("container.label[mark]", name)
    }

    fn exec(&self, name: &str, container: &Created) -> Created {
        let place = self.0.place;
        let mark = format!("mark-{name}");
        let mut command = place.command("ctr");
        command.args(["--namespace", place.name(), "tasks", "exec", "--exec-id", name]);
        succeed(command.args([&container.id, "sh", "-c", ":", &mark]));
        container.process("ctr exec", &mark)
    }

    fn remove(&self, container: &Created) {
        let place = self.0.place;
        for object in ["tasks", "containers"] {
            let arguments = ["--namespace", place.name(), object, "rm", &container.id];
            wait_until("ctr removes", || {
                place.command("ctr").args(arguments).output().unwrap().status.success()
            });
        }
    }
}

impl Runtime for Lxc<'_> {
    fn run(&self, name: &str, seconds: &str) -> Created {
        let Self(place) = self;
        let group = place.name();
        let directory = place.inside(&format!("{}/lxc/{name}", place.path("data").display()));
        fs::create_dir_all(&directory).unwrap();
        let mark = format!("mark-{name}");
        let configuration = format!(
            "lxc.rootfs.path = dir:{}\nlxc.uts.name = {name}\nlxc.net.0.type = empty\n\
             lxc.cap.drop = sys_resource\nlxc.apparmor.profile = unconfined\nlxc.mount.auto = proc\n\
             lxc.cgroup.dir.container = {group}/lxc.payload.{name}\n\
             lxc.cgroup.dir.monitor = {group}-daemons/lxc.monitor.{name}\n\
             lxc.cgroup.dir.monitor.pivot = {group}-daemons/lxc.pivot\n",
            place.path("rootfs").display()
        );
        fs::write(directory.join("config"), configuration).unwrap();
        let mut command = self.command("lxc-start");
        command.args(["--name", name, "--daemon", "--", "/bin/sh", "-c"]);
        succeed(command.arg(format!("sleep {seconds}")).arg(&mark));
        let expected = vec![("container.type", "lxc".into()), ("proc.vpid", 1.into())];
        Created { kind: "lxc", mark, id: name.to_owned(), rules: vec![ANY], expected }
    }

    fn exec(&self, name: &str, container: &Created) -> Created {
        let mark = format!("mark-{name}");
        let mut command = self.command("lxc-attach");
        succeed(command.args(["--name", &container.id, "--", "/bin/sh", "-c", ":", &mark]));
        container.process("lxc exec", &mark)
    }
}

impl Lxc<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = self.0.command(program);
        command.arg("-P").arg(self.0.path("data").join("lxc"));
        command
    }
}

impl<'a> Pods<'a> {
    pub(crate) fn new(place: &'a Place, containerd: &Containerd<'_>) -> Self {
        Self { place, cri: containerd.cri() }
    }

    /// Starts a pod. What is returned beside it is its pause process.
    pub(crate) fn run(
        &self,
        name: &str,
        namespaces: Namespaces,
        annotations: &[(&str, &str)],
    ) -> (PodSpec, Created) {
        let uid = format!("uid-of-{name}");
        let parent = format!("/{}/kubepods/pod{uid}", self.place.name());
        let labels = [("app", name)];
        let pod = self.cri.run_pod((name, &uid), &parent, namespaces, &labels, annotations);
        let address = self.cri.address(&pod);
        let of_node = namespaces != Namespaces::Usual;
        assert_eq!(address.is_empty(), of_node, "{address}");
        let short: String = pod.id.chars().take(12).collect();
        let mut expected = vec![
            ("container.type", "containerd".into()),
            ("container.host_network", of_node.into()),
            ("container.privileged", false.into()),
            ("container.start_ts", Expected::Something),
            ("k8s.pod.name", name.into()),
            ("k8s.ns.name", "shop".into()),
            ("k8s.pod.uid", uid.into()),
            ("k8s.pod.sandbox_id", short.into()),
            ("k8s.pod.label[app]", name.into()),
            ("user.name", "root".into()),
            ("proc.vpid", 1.into()),
        ];
        if !address.is_empty() {
            expected.push(("k8s.pod.ip", address.into()));
        }
        let pause = Created {
            kind: "pod pause",
            mark: PAUSE.to_owned(),
            id: pod.id.clone(),
            rules: vec![ANY, OF_NAMESPACE],
            expected: expected.clone(),
        };
        let pause = pause.with("container.full_id", pod.id.as_str());
        (PodSpec { pod, expected }, pause)
    }
}

impl Runtime for InPod<'_> {
    fn run(&self, name: &str, seconds: &str) -> Created {
        let mark = format!("mark-{name}");
        let command = ["sh", "-c", &format!("sleep {seconds}"), &mark];
        let labels = [("mark", name)];
        let spec = Spec { name, image: "localhost/bb:1.0", command: &command, labels: &labels };
        let id = self.pods.cri.run(&self.pod.pod, &spec);
        let created = created("pod container", mark, id, name).of_rule(OF_NAMESPACE);
        let mut created = of_image(created, "localhost/bb").with("container.label[mark]", name);
        for (field, expected) in &self.pod.expected {
            created = created.with(field, expected.clone());
        }
        if self.pod.pod.namespaces == Namespaces::SharedPids {
            created = created.with("proc.vpid", Expected::Inner);
        }
        created
    }

    fn exec(&self, name: &str, container: &Created) -> Created {
        let mark = format!("mark-{name}");
        self.pods.cri.exec(&container.id, &["sh", "-c", ":", &mark]);
        container.process("pod exec", &mark)
    }

    fn remove(&self, container: &Created) {
        self.pods.cri.remove(&container.id);
    }
}

/// What holds of all that have a name and a start.
fn created(kind: &'static str, mark: String, id: String, name: &str) -> Created {
    let expected = vec![
        ("container.full_id", id.as_str().into()),
        ("container.name", name.into()),
        ("container.type", kind.into()),
        ("container.privileged", false.into()),
        ("container.host_pid", false.into()),
        ("container.host_network", false.into()),
        ("container.host_ipc", false.into()),
        ("container.start_ts", Expected::Something),
        ("container.duration", Expected::Something),
        ("user.name", "root".into()),
        ("proc.vpid", 1.into()),
    ];
    Created { kind, mark, id, rules: vec![ANY], expected }
}

/// With the image that all containers have.
fn of_image(created: Created, repository: &str) -> Created {
    created
        .of_rule(OF_IMAGE)
        .with("container.image", format!("{repository}:1.0"))
        .with("container.image.repository", repository)
        .with("container.image.tag", "1.0")
}
