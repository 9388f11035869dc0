//! Checks that hooked functions and tracepoints have the arguments that the programs expect,
//! according to the BTF of the running kernel.

use std::collections::HashMap;
use std::fs;

use peregrine_probe::bpf::{Prototype, SYSCALL_FUNCTION, prototypes, syscall_functions};

use crate::frame::Verdict;

/// Each hook and the arguments found.
pub(crate) fn check() -> Vec<(String, Verdict)> {
    let all = |verdict| vec![("all".into(), verdict)];
    let types = match fs::read("/sys/kernel/btf/vmlinux") {
        Ok(bytes) => Types::parse(&bytes),
        Err(error) => return all(Verdict::Skipped(format!("no description of types: {error}"))),
    };
    let Some(types) = types else {
        let why = "the kernel's description of its types cannot be read";
        return all(Verdict::Failed(why.into()));
    };
    let tracepoints = prototypes();
    let mut found: Vec<_> =
        tracepoints.map(|hook| (hook.hook.into(), tracepoint(&hook, &types))).collect();
    found.extend(functions(&types));
    found
}

fn tracepoint(prototype: &Prototype, types: &Types) -> Verdict {
    let Some(actual) = types.tracepoint(prototype.hook) else {
        return if prototype.optional {
            Verdict::Skipped("this kernel has no such hook".into())
        } else {
            Verdict::Failed("this kernel has no such hook".into())
        };
    };
    // Arguments that newer kernels append do not affect programs that ignore them.
    match actual.get(..prototype.arguments.len()) {
        Some(first) if first == prototype.arguments => Verdict::Ok(first.len()),
        _ => differs(prototype, &format!("({})", actual.join(", "))),
    }
}

fn differs(prototype: &Prototype, actual: &str) -> Verdict {
    Verdict::Failed(format!(
        "expected ({}), as in Linux {}, got {actual}",
        prototype.arguments.join(", "),
        prototype.checked,
    ))
}

/// The functions of system calls: one row for all correct ones, and one for each wrong one.
fn functions(types: &Types) -> Vec<(String, Verdict)> {
    let expected = SYSCALL_FUNCTION;
    let served = match syscall_functions() {
        Ok(served) => served,
        Err(error) => return vec![(expected.hook.into(), Verdict::Failed(error.to_string()))],
    };
    let (mut right, mut other, mut unknown) = (0, Vec::new(), Vec::new());
    for function in served.iter().flat_map(|syscall| &syscall.functions) {
        match types.function(function) {
            // Nothing may follow: the result is stored there.
            Some((arguments, result)) if arguments == expected.arguments && result == "s64" => {
                right += 1;
            }
            Some((arguments, _)) if arguments.is_empty() => unknown.push(function.as_str()),
            Some((arguments, result)) => {
                let actual = format!("({}) and {result} of it", arguments.join(", "));
                other.push((function.clone(), differs(&expected, &actual)));
            }
            None => unknown.push(function),
        }
    }
    let mut found = vec![(expected.hook.into(), Verdict::Ok(right))];
    found.append(&mut other);
    if !unknown.is_empty() {
        let why = format!(
            "this kernel does not describe the arguments of {} of them, which can't be hooked: {}",
            unknown.len(),
            unknown.join(" ")
        );
        found.push(("functions that are described".into(), Verdict::Skipped(why)));
    }
    let without = served.iter().filter(|syscall| syscall.functions.is_empty());
    let without: Vec<_> = without.map(|syscall| syscall.syscall).collect();
    if !without.is_empty() {
        let why = format!(
            "there is none to hook for {} system calls, which this kernel does not have or which never end: {}",
            without.len(),
            without.join(" ")
        );
        found.push(("functions that are there".into(), Verdict::Skipped(why)));
    }
    found
}

/// The types of a kernel (BTF).
struct Types {
    /// By number, from 1.
    all: Vec<Type>,
    tracepoints: HashMap<String, u32>,
    functions: HashMap<String, u32>,
}

/// A type, reduced to what the checks need.
enum Type {
    /// Bits, and signedness; `None` for bool.
    Number(Option<(u32, bool)>),
    Pointer(u32),
    Named(String),
    /// An alias.
    Alias(u32),
    /// Arguments and result.
    Function(Vec<u32>, u32),
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
        let (mut all, mut tracepoints, mut functions) =
            (Vec::new(), HashMap::new(), HashMap::new());
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
                12 => {
                    functions.insert(name(named), target);
                    Type::Alias(target)
                }
                13 => Type::Function(extra.chunks_exact(2).map(|param| param[1]).collect(), target),
                _ => Type::Other,
            });
        }
        Some(Self { all, tracepoints, functions })
    }

    /// Arguments of a tracepoint, without the implicit first one.
    fn tracepoint(&self, name: &str) -> Option<Vec<String>> {
        let Type::Pointer(function) = self.get(*self.tracepoints.get(name)?)? else { return None };
        let Type::Function(arguments, _) = self.get(*function)? else { return None };
        Some(arguments.iter().skip(1).map(|argument| self.show(*argument)).collect())
    }

    /// Arguments of a function, and its result.
    fn function(&self, name: &str) -> Option<(Vec<String>, String)> {
        let Type::Function(arguments, result) = self.get(*self.functions.get(name)?)? else {
            return None;
        };
        let arguments = arguments.iter().map(|argument| self.show(*argument)).collect();
        Some((arguments, self.show(*result)))
    }

    /// The type behind aliases.
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
            // Its sign depends on the version.
            Some(Type::Number(Some((8, _)))) => "char".into(),
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
