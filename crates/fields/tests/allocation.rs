//! Reading fields does not allocate once the scratch memory has grown.

mod common;

use common::{Machine, resolve};
use peregrine_event::EventType;
use peregrine_fields::table::{Argument, classes};

#[test]
fn reading_fields_does_not_allocate() {
    let fields: Vec<_> = classes()
        .iter()
        .flat_map(|class| class.fields.iter())
        .map(|field| {
            let argument = match field.argument {
                Argument::Param | Argument::RawParam => ".name",
                Argument::Event => ".open",
                Argument::Time => "[12]",
                Argument::Subsystem => ".cpu",
                Argument::Key | Argument::IndexOrPattern => "[key]",
                _ => "",
            };
            resolve(&format!("{}{argument}", field.name))
        })
        .collect();

    let mut machine = Machine::new();
    machine.event(EventType::SyscallOpenat_2X, |b| {
        b.i64(6).i64(-100).text("a/../notes").u32(1).u32(0o755).u32(0xfe01).u64(42);
    });
    (0..3).for_each(|_| machine.ask(&fields));
    let measured = allocation_counter::measure(|| machine.ask(&fields));
    assert_eq!(measured.count_total, 0);
}
