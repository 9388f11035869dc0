//! Shell patterns with the semantics of `fnmatch(3)` without flags in the C locale.

/// Whether the pattern matches the whole text. `*` and `?` match slashes and leading dots too.
///
/// Backtracks to the last `*` only, which is enough, so that time is bounded by the product of the
/// lengths.
pub(crate) fn matches(pattern: &[u8], text: &[u8], fold: bool) -> bool {
    let (mut pattern_at, mut text_at) = (pattern, text);
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        let stepped = match (pattern_at.split_first(), text_at.split_first()) {
            (None, None) => return true,
            (Some((b'*', after)), _) => {
                star = Some((after, text_at));
                pattern_at = after;
                continue;
            }
            (Some(_), Some((byte, rest))) => {
                one(pattern_at, *byte, fold).map(|after| (after, rest))
            }
            (Some(_), None) | (None, Some(_)) => None,
        };
        match stepped {
            Some(next) => (pattern_at, text_at) = next,
            None => {
                let Some((after, from)) = star else { return false };
                let Some((_, rest)) = from.split_first() else { return false };
                star = Some((after, rest));
                (pattern_at, text_at) = (after, rest);
            }
        }
    }
}

/// Matches one byte. Returns the rest of the pattern.
fn one(pattern: &[u8], byte: u8, fold: bool) -> Option<&[u8]> {
    let (first, rest) = pattern.split_first()?;
    let same = |a: u8| folded(a, fold) == folded(byte, fold);
    match first {
        b'?' => Some(rest),
        b'[' => match bracket(rest, byte, fold) {
            Bracket::Matched(after) => Some(after),
            Bracket::Unclosed if byte == b'[' => Some(rest),
            Bracket::Differs | Bracket::Unclosed => None,
        },
        b'\\' => {
            let (escaped, rest) = rest.split_first()?;
            same(*escaped).then_some(rest)
        }
        _ => same(*first).then_some(rest),
    }
}

enum Bracket<'a> {
    Matched(&'a [u8]),
    Differs,
    /// There is no `]`: the `[` stands for itself.
    Unclosed,
}

fn bracket(pattern: &[u8], byte: u8, fold: bool) -> Bracket<'_> {
    let byte = folded(byte, fold);
    let (negated, mut rest) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    let mut first = true;
    loop {
        rest = match rest {
            [] => return Bracket::Unclosed,
            [b']', after @ ..] if !first => {
                return if found == negated { Bracket::Differs } else { Bracket::Matched(after) };
            }
            [b'[', b':', after @ ..] if class_end(after).is_some() => {
                let (name, after) = after.split_at(class_end(after).unwrap_or_default());
                match in_class(name, byte, fold) {
                    Some(is_in) => found |= is_in,
                    None => return Bracket::Differs,
                }
                after.get(2..).unwrap_or_default()
            }
            [b'[', b'=', low, b'=', b']', after @ ..] => {
                found |= folded(*low, fold) == byte;
                after
            }
            _ => {
                let Some((low, after)) = member(rest) else { return Bracket::Unclosed };
                match after {
                    [b'-', end, ..] if *end != b']' => {
                        let Some((high, after)) = member(after.get(1..).unwrap_or_default()) else {
                            return Bracket::Differs;
                        };
                        found |= (folded(low, fold)..=folded(high, fold)).contains(&byte);
                        after
                    }
                    _ => {
                        found |= folded(low, fold) == byte;
                        after
                    }
                }
            }
        };
        first = false;
    }
}

/// One member of a bracket, or a bound of a range.
fn member(pattern: &[u8]) -> Option<(u8, &[u8])> {
    match pattern {
        [b'\\', escaped, rest @ ..] => Some((*escaped, rest)),
        [b'[', b'.', byte, b'.', b']', rest @ ..] => Some((*byte, rest)),
        [b'\\'] | [] => None,
        [byte, rest @ ..] => Some((*byte, rest)),
    }
}

/// Length of the name of a class such as `alpha`, when `:]` follows it.
fn class_end(pattern: &[u8]) -> Option<usize> {
    let len = pattern.iter().position(|b| !b.is_ascii_lowercase())?;
    pattern.get(len..)?.starts_with(b":]").then_some(len)
}

fn in_class(name: &[u8], byte: u8, fold: bool) -> Option<bool> {
    Some(match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0xb,
        b"upper" => byte.is_ascii_uppercase() || fold && byte.is_ascii_lowercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

fn folded(byte: u8, fold: bool) -> u8 {
    if fold { byte.to_ascii_lowercase() } else { byte }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn yes(pattern: &str, text: &str) {
        assert!(matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} {text}");
    }

    fn no(pattern: &str, text: &str) {
        assert!(!matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} {text}");
    }

    #[test]
    fn stars_and_question_marks() {
        yes("/etc/*", "/etc/.ssh/id");
        yes("*", "");
        yes("a*b*c", "aXbYbZc");
        no("a*b*c", "aXbYbZ");
        yes("?.?", "a.b");
        no("?", "");
        no("", "a");
        yes("", "");
        yes("***", "x");
    }

    #[test]
    fn brackets() {
        yes("[a-c]x", "bx");
        no("[!a-c]x", "bx");
        yes("[^a-c]x", "dx");
        yes("[]a]", "]");
        yes("[a-]", "-");
        yes("[[:digit:][:upper:]]", "7");
        no("[[:nonsense:]]", "n");
        yes("[\\]]", "]");
        yes("[[.a.]-c]", "b");
        yes("[[=x=]]", "x");
        yes("[a", "[a");
        no("[a", "a");
    }

    #[test]
    fn a_backslash_escapes_the_next_byte() {
        yes("a\\*", "a*");
        no("a\\*", "ab");
        no("a\\", "a\\");
    }

    #[test]
    fn case_is_ignored_on_request() {
        assert!(matches(b"*.SH[A-Z]", b"x.shq", true));
        assert!(!matches(b"*.SH", b"x.sh", false));
    }

    #[test]
    fn many_stars_take_polynomial_time() {
        let pattern = "a*".repeat(30) + "b";
        no(&pattern, &"a".repeat(300));
    }

    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', p)), t) => {
                naive(p, text) || t.is_some_and(|(_, rest)| naive(pattern, rest))
            }
            (Some((b'?', p)), Some((_, t))) => naive(p, t),
            (Some((a, p)), Some((b, t))) => a == b && naive(p, t),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_matcher(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), false),
                naive(pattern.as_bytes(), text.as_bytes())
            );
        }

        #[test]
        fn takes_any_bytes(pattern: Vec<u8>, text: Vec<u8>, fold: bool) {
            matches(&pattern, &text, fold);
        }
    }
}
