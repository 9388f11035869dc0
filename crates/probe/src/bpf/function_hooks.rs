//! A hook on the function of each selected syscall (`fexit`), so that other syscalls cost nothing.
//!
//! The programs are those of the `sys_exit` tracepoint: in both contexts the registers of the call
//! and its result are at the same offsets. Only the program type differs, which [`super::object`]
//! takes care of.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use aya::maps::{MapData, ProgramArray};
use aya::programs::ProgramError;
use aya::programs::fexit::{FExit, FExitLink};
use aya::{Btf, Ebpf};
use peregrine_event::{LossClass, native_syscalls};
use peregrine_telemetry::Heartbeat;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::compat;
use super::counters::KernelCounters;
use super::error::ProbeError;
use super::functions::{Functions, SOCKETCALL};
use super::hooks::Collector;
use super::select::SyscallSet;

/// Program that tests whether the kernel supports such hooks.
const PROBE: &str = "takes_functions";
/// The function it is attached to: rarely called, and present in every kernel.
const SELDOM: &str = "acct";
/// A function whose argument older kernels do not describe (Linux 5.10 built with older tools).
const DOUBTFUL: &str = "socket";
/// The function that collectors are loaded for. They are not attached to it, but loading needs one.
const USUAL: &str = "close";
/// The attached program, and its variant for functions with the alternative prototype. BTF knows
/// the functions of syscalls with two prototypes, which differ in the name of the parameter;
/// programs for different prototypes cannot share a tail-call table.
const FRONT: &str = "call_exit";
const ALT_PROTO_FRONT: &str = "call_exit_alt_proto";

/// These functions have no exit that can be hooked.
const NEVER_RETURN: [&str; 2] = ["exit", "exit_group"];

/// Functions of this kernel, and the hooks on them.
pub(super) struct FunctionHooks {
    functions: Functions,
    links: BTreeMap<String, FExitLink>,
    unhooked: BTreeMap<String, Unhooked>,
    /// Syscalls whose collector is also loaded for the alternative prototype.
    alt_proto: BTreeSet<u16>,
    /// Detaching takes time, so this hook stays attached as long as the others.
    _probe: FExitLink,
}

/// A function that should be hooked and is not.
struct Unhooked {
    /// The kernel's reason.
    why: String,
    /// Whether it serves a syscall that has an event of its own.
    matters: bool,
}

impl FunctionHooks {
    /// Tests whether this kernel supports hooks on functions; if not, returns why.
    pub(super) fn probe(ebpf: &mut Ebpf, types: &Btf) -> Result<Self, String> {
        let functions = Functions::of_kernel().map_err(|error| error.to_string())?;
        let function = |name: &str| {
            functions.native(name).pop().ok_or_else(|| format!("no function for {name}"))
        };
        let refused = |error: ProgramError| error.to_string();
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

    /// Functions that should be hooked and are not, with reasons.
    pub(super) fn unhooked(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unhooked.iter().map(|(function, unhooked)| (function.as_str(), unhooked.why.as_str()))
    }

    /// The first of them that serves a syscall that has an event of its own.
    pub(super) fn blind_spot(&self) -> Option<(&str, &str)> {
        let (function, unhooked) = self.unhooked.iter().find(|(_, unhooked)| unhooked.matters)?;
        Some((function, &unhooked.why))
    }

    /// The program with this name, loaded on first use.
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

    /// Hooks the functions of these syscalls and no others. `table` holds the collectors for the
    /// alternative prototype.
    pub(super) fn hook(
        &mut self,
        ebpf: &mut Ebpf,
        types: &Btf,
        table: &mut ProgramArray<MapData>,
        syscalls: &SyscallSet,
        counters: &KernelCounters,
        heartbeat: &Heartbeat,
    ) -> Result<(), ProbeError> {
        let wanted = self.wanted(syscalls);
        for (function, link) in self.links.extract_if(.., |name, _| !wanted.contains_key(name)) {
            drop(link);
            counters.release(&function);
        }
        self.unhooked.clear();
        for (function, leads_to) in wanted {
            heartbeat.progress();
            if self.links.contains_key(&function) {
                continue;
            }
            let link = attach(ebpf, types, FRONT, &function).or_else(|_| {
                self.load_alt_proto(ebpf, types, table, &function, &leads_to)?;
                attach(ebpf, types, ALT_PROTO_FRONT, &function)
            });
            match link {
                Ok((link, program)) => {
                    // Which of its syscalls ran is unknown, and so is the result.
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

    /// The functions that serve syscalls, each with the codes of the syscalls it may serve.
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

    /// Loads the collectors of syscalls for the alternative prototype; `function` is one that has
    /// it.
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
            // The other table keeps its own program with this name.
            unload(ebpf, &name)?;
            let program = load(ebpf, types, &name, function)?;
            table.set(u32::from(syscall.nr), program.fd()?, 0)?;
            unload(ebpf, &name)?;
            self.alt_proto.insert(syscall.sc);
        }
        Ok(())
    }
}

/// Every hook is a descriptor; with rings and programs they can exceed the default limit of 1024.
pub(super) fn allow_descriptors() {
    const ENOUGH: u64 = 8192;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < ENOUGH) {
        limit.current = Some(limit.maximum.unwrap_or(ENOUGH).min(ENOUGH));
        // If raising the limit is not permitted, attaching fails with the kernel's error.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Attaches a program to a function. The same program can be attached to others.
fn attach(
    ebpf: &mut Ebpf,
    types: &Btf,
    name: &str,
    function: &str,
) -> Result<(FExitLink, OwnedFd), ProgramError> {
    unload(ebpf, name)?;
    let program = load(ebpf, types, name, function)?;
    let link = program.attach()?;
    let link = program.take_link(link)?;
    let descriptor = program.fd()?.as_fd().try_clone_to_owned()?;
    program.unload()?;
    Ok((link, descriptor))
}

/// The kernel's message.
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
