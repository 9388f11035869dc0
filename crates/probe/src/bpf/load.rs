//! Loading the programs and getting at their maps.

use std::collections::BTreeSet;
use std::fs::File;
use std::iter;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aya::maps::{Array, ArrayOfMaps, CgroupArray, Map, MapData, MapError, ProgramArray};
use aya::programs::{BtfTracePoint, Program, ProgramError, TracePoint};
use aya::util::{self, nr_cpus};
use aya::{Btf, BtfError, Ebpf, EbpfError, EbpfLoader};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF;
use aya_obj::maps::{LegacyMap, bpf_map_def};
use peregrine_event::native_syscalls;
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use super::abi::{self, Config, ConfigWords, Lane};
use super::counters::KernelCounters;
use super::function_hooks::{self, FunctionHooks};
use super::hooks;
use super::programs::Programs;
use super::select::{Selection, Tracepoints};

#[cfg(target_arch = "x86_64")]
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../bpf/peregrine.x86_64.o");
#[cfg(target_arch = "aarch64")]
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../bpf/peregrine.aarch64.o");

/// How often CPUs ask in the time in which a ring is filled.
const ASKS: u32 = 16;
/// Where tracepoints of single syscalls are described.
const TRACEFS: &str = "/sys/kernel/tracing/events/syscalls";

/// How to watch this machine.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// What to watch. Can be changed later with [`Probe::select`].
    pub selection: Selection,
    /// Bytes of each data ring: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// CPUs that share a ring; 0 for one ring for all.
    pub cpus_per_ring: u32,
    /// Bytes kept of what is read and written.
    pub snaplen: u16,
    /// Leave out syscalls that failed.
    pub drop_failed_exit: bool,
    /// Watch only tasks in this cgroup v2 directory and below.
    pub scope: Option<PathBuf>,
    /// Leave out what this very process does.
    pub exclude_self: bool,
    /// Take the arguments of the open family and of connect also at their entry, so that a thread that
    /// changes them meanwhile deceives nobody. Needs tracefs; without it there are no such events.
    pub entries: bool,
    /// How to hook syscalls; the best that the kernel takes where nothing is said.
    pub plan: Option<HookPlan>,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            ring_bytes: 8 << 20,
            cpus_per_ring: 1,
            snaplen: 80,
            drop_failed_exit: false,
            scope: None,
            exclude_self: true,
            entries: true,
            plan: None,
        }
    }
}

/// How syscalls are hooked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPlan {
    /// A hook on each selected syscall's own function: others cost nothing.
    PerSyscall,
    /// One hook on the end of every syscall, which passes on those selected.
    SysExit,
}

/// Why this kernel can't be watched.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The kernel does not describe its types.
    #[error("the kernel's type information (/sys/kernel/btf/vmlinux) cannot be used: {0}")]
    Btf(#[from] BtfError),
    /// The programs do not fit this kernel, or it may not be watched.
    #[error("the kernel does not take the probe: {0}")]
    Object(#[from] EbpfError),
    /// One program is refused.
    #[error("the kernel refuses program `{name}`: {source}")]
    Program {
        /// Its name.
        name: String,
        /// Why.
        source: ProgramError,
    },
    /// Hooks on functions were asked for.
    #[error("the kernel lets no functions be hooked: {0}")]
    Functions(String),
    /// A map is refused.
    #[error("a map of the probe: {0}")]
    Map(#[from] MapError),
    /// There is no descriptor left for a ring.
    #[error("a ring buffer: {0}")]
    Ring(std::io::Error),
    /// The object lacks what it should have.
    #[error("this build's object has no `{0}`")]
    Missing(String),
    /// The cgroup to watch can't be opened.
    #[error("cgroup {}: {source}", .path.display())]
    Scope {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The machine's CPUs are not known.
    #[error("{0}: {1}")]
    Cpus(&'static str, std::io::Error),
}

impl ProbeError {
    fn is_unknown_tracepoint(&self) -> bool {
        let Self::Program { source: ProgramError::Btf(error), .. } = self else { return false };
        matches!(error, BtfError::UnknownBtfTypeName { .. })
    }
}

/// One ring. It is to be looked at on a timer: who waits for it is woken only when it is half full.
pub struct Ring {
    /// What travels in it.
    pub lane: Lane,
    /// Its number within the lane. All CPUs write to the one ring of [`Lane::Life`]; to a data ring those from
    /// `index` times [`ProbeConfig::cpus_per_ring`] on.
    pub index: u32,
    /// Its size in bytes.
    pub bytes: u32,
    /// Its records, for [`crate::Ring::map`]; [`crate::event_of`] finds the event of each.
    pub records: OwnedFd,
}

/// The loaded programs. Dropping it detaches them.
pub struct Probe {
    ebpf: Ebpf,
    types: KernelTypes,
    config: Config,
    selection: Selection,
    attached: bool,
    missing: Tracepoints,
    entries: bool,
    config_map: Array<MapData, ConfigWords>,
    counters: Arc<KernelCounters>,
    collectors: ProgramArray<MapData>,
    twin_collectors: ProgramArray<MapData>,
    /// Where hooks are on single functions.
    functions: Option<FunctionHooks>,
    rings: Vec<Ring>,
}

impl Probe {
    /// Loads the programs. Events come after [`Probe::attach`].
    ///
    /// # Errors
    /// When the kernel refuses them.
    pub fn load(config: &ProbeConfig) -> Result<Self, ProbeError> {
        let mut types = KernelTypes::default();
        let possible = nr_cpus().map_err(|(path, e)| ProbeError::Cpus(path, e))? as u32;
        let online = util::online_cpus().map_err(|(path, e)| ProbeError::Cpus(path, e))?;
        let per_ring = if config.cpus_per_ring == 0 { possible } else { config.cpus_per_ring };
        let load = |object: &[u8], types: &Btf| {
            EbpfLoader::new()
                .btf(Some(types))
                .map_max_entries(abi::SCRATCHES, possible.saturating_mul(abi::SCRATCH_SLOTS))
                .map_max_entries(abi::LIFE_RINGS, possible)
                .map_max_entries(abi::DATA_RINGS, possible)
                .load(object)
        };
        let mut ebpf = load(OBJECT, types.get()?)?;
        let mut functions = None;
        if config.plan != Some(HookPlan::SysExit) {
            match FunctionHooks::probe(&mut ebpf, types.get()?) {
                Ok(hooks) => {
                    let object = function_hooks::made_for_functions(OBJECT);
                    ebpf = load(&object, types.get()?)?;
                    functions = Some(hooks);
                }
                Err(why) if config.plan.is_some() => return Err(ProbeError::Functions(why)),
                Err(_) => {}
            }
        }

        let of_cpus = ring_of_cpus(&online, possible, per_ring);
        let data_rings = make_rings(&mut ebpf, Lane::Data, &of_cpus, config.ring_bytes)?;
        let life_bytes = life_ring_bytes(config.ring_bytes, data_rings.len());
        let of_cpus = vec![0; possible as usize];
        let mut rings = make_rings(&mut ebpf, Lane::Life, &of_cpus, life_bytes)?;
        rings.extend(data_rings);
        let data_share = config.ring_bytes / per_ring.clamp(1, possible.max(1));
        let ask_bytes = data_share.min(life_bytes / possible.max(1)) / ASKS;

        let mut flags = 0;
        if config.drop_failed_exit {
            flags |= u64::from(abi::DROP_FAILED);
        }
        if let Some(path) = &config.scope {
            let directory = File::open(path)
                .map_err(|source| ProbeError::Scope { path: path.clone(), source })?;
            CgroupArray::try_from(borrow(&mut ebpf, abi::SCOPE)?)?.set(0, directory, 0)?;
            flags |= u64::from(abi::SCOPED);
        }
        let mut probe = Self {
            config: Config {
                boot_epoch_ns: boot_epoch_ns(),
                own_tgid: if config.exclude_self { u64::from(std::process::id()) } else { 0 },
                snaplen: u64::from(config.snaplen),
                flags,
                ask_bytes: u64::from(ask_bytes),
                ..Config::default()
            },
            selection: Selection::default(),
            attached: false,
            missing: Tracepoints::empty(),
            entries: config.entries && Path::new(TRACEFS).exists(),
            config_map: Array::try_from(take(&mut ebpf, abi::CONFIG)?)?,
            counters: Arc::new(KernelCounters::new(&mut ebpf)?),
            collectors: ProgramArray::try_from(take(&mut ebpf, abi::COLLECTORS)?)?,
            twin_collectors: ProgramArray::try_from(take(&mut ebpf, abi::TWIN_COLLECTORS)?)?,
            functions,
            rings,
            types,
            ebpf,
        };
        probe.select(&config.selection)?;
        Ok(probe)
    }

    /// Turns the hooks on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn attach(&mut self) -> Result<(), ProbeError> {
        self.attached = true;
        let selection = self.selection;
        self.hook(&selection)?;
        self.types.forget();
        Ok(())
    }

    /// Takes the rings out; the second call gives none.
    pub fn take_rings(&mut self) -> Vec<Ring> {
        std::mem::take(&mut self.rings)
    }

    /// What the programs count.
    pub fn counters(&self) -> &Arc<KernelCounters> {
        &self.counters
    }

    /// Watches something else from now on, without a gap for what stays selected.
    ///
    /// # Errors
    /// When the kernel refuses a program that was not needed before.
    pub fn select(&mut self, selection: &Selection) -> Result<(), ProbeError> {
        let (mut selected, mut alone) = ([0; abi::SYSCALL_WORDS], [0; abi::SYSCALL_WORDS]);
        for syscall in native_syscalls() {
            let (nr, bit) = (usize::from(syscall.nr), 1 << (syscall.nr % 64));
            let Some(word) = selected.get_mut(nr / 64) else { continue };
            if !selection.syscalls.contains(syscall.sc) {
                continue;
            }
            let exists = |name: &str| self.ebpf.program(name).is_some();
            let collector = hooks::collector(syscall.exit, exists);
            if self.config.selected[nr / 64] & bit == 0 {
                if collector.is_none() {
                    self.codes()?.set(u32::from(syscall.nr), u32::from(syscall.sc), 0)?;
                }
                let name = collector.as_deref().unwrap_or(hooks::GENERIC);
                self.load_collector(name, u32::from(syscall.nr))?;
            }
            *word |= bit;
            if collector.is_some_and(|name| name.starts_with(hooks::ALONE)) {
                alone[nr / 64] |= bit;
            }
        }
        if self.attached {
            self.hook(selection)?;
            self.types.forget();
        }
        (self.config.selected, self.config.alone) = (selected, alone);
        self.config.selected32 = self.select_compat(selection)?;
        self.config_map.set(0, self.config.words(), 0)?;
        self.selection = *selection;
        Ok(())
    }

    /// The programs that are loaded now, to ask the kernel about their runs.
    pub fn programs(&self) -> Programs {
        let fd = |program: &Program| Some(program.fd().ok()?.as_fd().as_raw_fd());
        let programs = self.ebpf.programs();
        Programs::new(programs.filter_map(|(name, program)| Some((name.to_owned(), fd(program)?))))
    }

    /// Moves timestamps when the wall clock was set.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn follow_clock(&mut self) -> Result<(), ProbeError> {
        self.config.boot_epoch_ns = boot_epoch_ns();
        self.config_map.set(0, self.config.words(), 0)?;
        Ok(())
    }

    /// Whether arguments are also taken at the entry of calls: wanted, and possible here.
    pub fn entries(&self) -> bool {
        self.entries
    }

    /// Tracepoints that were selected and that this kernel does not have.
    pub fn missing(&self) -> Tracepoints {
        self.missing
    }

    /// How syscalls are hooked.
    pub fn plan(&self) -> HookPlan {
        if self.functions.is_some() { HookPlan::PerSyscall } else { HookPlan::SysExit }
    }

    /// Functions of selected syscalls that the kernel does not let be hooked, and why.
    pub fn unhooked(&self) -> impl Iterator<Item = (&str, &str)> {
        self.functions.iter().flat_map(FunctionHooks::unhooked)
    }

    /// Of these the first that serves a syscall that has an event of its own, and why it is not hooked.
    pub fn blind_spot(&self) -> Option<(&str, &str)> {
        self.functions.as_ref()?.blind_spot()
    }

    /// Loads the program that collects the event of a syscall, and puts it into the table.
    fn load_collector(&mut self, name: &str, number: u32) -> Result<(), ProbeError> {
        let (ebpf, types) = (&mut self.ebpf, &mut self.types);
        let fd = match &self.functions {
            Some(functions) => functions.load_collector(ebpf, types.get()?, name)?.fd(),
            None => load_program(ebpf, types, name, hooks::SYS_EXIT)?.fd(),
        };
        let fd = fd.map_err(|source| ProbeError::Program { name: name.into(), source })?;
        Ok(self.collectors.set(number, fd, 0)?)
    }

    /// What 32-bit programs are watched for; the numbers are passed on to those of the same meaning.
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
            let failed = |source| ProbeError::Program { name: hook.program.into(), source };
            if (hook.wanted)(selection, plan) {
                // From Linux 6.10 on the kernel attaches a program as often as it is asked to, and each
                // event would come as often. Programs of hooks are loaded here only.
                if find_program(&mut self.ebpf, hook.program)?.fd().is_ok() {
                    continue;
                }
                let loaded =
                    load_program(&mut self.ebpf, &mut self.types, hook.program, hook.tracepoint);
                match (loaded, hooks::optional(hook.tracepoint)) {
                    (Ok(program), _) => {
                        program.attach().map_err(failed)?;
                        let info = program.info().map_err(failed)?;
                        self.counters.watch(hook.program, hook.class(), info);
                    }
                    (Err(error), Some(tracepoint)) if error.is_unknown_tracepoint() => {
                        self.missing |= tracepoint;
                    }
                    (Err(error), _) => return Err(error),
                }
            } else if plan == HookPlan::SysExit || hook.tracepoint != hooks::SYS_EXIT {
                find_program(&mut self.ebpf, hook.program)?.unload().or_else(
                    |error| match error {
                        ProgramError::NotLoaded => Ok(()),
                        source => Err(failed(source)),
                    },
                )?;
            }
        }
        if self.entries {
            self.hook_entries(selection)?;
        }
        if let Some(functions) = &mut self.functions {
            let table = &mut self.twin_collectors;
            let types = self.types.get()?;
            functions.hook(&mut self.ebpf, types, table, &selection.syscalls, &self.counters)?;
        }
        Ok(())
    }

    fn hook_entries(&mut self, selection: &Selection) -> Result<(), ProbeError> {
        for (exit, call) in hooks::ENTRIES {
            let name = format!("enter_{call}");
            let program = self.ebpf.program_mut(&name);
            let program = program.ok_or_else(|| ProbeError::Missing(name.clone()))?;
            hook_entry(program, call, hooks::wants(selection, &[*exit]))
                .map_err(|source| ProbeError::Program { name, source })?;
        }
        Ok(())
    }
}

/// The kernel's type information: read when a program is loaded, and forgotten when all are, because it
/// takes more memory than all else.
#[derive(Default)]
struct KernelTypes(Option<Btf>);

impl KernelTypes {
    fn get(&mut self) -> Result<&Btf, BtfError> {
        Ok(match self.0.take() {
            Some(btf) => self.0.insert(btf),
            None => self.0.insert(Btf::from_sys_fs()?),
        })
    }

    fn forget(&mut self) {
        self.0 = None;
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

/// The program, loaded now if it was not before.
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

/// A map for a while. Programs are loaded with the descriptors of maps, so none may be closed before.
fn borrow<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Map, ProbeError> {
    ebpf.map_mut(name).ok_or_else(|| ProbeError::Missing(name.into()))
}

/// A map for as long as the probe lives.
pub(super) fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, ProbeError> {
    ebpf.take_map(name).ok_or_else(|| ProbeError::Missing(name.into()))
}

/// The number of the ring for each CPU that there may be. CPUs that come later share those of the ones that are online.
fn ring_of_cpus(online: &[u32], possible: u32, per_ring: u32) -> Vec<u32> {
    let ring_of = |cpu: u32| cpu / per_ring.max(1);
    let in_use: BTreeSet<u32> = online.iter().map(|&cpu| ring_of(cpu)).collect();
    let mut later = in_use.iter().cycle();
    (0..possible.div_ceil(per_ring.max(1)))
        .map(|ring| if in_use.contains(&ring) { ring } else { later.next().copied().unwrap_or(0) })
        .flat_map(|ring| iter::repeat_n(ring, per_ring as usize))
        .take(possible as usize)
        .collect()
}

/// How many CPUs of this machine are on; those on which this program may run can be fewer.
///
/// # Errors
/// When the system does not tell.
pub fn online_cpus() -> std::io::Result<u32> {
    let online = util::online_cpus().map_err(|(_, error)| error)?;
    Ok(u32::try_from(online.len()).unwrap_or(u32::MAX))
}

/// Bytes of the one ring of [`Lane::Life`]. It has to last for as long as the data rings do, and processes come and go
/// at a small part of the rate of other events.
fn life_ring_bytes(data_ring: u32, data_rings: usize) -> u32 {
    const LEAST: u32 = 1 << 20;
    let eighth = (data_ring / 8).saturating_mul(u32::try_from(data_rings).unwrap_or(u32::MAX));
    eighth.checked_next_power_of_two().unwrap_or(1 << 31).clamp(LEAST.min(data_ring), 1 << 29)
}

/// Makes a ring for each number that occurs in `of_cpus`, and tells each CPU its own.
fn make_rings(
    ebpf: &mut Ebpf,
    lane: Lane,
    of_cpus: &[u32],
    bytes: u32,
) -> Result<Vec<Ring>, ProbeError> {
    let map = match lane {
        Lane::Life => abi::LIFE_RINGS,
        Lane::Data => abi::DATA_RINGS,
    };
    let mut array: ArrayOfMaps<_, MapData> = ArrayOfMaps::try_from(borrow(ebpf, map)?)?;
    let indices: BTreeSet<u32> = of_cpus.iter().copied().collect();
    indices
        .into_iter()
        .map(|index| {
            let def = bpf_map_def {
                map_type: BPF_MAP_TYPE_RINGBUF as u32,
                max_entries: bytes,
                ..bpf_map_def::default()
            };
            let data = MapData::create(
                aya_obj::Map::Legacy(LegacyMap {
                    def,
                    section_index: 0,
                    section_kind: aya_obj::EbpfSectionKind::Undefined,
                    symbol_index: None,
                    data: Vec::new(),
                    inner_def: None,
                }),
                map,
                None,
            )?;
            for (cpu, _) in (0..).zip(of_cpus).filter(|(_, of)| **of == index) {
                array.set(cpu, &data, 0)?;
            }
            let records = data.fd().as_fd().try_clone_to_owned().map_err(ProbeError::Ring)?;
            Ok(Ring { lane, index, bytes, records })
        })
        .collect()
}

/// Nanoseconds from the epoch to boot.
fn boot_epoch_ns() -> u64 {
    let ns = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    };
    ns(ClockId::Realtime).saturating_sub(ns(ClockId::Boottime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_that_come_later_share_the_rings_of_others() {
        assert_eq!(ring_of_cpus(&[0, 1], 2, 1), [0, 1]);
        assert_eq!(ring_of_cpus(&[0, 1, 2], 7, 2), [0, 0, 1, 1, 0, 0, 1]);
        assert_eq!(ring_of_cpus(&[1, 3], 6, 1), [1, 1, 3, 3, 1, 3]);
        assert_eq!(ring_of_cpus(&[0, 1], 2, 2), [0, 0]);
        assert_eq!(ring_of_cpus(&[], 1, 1), [0]);
    }
}
