//! Whatever a plugin answers, the host neither panics nor reads what is not there. Runs under Miri.

#[path = "support/answers.rs"]
#[allow(unreachable_pub, reason = "the fuzz target has the same file")]
mod answers;

use proptest::prelude::*;

/// Bytes among which zeros, which stand for what is missing, are rare.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(2048).collect()
}

#[test]
fn usual_answers_are_values_and_events() {
    answers::run(&[]);
    let (mut values, mut events) = (0, 0);
    for seed in 0..if cfg!(miri) { 12 } else { 200 } {
        let got = answers::run(&bytes(seed));
        (values, events) = (values + got.0, events + got.1);
    }
    assert!(values > 20 && (events > 5 || cfg!(miri)), "{values} values, {events} events");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_answer_is_a_value_or_an_error(seed in any::<u64>()) {
        answers::run(&bytes(seed));
    }
}
