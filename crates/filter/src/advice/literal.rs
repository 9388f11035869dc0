//! Advice on values that do not fit the type of the field they are compared with.

use std::net::{IpAddr, Ipv4Addr};

use peregrine_diagnostics::closest;
use peregrine_event::{EventType, ParamType, syscall_names};

use super::context::cut;
use super::types::{Advice, Fault, Names};
use crate::error::CompileErrorKind;
use crate::kind::Kind;
use crate::{Operator, Span, UnknownLiteral};

/// A value that is not valid, and where it stands.
pub(super) struct Wrong<'a> {
    pub(super) field: &'a str,
    pub(super) ty: ParamType,
    pub(super) op: Operator,
    /// Unquoted.
    pub(super) value: &'a str,
    pub(super) quoted: bool,
    /// Not an item of a list.
    pub(super) alone: bool,
    pub(super) span: Span,
    /// The whole comparison.
    pub(super) test: Span,
}

pub(super) fn advise(wrong: &Wrong<'_>, error: &CompileErrorKind, names: &dyn Names) -> Advice {
    if let CompileErrorKind::UnknownLiteral(UnknownLiteral { kind, .. }) = error {
        return unknown(wrong, kind, names);
    }
    let kind = Kind::of(wrong.ty);
    let specific = match kind {
        Some(Kind::Address) => address(wrong),
        Some(Kind::Net) => net(wrong),
        Some(Kind::Number | Kind::Double) if wrong.ty == ParamType::Port => port(wrong),
        Some(Kind::Number | Kind::Double) => number(wrong),
        Some(Kind::Bool) => boolean(wrong),
        _ => None,
    };
    // A word that is no value of the type is probably the name of a list.
    let named = || list(wrong, kind, names);
    specific.or_else(named).unwrap_or_else(|| {
        let Wrong { value, field, .. } = wrong;
        let fault = match kind {
            Some(Kind::Address | Kind::Net) => Fault::InvalidAddress,
            Some(Kind::Number | Kind::Double) => Fault::InvalidNumber,
            _ => Fault::InvalidValue,
        };
        let message = match kind {
            Some(Kind::Text | Kind::Bytes) | None => plain(&error.to_string()),
            kind => format!("`{}` is not {}, as `{field}` is", cut(value), name(kind, wrong.ty)),
        };
        Advice::new(fault, wrong.span, message)
    })
}

/// The field of networks that belongs to a field of addresses.
pub(super) fn net_field(address: &str) -> Option<&'static str> {
    Some(match address {
        "fd.ip" => "fd.net",
        "fd.sip" => "fd.snet",
        "fd.cip" => "fd.cnet",
        "fd.lip" => "fd.lnet",
        "fd.rip" => "fd.rnet",
        _ => return None,
    })
}

fn address_field(net: &str) -> Option<&'static str> {
    Some(match net {
        "fd.net" => "fd.ip",
        "fd.snet" => "fd.sip",
        "fd.cnet" => "fd.cip",
        "fd.lnet" => "fd.lip",
        "fd.rnet" => "fd.rip",
        _ => return None,
    })
}

/// What a value of a field is.
fn name(kind: Option<Kind>, ty: ParamType) -> &'static str {
    match kind {
        Some(Kind::Address) => "an address",
        Some(Kind::Net) => "a network",
        Some(Kind::Bool) => "true or false",
        Some(Kind::Number) if ty == ParamType::Port => "a port",
        Some(Kind::Number | Kind::Double) => "a number",
        Some(Kind::Text | Kind::Bytes) | None => "a text",
    }
}

/// A name in the place of a value: no list has it.
fn list(wrong: &Wrong<'_>, kind: Option<Kind>, names: &dyn Names) -> Option<Advice> {
    let Wrong { value, field, .. } = wrong;
    let is_name = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !wrong.quoted
        && !matches!(kind, Some(Kind::Text | Kind::Bytes) | None);
    if !is_name {
        return None;
    }
    let (list, macro_) = (names.similar_list(value), names.similar_macro(value));
    let message = format!(
        "no list is named `{}`, and it is not {}, as `{field}` is",
        cut(value),
        name(kind, wrong.ty)
    );
    let advice = Advice::new(Fault::UndefinedList, wrong.span, message);
    Some(match (list, macro_) {
        (Some(list), _) => advice
            .help(format!("did you mean the list `{list}`?"))
            .offer(format!("write `{list}`"), vec![(wrong.span, list.clone())]),
        (None, Some(found)) if found == *value => advice
            .help(format!("`{found}` is a macro: a macro is a whole condition and stands alone")),
        (None, _) => advice.help(format!(
            "define the list in front of its use: `- list: {value}` with `items: [...]`, in this file or one that is loaded earlier"
        )),
    })
}

fn address(wrong: &Wrong<'_>) -> Option<Advice> {
    let Wrong { value, field, span, .. } = wrong;
    let advice = |message: String| Advice::new(Fault::InvalidAddress, *span, message);
    if let Some((address, length)) = value.split_once('/')
        && address.parse::<IpAddr>().is_ok()
        && length.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    {
        let advice = advice(format!("`{}` is a network, and `{field}` an address", cut(value)));
        return Some(match net_field(field) {
            Some(nets) => advice.help(format!("compare the network with `{nets}`")),
            None => advice
                .help("networks are compared with fd.snet, fd.cnet, fd.lnet, fd.rnet or fd.net"),
        });
    }
    let looks_numeric = value.starts_with(|c: char| c.is_ascii_digit()) && value.contains('.');
    if !looks_numeric {
        let has_host = value.contains('.') && value.starts_with(|c: char| c.is_ascii_alphabetic());
        return has_host.then(|| {
            advice(format!("`{}` is not an address", cut(value)))
                .help("names of hosts are not looked up: write their addresses, or a list of them")
        });
    }
    let advice = advice(format!("`{}` is not an address", cut(value)));
    Some(match value {
        _ if value.contains('*') => {
            advice.help("for a range write a network: `fd.snet = 10.1.0.0/16`")
        }
        _ if value.contains('-') => {
            advice.help("for a range write networks: `fd.snet in (10.0.0.0/29, 10.0.0.8/31)`")
        }
        _ if value.rsplit_once(':').is_some_and(|(host, _)| host.parse::<Ipv4Addr>().is_ok()) => {
            advice.help(
                "compare the port apart from the address: `fd.sip = 10.0.0.1 and fd.sport = 80`",
            )
        }
        _ => advice.help("an IPv4 address has four numbers from 0 to 255: `10.0.0.1`"),
    })
}

fn net(wrong: &Wrong<'_>) -> Option<Advice> {
    let Wrong { value, field, span, .. } = wrong;
    let advice = |message: String| Advice::new(Fault::InvalidAddress, *span, message);
    if let Ok(address) = value.parse::<IpAddr>() {
        let all = if address.is_ipv4() { 32 } else { 128 };
        let other = address_field(field).unwrap_or("fd.sip");
        let edits = vec![(*span, format!("{value}/{all}"))];
        return Some(
            advice(format!("`{value}` is an address, and `{field}` a network"))
                .help(format!("write `{value}/{all}`, or compare the address with `{other}`"))
                .repair(format!("write `{value}/{all}`"), edits),
        );
    }
    let (address, length) = value.split_once('/')?;
    Some(match address.parse::<IpAddr>() {
        Err(_) => advice(format!("`{}` is not an address", cut(address)))
            .help("write all four numbers of the address: `10.0.0.0/8`"),
        Ok(address) => {
            let all = if address.is_ipv4() { 32 } else { 128 };
            let advice = advice(format!("`/{}` is not a length of a network", cut(length)));
            match mask(length) {
                Some(bits) if address.is_ipv4() => advice
                    .help(format!("write the number of bits: `{address}/{bits}`"))
                    .repair(format!("write `/{bits}`"), vec![(*span, format!("{address}/{bits}"))]),
                _ => advice.help(format!("the length is a number of bits, at most {all}")),
            }
        }
    })
}

/// Number of bits of a mask: `255.255.0.0`.
fn mask(text: &str) -> Option<u32> {
    let bits = text.parse::<Ipv4Addr>().ok()?.to_bits();
    (bits.leading_ones() + bits.trailing_zeros() == 32).then(|| bits.leading_ones())
}

fn port(wrong: &Wrong<'_>) -> Option<Advice> {
    let Wrong { value, field, span, .. } = wrong;
    let advice = |message: String| Advice::new(Fault::InvalidNumber, *span, message);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let range = ['-', ':', '.', '~'].into_iter().find_map(|sign| {
        let (from, to) = value.split_once(sign)?;
        let to = to.trim_start_matches(sign);
        (is_number(from) && is_number(to)).then_some((from, to))
    });
    if let Some((from, to)) = range {
        let instead = format!("({field} >= {from} and {field} <= {to})");
        let advice = advice(format!("`{}` is a range, which is not one value", cut(value)))
            .help(format!("write `{instead}`"));
        let equals = wrong.alone && matches!(wrong.op, Operator::Eq | Operator::EqEq);
        return Some(match equals {
            true => advice.offer("compare with both ends", vec![(wrong.test, instead)]),
            false => advice,
        });
    }
    if is_number(value) {
        return Some(
            advice(format!("`{}` is not a port", cut(value))).help("ports are at most 65535"),
        );
    }
    if value.starts_with("0x") {
        return number(wrong);
    }
    if let Some((number, protocol)) = value.split_once('/')
        && is_number(number)
    {
        return Some(advice(format!("`{}` is not a port", cut(value))).help(format!(
            "compare the protocol apart from the port: `{field} = {number} and fd.l4proto = {}`",
            cut(protocol)
        )));
    }
    None
}

/// Units of numbers, in nanoseconds or bytes.
const TIMES: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("sec", 1_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
const SIZES: &[(&str, u64)] = &[
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1 << 10),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1 << 20),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1 << 30),
    ("gib", 1 << 30),
];

/// A number with a unit of time or size: how much it is, and of what.
pub(super) fn with_unit(text: &str) -> Option<(u64, &'static str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(digits)?;
    let count = count.parse::<u64>().ok()?;
    let unit = unit.trim().to_lowercase();
    let of =
        |units: &[(&str, u64)]| units.iter().find(|(name, _)| *name == unit).map(|(_, it)| *it);
    let (factor, what) = match (of(TIMES), of(SIZES)) {
        (Some(factor), _) => (factor, "nanoseconds"),
        (None, factor) => (factor?, "bytes"),
    };
    Some((count.checked_mul(factor)?, what))
}

fn number(wrong: &Wrong<'_>) -> Option<Advice> {
    let Wrong { value, field, span, .. } = wrong;
    let advice = Advice::new(
        Fault::InvalidNumber,
        *span,
        format!("`{}` is not a number, as `{field}` is", cut(value)),
    );
    let replace = |with: u64| vec![(*span, with.to_string())];
    for (prefix, radix, what) in [("0x", 16, "hex"), ("0o", 8, "octal"), ("0b", 2, "binary")] {
        let digits =
            value.strip_prefix(prefix).or_else(|| value.strip_prefix(&prefix.to_uppercase()));
        if let Some(number) = digits.and_then(|digits| u64::from_str_radix(digits, radix).ok()) {
            return Some(
                advice
                    .help(format!("numbers are decimal: {what} {value} is {number}"))
                    .repair(format!("write {number}"), replace(number)),
            );
        }
    }
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = value.split_at_checked(digits)?;
    let count = number.parse::<u64>().ok();
    if let Some(count) = count {
        let grouped = unit.starts_with(['_', '\'']) || unit.starts_with(',');
        let all: String = value.chars().filter(char::is_ascii_digit).collect();
        if grouped && all.len() + unit.matches(['_', '\'', ',']).count() == value.len() {
            let edits = vec![(*span, all.clone())];
            return Some(advice.help(format!("write {all}")).repair(format!("write {all}"), edits));
        }
        if unit.starts_with('.') {
            return Some(advice.help("numbers have no fraction"));
        }
        let is_time = matches!(wrong.ty, ParamType::Reltime | ParamType::Abstime);
        let (units, of) = if is_time { (TIMES, "nanoseconds") } else { (SIZES, "bytes") };
        let lower = unit.trim().to_lowercase();
        let factor = units.iter().find(|(name, _)| *name == lower).map(|(_, factor)| *factor);
        if let Some(product) = factor.and_then(|factor| count.checked_mul(factor)) {
            let advice = advice.help(format!("numbers have no unit: {value} is {product} {of}"));
            let title = format!("write {product}");
            return Some(match is_time {
                true => advice.repair(title, replace(product)),
                false => advice.offer(title, replace(product)),
            });
        }
        if !unit.is_empty() {
            return Some(advice.help("a number consists of digits only"));
        }
    }
    // Ids in place of which a name is given.
    let named = match *field {
        "user.uid" => Some("user.name"),
        "user.loginuid" => Some("user.loginname"),
        "group.gid" => Some("group.name"),
        "fd.num" => Some("fd.name"),
        "proc.pid" => Some("proc.name"),
        "proc.ppid" => Some("proc.pname"),
        _ => None,
    };
    // An item with an underscore is a list's name, rather.
    let named = named.filter(|_| !value.is_empty() && !value.contains('_'))?;
    Some(advice.help(format!("names are compared with `{named}`")))
}

fn boolean(wrong: &Wrong<'_>) -> Option<Advice> {
    let value = match wrong.value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "1" | "on" => "true",
        "false" | "no" | "n" | "0" | "off" => "false",
        _ => return None,
    };
    let message = format!("`{}` is neither `true` nor `false`", cut(wrong.value));
    Some(
        Advice::new(Fault::InvalidBoolean, wrong.span, message)
            .help(format!("write `{value}`"))
            .repair(format!("write `{value}`"), vec![(wrong.span, value.to_owned())]),
    )
}

/// A value that no event has.
fn unknown(wrong: &Wrong<'_>, kind: &str, names: &dyn Names) -> Advice {
    let value = wrong.value;
    let advice = |help: String| {
        Advice::new(
            Fault::UnknownEventType,
            wrong.span,
            format!("there is no {kind} `{}`", cut(value)),
        )
        .help(help)
    };
    let replace = |with: &str| vec![(wrong.span, with.to_owned())];
    let types = || {
        let syscalls = syscall_names().map(|(_, name)| name);
        EventType::all().map(EventType::name).chain(syscalls)
    };
    let lower = value.to_ascii_lowercase();
    let bare = ["__x64_sys_", "__arm64_sys_", "__se_sys_", "sys_", "SYS_", "__NR_", ">", "<"]
        .into_iter()
        .find_map(|prefix| value.strip_prefix(prefix));
    for plain in [Some(lower.as_str()), bare].into_iter().flatten() {
        if plain != value && types().any(|name| name == plain) {
            let advice = advice(format!("write `{plain}`"));
            return advice.repair(format!("write `{plain}`"), replace(plain));
        }
    }
    if value.contains('*') {
        let start = value.trim_end_matches('*');
        let mut found: Vec<_> = types().filter(|name| name.starts_with(start)).collect();
        found.sort_unstable();
        found.dedup();
        let all = found.join(", ");
        return match found.is_empty() || found.len() > 12 {
            true => {
                advice("event types are written out: `evt.type in (open, openat, openat2)`".into())
            }
            false => advice(format!("event types are written out: {all}")),
        };
    }
    if !wrong.quoted
        && let Some(list) = names.similar_list(value)
    {
        return advice(format!("did you mean the list `{list}`?"))
            .offer(format!("write `{list}`"), replace(&list));
    }
    let nearest = closest(value, types());
    let found = names.similar_macro(value);
    // Names that go on where the value does: `openwrite` begins with `open`.
    let stem =
        types().filter(|name| name.len() > 2 && value.starts_with(name)).max_by_key(|n| n.len());
    match (nearest, found, stem) {
        (_, Some(found), _) => advice(format!(
            "did you mean the macro `{found}`? A macro is a whole condition and stands alone"
        )),
        (Some(nearest), None, _) => advice(format!("did you mean `{nearest}`?"))
            .offer(format!("write `{nearest}`"), replace(nearest)),
        (None, None, Some(stem)) => {
            let mut family: Vec<_> = types().filter(|name| name.starts_with(stem)).collect();
            family.sort_unstable();
            family.dedup();
            family.truncate(6);
            advice(format!("event types that begin alike: {}", family.join(", ")))
        }
        (None, None, None) if looks_like_list(value) => Advice::new(
            Fault::UndefinedList,
            wrong.span,
            format!("`{}` is neither {kind} nor list", cut(value)),
        )
        .help(format!(
            "define the list in front of its use: `- list: {value}` with `items: [...]`"
        )),
        (None, None, None) => advice(
            "`peregrine events` lists all event types; a list must be defined in front of its use"
                .into(),
        ),
    }
}

/// Whether a name is like those that lists have: several words, the last one in the plural.
fn looks_like_list(name: &str) -> bool {
    name.contains('_') && name.ends_with('s')
}

/// A message of an error without the words that all begin with.
fn plain(message: &str) -> String {
    message.strip_prefix("filter error: ").unwrap_or(message).to_owned()
}
