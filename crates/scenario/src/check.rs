//! Whether what a test gives is what rules see.

use std::net::IpAddr;

use peregrine_diagnostics::Problem;
use peregrine_event::render::Buffers;
use peregrine_fields::{Fields, View};
use peregrine_filter::{FieldError, Supplier, Template, Value, Vocabulary};
use peregrine_yaml::Node;

use crate::Cause;
use crate::file::{Assigned, EventSpec};
use peregrine_params::{bytes_of, listed_texts};

/// Fields that do not exist.
pub(crate) fn unknown_fields(spec: &EventSpec, fields: &Fields) -> Vec<Problem> {
    spec.fields.iter().filter_map(|given| unknown(given, fields)).collect()
}

/// All that the event does not have as it is given.
pub(crate) fn differences(spec: &EventSpec, view: &View<'_>, fields: &Fields) -> Vec<Problem> {
    spec.fields.iter().filter_map(|given| difference(given, view, fields)).collect()
}

/// What a test can say besides fields.
const OWN: [&str; 12] = [
    "addresses",
    "users",
    "proc",
    "fd.fresh",
    "fd.role",
    "proc.fds",
    "proc.parent",
    "proc.ancestors",
    "syscall.type",
    "container.labels",
    "evt.args",
    "k8s.pod.labels",
];

fn unknown(given: &Assigned, fields: &Fields) -> Option<Problem> {
    let name = &given.key.name;
    if OWN.contains(&name.as_str()) || name.starts_with("evt.arg.") || name.starts_with("evt.arg[")
    {
        return None;
    }
    let error = match fields.resolve(name) {
        Ok(resolved) if resolved.len == name.len() => return None,
        Ok(_) => FieldError::Unknown { name: name.clone() },
        Err(error) => error,
    };
    let problem = Cause::UnknownField.at(&given.name_label, error.to_string());
    if fields.resolve("container.id").is_err()
        && (name.starts_with("container.") || name.starts_with("k8s."))
    {
        return Some(problem.help("load the plugin `container` (load_plugins: [container])"));
    }
    Some(match fields.similar(name).first() {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("`peregrine fields` lists all"),
    })
}

fn difference(given: &Assigned, view: &View<'_>, fields: &Fields) -> Option<Problem> {
    let name = given.field.as_deref()?;
    // Parameters are in the event as they are given.
    if OWN.contains(&name) || name.starts_with("evt.arg") || name == "proc.env" {
        return None;
    }
    let resolved = fields.resolve(name).ok().filter(|resolved| resolved.len == name.len())?;
    if is_changed(name, view.event().ty.name()) {
        return None;
    }
    let value = view.value(&resolved.field);
    if agrees(name, value, &given.value) {
        return None;
    }
    let wanted = shown(&given.value);
    let message = match value {
        None => format!("no event can give `{name}` the value {wanted} here: it has no value"),
        Some(_) => {
            let got = printed(name, view, fields);
            format!("no event can give `{name}` the value {wanted} here: it is {got}")
        }
    };
    let problem = Cause::Impossible.at(&given.label, message);
    if name == "fd.name" && given.value.as_str().is_some_and(|path| path.starts_with('/')) {
        let unix = view.event().ty.info().id.starts_with("PPME_SOCKET_");
        let help = "the name of a connected unix socket begins with the addresses of its ends: `1->2 PATH`";
        if unix {
            return Some(problem.help(help));
        }
    }
    Some(match remedy(name) {
        Some(remedy) => problem.help(remedy),
        None => problem.help("leave it out, or change what it follows from"),
    })
}

/// Whether an event changes a field of its process: a test gives the value before the event.
fn is_changed(field: &str, event: &str) -> bool {
    match event {
        "setuid" | "setresuid" | "setreuid" => field.starts_with("user."),
        "setgid" | "setresgid" | "setregid" => field.starts_with("group."),
        "setsid" => field.starts_with("proc.s") || field == "proc.is_sid_leader",
        "setpgid" => field.contains("pgid"),
        "chdir" | "fchdir" | "getcwd" => field == "proc.cwd",
        "capset" | "unshare" | "setns" => field.starts_with("thread.cap_"),
        "setrlimit" | "prlimit" | "getrlimit" => field == "proc.fdlimit" || field == "proc.fdusage",
        _ => false,
    }
}

/// What a field follows from, where a test has to give that instead.
fn remedy(name: &str) -> Option<&'static str> {
    Some(match name {
        "fd.filename" | "fd.directory" | "fd.containername" | "fd.containerdirectory" => {
            "it follows from `fd.name`"
        }
        "fd.lip" | "fd.lport" | "fd.rip" | "fd.rport" | "fd.is_server" | "fd.net" | "fd.snet"
        | "fd.cnet" | "fd.lnet" | "fd.rnet" | "fd.sproto" | "fd.cproto" => {
            "it follows from `fd.cip`, `fd.cport`, `fd.sip`, `fd.sport` and whether the call connects or accepts"
        }
        "fd.name" | "fd.num" | "fd.type" | "fd.typechar" | "fd.sip" | "fd.cip" | "fd.sport"
        | "fd.cport" | "fd.l4proto" | "fd.ip" | "fd.port" | "fd.connected" => {
            "the event must use or make an fd, and a failed call makes none"
        }
        "proc.sname" | "proc.sid.exe" | "proc.sid.exepath" | "proc.is_sid_leader" => {
            "it follows from `proc.sid` and the ancestors"
        }
        "proc.vpgid.name" | "proc.pgid.name" | "proc.is_vpgid_leader" | "proc.is_pgid_leader" => {
            "it follows from `proc.vpgid`, `proc.pgid` and the ancestors"
        }
        "evt.failed" | "evt.res" | "evt.rawres" => "give one of evt.res, evt.rawres and evt.failed",
        "evt.is_open_read" | "evt.is_open_write" | "evt.is_open_create" | "evt.is_open_exec" => {
            "it follows from the flags and the mode of a call of the open family"
        }
        "evt.num" | "evt.count" | "evt.dir" | "evt.category" | "evt.is_io" | "evt.is_wait" => {
            "it follows from the type of the event and its place in the test"
        }
        "proc.cmdline" | "proc.pcmdline" | "proc.exeline" | "proc.cmdnargs" | "proc.cmdlenargs" => {
            "it follows from `proc.name`, `proc.exe` and `proc.args`"
        }
        "proc.exe_ino.ctime_duration_proc_start" => {
            "an exec gives it: it is the time from `proc.exe_ino.ctime` to the start of the process"
        }
        _ if name.starts_with("fs.path.") => {
            "only calls that succeed have paths; calls with two have a source and a target"
        }
        _ if name.starts_with("container.") || name.starts_with("k8s.") => {
            "it follows from the image, the id and the labels of the container"
        }
        _ => return None,
    })
}

/// Whether a field has the value that is given for it.
fn agrees(name: &str, value: Option<Value<'_>>, given: &Node) -> bool {
    let Some(value) = value else { return given.is_null() || given.as_str() == Some("") };
    if given.is_null() {
        return matches!(value, Value::List([]));
    }
    match value {
        Value::Bool(value) => given.as_bool() == Some(value),
        Value::Int(value) => given.as_i64() == Some(value),
        Value::Uint(value) => given.as_u64() == Some(value) || given.as_f64() == Some(value as f64),
        Value::Double(value) => given.as_f64().is_some_and(|given| (given - value).abs() < 0.05),
        Value::Ip(ip) => given.as_str().is_some_and(|text| is_in(ip, text)),
        Value::List(values) => match given.as_seq() {
            Some(items) => {
                items.iter().all(|it| values.iter().any(|value| agrees(name, Some(*value), it)))
            }
            None => values.iter().any(|value| agrees(name, Some(*value), given)),
        },
        Value::Text(text) => agrees_with_text(name, text, given),
        Value::Bytes(bytes) => bytes_of(given).as_deref() == Some(bytes),
    }
}

fn agrees_with_text(name: &str, text: &[u8], given: &Node) -> bool {
    let words = |node: &Node| {
        let words = listed_texts(node)?;
        let body = words.strip_suffix(&[0]).unwrap_or(&words);
        Some(body.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect::<Vec<_>>())
    };
    match name {
        "proc.cwd" => {
            let slash = |text: &[u8]| text.strip_suffix(b"/").unwrap_or(text).to_vec();
            bytes_of(given).is_some_and(|given| slash(&given) == slash(text))
        }
        _ if name.starts_with("thread.cap_") => {
            let set = |text: &[u8]| {
                let mut words: Vec<_> = String::from_utf8_lossy(text)
                    .to_ascii_uppercase()
                    .split(' ')
                    .map(|word| word.trim_start_matches("CAP_").to_owned())
                    .collect();
                words.sort();
                words
            };
            given.as_u64().is_some() || words(given).is_some_and(|given| set(&given) == set(text))
        }
        "container.mounts" if given.as_seq().is_some() => true,
        "thread.cgroups" => words(given).as_deref() == Some(text),
        "evt.res" if given.as_i64().is_some() => true,
        _ if name.starts_with("proc.") && given.as_seq().is_some() => {
            words(given).as_deref() == Some(text)
        }
        _ => bytes_of(given).as_deref() == Some(text),
    }
}

/// Whether an address is that of a text, or in its network.
fn is_in(ip: IpAddr, text: &str) -> bool {
    let Some((net, bits)) = text.split_once('/') else { return text.parse() == Ok(ip) };
    let Ok(bits) = bits.parse::<u32>() else { return false };
    match (ip, net.parse::<IpAddr>()) {
        (IpAddr::V4(ip), Ok(IpAddr::V4(net))) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            ip.to_bits() & mask == net.to_bits() & mask
        }
        (IpAddr::V6(ip), Ok(IpAddr::V6(net))) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            ip.to_bits() & mask == net.to_bits() & mask
        }
        _ => false,
    }
}

fn shown(node: &Node) -> String {
    match (node.as_str(), node.as_seq()) {
        (Some(text), _) => format!("`{text}`"),
        (_, Some(items)) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        _ if node.is_null() => "of none".to_owned(),
        _ => "that is given".to_owned(),
    }
}

fn printed(name: &str, view: &View<'_>, fields: &Fields) -> String {
    let mut out = Vec::new();
    match Template::compile(&format!("%{name}"), fields) {
        Ok(template) => template.render(view, Buffers::default(), &mut out),
        Err(_) => return "another one".to_owned(),
    }
    format!("`{}`", String::from_utf8_lossy(&out))
}
