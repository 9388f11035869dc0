//! The transformers `b64` and `getopt`.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::Value;

/// Decodes base64; `None` for anything else. Padding may be missing.
pub(crate) fn base64<'s>(text: &[u8], scratch: &'s Bump) -> Option<&'s [u8]> {
    let body = text.strip_suffix(b"=").unwrap_or(text);
    let body = if body.len() < text.len() { body.strip_suffix(b"=").unwrap_or(body) } else { body };
    if body.len() % 4 == 1 {
        return None;
    }
    let mut bits = 0_u32;
    let mut held = 0;
    let mut digits = body.iter();
    let len = body.len() * 6 / 8;
    let decoded = scratch.alloc_slice_try_fill_with(len, |_| {
        while held < 8 {
            bits = bits << 6 | u32::from(digit(*digits.next().ok_or(())?).ok_or(())?);
            held += 6;
        }
        held -= 8;
        Ok::<u8, ()>((bits >> held) as u8)
    });
    // The last digits may hold less than a byte, but must be digits.
    decoded.ok().filter(|_| digits.all(|d| digit(*d).is_some())).map(|d| &*d)
}

fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// The options of a command and which of them take a value, as in `getopt(3)`.
#[derive(Clone, Debug)]
pub(crate) struct Optstring {
    known: [u64; 4],
    valued: [u64; 4],
}

impl Optstring {
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut options = Self { known: [0; 4], valued: [0; 4] };
        let mut last = None;
        for byte in text {
            match (byte, last) {
                (b':', Some(option)) => {
                    set(&mut options.valued, option);
                    last = None;
                }
                (b':', None) => {}
                (option, _) => {
                    set(&mut options.known, *option);
                    last = Some(*option);
                }
            }
        }
        options
    }
}

fn set(bits: &mut [u64; 4], byte: u8) {
    if let Some(word) = bits.get_mut(usize::from(byte / 64)) {
        *word |= 1 << (byte % 64);
    }
}

fn has(bits: &[u64; 4], byte: u8) -> bool {
    bits.get(usize::from(byte / 64)).is_some_and(|word| word >> (byte % 64) & 1 == 1)
}

/// All options of a command line, each followed by its value if it takes one: `?` for an unknown
/// option, an empty text for a missing value.
pub(crate) fn options<'a>(
    args: &[Value<'a>],
    options: &Optstring,
    scratch: &'a Bump,
) -> &'a [Value<'a>] {
    let mut found = BumpVec::new_in(scratch);
    each_option(args, options, |option| match option {
        Opt::Unknown => found.push(Value::Text(b"?")),
        Opt::Flag(name) => found.push(Value::Text(name)),
        Opt::Valued(name, value) => found.extend([Value::Text(name), Value::Text(value)]),
        Opt::ValueMissing(_) => found.push(Value::Text(b"")),
    });
    found.into_bump_slice()
}

/// The value of an option, or its name if it takes none. The last occurrence counts.
pub(crate) fn option<'a>(args: &[Value<'a>], options: &Optstring, wanted: u8) -> Option<&'a [u8]> {
    let mut found: Option<&'a [u8]> = None;
    each_option(args, options, |option| match option {
        Opt::Flag(name) if name == [wanted] => found = Some(name),
        Opt::Valued(name, value) if name == [wanted] => found = Some(value),
        Opt::ValueMissing(name) if name == [wanted] => found = Some(b""),
        _ => {}
    });
    found
}

enum Opt<'a> {
    Unknown,
    Flag(&'a [u8]),
    Valued(&'a [u8], &'a [u8]),
    ValueMissing(&'a [u8]),
}

/// Visits the options in front. Long ones are skipped; `--` or the first other argument ends them.
fn each_option<'a>(args: &[Value<'a>], options: &Optstring, mut see: impl FnMut(Opt<'a>)) {
    let mut args = args.iter().map(|arg| match arg {
        Value::Text(text) | Value::Bytes(text) => *text,
        _ => b"",
    });
    while let Some(arg) = args.next() {
        let mut cluster: &'a [u8] = match arg {
            b"--" | b"-" => return,
            [b'-', b'-', ..] => continue,
            [b'-', cluster @ ..] => cluster,
            _ => return,
        };
        while let Some((name, rest)) = cluster.split_at_checked(1)
            && let [option] = name
        {
            cluster = rest;
            if !has(&options.known, *option) {
                see(Opt::Unknown);
            } else if !has(&options.valued, *option) {
                see(Opt::Flag(name));
            } else {
                let value = if rest.is_empty() { args.next() } else { Some(rest) };
                see(value.map_or(Opt::ValueMissing(name), |value| Opt::Valued(name, value)));
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        base64(text.as_bytes(), &Bump::new()).map(<[u8]>::to_vec)
    }

    #[test]
    fn base64_with_and_without_padding() {
        for (text, plain) in [("", ""), ("YQ", "a"), ("YQ==", "a"), ("YWI=", "ab"), ("YWJj", "abc")]
        {
            assert_eq!(decoded(text), Some(plain.into()), "{text}");
        }
        assert_eq!(decoded("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
    }

    #[test]
    fn what_is_no_base64_fails() {
        for text in ["Y", "YQ!", "Y Q=", "Y===", "YWJj Y"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    fn all(args: &[&'static str], optstring: &str) -> Vec<String> {
        let args: Vec<_> = args.iter().map(|arg| Value::Text(arg.as_bytes())).collect();
        options(&args, &Optstring::new(optstring.as_bytes()), &Bump::new())
            .iter()
            .map(|value| match value {
                Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        assert_eq!(all(&["-ab", "v", "-cx", "rest", "-a"], "ab:c:"), ["a", "b", "v", "c", "x"]);
        assert_eq!(all(&["-a", "--", "-b"], "ab"), ["a"]);
        assert_eq!(all(&["--exec", "-z", "-b"], "b:"), ["?", ""]);
        assert_eq!(all(&["-", "-a"], "a"), [""; 0]);
    }

    #[test]
    fn the_last_of_an_option_counts() {
        let args = [b"-t1", b"-t2"].map(|arg| Value::Text(arg));
        let options = Optstring::new(b"t:v");
        assert_eq!(option(&args, &options, b't'), Some(&b"2"[..]));
        assert_eq!(option(&args, &options, b'v'), None);
    }
}
