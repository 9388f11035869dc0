//! Prints values, as text and as JSON.

use std::io::Write;

use peregrine_event::render::{Buffers, base64, dots, ip};
use peregrine_event::{Format, ParamType};

use crate::Value;

/// How a value is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Type of the value, or of each item of a list.
    pub ty: ParamType,
    /// Base in which numbers are printed.
    pub format: Format,
    /// How byte buffers are shown.
    pub buffers: Buffers,
}

/// Longest text of a list; the rest is cut.
const LIST_TEXT_MAX: usize = 1023;
/// Longest byte buffer that is shown whole, and the part that is shown of a longer one.
const BUFFER_TEXT_MAX: usize = 1022;
const BUFFER_TEXT_CUT: usize = 1021;

/// Appends a value as text.
pub fn value_text(out: &mut Vec<u8>, value: Value<'_>, form: Form) {
    match value {
        Value::Bool(v) => out.extend_from_slice(if v { b"true" } else { b"false" }),
        Value::Bytes(v) => buffer_text(out, v, form.buffers),
        Value::Double(v) => put(out, format_args!("{v:.1}")),
        Value::Int(v) => signed_text(out, v, form),
        Value::Ip(_) if is_net(form.ty) => out.extend_from_slice(b"<IPNET>"),
        Value::Ip(v) => ip(v, out),
        Value::List(items) => list_text(out, items, form),
        Value::Text(v) => out.extend_from_slice(v),
        Value::Uint(v) => unsigned_text(out, v, form.format),
    }
}

/// Appends a value as JSON. Always valid JSON: bytes that are not UTF-8 become U+FFFD.
///
/// Numbers are JSON numbers when they are printed in decimal, and strings otherwise.
pub fn value_json(out: &mut Vec<u8>, value: Value<'_>, form: Form) {
    match value {
        Value::Bool(_) => value_text(out, value, form),
        Value::Double(v) => double_json(out, v, form.format),
        Value::Int(v) if is_number(form.format) => decimal(out, v < 0, v.unsigned_abs()),
        Value::List([]) => out.extend_from_slice(b"null"),
        Value::List(items) => {
            let mut before = b'[';
            for item in items {
                out.push(before);
                value_json(out, *item, form);
                before = b',';
            }
            out.push(b']');
        }
        Value::Text(v) => json_string(out, v),
        Value::Uint(v) if is_number(form.format) => decimal(out, false, v),
        // The other types print as ASCII without quotes, backslashes and control characters …
        Value::Int(_) | Value::Uint(_) | Value::Ip(_) => {
            out.push(b'"');
            value_text(out, value, form);
            out.push(b'"');
        }
        // … except buffers, which may hold the first two.
        Value::Bytes(v) => {
            out.push(b'"');
            let start = out.len();
            buffer_text(out, v, form.buffers);
            if out.get(start..).is_some_and(|text| text.iter().any(|&b| escape(b) != 0)) {
                let text = out.split_off(start);
                json_escape(out, &text);
            }
            out.push(b'"');
        }
    }
}

/// Appends text as a JSON string, quotes included.
pub fn json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    json_escape(out, text);
    out.push(b'"');
}

/// Appends text as the inside of a JSON string: quotes, backslashes and control characters are
/// escaped, what is not UTF-8 becomes U+FFFD.
pub fn json_escape(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        escape_valid(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

/// For each byte, the character after the backslash: 0 for no escape, `u` for the long form.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[b'\t' as usize] = b't';
    table[b'\n' as usize] = b'n';
    table[0x0c] = b'f';
    table[b'\r' as usize] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

#[allow(clippy::indexing_slicing, reason = "the table has an entry for each byte")]
#[inline]
fn escape(byte: u8) -> u8 {
    ESCAPES[usize::from(byte)]
}

fn escape_valid(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&b| escape(b) != 0) {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, after)) = from.split_first() else { return };
        match escape(byte) {
            b'u' => put(out, format_args!("\\u{byte:04x}")),
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

fn is_number(format: Format) -> bool {
    matches!(format, Format::Dec | Format::Padded)
}

fn is_net(ty: ParamType) -> bool {
    matches!(ty, ParamType::Ipv4net | ParamType::Ipv6net | ParamType::Ipnet)
}

fn signed_text(out: &mut Vec<u8>, value: i64, form: Form) {
    match form.format {
        Format::Dec | Format::Na => decimal(out, value < 0, value.unsigned_abs()),
        Format::Padded => put(out, format_args!("{value:09}")),
        // Negative numbers have as many digits as their type.
        Format::Hex | Format::Oct => {
            unsigned_text(out, value.cast_unsigned() & width_mask(form.ty), form.format);
        }
    }
}

fn unsigned_text(out: &mut Vec<u8>, value: u64, format: Format) {
    match format {
        Format::Dec | Format::Na => decimal(out, false, value),
        Format::Padded => put(out, format_args!("{value:09}")),
        Format::Hex => put(out, format_args!("{value:X}")),
        Format::Oct => put(out, format_args!("{value:o}")),
    }
}

fn width_mask(ty: ParamType) -> u64 {
    match ty {
        ParamType::Int8 => u64::from(u8::MAX),
        ParamType::Int16 => u64::from(u16::MAX),
        ParamType::Int32 | ParamType::Fd32 | ParamType::Pid32 => u64::from(u32::MAX),
        _ => u64::MAX,
    }
}

/// Decimal digits, without `fmt`: most values of an alert are numbers.
fn decimal(out: &mut Vec<u8>, negative: bool, mut value: u64) {
    let mut digits = [0; 20];
    let mut len = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        len += 1;
        if value == 0 {
            break;
        }
    }
    if negative {
        out.push(b'-');
    }
    out.extend(digits.iter().skip(digits.len() - len));
}

fn double_json(out: &mut Vec<u8>, value: f64, format: Format) {
    match format {
        _ if !value.is_finite() => out.extend_from_slice(b"null"),
        // A double that is declared decimal is truncated.
        Format::Dec => decimal(out, value <= -1.0, value.trunc().abs() as u64),
        _ => put(out, format_args!("{value:?}")),
    }
}

fn list_text(out: &mut Vec<u8>, items: &[Value<'_>], form: Form) {
    let start = out.len();
    out.push(b'(');
    for item in items {
        // There is no comma after an empty first item.
        if out.len() > start + 1 {
            out.push(b',');
        }
        value_text(out, *item, form);
    }
    out.push(b')');
    out.truncate(start + LIST_TEXT_MAX);
}

fn buffer_text(out: &mut Vec<u8>, bytes: &[u8], format: Buffers) {
    match format {
        Buffers::Base64 => base64(bytes, out),
        Buffers::Dots if bytes.len() > BUFFER_TEXT_MAX => {
            dots(bytes.get(..BUFFER_TEXT_CUT).unwrap_or(bytes), out);
        }
        Buffers::Dots => dots(bytes, out),
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory can't fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn form(ty: ParamType, format: Format) -> Form {
        Form { ty, format, buffers: Buffers::Dots }
    }

    fn text(value: Value<'_>, form: Form) -> String {
        let mut out = Vec::new();
        value_text(&mut out, value, form);
        String::from_utf8(out).unwrap()
    }

    fn json(value: Value<'_>, form: Form) -> String {
        let mut out = Vec::new();
        value_json(&mut out, value, form);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_print_in_each_base() {
        let cases: [(Value<'_>, ParamType, Format, &str, &str); 11] = [
            (Value::Int(-42), ParamType::Int64, Format::Dec, "-42", "-42"),
            (
                Value::Int(i64::MIN),
                ParamType::Fd,
                Format::Dec,
                "-9223372036854775808",
                "-9223372036854775808",
            ),
            (
                Value::Uint(u64::MAX),
                ParamType::Uint64,
                Format::Dec,
                "18446744073709551615",
                "18446744073709551615",
            ),
            (Value::Int(0xfe00), ParamType::Int32, Format::Hex, "FE00", "\"FE00\""),
            (Value::Int(-1), ParamType::Int32, Format::Hex, "FFFFFFFF", "\"FFFFFFFF\""),
            (Value::Int(-1), ParamType::Int8, Format::Oct, "377", "\"377\""),
            (Value::Uint(0o644), ParamType::Mode, Format::Oct, "644", "\"644\""),
            (Value::Uint(7), ParamType::Reltime, Format::Padded, "000000007", "7"),
            (Value::Int(3), ParamType::Fd, Format::Na, "3", "\"3\""),
            (
                Value::Double(0.054_931_640_625),
                ParamType::Double,
                Format::Na,
                "0.1",
                "0.054931640625",
            ),
            (Value::Double(-2.9), ParamType::Double, Format::Dec, "-2.9", "-2"),
        ];
        for (value, ty, format, in_text, in_json) in cases {
            assert_eq!(text(value, form(ty, format)), in_text, "{value:?}");
            assert_eq!(json(value, form(ty, format)), in_json, "{value:?}");
        }
    }

    #[test]
    fn addresses_look_like_inet_ntop() {
        let form = form(ParamType::Ipaddr, Format::Na);
        for shown in [
            "10.0.2.15",
            "::",
            "::1",
            "::ffff:1.2.3.4",
            "::1.2.3.4",
            "2001:db8::8:800:200c:417a",
            "1:0:2::3",
        ] {
            assert_eq!(text(Value::Ip(shown.parse().unwrap()), form), shown);
            assert_eq!(json(Value::Ip(shown.parse().unwrap()), form), format!("\"{shown}\""));
        }
        let net = Form { ty: ParamType::Ipnet, ..form };
        assert_eq!(text(Value::Ip(Ipv4Addr::LOCALHOST.into()), net), "<IPNET>");
    }

    #[test]
    fn lists_print_in_parentheses_and_are_cut() {
        let form = form(ParamType::Charbuf, Format::Na);
        let items = [Value::Text(b"file"), Value::Text(b"ipv4")];
        assert_eq!(text(Value::List(&items), form), "(file,ipv4)");
        assert_eq!(json(Value::List(&items), form), r#"["file","ipv4"]"#);
        assert_eq!(text(Value::List(&[]), form), "()");
        assert_eq!(json(Value::List(&[]), form), "null");
        assert_eq!(text(Value::List(&[Value::Text(&[b'x'; 2000])]), form).len(), LIST_TEXT_MAX);
    }

    #[test]
    fn buffers_are_printable_or_base64() {
        let printable = form(ParamType::Bytebuf, Format::Na);
        let base64 = Form { buffers: Buffers::Base64, ..printable };
        assert_eq!(text(Value::Bytes(b"\x7fELF \"\\\n"), printable), ".ELF \"\\.");
        assert_eq!(json(Value::Bytes(b"a\"\\\n"), printable), r#""a\"\\.""#);
        for (bytes, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(text(Value::Bytes(bytes.as_bytes()), base64), expected);
        }
        assert_eq!(text(Value::Bytes(&[b'x'; 1022]), printable).len(), 1022);
        assert_eq!(text(Value::Bytes(&[b'x'; 1023]), printable).len(), 1021);
    }

    #[test]
    fn json_escapes_what_it_must_and_nothing_else() {
        let mut out = Vec::new();
        json_string(&mut out, b"\x01\x08\t\n\x0c\r\x1f\x7f\"\\/ \xc3\xa9 caf\xe9 \xf0\x9f\x9a");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"\\u0001\\b\\t\\n\\f\\r\\u001f\u{7f}\\\"\\\\/ é caf\u{FFFD} \u{FFFD}\""
        );
    }

    proptest! {
        #[test]
        fn any_bytes_become_valid_json(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            json_string(&mut out, &bytes);
            let back: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(back, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn any_number_prints_as_the_standard_library_does(value in any::<i64>()) {
            let dec = form(ParamType::Int64, Format::Dec);
            prop_assert_eq!(text(Value::Int(value), dec), value.to_string());
            prop_assert_eq!(json(Value::Uint(value.cast_unsigned()), dec), value.cast_unsigned().to_string());
        }
    }
}
