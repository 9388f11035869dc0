//! Loads the programs, attaches them to what is selected, and gives access to their maps.

use std::fmt;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use aya::maps::{Array, CgroupArray, MapData, ProgramArray};
use aya::programs::{BtfTracePoint, Program, ProgramError, TracePoint};
use aya::util::{self, nr_cpus};
use aya::{Btf, BtfError, Ebpf, EbpfLoader};
use peregrine_event::native_syscalls;
use peregrine_telemetry::Heartbeat;

use crate::clock::Clock;

use super::abi::{self, Config, ConfigWords, RingKind};
use super::config::{HookPlan, ProbeConfig};
use super::counters::KernelCounters;
use super::error::ProbeError;
use super::function_hooks::{FunctionHooks, allow_descriptors};
use super::hooks::{self, Collector, Needed};
use super::maps::{Ring, borrow, lifecycle_ring_bytes, make_rings, ring_of_cpus, take};
use super::object;
use super::programs::Programs;
use super::select::{Selection, Tracepoints};

/// How often a CPU checks the fill level while one ring's worth of data is written.
const WAKEUP_CHECKS: u32 = 16;
/// Directory of the tracepoints of single syscalls.
const TRACEFS: &str = "/sys/kernel/tracing/events/syscalls";

/// The loaded programs. Dropping it detaches them.
pub struct Probe {
    ebpf: Ebpf,
    types: KernelTypes,
    config: Config,
    selection: Selection,
    attached: bool,
    held_back: bool,
    missing: Tracepoints,
    entries: bool,
    config_map: Array<MapData, ConfigWords>,
    counters: Arc<KernelCounters>,
    collectors: ProgramArray<MapData>,
    alt_collectors: ProgramArray<MapData>,
    /// The hooks on functions, if this plan is used.
    functions: Option<FunctionHooks>,
    rings: Vec<Ring>,
    heartbeat: Arc<Heartbeat>,
}

impl Probe {
    /// Loads the programs. Events are captured after [`Probe::attach`].
    ///
    /// # Errors
    /// If the kernel rejects a program or map.
    pub fn load(config: &ProbeConfig) -> Result<Self, ProbeError> {
        allow_descriptors();
        let mut types = KernelTypes::default();
        let possible = nr_cpus().map_err(|(path, e)| ProbeError::Cpus(path, e))? as u32;
        let online = util::online_cpus().map_err(|(path, e)| ProbeError::Cpus(path, e))?;
        let per_ring = if config.cpus_per_ring == 0 { possible } else { config.cpus_per_ring };
        let load = |object: &[u8], types: &Btf| {
            EbpfLoader::new()
                .btf(Some(types))
                .map_max_entries(abi::SCRATCHES, possible.saturating_mul(abi::SCRATCH_SLOTS))
                .map_max_entries(abi::LIFECYCLE_RINGS, possible)
                .map_max_entries(abi::DATA_RINGS, possible)
                .load(object)
        };
        let mut ebpf = load(object::OBJECT, types.get()?)?;
        let mut functions = None;
        if config.plan != Some(HookPlan::SysExit) {
            match FunctionHooks::probe(&mut ebpf, types.get()?) {
                Ok(hooks) => {
                    let object = object::with_function_hooks();
                    ebpf = load(&object, types.get()?)?;
                    functions = Some(hooks);
                }
                Err(why) if config.plan.is_some() => return Err(ProbeError::Functions(why)),
                Err(_) => {}
            }
        }

        let of_cpus = ring_of_cpus(&online, possible, per_ring);
        let data_rings = make_rings(&mut ebpf, RingKind::Data, &of_cpus, config.ring_bytes)?;
        let lifecycle_bytes = lifecycle_ring_bytes(config.ring_bytes, data_rings.len());
        let of_cpus = vec![0; possible as usize];
        let mut rings = make_rings(&mut ebpf, RingKind::Lifecycle, &of_cpus, lifecycle_bytes)?;
        rings.extend(data_rings);
        let data_share = config.ring_bytes / per_ring.clamp(1, possible.max(1));
        let wakeup_check_bytes = data_share.min(lifecycle_bytes / possible.max(1)) / WAKEUP_CHECKS;

        let (mut flags, mut scope_id) = (0, 0);
        if config.drop_failed_exit {
            flags |= u64::from(abi::DROP_FAILED);
        }
        if let Some(path) = &config.scope {
            let failed = |source| ProbeError::Scope { path: path.clone(), source };
            let directory = File::open(path).map_err(failed)?;
            scope_id = directory.metadata().map_err(failed)?.ino();
            CgroupArray::try_from(borrow(&mut ebpf, abi::SCOPE)?)?.set(0, directory, 0)?;
            flags |= u64::from(abi::SCOPED);
        }
        let mut probe = Self {
            config: Config {
                boot_epoch_ns: Clock::new().boot_epoch(),
                own_tgid: if config.exclude_self { u64::from(std::process::id()) } else { 0 },
                snaplen: u64::from(config.snaplen),
                flags,
                wakeup_check_bytes: u64::from(wakeup_check_bytes),
                scope_id,
                ..Config::default()
            },
            selection: Selection::default(),
            attached: false,
            held_back: false,
            missing: Tracepoints::empty(),
            entries: config.entries && Path::new(TRACEFS).exists(),
            config_map: Array::try_from(take(&mut ebpf, abi::CONFIG)?)?,
            counters: Arc::new(KernelCounters::new(&mut ebpf)?),
            collectors: ProgramArray::try_from(take(&mut ebpf, abi::COLLECTORS)?)?,
            alt_collectors: ProgramArray::try_from(take(&mut ebpf, abi::ALT_COLLECTORS)?)?,
            functions,
            rings,
            heartbeat: Arc::clone(&config.heartbeat),
            types,
            ebpf,
        };
        probe.select(&config.selection)?;
        Ok(probe)
    }

    /// Attaches the programs.
    ///
    /// # Errors
    /// If the kernel rejects one.
    pub fn attach(&mut self) -> Result<(), ProbeError> {
        self.attached = true;
        let selection = self.selection;
        self.hook(&selection)?;
        self.types.forget();
        Ok(())
    }

    /// Until it is [released](Self::release), the kernel reports only what changes threads.
    pub(crate) fn hold_back(&mut self) -> Result<(), ProbeError> {
        self.held_back = true;
        self.configure()
    }

    /// Reports everything that is selected.
    pub(crate) fn release(&mut self) -> Result<(), ProbeError> {
        self.held_back = false;
        self.configure()
    }

    /// Has the programs work by the configuration.
    fn configure(&mut self) -> Result<(), ProbeError> {
        let mut config = self.config;
        if self.held_back {
            let kept = hooks::tree_changes();
            let words = config.selected.iter_mut().zip(kept);
            words.for_each(|(word, kept)| *word &= kept);
            // 32-bit calls lead to native numbers, which are checked again.
        }
        Ok(self.config_map.set(0, config.words(), 0)?)
    }

    /// Takes the rings; a second call returns none.
    pub fn take_rings(&mut self) -> Vec<Ring> {
        std::mem::take(&mut self.rings)
    }

    /// The counters of the programs.
    pub fn counters(&self) -> &Arc<KernelCounters> {
        &self.counters
    }

    /// Hands over the types for the next selection, so that it does not have to read them.
    pub fn lend_types(&mut self, types: KernelTypes) {
        self.types = types;
    }

    /// Changes the selection; syscalls that stay selected are captured without a gap.
    ///
    /// # Errors
    /// If the kernel rejects a program that was not needed before.
    pub fn select(&mut self, selection: &Selection) -> Result<(), ProbeError> {
        if self.attached && *selection == self.selection {
            return Ok(());
        }
        let (mut selected, mut inline_record) = ([0; abi::SYSCALL_WORDS], [0; abi::SYSCALL_WORDS]);
        for syscall in native_syscalls() {
            let (nr, bit) = (usize::from(syscall.nr), 1 << (syscall.nr % 64));
            let Some(word) = selected.get_mut(nr / 64) else { continue };
            if !selection.syscalls.contains(syscall.sc) {
                continue;
            }
            let exists = |name: &str| self.ebpf.program(name).is_some();
            let collector = Collector::of(syscall.exit, exists);
            if self.config.selected.get(nr / 64).is_none_or(|word| word & bit == 0) {
                if collector == Collector::Generic {
                    self.codes()?.set(u32::from(syscall.nr), abi::syscall_code(syscall.sc), 0)?;
                }
                self.load_collector(&collector.program(), u32::from(syscall.nr))?;
            }
            *word |= bit;
            if let (Collector::Inline(_), Some(word)) = (collector, inline_record.get_mut(nr / 64))
            {
                *word |= bit;
            }
        }
        if self.attached {
            self.hook(selection)?;
            self.types.forget();
        }
        (self.config.selected, self.config.inline_record) = (selected, inline_record);
        self.config.selected32 = self.select_compat(selection)?;
        self.selection = *selection;
        self.configure()
    }

    /// The loaded programs, to query their run counts.
    pub fn programs(&self) -> Programs {
        let descriptor = |program: &Program| program.fd().ok()?.as_fd().try_clone_to_owned().ok();
        let loaded = self.ebpf.programs();
        Programs::new(
            loaded.filter_map(|(name, program)| Some((name.to_owned(), descriptor(program)?))),
        )
    }

    /// Nanoseconds from the epoch to boot, which the programs add to the boot clock to make a
    /// timestamp.
    pub fn boot_epoch(&self) -> u64 {
        self.config.boot_epoch_ns
    }

    /// Shifts the timestamps of all later events, after the wall clock was set.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn set_boot_epoch(&mut self, nanoseconds: u64) -> Result<(), ProbeError> {
        self.config.boot_epoch_ns = nanoseconds;
        self.configure()
    }

    /// Has the kernel report no event of this process, in place of the process before. Does nothing
    /// where it reports events of all processes.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub(crate) fn exclude(&mut self, pid: u32) -> Result<(), ProbeError> {
        if self.config.own_tgid != 0 {
            self.config.own_tgid = pid.into();
            return self.configure();
        }
        Ok(())
    }

    /// Whether arguments are also captured at the entry of calls: requested, and supported here.
    pub fn entries(&self) -> bool {
        self.entries
    }

    /// Selected tracepoints that this kernel does not have.
    pub fn missing(&self) -> Tracepoints {
        self.missing
    }

    /// How syscalls are hooked.
    pub fn plan(&self) -> HookPlan {
        if self.functions.is_some() { HookPlan::PerSyscall } else { HookPlan::SysExit }
    }

    /// Functions of selected syscalls that cannot be hooked, with reasons.
    pub fn unhooked(&self) -> impl Iterator<Item = (&str, &str)> {
        self.functions.iter().flat_map(FunctionHooks::unhooked)
    }

    /// The first of these that serves a syscall with an event of its own, and why it is not hooked.
    pub fn blind_spot(&self) -> Option<(&str, &str)> {
        self.functions.as_ref()?.blind_spot()
    }

    /// Loads the program that collects the event of a syscall, and adds it to the table.
    fn load_collector(&mut self, name: &str, number: u32) -> Result<(), ProbeError> {
        self.heartbeat.progress();
        let (ebpf, types) = (&mut self.ebpf, &mut self.types);
        let fd = match &self.functions {
            Some(functions) => functions.load_collector(ebpf, types.get()?, name)?.fd(),
            None => load_program(ebpf, types, name, hooks::SYS_EXIT)?.fd(),
        };
        let fd = fd.map_err(|source| ProbeError::Program { name: name.into(), source })?;
        Ok(self.collectors.set(number, fd, 0)?)
    }

    /// The selection for 32-bit calls; fills the map of their native numbers.
    fn select_compat(
        &mut self,
        selection: &Selection,
    ) -> Result<[u64; abi::SYSCALL_WORDS], ProbeError> {
        let mut selected = [0; abi::SYSCALL_WORDS];
        let mut native: Array<_, u32> =
            Array::try_from(borrow(&mut self.ebpf, abi::NATIVE_NUMBERS)?)?;
        for (number, at, code) in hooks::compat_syscalls() {
            let call = native_syscalls().iter().find(|call| call.sc == code);
            let (Some(call), true) = (call, selection.syscalls.contains(code)) else { continue };
            native.set(at as u32, u32::from(call.nr) + 1, 0)?;
            if let Some(word) = selected.get_mut(number / 64) {
                *word |= 1 << (number % 64);
            }
        }
        Ok(selected)
    }

    /// Codes of the syscalls that share an event.
    fn codes(&mut self) -> Result<Array<&mut MapData, u32>, ProbeError> {
        Ok(Array::try_from(borrow(&mut self.ebpf, abi::SYSCALL_CODES)?)?)
    }

    /// Attaches the programs that a selection needs and detaches the others.
    fn hook(&mut self, selection: &Selection) -> Result<(), ProbeError> {
        let plan = self.plan();
        for hook in hooks::HOOKS {
            self.heartbeat.progress();
            let failed = |source| ProbeError::Program { name: hook.program.into(), source };
            if hook.needed.with(selection, plan) {
                // From Linux 6.10 on the kernel attaches a program as often as it is requested, and
                // each event would be reported as often. Programs of hooks are loaded here only.
                if find_program(&mut self.ebpf, hook.program)?.fd().is_ok() {
                    continue;
                }
                let loaded =
                    load_program(&mut self.ebpf, &mut self.types, hook.program, hook.tracepoint);
                match (loaded, hook.missing()) {
                    (Ok(program), _) => {
                        program.attach().map_err(failed)?;
                        let program = program.fd().map_err(failed)?.as_fd().try_clone_to_owned();
                        let program = program.map_err(|error| failed(error.into()))?;
                        self.counters.watch(hook.program, hook.class, program);
                    }
                    (Err(error), Some(tracepoint)) if error.is_unknown_tracepoint() => {
                        self.missing |= tracepoint;
                    }
                    (Err(error), _) => return Err(error),
                }
            } else if plan == HookPlan::SysExit || hook.needed != Needed::BySysExit {
                find_program(&mut self.ebpf, hook.program)?.unload().or_else(
                    |error| match error {
                        ProgramError::NotLoaded => Ok(()),
                        source => Err(failed(source)),
                    },
                )?;
                self.counters.release(hook.program);
            }
        }
        if self.entries {
            self.hook_entries(selection)?;
        }
        if let Some(functions) = &mut self.functions {
            let table = &mut self.alt_collectors;
            let types = self.types.get()?;
            let (syscalls, counters) = (&selection.syscalls, &self.counters);
            let heartbeat = &self.heartbeat;
            functions.hook(&mut self.ebpf, types, table, syscalls, counters, heartbeat)?;
        }
        Ok(())
    }

    fn hook_entries(&mut self, selection: &Selection) -> Result<(), ProbeError> {
        for (exit, call) in hooks::ENTRIES {
            self.heartbeat.progress();
            let name = format!("enter_{call}");
            let program = self.ebpf.program_mut(&name);
            let program = program.ok_or_else(|| ProbeError::Missing(name.clone()))?;
            hook_entry(program, call, hooks::wants(selection, &[*exit]))
                .map_err(|source| ProbeError::Program { name, source })?;
        }
        Ok(())
    }
}

/// The kernel's BTF: read when a program is loaded, and dropped when all are, because it takes more
/// memory than everything else.
#[derive(Default)]
pub struct KernelTypes(Option<Btf>);

impl fmt::Debug for KernelTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KernelTypes").field(&self.0.is_some()).finish()
    }
}

impl KernelTypes {
    /// Reads them. Takes as long as many thousand events.
    ///
    /// # Errors
    /// If the kernel has none, or they are damaged.
    pub fn read() -> Result<Self, BtfError> {
        Btf::from_sys_fs().map(|types| Self(Some(types)))
    }

    fn get(&mut self) -> Result<&Btf, BtfError> {
        Ok(match self.0.take() {
            Some(btf) => self.0.insert(btf),
            None => self.0.insert(Btf::from_sys_fs()?),
        })
    }

    /// Freeing so many small pieces would delay events.
    fn forget(&mut self) {
        if let Some(types) = self.0.take() {
            // If no thread can be started, they are freed here.
            let _ = thread::Builder::new().name("dropper".to_owned()).spawn(move || drop(types));
        }
    }
}

fn hook_entry(program: &mut Program, call: &str, wanted: bool) -> Result<(), ProgramError> {
    let program: &mut TracePoint = program.try_into()?;
    match (wanted, program.fd().is_ok()) {
        (true, false) => {
            program.load()?;
            program.attach("syscalls", &format!("sys_enter_{call}"))?;
            Ok(())
        }
        (false, true) => program.unload(),
        _ => Ok(()),
    }
}

fn find_program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut BtfTracePoint, ProbeError> {
    ebpf.program_mut(name)
        .ok_or_else(|| ProbeError::Missing(name.into()))?
        .try_into()
        .map_err(|source| ProbeError::Program { name: name.into(), source })
}

/// The program, loaded on first use.
fn load_program<'a>(
    ebpf: &'a mut Ebpf,
    types: &mut KernelTypes,
    name: &str,
    tracepoint: &str,
) -> Result<&'a mut BtfTracePoint, ProbeError> {
    let program = find_program(ebpf, name)?;
    if program.fd().is_ok() {
        return Ok(program);
    }
    match program.load(tracepoint, types.get()?) {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(program),
        Err(source) => Err(ProbeError::Program { name: name.into(), source }),
    }
}
