//! What is hooked has the arguments that the programs count on: as the running kernel describes them.

use std::collections::HashMap;
use std::fs;

use peregrine_probe::bpf::{Prototype, prototypes};

use crate::frame::Verdict;

/// Each hook and how its arguments were found.
pub(crate) fn check() -> Vec<(&'static str, Verdict)> {
    let types = match fs::read("/sys/kernel/btf/vmlinux") {
        Ok(bytes) => Types::parse(&bytes),
        Err(error) => {
            return vec![("all", Verdict::Skipped(format!("no description of types: {error}")))];
        }
    };
    prototypes().map(|prototype| (prototype.hook, compare(&prototype, types.as_ref()))).collect()
}

fn compare(prototype: &Prototype, types: Option<&Types>) -> Verdict {
    let Some(types) = types else {
        return Verdict::Failed("the kernel's description of its types cannot be read".into());
    };
    let Some(actual) = types.tracepoint(prototype.hook) else {
        return if prototype.optional {
            Verdict::Skipped("this kernel has no such hook".into())
        } else {
            Verdict::Failed("this kernel has no such hook".into())
        };
    };
    // What newer kernels add behind is nothing to programs that do not look at it.
    match actual.get(..prototype.arguments.len()) {
        Some(first) if first == prototype.arguments => Verdict::Ok(first.len()),
        _ => Verdict::Failed(format!(
            "expected ({}), as in Linux {}, got ({})",
            prototype.arguments.join(", "),
            prototype.checked,
            actual.join(", ")
        )),
    }
}

/// The types that a kernel describes (BTF).
struct Types {
    /// By number, from 1.
    all: Vec<Type>,
    tracepoints: HashMap<String, u32>,
}

/// A type, as much of it as is asked for here.
enum Type {
    /// Bits, and whether it is signed; `None` for the type of true and false.
    Number(Option<(u32, bool)>),
    Pointer(u32),
    Named(String),
    /// The same by another name.
    Alias(u32),
    Function(Vec<u32>),
    Other,
}

impl Types {
    /// From the bytes of the file.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let header = word(4)?;
        let section = |offset: u32, len: u32| {
            let start = (header + offset) as usize;
            bytes.get(start..start + len as usize)
        };
        let types = section(word(8)?, word(12)?)?;
        let strings = section(word(16)?, word(20)?)?;
        let name = |at: u32| {
            let text = strings.get(at as usize..).unwrap_or_default();
            let end = text.iter().position(|&byte| byte == 0).unwrap_or_default();
            String::from_utf8_lossy(&text[..end]).into_owned()
        };
        let (mut all, mut tracepoints) = (Vec::new(), HashMap::new());
        let mut words = types
            .chunks_exact(4)
            .map(|word| word.try_into().map(u32::from_ne_bytes).unwrap_or_default());
        while let Some(named) = words.next() {
            let (info, target) = (words.next()?, words.next()?);
            let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            let extra = match kind {
                1 | 14 | 17 => 1,
                3 => 3,
                4 | 5 | 15 | 19 => 3 * count,
                6 | 13 => 2 * count,
                _ => 0,
            };
            let extra: Vec<u32> = words.by_ref().take(extra).collect();
            all.push(match kind {
                1 => {
                    let encoding = extra.first()? >> 24;
                    Type::Number((encoding & 4 == 0).then_some((8 * target, encoding & 1 != 0)))
                }
                2 => Type::Pointer(target),
                4 | 5 | 7 => Type::Named(name(named)),
                6 | 19 => Type::Number(Some((8 * target, info >> 31 != 0))),
                8 => {
                    if let Some(tracepoint) = name(named).strip_prefix("btf_trace_") {
                        tracepoints.insert(tracepoint.into(), target);
                    }
                    Type::Alias(target)
                }
                9..=11 | 18 => Type::Alias(target),
                13 => Type::Function(extra.chunks_exact(2).map(|param| param[1]).collect()),
                _ => Type::Other,
            });
        }
        Some(Self { all, tracepoints })
    }

    /// Arguments of a tracepoint, without that of its own that comes first.
    fn tracepoint(&self, name: &str) -> Option<Vec<String>> {
        let Type::Pointer(function) = self.get(*self.tracepoints.get(name)?)? else { return None };
        let Type::Function(arguments) = self.get(*function)? else { return None };
        Some(arguments.iter().skip(1).map(|argument| self.show(*argument)).collect())
    }

    /// The type behind all its names.
    fn get(&self, mut id: u32) -> Option<&Type> {
        for _ in 0..32 {
            match self.all.get(id.checked_sub(1)? as usize)? {
                Type::Alias(target) => id = *target,
                found => return Some(found),
            }
        }
        None
    }

    fn show(&self, id: u32) -> String {
        match self.get(id) {
            Some(Type::Number(Some((bits, true)))) => format!("s{bits}"),
            Some(Type::Number(Some((bits, false)))) => format!("u{bits}"),
            Some(Type::Number(None)) => "bool".into(),
            Some(Type::Pointer(to)) => format!("{} *", self.show(*to)),
            Some(Type::Named(name)) => name.clone(),
            Some(_) => "something else".into(),
            None => "void".into(),
        }
    }
}
