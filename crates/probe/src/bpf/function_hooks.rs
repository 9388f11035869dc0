//! A hook on the function of each selected syscall (`fexit`), so that other syscalls cost nothing.
//!
//! The programs are those of the `sys_exit` tracepoint: in both contexts the registers of the call
//! and its result are at the same offsets. Only the program type differs, which [`super::object`]
//! takes care of.

use std::collections::{BTreeMap, BTreeSet};

use aya::maps::{MapData, ProgramArray};
use aya::programs::fexit::{FExit, FExitLink};
use aya::programs::{ProgramError, ProgramInfo};
use aya::{Btf, Ebpf};
use peregrine_event::{LossClass, native_syscalls};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::compat;
use super::counters::KernelCounters;
use super::error::ProbeError;
use super::functions::{Functions, SOCKETCALL};
use super::hooks::Collector;
use super::select::SyscallSet;

/// Program that sees whether the kernel takes any.
const PROBE: &str = "takes_functions";
/// What it is attached to: hardly ever called, and in every kernel.
const SELDOM: &str = "acct";
/// One of those whose argument older kernels do not describe (Linux 5.10, where it was built with
/// the tools of its time).
const DOUBTFUL: &str = "socket";
/// What collectors are loaded for. They are not attached to it, but the kernel wants to know.
const USUAL: &str = "close";
/// The program that is attached, and the one for functions of the other kind. The kernel's
/// description of its types knows the functions of syscalls as two kinds, by the name of their
/// parameter; programs of two kinds can't be in one table.
const FRONT: &str = "call_exit";
const ALT_PROTO_FRONT: &str = "call_exit_alt_proto";

/// There is no way out to be hooked.
const NEVER_RETURN: [&str; 2] = ["exit", "exit_group"];

/// Functions of this kernel, and the hooks on them.
pub(super) struct FunctionHooks {
    functions: Functions,
    links: BTreeMap<String, FExitLink>,
    unhooked: BTreeMap<String, Unhooked>,
    /// Syscalls whose collector is also there for functions of the other kind.
    alt_proto: BTreeSet<u16>,
    /// Taking a hook off can last, so this one stays as long as the others.
    _probe: FExitLink,
}

/// A function that should have a hook and has none.
struct Unhooked {
    /// The kernel's reason.
    why: String,
    /// Whether a syscall that has an event of its own is served by it.
    matters: bool,
}

impl FunctionHooks {
    /// Finds out whether this kernel lets functions be hooked; if not, why.
    pub(super) fn probe(ebpf: &mut Ebpf, types: &Btf) -> Result<Self, String> {
        let functions = Functions::of_kernel().map_err(|error| error.to_string())?;
        let function = |name: &str| {
            functions.native(name).pop().ok_or_else(|| format!("no function for {name}"))
        };
        let refused = |error: ProgramError| error.to_string();
        allow_descriptors();
        load(ebpf, types, PROBE, &function(DOUBTFUL)?).map_err(refused)?;
        let (probe, _) = attach(ebpf, types, PROBE, &function(SELDOM)?).map_err(refused)?;
        Ok(Self {
            functions,
            links: BTreeMap::new(),
            unhooked: BTreeMap::new(),
            alt_proto: BTreeSet::new(),
            _probe: probe,
        })
    }

    /// Functions that should have a hook and have none, and why.
    pub(super) fn unhooked(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unhooked.iter().map(|(function, unhooked)| (function.as_str(), unhooked.why.as_str()))
    }

    /// The first of them that serves a syscall that has an event of its own.
    pub(super) fn blind_spot(&self) -> Option<(&str, &str)> {
        let (function, unhooked) = self.unhooked.iter().find(|(_, unhooked)| unhooked.matters)?;
        Some((function, &unhooked.why))
    }

    /// The program of this name, loaded now if it was not before.
    pub(super) fn load_collector<'a>(
        &self,
        ebpf: &'a mut Ebpf,
        types: &Btf,
        name: &str,
    ) -> Result<&'a mut FExit, ProbeError> {
        let function = self.functions.native(USUAL).pop().unwrap_or_default();
        load(ebpf, types, name, &function)
            .map_err(|source| ProbeError::Program { name: name.into(), source })
    }

    /// Hooks the functions of these syscalls and of no others. `table` is that of the collectors
    /// for functions of the other kind.
    pub(super) fn hook(
        &mut self,
        ebpf: &mut Ebpf,
        types: &Btf,
        table: &mut ProgramArray<MapData>,
        syscalls: &SyscallSet,
        counters: &KernelCounters,
    ) -> Result<(), ProbeError> {
        let wanted = self.wanted(syscalls);
        self.links.retain(|function, _| wanted.contains_key(function));
        self.unhooked.clear();
        for (function, leads_to) in wanted {
            if self.links.contains_key(&function) {
                continue;
            }
            let link = attach(ebpf, types, FRONT, &function).or_else(|_| {
                self.load_alt_proto(ebpf, types, table, &function, &leads_to)?;
                attach(ebpf, types, ALT_PROTO_FRONT, &function)
            });
            match link {
                Ok((link, program)) => {
                    // Which of its calls it was is not known, nor how it ended.
                    counters.watch(&function, LossClass::Other, program);
                    self.links.insert(function, link);
                }
                Err(error) => {
                    let matters = native_syscalls().iter().any(|call| {
                        leads_to.contains(&call.sc)
                            && Collector::of(call.exit, |_| false) != Collector::Generic
                    });
                    self.unhooked.insert(function, Unhooked { why: reason(&error), matters });
                }
            }
        }
        Ok(())
    }

    /// The functions that serve syscalls, each with the codes of those that it can lead to.
    fn wanted(&self, syscalls: &SyscallSet) -> BTreeMap<String, Vec<u16>> {
        let mut wanted: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for code in syscalls.iter() {
            let Some(name) = peregrine_event::syscall_name(code) else { continue };
            if NEVER_RETURN.contains(&name) {
                continue;
            }
            let functions = self.functions.native(name).into_iter();
            for function in functions.chain(self.functions.compat(name)) {
                wanted.entry(function).or_default().push(code);
            }
        }
        let sockets = compat::SOCKETCALLS.iter().filter(|code| syscalls.contains(**code));
        let sockets: Vec<u16> = sockets.copied().collect();
        if !sockets.is_empty() {
            let functions = self.functions.compat(SOCKETCALL).into_iter();
            wanted.extend(functions.map(|function| (function, sockets.clone())));
        }
        wanted
    }

    /// Loads the collectors of syscalls for functions of the other kind, of which `function` is
    /// one.
    fn load_alt_proto(
        &mut self,
        ebpf: &mut Ebpf,
        types: &Btf,
        table: &mut ProgramArray<MapData>,
        function: &str,
        syscalls: &[u16],
    ) -> Result<(), ProgramError> {
        for syscall in native_syscalls() {
            if !syscalls.contains(&syscall.sc) || self.alt_proto.contains(&syscall.sc) {
                continue;
            }
            let collector = Collector::of(syscall.exit, |name| ebpf.program(name).is_some());
            let alt = collector.alt_program();
            let name = if ebpf.program(&alt).is_some() { alt } else { collector.program() };
            // The other table keeps the program of that name that was loaded for it.
            unload(ebpf, &name)?;
            let program = load(ebpf, types, &name, function)?;
            table.set(u32::from(syscall.nr), program.fd()?, 0)?;
            unload(ebpf, &name)?;
            self.alt_proto.insert(syscall.sc);
        }
        Ok(())
    }
}

/// Every hook is a descriptor; with rings and programs there can be more than the 1024 that a
/// process is given at first.
fn allow_descriptors() {
    const ENOUGH: u64 = 8192;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < ENOUGH) {
        limit.current = Some(limit.maximum.unwrap_or(ENOUGH).min(ENOUGH));
        // Where that is not allowed, the kernel says so when there are too many.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Attaches a program to a function. The same program can be attached to others.
fn attach(
    ebpf: &mut Ebpf,
    types: &Btf,
    name: &str,
    function: &str,
) -> Result<(FExitLink, ProgramInfo), ProgramError> {
    unload(ebpf, name)?;
    let program = load(ebpf, types, name, function)?;
    let link = program.attach()?;
    let link = program.take_link(link)?;
    let info = program.info()?;
    program.unload()?;
    Ok((link, info))
}

/// What the kernel said.
fn reason(error: &ProgramError) -> String {
    match error {
        ProgramError::SyscallError(call) => format!("{error}: {}", call.io_error),
        _ => error.to_string(),
    }
}

fn load<'a>(
    ebpf: &'a mut Ebpf,
    types: &Btf,
    name: &str,
    function: &str,
) -> Result<&'a mut FExit, ProgramError> {
    let program = find(ebpf, name)?;
    if program.fd().is_err() {
        program.load(function, types)?;
    }
    Ok(program)
}

fn unload(ebpf: &mut Ebpf, name: &str) -> Result<(), ProgramError> {
    match find(ebpf, name)?.unload() {
        Err(ProgramError::NotLoaded) => Ok(()),
        other => other,
    }
}

fn find<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut FExit, ProgramError> {
    // What the object lacks can't be loaded either.
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
}
