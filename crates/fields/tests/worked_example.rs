//! The example of the page on programs (`crates/filter/src/program/README.md`) comes out as it
//! says.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use peregrine_event::EventType;
use peregrine_fields::{EventTypeFacts, Field, Fields};
use peregrine_filter::{
    Condition, DEFAULT_MAX_DEPTH, NodeId, PreFilterBuilder, Program, ProgramBuilder, Residual,
    SubCondition, compile, parse,
};

const RULES: [&str; 3] = [
    "evt.type in (open, openat) and fd.name startswith /etc/
     and not proc.name in (dpkg, rpm)",
    "evt.type = openat and (fd.name = /etc/shadow or fd.name startswith /root/.ssh/)
     and not proc.name in (dpkg, rpm)",
    "evt.type in (openat, unlink) and fd.filename = id_rsa and proc.name != sshd",
];

fn lines(program: &Program<Field>, node: NodeId, depth: usize, out: &mut String) {
    let (name, operands) = match program.sub_condition(node).unwrap() {
        SubCondition::All(all) => ("all", all.to_vec()),
        SubCondition::Any(any) => ("any", any.to_vec()),
        SubCondition::Not(operand) => ("not", vec![operand]),
        SubCondition::Test(text) => (text, Vec::new()),
    };
    *out += &format!("{}n{} {name}\n", "  ".repeat(depth), node.index());
    operands.iter().for_each(|operand| lines(program, *operand, depth + 1, out));
}

#[test]
fn the_page_on_programs_shows_what_comes_out() {
    let fields = Fields::syscall();
    let filters = RULES.map(|condition| {
        compile(&parse(condition, DEFAULT_MAX_DEPTH).unwrap(), &fields).unwrap().filter
    });
    let mut conditions: Vec<_> = filters.iter().map(Condition::new).collect();
    let mut builder = ProgramBuilder::default();
    let mut residuals = |ty| -> Vec<_> {
        let facts = EventTypeFacts(ty);
        conditions.iter_mut().map(|condition| builder.add(condition, &facts)).collect()
    };
    let open = residuals(EventType::SyscallOpenX);
    let openat = residuals(EventType::SyscallOpenat_2X);
    let unlink = residuals(EventType::SyscallUnlink_2X);
    let close = residuals(EventType::SyscallCloseX);
    let program = builder.finish();

    assert_eq!(open, [openat[0], Residual::Never, Residual::Never]);
    assert_eq!(unlink, [Residual::Never; 3]);
    assert_eq!(close, [Residual::Never; 3]);
    assert_eq!(program.len(), 11);
    let mut text = String::new();
    for residual in &openat {
        let Residual::Compiled(node) = residual else { panic!("{residual:?}") };
        lines(&program, *node, 0, &mut text);
    }
    let expected = "\
n3 all
  n0 fd.name startswith /etc/
  n2 not
    n1 proc.name in (dpkg, rpm)
n7 all
  n6 any
    n5 fd.name startswith /root/.ssh/
    n4 fd.name = /etc/shadow
  n2 not
    n1 proc.name in (dpkg, rpm)
n10 all
  n8 fd.filename = id_rsa
  n9 proc.name != sshd
";
    assert_eq!(text, expected);

    let pre_filters = PreFilterBuilder::new(&program);
    let layers = |residuals: &[Residual]| {
        let node = |residual: &Residual| match residual {
            Residual::Compiled(node) => Some(*node),
            _ => None,
        };
        pre_filters.build(&residuals.iter().map(node).collect::<Vec<_>>()).len()
    };
    assert_eq!((layers(&open), layers(&openat)), (0, 1));
}
