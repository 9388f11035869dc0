//! Options that older versions of Falco had. They are errors, as in Falco; the error says what
//! replaces them.

/// Name, as it is typed without dashes, and what replaces it.
const REMOVED: [(&str, &str); 20] = [
    ("A", "-o base_syscalls.all=true"),
    ("b", "-o buffer_format_base64=true"),
    ("cri", "the built-in plugin `container`"),
    ("D", "-o 'rules[].disable.rule=*PART OF A NAME*'"),
    ("d", "a service manager, which starts the program in the background"),
    ("daemon", "a service manager, which starts the program in the background"),
    ("disable-cri-async", "nothing: container metadata never holds up events"),
    ("e", "-o engine.kind=replay -o engine.replay.capture_file=FILE"),
    ("k", "the container metadata that is collected on this machine"),
    ("K", "the container metadata that is collected on this machine"),
    ("k8s-api", "the container metadata that is collected on this machine"),
    ("list-syscall-events", "--list-events"),
    ("modern-bpf", "-o engine.kind=modern_ebpf"),
    ("nodriver", "-o engine.kind=nodriver"),
    ("s", "-o metrics.enabled=true -o metrics.output_file=FILE"),
    ("S", "-o falco_libs.snaplen=BYTES"),
    ("snaplen", "-o falco_libs.snaplen=BYTES"),
    ("stats-interval", "-o metrics.interval=TIME"),
    ("t", "-o 'rules[].disable.rule=*' -o 'rules[].enable.tag=TAG'"),
    ("T", "-o 'rules[].disable.tag=TAG'"),
];

/// What replaces an option of this name.
pub(super) fn replacement(name: &str) -> Option<&'static str> {
    REMOVED.into_iter().find(|(removed, _)| *removed == name).map(|(_, instead)| instead)
}
