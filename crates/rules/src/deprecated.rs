//! Valid but discouraged constructs in conditions.

use peregrine_filter::{Check, Comparison, Expr, Operator};

const ENTER_EVENTS: &str = "field is not available due to the drop of enter events.";

/// Deprecated fields, and the reasons.
pub(crate) const FIELDS: [(&str, &str); 6] = [
    (
        "evt.dir",
        "due to the drop of enter events, 'evt.dir = <' always evaluates to true, and 'evt.dir = >' \
         always evaluates to false. The rule expression can be simplified by removing the condition \
         on 'evt.dir'",
    ),
    ("evt.latency", ENTER_EVENTS),
    ("evt.latency.s", ENTER_EVENTS),
    ("evt.latency.ns", ENTER_EVENTS),
    ("evt.latency.human", ENTER_EVENTS),
    ("evt.wait_latency", ENTER_EVENTS),
];

/// The deprecated fields of a condition.
pub(crate) fn fields_of(condition: &Expr) -> Vec<(&'static str, &'static str)> {
    let used = condition.fields();
    FIELDS.into_iter().filter(|(name, _)| used.iter().any(|field| field.name == *name)).collect()
}

/// Whether a field of audit events is compared with the text `<NA>`.
pub(crate) fn compares_with_na(condition: &Expr) -> bool {
    condition.checks().into_iter().any(|check| {
        let Check::Compare(Comparison { left, op, right, .. }) = check else { return false };
        let mut audit = false;
        left.each_field(&mut |field| {
            audit |= field.name.starts_with("ka.") || field.name.starts_with("jevt.");
        });
        let equality = matches!(
            op,
            Operator::Eq
                | Operator::EqEq
                | Operator::Ne
                | Operator::In
                | Operator::Intersects
                | Operator::PMatch
        );
        audit && equality && right.literals().iter().any(|text| text.as_bytes() == b"<NA>")
    })
}

#[cfg(test)]
mod tests {
    use peregrine_filter::{DEFAULT_MAX_DEPTH, parse};

    use super::*;

    #[test]
    fn old_fields_are_found_wherever_they_stand() {
        let condition =
            parse("not evt.dir = > or len(evt.latency) > 1", DEFAULT_MAX_DEPTH).unwrap();
        let found: Vec<_> = fields_of(&condition).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, ["evt.dir", "evt.latency"]);
    }

    #[test]
    fn missing_values_of_audit_events() {
        let unsafe_ = |text| compares_with_na(&parse(text, DEFAULT_MAX_DEPTH).unwrap());
        assert!(unsafe_("ka.user.name != <NA>"));
        assert!(unsafe_("jevt.value in (a, <NA>)"));
        assert!(!unsafe_("proc.name = <NA>"));
        assert!(!unsafe_("ka.user.name startswith <NA>"));
    }
}
