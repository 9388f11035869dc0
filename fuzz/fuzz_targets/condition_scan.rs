//! Any text as a condition that is being typed: tokens come in order and without overlap, and in a
//! condition that parses each field has its token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_filter::{DEFAULT_MAX_DEPTH, TokenKind, parse, scan};

fuzz_target!(|text: &str| {
    let tokens = scan(text).tokens;
    let mut end = 0;
    for token in &tokens {
        assert!(end <= token.range.start && token.range.start <= token.range.end, "{token:?}");
        assert!(text.get(token.range.clone()).is_some(), "{token:?}");
        end = token.range.end;
    }
    let Ok(condition) = parse(text, DEFAULT_MAX_DEPTH) else { return };
    for check in condition.checks() {
        check.left().each_field(&mut |field| {
            let is_it = |range: std::ops::Range<usize>| text.get(range) == Some(&field.name);
            let mut fields = tokens.iter().filter(|token| token.kind == TokenKind::Field);
            assert!(fields.any(|token| is_it(token.range.clone())), "{}", field.name);
        });
    }
});
