//! Names, command lines and parents: what a process says of itself.

use peregrine_filter::Operator;

use super::shape::{Shape, some_way, texts};
use crate::finding::LintFinding;
use crate::lints::Lint;
use crate::logic::atoms::Atom;
use crate::model::Model;

/// Programs that run before an attacker comes, so that their names are not the attacker's choice.
const SERVICES: [&str; 15] = [
    "apache2",
    "containerd",
    "dockerd",
    "httpd",
    "java",
    "kubelet",
    "mongod",
    "mysqld",
    "nginx",
    "node",
    "php-fpm",
    "postgres",
    "redis-server",
    "sshd",
    "tomcat",
];

/// Most exclusions that a finding shows.
const SHOWN: usize = 3;

pub(super) fn check(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    name_only(model, rule, found);
    command_line(model, rule, found);
    direct_parent(model, rule, found);
    exclusions(model, rule, found);
}

fn name_only(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    let names_service = |atom: &Atom| texts(atom).any(|text| SERVICES.contains(&&*text));
    let runs = |atom: &Atom| atom.is_about_type() && texts(atom).any(|text| text == "execve");
    let is_about_runs = rule.required(model, &runs).is_some();
    let counts =
        |atom: &Atom| is_name(atom) && is_pattern(atom) && (is_about_runs || !names_service(atom));
    let Some(part) = rule.required(model, &counts) else { return };
    let text = model.text(part);
    let message = format!(
        "a copy or link of the program under another name is not seen: the rule requires `{text}`"
    );
    found.push(LintFinding::rule(Lint::NameOnly, &rule.name, message).at(model.label(part)).help(
        "also match what the program does, or `proc.exepath`, which follows links; \
             `proc.is_exe_upper_layer=true` finds copies in containers",
    ));
}

fn command_line(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    let Some(part) = rule.required(model, &|atom| is_command_line(atom) && is_pattern(atom)) else {
        return;
    };
    let text = model.text(part);
    let message = format!(
        "the same command in another spelling is not seen: the rule requires `{text}` of the command line"
    );
    found.push(
        LintFinding::rule(Lint::CommandLine, &rule.name, message).at(model.label(part)).help(
            "options can be joined (`-ve`), written long, quoted or put elsewhere; \
             `getopt(…)` compares options whatever their order, and what the command does can't be spelled otherwise",
        ),
    );
}

fn direct_parent(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    let Some(part) = rule.required(model, &|atom| is_near_ancestor(atom) && is_pattern(atom))
    else {
        return;
    };
    let text = model.text(part);
    let message =
        format!("a process that forks twice has another parent: the rule requires `{text}`");
    found.push(
        LintFinding::rule(Lint::DirectParent, &rule.name, message).at(model.label(part)).help(
            "match the session or process group too (`proc.sname`, `proc.vpgid.name`), \
             which stay when a parent exits, or `container.id`",
        ),
    );
}

fn exclusions(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    // What the rule requires of a name, an attacker can't choose freely.
    let required = |field: &&&str| {
        rule.required(model, &|atom| atom.field() == Some(**field) && is_pattern(atom)).is_some()
    };
    let required: Vec<&str> = CHOSEN.iter().filter(required).copied().collect();
    let is_free = |atom: &Atom| {
        is_chosen(atom) && atom.field().is_some_and(|field| !required.contains(&field))
    };
    let open: Vec<_> = rule
        .excludes
        .iter()
        .filter(|exclusion| some_way(model, exclusion.condition, &is_free))
        .collect();
    let Some((first, others)) = open.split_first() else { return };
    let text = model.text(first.place);
    let more = match others.len() {
        0 => String::new(),
        1 => ", and one more exclusion like it".to_owned(),
        more => format!(", and {more} more exclusions like it"),
    };
    let message = format!("a process that names itself accordingly is not seen: `{text}`{more}");
    let mut finding = LintFinding::rule(Lint::NameException, &rule.name, message)
        .at(model.label(first.place))
        .help(
            "names, arguments and parents are chosen by who starts a program; \
             compare `proc.exepath` or `proc.aexepath[…]` too, or exclude an image instead",
        );
    for other in others.iter().take(SHOWN) {
        finding =
            finding.related(model.label(other.place), "also excluded by what a process chooses");
    }
    found.push(finding);
}

/// Whether a test names values: it does not ask for a value or for a difference.
fn is_pattern(atom: &Atom) -> bool {
    !matches!(atom.operator(), None | Some(Operator::Ne))
        && atom.literals().iter().any(|text| !text.as_bytes().is_empty())
}

fn is_name(atom: &Atom) -> bool {
    matches!(atom.field(), Some("proc.name" | "proc.exe"))
}

fn is_command_line(atom: &Atom) -> bool {
    matches!(atom.field(), Some("proc.cmdline" | "proc.args" | "proc.exeline"))
}

fn is_near_ancestor(atom: &Atom) -> bool {
    let numbered = || atom.field_argument().is_some();
    match atom.field() {
        Some("proc.pname" | "proc.pexe" | "proc.pexepath" | "proc.pcmdline") => true,
        Some("proc.aname" | "proc.aexe" | "proc.aexepath" | "proc.acmdline") => numbered(),
        _ => false,
    }
}

/// Fields whose values are chosen by who starts a process, without rights and without leaving a
/// file.
const CHOSEN: [&str; 15] = [
    "proc.name",
    "proc.exe",
    "proc.cmdline",
    "proc.args",
    "proc.exeline",
    "proc.cwd",
    "proc.env",
    "proc.pname",
    "proc.pexe",
    "proc.pcmdline",
    "proc.aname",
    "proc.aexe",
    "proc.acmdline",
    "proc.sname",
    "proc.vpgid.name",
];

/// Whether who starts a process chooses the value. An exact command line also says what is done.
pub(super) fn is_chosen(atom: &Atom) -> bool {
    let exact = matches!(
        atom.operator(),
        Some(Operator::Eq | Operator::EqEq | Operator::In | Operator::Intersects)
    );
    let whole = exact && is_command_line(atom);
    atom.field().is_some_and(|field| CHOSEN.contains(&field)) && !whole && !atom.is_about_absence()
}
