#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeSet;

use peregrine_event::{EventSet, EventType, syscall_names, syscalls_aarch64, syscalls_x86_64};
use peregrine_fields::EventTypes;
use proptest::prelude::*;

use super::*;

fn set(names: &str) -> SyscallSet {
    SyscallSet::named(names.split_whitespace())
}

fn sample_rules() -> SyscallSet {
    set("connect accept accept4 umount2 open ptrace mmap execve read container mprotect")
        .difference(&set("mprotect"))
}

fn select(rules: &SyscallSet, custom: &[&str], repair: bool, all: bool) -> Selection {
    let custom_set = custom.iter().map(|&name| name.to_owned()).collect();
    Selection::new(rules, &SyscallSet::default(), &BaseSyscalls { custom_set, repair, all })
}

fn names(text: &str) -> BTreeSet<&str> {
    text.split_whitespace().collect()
}

#[test]
fn the_state_needs_known_syscalls() {
    let expected = "accept accept4 bind capset chdir chroot clone clone3 close close_range connect creat dup dup2 dup3 \
        epoll_create epoll_create1 eventfd eventfd2 execve execveat fchdir fcntl fork getsockopt inotify_init \
        inotify_init1 io_uring_setup memfd_create mount open open_by_handle_at openat openat2 pidfd_getfd pidfd_open \
        pipe pipe2 prctl prlimit procexit recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto setgid setregid \
        setresgid setresuid setreuid setrlimit setsid setuid shutdown signalfd signalfd4 socket socketpair \
        timerfd_create umount umount2 userfaultfd vfork";
    assert_eq!(state().names(), names(expected));
}

#[test]
fn reads_and_writes_are_ignored_unless_the_state_needs_them() {
    let expected = "pread preadv pwrite pwritev read readv recv send sendfile write writev";
    assert_eq!(ignored().names(), names(expected));
    assert!(ignored().intersection(state()).is_empty());
}

#[test]
fn rules_and_state_are_selected_without_ignored_syscalls() {
    let rules = sample_rules();
    let selection = select(&rules, &[], false, false);
    let expected = state().union(&rules).difference(ignored());
    assert_eq!(selection.selected, expected);
    assert_eq!(selection.unreported().names(), names("read"));
    assert_eq!(selection.for_state, state().difference(&rules));
    assert_eq!(select(&rules, &[], false, true).selected, state().union(&rules));
}

#[test]
fn syscalls_that_share_an_event_are_distinct() {
    let rules = sample_rules().union(&set("syncfs fanotify_init"));
    let selected = select(&rules, &[], false, false).selected;
    for name in ["syncfs", "fanotify_init"] {
        assert!(selected.contains_name(name), "{name}");
    }
    let reported: Vec<_> =
        selected.syscalls(syscalls_x86_64()).filter(|s| s.exit == EventType::GenericX).collect();
    assert_eq!(reported.len(), 2);
}

#[test]
fn a_custom_set_replaces_the_state_and_removes_from_all() {
    let rules = sample_rules();
    let expected = "connect umount2 open ptrace mmap execve read syncfs procexit";
    for custom in [&["syncfs", "!accept"][..], &["syncfs", "accept", "!accept"]] {
        assert_eq!(select(&rules, custom, false, true).selected.names(), names(expected));
    }
    let with_accept = format!("{expected} accept accept4");
    assert_eq!(select(&rules, &["syncfs"], false, true).selected.names(), names(&with_accept));
    let selected = select(&rules, &["!accept"], false, true).selected;
    assert_eq!(selected, state().union(&rules).difference(&set("accept")));
    // The custom set does not select ignored syscalls either.
    let selected = select(&rules, &["read"], false, false).selected;
    let expected = "connect accept accept4 umount2 open ptrace mmap execve procexit";
    assert_eq!(selected.names(), names(expected));
}

#[test]
fn repair_adds_what_the_selection_needs() {
    let rules = sample_rules();
    let selection = select(&rules, &["openat", "!bind"], true, false);
    for name in ["connect", "openat", "procexit", "bind", "socket", "clone3", "close", "setuid"] {
        assert!(selection.selected.contains_name(name), "{name}");
    }
    assert!(selection.repaired.contains_name("bind"));
    assert!(!selection.selected.contains_name("read") && !selection.selected.contains_name("dup"));
    assert_eq!(select(&rules, &[], true, true).selected, repaired(&rules));
    let few = repaired(&set("kill"));
    assert!(few.contains_name("execve") && !few.contains_name("close"));
    let client = repaired(&set("connect"));
    assert!(client.contains_name("socket") && client.contains_name("close"));
    assert!(!client.contains_name("bind"));
    assert!(repaired(&set("listen")).contains_name("bind"));
}

#[test]
fn repair_keeps_the_syscalls_of_plugins() {
    let events: EventSet = [EventType::SyscallUnlink_2X].into_iter().collect();
    let plugins = SyscallSet::of_events(events);
    let base = BaseSyscalls { repair: true, ..BaseSyscalls::default() };
    let selection = Selection::new(&set("open"), &plugins, &base);
    assert!(selection.selected.contains_name("unlink"));
    let generic = SyscallSet::of_events([EventType::GenericX].into_iter().collect());
    assert!(generic.contains_name("syncfs") && !generic.contains_name("open"));
}

#[test]
fn unknown_names_are_reported() {
    let selection = select(
        &sample_rules(),
        &["openat", "opnat", "!clsoe", "!close", "", "container"],
        false,
        false,
    );
    let listed = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
    assert_eq!(listed(&selection.unknown_added), ["container", "opnat"]);
    assert_eq!(listed(&selection.unknown_removed), ["clsoe"]);
    assert_eq!(selection.removed.to_string(), "close");
    // The current version of the event is selected, and its old names are listed too.
    assert_eq!(set("accept4").to_string(), "accept, accept4");
}

#[test]
fn every_event_has_its_syscalls_on_both_architectures() {
    let all = SyscallSet::from(&EventTypes::all());
    for table in [syscalls_x86_64(), syscalls_aarch64()] {
        assert_eq!(all.syscalls(table).count(), table.len());
        assert_eq!(SyscallSet::default().syscalls(table).count(), 0);
    }
    let one = set("openat");
    let found: Vec<_> = one.syscalls(syscalls_x86_64()).map(|syscall| syscall.nr).collect();
    assert_eq!(found, [257]);
}

fn any_set() -> impl Strategy<Value = SyscallSet> {
    let all: Vec<&'static str> = EventType::all()
        .map(EventType::name)
        .chain(syscall_names().map(|(_, name)| name))
        .collect();
    proptest::collection::vec(proptest::sample::select(all), 0..40)
        .prop_map(|names| SyscallSet::named(names.iter().copied()))
}

proptest! {
    #[test]
    fn sets_are_sets(a in any_set(), b in any_set(), c in any_set()) {
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.intersection(&b.union(&c)), a.intersection(&b).union(&a.intersection(&c)));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
    }

    #[test]
    fn names_give_the_set_back(a in any_set()) {
        let again = SyscallSet::named(a.names().iter().copied());
        // Old names may add a family, but never remove one.
        prop_assert_eq!(again.intersection(&a), a);
    }

    #[test]
    fn selection_holds_its_promises(
        rules in any_set(), plugins in any_set(), removed in any_set(), repair: bool, all: bool,
    ) {
        let custom_set: Vec<_> = removed.names().iter().map(|name| format!("!{name}")).collect();
        let base = BaseSyscalls { custom_set, repair, all };
        let Selection { selected, removed, .. } = Selection::new(&rules, &plugins, &base);
        prop_assert!(selected.contains(EventType::Procexit_1E));
        if !all {
            prop_assert!(selected.intersection(ignored()).is_empty());
        }
        let missing = rules.union(&plugins).difference(&selected);
        prop_assert!(missing.difference(&removed).difference(ignored()).is_empty());
        if !repair {
            let kept = selected.difference(&set("procexit"));
            prop_assert!(kept.intersection(&removed).is_empty());
            // A second repair may add more: added syscalls may need others.
            let again = Selection::new(&selected, &plugins, &base);
            prop_assert_eq!(again.selected, selected, "selecting what is selected changes nothing");
        }
    }
}
