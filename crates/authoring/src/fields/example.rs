//! Examples of tests of fields.

use peregrine_event::ParamType;
use peregrine_fields::table::{Argument, Definition};

/// Tests of well-known fields.
const KNOWN: &[(&str, &str)] = &[
    ("container.id", "container.id != host"),
    ("container.image.repository", "container.image.repository endswith /nginx"),
    ("container.name", "container.name = web"),
    ("container.privileged", "container.privileged = true"),
    ("evt.arg", "evt.arg.flags contains O_TRUNC"),
    ("evt.around", "evt.around[1700000000000000000] = 100"),
    ("evt.dir", "evt.dir = <"),
    ("evt.failed", "evt.failed = true"),
    ("evt.is_open_read", "evt.is_open_read = true"),
    ("evt.is_open_write", "evt.is_open_write = true"),
    ("evt.num", "evt.num > 1000"),
    ("evt.rawres", "evt.rawres >= 0"),
    ("evt.res", "evt.res = EACCES"),
    ("evt.type", "evt.type in (open, openat, openat2)"),
    ("fd.directory", "fd.directory in (/bin, /usr/bin)"),
    ("fd.filename", "fd.filename = authorized_keys"),
    ("fd.name", "fd.name startswith /etc/"),
    ("fd.snet", "fd.snet in (10.0.0.0/8, 192.168.0.0/16)"),
    ("fd.sport", "fd.sport in (80, 443)"),
    ("fd.type", "fd.type in (ipv4, ipv6)"),
    ("fd.typechar", "fd.typechar = f"),
    ("fs.path.name", "fs.path.name startswith /etc/"),
    ("group.name", "group.name = docker"),
    ("k8s.ns.name", "k8s.ns.name = kube-system"),
    ("proc.aname", "proc.aname in (sshd, nginx)"),
    ("proc.args", "proc.args contains --privileged"),
    ("thread.cap_effective", "thread.cap_effective contains CAP_SYS_ADMIN"),
    ("proc.cmdline", "proc.cmdline contains base64"),
    ("proc.cwd", "proc.cwd startswith /tmp"),
    ("proc.duration", "proc.duration < 5000000000"),
    ("proc.env", "proc.env icontains LD_PRELOAD"),
    ("proc.exepath", "proc.exepath startswith /tmp/"),
    ("proc.is_exe_upper_layer", "proc.is_exe_upper_layer = true"),
    ("proc.name", "proc.name in (bash, sh)"),
    ("proc.pname", "proc.pname = nginx"),
    ("proc.tty", "proc.tty != 0"),
    ("user.name", "user.name = root"),
];

/// A test of a field, as an example of its use. The values fit its type.
pub(super) fn example(field: &Definition) -> String {
    use ParamType as T;
    if let Some((_, example)) = KNOWN.iter().find(|(name, _)| *name == field.name) {
        return (*example).to_owned();
    }
    let argument = match field.argument {
        Argument::Param | Argument::RawParam => ".fd",
        Argument::Event => ".openat",
        Argument::Time => "[1700000000000000000]",
        Argument::Subsystem => ".memory",
        Argument::Key | Argument::IndexOrPattern => "[app]",
        Argument::Declared(listed) if listed.required && listed.index => "[0]",
        Argument::Declared(listed) if listed.required => "[app]",
        Argument::WhichPath
        | Argument::None
        | Argument::Index
        | Argument::FdNumber
        | Argument::Variable
        | Argument::AncestorVariable
        | Argument::Declared(_) => "",
    };
    let name = format!("{}{argument}", field.name);
    if field.options.limits.print_only {
        return String::new();
    }
    let value = match (field.options.list, field.ty) {
        (true, T::Ipaddr) => "in (10.0.0.1)",
        (true, T::Ipnet) => "in (10.0.0.0/8)",
        (true, T::Bool) => "in (true)",
        (true, T::Charbuf) => "intersects (a, b)",
        (true, _) => "in (1, 2)",
        (false, T::Bool) => "= true",
        (false, T::Ipaddr | T::Ipv4addr | T::Ipv6addr) => "= 10.0.0.1",
        (false, T::Ipnet | T::Ipv4net | T::Ipv6net) => "= 10.0.0.0/8",
        (false, T::Port) => "= 443",
        (false, T::Charbuf | T::Fspath | T::Fsrelpath) => "contains value",
        (false, T::Bytebuf) => "contains text",
        (false, T::Double) => "> 1",
        (false, T::Reltime) => "> 1000000000",
        (false, _) => "> 0",
    };
    format!("{name} {value}")
}

#[cfg(test)]
mod tests {
    use peregrine_fields::Fields;
    use peregrine_filter::{DEFAULT_MAX_DEPTH, compile, parse};

    use super::*;

    #[test]
    fn every_example_is_a_condition() {
        let fields = Fields::syscall().with_containers(true);
        let listed = fields.classes().flat_map(|class| class.fields.iter());
        let mut wrong = Vec::new();
        for field in listed.filter(|field| field.is_listed()) {
            let example = example(field);
            let compiled = parse(&example, DEFAULT_MAX_DEPTH)
                .map_err(|error| error.to_string())
                .and_then(|tree| compile(&tree, &fields).map_err(|error| error.to_string()));
            if let Err(error) = compiled {
                wrong.push(format!("{example}: {error}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        for (name, _) in KNOWN {
            assert!(
                fields.classes().any(|class| class.fields.iter().any(|f| f.name == *name)),
                "{name}"
            );
        }
    }
}
