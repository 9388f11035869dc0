//! The table of `ka.*`: where each field finds its value in an audit event.

use peregrine_fields::RuntimeField;
use peregrine_fields::table::ListedArgument;

use super::field::text_field;

/// A field.
#[derive(Clone, Debug)]
pub(super) struct Row {
    name: String,
    about: String,
    list: bool,
    argument: Option<ListedArgument>,
    /// Where its value is.
    pub(super) at: At,
}

/// Where the value of a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// At these keys; of a list field each element is a value.
    Keys(&'static [&'static str]),
    /// At these keys, in each element of the lists on the way, or in the one with the number of the
    /// argument. Elements without it are left out.
    Each(&'static [&'static str]),
    /// In each rule of a role, or in the one with the number: the elements of this list.
    Rules(&'static str),
    /// The list at this key, or its element with the number of the argument.
    Elements(&'static str),
    /// The first value of the parameter of the URI that the argument names.
    UriParameter,
    /// The name that the response gives a pod.
    PodName,
    /// Names of the subjects of a binding that are of this kind.
    Subjects(&'static str),
    /// Names of service accounts, each with its namespace in front.
    NamespacedAccounts,
    /// `true`, for any argument.
    True,
    /// Image of the first container, or only its repository.
    FirstImage { repository: bool },
    /// Whether any container is privileged.
    AnyPrivileged,
    /// Whether a volume has the path of the argument, which may end with `*`.
    HasHostPath,
    /// Keys of the volumes beside their names.
    VolumeTypes,
    /// Something of each container of a list of the pod, or of the one with the number.
    Container(&'static str, Part),
}

/// A part of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Name,
    Image,
    Repository,
    /// A list of words, joined by blanks: `command`, `args`.
    Words(&'static str),
    /// Ports on the host, or of the container where it has none.
    HostPorts,
    /// A key of its security context.
    Security(&'static [&'static str]),
    /// The same, or else that of the pod, or else 0.
    Effective(&'static str),
}

impl Row {
    pub(super) fn field(&self) -> RuntimeField {
        text_field(self.name.clone(), self.about.clone(), self.list, self.argument)
    }

    /// Whether its value is a list.
    pub(super) fn is_list(&self) -> bool {
        self.list
    }
}

const INDEX: ListedArgument = ListedArgument { required: false, index: true, key: false };
const KEY: ListedArgument = ListedArgument { required: true, index: false, key: true };

/// Whether the value is a list, and the argument.
type Form = (bool, Option<ListedArgument>);

const ONE: Form = (false, None);
const LIST: Form = (true, None);
const INDEXED: Form = (true, Some(INDEX));
const KEYED: Form = (false, Some(KEY));

/// All fields: those of events and requests, then those of the containers of pods.
pub(super) fn rows() -> Vec<Row> {
    let row = |&(name, (list, argument), at, about): &(&str, Form, At, &str)| Row {
        name: format!("ka.{name}"),
        about: about.to_owned(),
        list,
        argument,
        at,
    };
    ROWS.iter().map(row).chain(container_rows()).collect()
}

const SPEC: &str = "requestObject";

#[rustfmt::skip]
const ROWS: &[(&str, Form, At, &str)] = &[
    ("auditid", ONE, At::Keys(&["auditID"]), "Id of the request; all its events have the same."),
    ("stage", ONE, At::Keys(&["stage"]), "How far the request was: RequestReceived, ResponseStarted, ResponseComplete or Panic."),
    ("auth.decision", ONE, At::Keys(&["annotations", "authorization.k8s.io/decision"]), "`allow` or `forbid`, as the authorizer decided."),
    ("auth.reason", ONE, At::Keys(&["annotations", "authorization.k8s.io/reason"]), "Why the authorizer decided so."),
    ("auth.openshift.decision", ONE, At::Keys(&["annotations", "authentication.openshift.io/decision"]), "What the authentication of OpenShift decided."),
    ("auth.openshift.username", ONE, At::Keys(&["annotations", "authentication.openshift.io/username"]), "User that the authentication of OpenShift is about."),
    ("validations.admission.policy.failure", ONE, At::Keys(&["annotations", "validation.policy.admission.k8s.io/validation_failure"]), "Which validating admission policies the request breaks, and why."),
    ("security.pod.violations", ONE, At::Keys(&["annotations", "pod-security.kubernetes.io/audit-violations"]), "Which pod security standards the pod breaks."),
    ("user.name", ONE, At::Keys(&["user", "username"]), "User who makes the request."),
    ("user.groups", LIST, At::Keys(&["user", "groups"]), "Groups of that user."),
    ("impuser.name", ONE, At::Keys(&["impersonatedUser", "username"]), "User as whom the request is to be made."),
    ("verb", ONE, At::Keys(&["verb"]), "What is requested: get, list, watch, create, update, patch, delete and others."),
    ("uri", ONE, At::Keys(&["requestURI"]), "URI of the request, with its query."),
    ("uri.param", KEYED, At::UriParameter, "First value of a parameter in the query of the URI, as in ka.uri.param[command]."),
    ("target.name", ONE, At::Keys(&["objectRef", "name"]), "Name of the object that the request is about."),
    ("target.namespace", ONE, At::Keys(&["objectRef", "namespace"]), "Namespace of that object."),
    ("target.resource", ONE, At::Keys(&["objectRef", "resource"]), "Resource of that object, such as pods."),
    ("target.subresource", ONE, At::Keys(&["objectRef", "subresource"]), "Subresource, such as exec or log."),
    ("target.pod.name", ONE, At::PodName, "Name of the pod in the response to a request about pods, without a subresource."),
    ("req.binding.subjects", LIST, At::Keys(&[SPEC, "subjects"]), "Subjects of a role binding, each as JSON."),
    ("req.binding.subjects.user_names", LIST, At::Subjects("User"), "Users among the subjects of a role binding."),
    ("req.binding.subjects.serviceaccount_names", LIST, At::Subjects("ServiceAccount"), "Service accounts among the subjects of a role binding."),
    ("req.binding.subjects.serviceaccount_ns_names", LIST, At::NamespacedAccounts, "The same with their namespaces, as in shop:robot."),
    ("req.binding.subjects.group_names", LIST, At::Subjects("Group"), "Groups among the subjects of a role binding."),
    ("req.binding.role", ONE, At::Keys(&[SPEC, "roleRef", "name"]), "Role of a role binding."),
    ("req.binding.subject.has_name", KEYED, At::True, "Always `true`: only for old rules."),
    ("req.configmap.name", ONE, At::Keys(&["objectRef", "name"]), "Name of the object, for rules about config maps."),
    ("req.configmap.obj", ONE, At::Keys(&[SPEC, "data"]), "Data of a config map, as JSON."),
    ("req.container.image", ONE, At::FirstImage { repository: false }, "Image of the first container only: ka.req.pod.containers.image has all."),
    ("req.container.image.repository", ONE, At::FirstImage { repository: true }, "Repository of that image: ka.req.pod.containers.image.repository has all."),
    ("req.pod.host_ipc", ONE, At::Keys(&[SPEC, "spec", "hostIPC"]), "Whether the pod uses the IPC namespace of its host."),
    ("req.pod.host_network", ONE, At::Keys(&[SPEC, "spec", "hostNetwork"]), "Whether the pod uses the network of its host."),
    ("req.container.host_network", ONE, At::Keys(&[SPEC, "spec", "hostNetwork"]), "The same as ka.req.pod.host_network, for old rules."),
    ("req.pod.host_pid", ONE, At::Keys(&[SPEC, "spec", "hostPID"]), "Whether the pod sees the processes of its host."),
    ("req.container.privileged", ONE, At::AnyPrivileged, "Whether any container of the pod is privileged: ka.req.pod.containers.privileged says which."),
    ("req.pod.run_as_user", ONE, At::Keys(&[SPEC, "spec", "securityContext", "runAsUser"]), "Uid in the security context of the pod; containers may have others."),
    ("req.pod.run_as_group", ONE, At::Keys(&[SPEC, "spec", "securityContext", "runAsGroup"]), "Gid in the security context of the pod; containers may have others."),
    ("req.role.rules", LIST, At::Keys(&[SPEC, "rules"]), "Rules of a role, each as JSON."),
    ("req.role.rules.apiGroups", INDEXED, At::Rules("apiGroups"), "API groups of all rules of a role, or of one."),
    ("req.role.rules.nonResourceURLs", INDEXED, At::Rules("nonResourceURLs"), "Paths, not of resources, of all rules of a role, or of one."),
    ("req.role.rules.verbs", INDEXED, At::Rules("verbs"), "Verbs of all rules of a role, or of one."),
    ("req.role.rules.resources", INDEXED, At::Rules("resources"), "Resources of all rules of a role, or of one."),
    ("req.pod.fs_group", ONE, At::Keys(&[SPEC, "spec", "securityContext", "fsGroup"]), "Gid that owns the volumes of the pod."),
    ("req.pod.supplemental_groups", LIST, At::Keys(&[SPEC, "spec", "securityContext", "supplementalGroups"]), "Further gids of the processes of the pod."),
    ("req.service.type", ONE, At::Keys(&[SPEC, "spec", "type"]), "Type of a service, such as NodePort."),
    ("req.service.ports", INDEXED, At::Each(&[SPEC, "spec", "ports"]), "Ports of a service, as JSON."),
    ("req.pod.volumes.hostpath", INDEXED, At::Each(&[SPEC, "spec", "volumes", "hostPath", "path"]), "Paths of the host that the volumes of the pod mount."),
    ("req.volume.hostpath", KEYED, At::HasHostPath, "Whether a volume mounts this path of the host; with `*` at its end, one that begins so."),
    ("req.pod.volumes.flexvolume_driver", INDEXED, At::Each(&[SPEC, "spec", "volumes", "flexVolume", "driver"]), "Drivers of the flexVolumes of the pod."),
    ("req.pod.volumes.volume_type", INDEXED, At::VolumeTypes, "Types of the volumes of the pod, such as hostPath or secret."),
    ("resp.name", ONE, At::Keys(&["responseObject", "metadata", "name"]), "Name of the object in the response."),
    ("response.code", ONE, At::Keys(&["responseStatus", "code"]), "HTTP status of the response."),
    ("response.reason", ONE, At::Keys(&["responseStatus", "reason"]), "Why the request failed, in a word such as Forbidden."),
    ("useragent", ONE, At::Keys(&["userAgent"]), "How the client calls itself."),
    ("sourceips", INDEXED, At::Elements("sourceIPs"), "Addresses of the client and of proxies on the way, or one of them."),
    ("cluster.name", ONE, At::Keys(&["annotations", "cluster_name"]), "Name of the cluster, where events are annotated with it."),
];

/// The lists of containers of a pod, and how texts call them.
const LISTS: [(&str, &str); 3] = [
    ("containers", "containers"),
    ("initContainers", "init containers"),
    ("ephemeralContainers", "ephemeral containers"),
];

#[rustfmt::skip]
const PARTS: [(&str, Part, &str); 15] = [
    ("name", Part::Name, "Names of the @ of the pod."),
    ("image", Part::Image, "Images of the @ of the pod."),
    ("image.repository", Part::Repository, "Repositories of the images of the @ of the pod."),
    ("command", Part::Words("command"), "Commands of the @ of the pod."),
    ("args", Part::Words("args"), "Arguments of the commands of the @ of the pod."),
    ("privileged", Part::Security(&["privileged"]), "Whether the @ of the pod are privileged."),
    ("allow_privilege_escalation", Part::Security(&["allowPrivilegeEscalation"]), "Whether processes in the @ of the pod may gain privileges."),
    ("read_only_fs", Part::Security(&["readOnlyRootFilesystem"]), "Whether the root file systems of the @ of the pod are read-only."),
    ("run_as_user", Part::Security(&["runAsUser"]), "Uids in the security contexts of the @ of the pod."),
    ("eff_run_as_user", Part::Effective("runAsUser"), "Uids with which the @ of the pod start: their own, or that of the pod, or 0."),
    ("run_as_group", Part::Security(&["runAsGroup"]), "Gids in the security contexts of the @ of the pod."),
    ("eff_run_as_group", Part::Effective("runAsGroup"), "Gids with which the @ of the pod start: their own, or that of the pod, or 0."),
    ("proc_mount", Part::Security(&["procMount"]), "How `/proc` is mounted in the @ of the pod."),
    ("add_capabilities", Part::Security(&["capabilities", "add"]), "Capabilities that the @ of the pod get, one JSON list each."),
    ("host_port", Part::HostPorts, "Ports of the host that the @ of the pod listen on, or else their own."),
];

fn container_rows() -> impl Iterator<Item = Row> {
    LISTS.iter().flat_map(|(list, called)| {
        // Ephemeral containers have no ports.
        let parts = PARTS
            .iter()
            .filter(|(_, part, _)| *part != Part::HostPorts || *list != "ephemeralContainers");
        parts.map(move |(name, part, about)| Row {
            name: format!("ka.req.pod.{list}.{name}"),
            about: about.replace('@', called),
            list: true,
            argument: Some(INDEX),
            at: At::Container(list, *part),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_fields_as_the_plugin_has() {
        let rows = rows();
        assert_eq!(rows.len(), 100);
        assert_eq!(rows.iter().filter(|row| row.list).count(), 61);
        assert_eq!(rows.iter().filter(|row| row.argument.is_some()).count(), 56);
        assert!(rows.iter().all(|row| row.about.ends_with('.')));
    }
}
