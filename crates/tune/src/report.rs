//! The report: measurements as tables, recommendations as settings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use peregrine_engine::Generation;
use peregrine_engine::select::SyscallSet;
use serde_json::json;

use crate::count::Load;
use crate::measure::Measured;
use crate::sets::Candidate;

/// Tables and recommendations.
pub struct Report<'a> {
    candidates: &'a [Candidate],
    measured: &'a Measured,
    /// The recommended set, by its place.
    set: usize,
    /// The rings must hold the events of this time.
    pause: Duration,
    preset: i16,
    /// The smallest that holds it.
    fits: i16,
    calls: Vec<Call>,
    rules: Vec<Rule>,
}

/// One system call.
struct Call {
    name: &'static str,
    events: u64,
    bytes: u64,
    by_cpu: Vec<u64>,
    engine_ns: f64,
    sets: u16,
    wanted_by: usize,
}

/// One rule.
struct Rule {
    name: String,
    events: f64,
    hits: f64,
    ns: f64,
}

/// Rows of the tables of system calls and of rules.
const CALLS: usize = 20;
const RULES: usize = 10;
/// How much less must come for a smaller set to be recommended.
const WORTH: f64 = 0.9;
/// The reader can be kept from its CPU for longer than it was while it was watched: by this factor,
/// and this long at least.
const TIMES_WORSE: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);
/// A short look at a machine does not justify less than what Falco begins with.
const DEFAULT_PRESET: i16 = 4;
const PRESETS: std::ops::RangeInclusive<i16> = 1..=10;

impl<'a> Report<'a> {
    /// `chosen` is the name of the set to watch; otherwise one is recommended.
    pub fn new(
        generation: &Generation,
        candidates: &'a [Candidate],
        measured: &'a Measured,
        chosen: Option<&str>,
    ) -> Self {
        let named = |name: &str| candidates.iter().position(|candidate| candidate.name == name);
        let events = |set: usize| measured.counts.load(set).events as f64;
        let (default, repair) = (named("default").unwrap_or(0), named("repair").unwrap_or(0));
        let better = if events(repair) <= events(default) * WORTH { repair } else { default };
        let set = chosen.and_then(named).unwrap_or(better);
        let behind = measured.behind.unwrap_or_default();
        let pause = (behind * TIMES_WORSE).max(PAUSE);
        let load = measured.counts.load(set);
        let fits = PRESETS.clone().find(|preset| held(*preset, &load) >= pause);
        let fits = fits.unwrap_or(*PRESETS.end());
        // What was lost was not counted: rings of this size are too small whatever the figures say.
        let lossy = measured.preset.filter(|_| measured.lost > 0).map_or(0, |preset| preset + 1);
        let preset = fits.max(lossy).clamp(DEFAULT_PRESET, *PRESETS.end());
        let (calls, rules) = (calls(generation, measured), rules(generation, measured));
        Self { candidates, measured, set, pause, preset, fits, calls, rules }
    }

    /// All tables, and what they say.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Measured { seconds, counts, cpu, lost, .. } = self.measured;
        let events = counts.events();
        writeln!(
            out,
            "{events} events in {seconds:.1} s on {} CPUs, {lost} lost. Each took {:.2} µs of CPU, of which rules had {:.2}; \
             alerts and outputs not counted.",
            counts.cpus(),
            micros(*cpu) / events as f64,
            self.measured.profile.total_ns() * self.measured.part() / 1e3 / events as f64,
        )?;
        self.write_calls(out)?;
        self.write_rules(out)?;
        self.write_sets(out)?;
        self.write_rings(out)?;
        writeln!(out)
    }

    fn write_calls(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n events/s  busiest CPU/s      kB/s  engine  rules  sets     system call")?;
        for call in self.calls.iter().take(CALLS) {
            let most = call.by_cpu.iter().max().copied().unwrap_or(0);
            writeln!(
                out,
                "{:9.1} {:14.1} {:9.1} {:6.2}% {:6}  {}  {}",
                self.per_second(call.events),
                self.per_second(most),
                self.per_second(call.bytes) / 1e3,
                self.share(call.engine_ns),
                call.wanted_by,
                self.letters(call.sets),
                call.name
            )?;
        }
        let rest = self.calls.get(CALLS..).unwrap_or_default();
        if !rest.is_empty() {
            let events = rest.iter().map(|call| call.events).sum();
            writeln!(out, "{:9.1} of {} others", self.per_second(events), rest.len())?;
        }
        writeln!(out, "(rules: so many ask for it; sets: letters of the sets below that have it)")
    }

    fn write_rules(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n events/s     hits/s  engine  rule")?;
        for rule in self.rules.iter().take(RULES) {
            let seconds = self.measured.seconds;
            let (events, hits) = (rule.events / seconds, rule.hits / seconds);
            let share = self.share(rule.ns);
            writeln!(out, "{events:9.1} {hits:10.1} {share:6.2}%  {}", rule.name)?;
        }
        writeln!(out, "(engine: of one CPU; `--profile` says why a rule costs that)")
    }

    fn write_sets(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\n events/s  busiest CPU/s  busiest second      kB/s  engine  calls  set of system calls"
        )?;
        for (place, candidate) in self.candidates.iter().enumerate() {
            let load = self.measured.counts.load(place);
            let calls = self.calls.iter().filter(|call| call.sets & (1 << place) != 0);
            let ns = calls.map(|call| call.engine_ns).sum();
            let most = load.by_cpu.iter().max().copied().unwrap_or(0);
            let blind =
                if candidate.whole { "" } else { ": rules about anything else see nothing" };
            writeln!(
                out,
                "{:9.1} {:14.1} {:15} {:9.1} {:6.2}% {:6}  {} {}{blind}",
                self.per_second(load.events),
                self.per_second(most),
                load.busiest_second(),
                self.per_second(load.bytes) / 1e3,
                self.share(ns),
                candidate.set.names().len(),
                letter(place),
                candidate.name
            )?;
        }
        Ok(())
    }

    fn write_rings(&self, out: &mut String) -> std::fmt::Result {
        let load = self.measured.counts.load(self.set);
        writeln!(out, "\n  preset   each ring   full after   (of {})", self.name())?;
        for preset in PRESETS {
            let held = held(preset, &load).as_millis();
            writeln!(out, "{preset:8} {:8} MB {held:9} ms", ring_bytes(preset) >> 20)?;
        }
        self.reasons().iter().try_for_each(|reason| writeln!(out, "{reason}"))
    }

    /// Why this set and this size.
    fn reasons(&self) -> Vec<String> {
        let load = self.measured.counts.load(self.set);
        let events = |name| {
            let place = self.candidates.iter().position(|candidate| candidate.name == name);
            self.per_second(place.map_or(0, |place| self.measured.counts.load(place).events))
        };
        let (default, repair) = (events("default"), events("repair"));
        let set = match self.name() {
            "repair" => format!(
                "repair brings {repair:.1} events per second, the default set {default:.1}."
            ),
            "default" => format!(
                "The default set brings {default:.1} events per second; repair would bring {repair:.1}, and know less of the machine."
            ),
            other => format!(
                "{other} was asked for. The default set brings {default:.1} events per second."
            ),
        };
        let busiest = format!(
            "The busiest tenth of a second brought {:.1} kB to a ring (CPUs that share one: {}).",
            load.busiest_tenth() as f64 / 1e3,
            self.measured.counts.per_ring()
        );
        let behind = match self.measured.behind {
            Some(behind) => format!(
                "The reader was behind by {:.1} ms at worst; {TIMES_WORSE} times that, and {} ms at least, are {} ms.",
                micros(behind) / 1e3,
                PAUSE.as_millis(),
                self.pause.as_millis()
            ),
            None => format!(
                "A capture does not tell how far a reader falls behind: {} ms are assumed.",
                self.pause.as_millis()
            ),
        };
        let Self { preset, fits, .. } = self;
        let preset = if self.measured.lost > 0 && preset > fits {
            format!("buf_size_preset {preset} is larger than that with which events were lost.")
        } else if preset > fits {
            format!(
                "buf_size_preset {fits} would hold what came in that time; {preset} is what Falco begins with."
            )
        } else {
            format!("buf_size_preset {preset} is the smallest that holds what came in that time.")
        };
        vec![set, busiest, behind, preset]
    }

    /// The settings, as YAML.
    pub fn settings(&self) -> String {
        let mut text = String::new();
        for reason in self.reasons() {
            text += &format!("# {reason}\n");
        }
        let Some(Candidate { keys, .. }) = self.candidates.get(self.set) else { return text };
        let names = keys.custom_set.iter().map(|name| json!(name).to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        text + &format!(
            "base_syscalls:\n  custom_set: [{names}]\n  repair: {}\n  all: {}\n\
             engine:\n  kind: modern_ebpf\n  modern_ebpf:\n    buf_size_preset: {}\n",
            keys.repair, keys.all, self.preset
        )
    }

    fn name(&self) -> &'static str {
        self.candidates.get(self.set).map_or("", |candidate| candidate.name)
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.measured.seconds
    }

    /// Of one CPU, in per cent.
    fn share(&self, ns: f64) -> f64 {
        ns / 1e7 / self.measured.seconds
    }

    fn letters(&self, sets: u16) -> String {
        let places = 0..self.candidates.len();
        places.map(|place| if sets & (1 << place) != 0 { letter(place) } else { '-' }).collect()
    }
}

fn calls(generation: &Generation, measured: &Measured) -> Vec<Call> {
    let rules_ns = measured.rules_ns();
    let rest_ns = measured.cpu.as_nanos() as f64 - measured.profile.total_ns() * measured.part();
    let base_ns = rest_ns.max(0.0) / measured.counts.events().max(1) as f64;
    let mut calls: BTreeMap<&str, Call> = BTreeMap::new();
    for (ty, name, kind) in measured.counts.kinds() {
        let none = || Call {
            name,
            events: 0,
            bytes: 0,
            by_cpu: Vec::new(),
            engine_ns: 0.0,
            sets: 0,
            wanted_by: wanted_by(generation, name),
        };
        let call = calls.entry(name).or_insert_with(none);
        call.events += kind.events;
        call.bytes += kind.bytes;
        call.sets |= kind.sets;
        let each = base_ns + rules_ns.get(&ty).copied().unwrap_or(0.0);
        call.engine_ns += each * kind.events as f64;
        call.by_cpu.resize(call.by_cpu.len().max(kind.by_cpu.len()), 0);
        call.by_cpu.iter_mut().zip(&kind.by_cpu).for_each(|(sum, events)| *sum += events);
    }
    let mut calls: Vec<_> = calls.into_values().collect();
    calls.sort_by_key(|call| std::cmp::Reverse(call.events));
    calls
}

/// How many rules ask for this system call.
fn wanted_by(generation: &Generation, name: &str) -> usize {
    let rules = generation.rules().rules.iter().filter(|rule| rule.active);
    let types = rules.filter_map(|rule| rule.event_types.as_ref());
    types.filter(|types| SyscallSet::from(*types).contains_name(name)).count()
}

fn rules(generation: &Generation, measured: &Measured) -> Vec<Rule> {
    let names: BTreeMap<_, _> = generation.iter().collect();
    let rule = |profile: &peregrine_engine::profile::RuleProfile| Rule {
        name: names.get(&profile.rule).map_or_else(String::new, |rule| rule.name.clone()),
        events: profile.events as f64 * measured.part(),
        hits: profile.matches as f64 * measured.part(),
        ns: profile.cost.total_ns() * measured.part(),
    };
    measured.profile.rules.iter().map(rule).collect()
}

/// In tables, sets are told by their places.
fn letter(place: usize) -> char {
    u8::try_from(place).map_or('?', |place| char::from(b'a'.saturating_add(place)))
}

fn ring_bytes(preset: i16) -> u64 {
    1 << (19 + preset)
}

/// How long a ring of this size holds what came to the busiest one.
fn held(preset: i16, load: &Load) -> Duration {
    let most = load.busiest_tenth().max(1) as f64;
    Duration::from_secs_f64(ring_bytes(preset) as f64 / most / 10.0)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
