//! The compiled object, and the same object with its syscall programs declared as `fexit` programs.
//!
//! The syscall programs serve both hook plans unchanged: at `tp_btf/sys_exit` and at `fexit` of a
//! syscall's function, the context holds the registers and then the result. aya derives the program
//! type from the section name when it parses an ELF file, and offers no other entrance:
//! `EbpfLoader::load` takes bytes only, and the program types cannot be converted into each other.
//! The choice is therefore between a second compiled object (1.5 MB more in the executable) and
//! renaming the section before it is parsed. This module renames it.
//!
//! The name occurs twice, in the string table of the ELF file and in that of its BTF, and other
//! strings share its tail (`sys_exit`) and are prefixed to it (`.reltp_btf/sys_exit`). The new name
//! has the same length and the same tail, so no offset changes.

#[cfg(target_arch = "x86_64")]
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../bpf/peregrine.x86_64.o");
#[cfg(target_arch = "aarch64")]
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!("../../../../bpf/peregrine.aarch64.o");

const TRACEPOINT_SECTION: &[u8] = b"tp_btf/sys_exit\0";
const FUNCTION_SECTION: &[u8] = b"fexit/_sys_exit\0";

/// The object with its syscall programs declared as `fexit` programs.
pub(super) fn with_function_hooks() -> Vec<u8> {
    let mut object = OBJECT.to_vec();
    for at in memchr::memmem::find_iter(OBJECT, TRACEPOINT_SECTION) {
        if let Some(name) = object.get_mut(at..at + FUNCTION_SECTION.len()) {
            name.copy_from_slice(FUNCTION_SECTION);
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aya_obj::{Object, ProgramSection};

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Kind {
        Tracepoint,
        Function,
        Other,
    }

    fn programs(object: &Object) -> BTreeMap<&str, Kind> {
        let kind = |section: &ProgramSection| match section {
            ProgramSection::BtfTracePoint => Kind::Tracepoint,
            ProgramSection::FExit { .. } => Kind::Function,
            _ => Kind::Other,
        };
        object.programs.iter().map(|(name, p)| (name.as_str(), kind(&p.section))).collect()
    }

    #[test]
    fn only_syscall_programs_become_fexit_programs() {
        let changed_bytes = with_function_hooks();
        let (before, after) =
            (Object::parse(OBJECT).unwrap(), Object::parse(&changed_bytes).unwrap());
        let (before, after) = (programs(&before), programs(&after));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (name, kind) in &after {
            let of_syscalls = ["x_", "inline_", "alt_proto_", "call_exit"];
            let of_syscalls = of_syscalls.iter().any(|prefix| name.starts_with(prefix));
            match (of_syscalls, *name) {
                (true, _) | (_, "sys_exit" | "takes_functions") => {
                    assert_eq!(*kind, Kind::Function, "{name}");
                }
                _ => assert_eq!(before.get(name), Some(kind), "{name}"),
            }
        }
        for name in ["call_exit", "call_exit_alt_proto", "takes_functions"] {
            assert_eq!(after.get(name), Some(&Kind::Function), "{name}");
        }
        let is =
            |kind: &Kind, of: &BTreeMap<&str, Kind>| of.values().filter(|k| *k == kind).count();
        assert!(is(&Kind::Function, &after) > 100, "{}", is(&Kind::Function, &after));
        assert_eq!(is(&Kind::Other, &after), is(&Kind::Other, &before));
    }

    #[test]
    fn the_section_is_named_in_two_string_tables() {
        assert_eq!(memchr::memmem::find_iter(OBJECT, TRACEPOINT_SECTION).count(), 2);
    }
}
