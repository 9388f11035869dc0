//! A rules file before and after a change: its parts are the text, and reusing those of the earlier
//! text makes no difference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_fields::Fields;
use peregrine_rules::{Checker, EventSource, RulesPart, RulesText};

fuzz_target!(|texts: (&str, &str)| {
    let (before, after) = texts;
    let changed = RulesText::new("fuzz.yaml", before).changed(after);
    let fresh = RulesText::new("fuzz.yaml", after);
    let starts = |text: &RulesText| text.parts().iter().map(|part| part.start).collect::<Vec<_>>();
    assert_eq!(starts(&changed), starts(&fresh));
    let joined: String = changed.parts().iter().map(RulesPart::text).collect();
    assert_eq!(joined, after);
    let said = |text: &RulesText| {
        let problems = Checker::new(vec![EventSource::syscall(Fields::syscall())]).check(&[text]);
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(said(&changed), said(&fresh));
});
