//! Prints values as text.

use std::io::Write;

use peregrine_event::render::{Buffers, base64, decimal, dots, ip};
use peregrine_event::{Format, ParamType};

use crate::Value;

/// How a value is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintFormat {
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
pub fn value_text(out: &mut Vec<u8>, value: Value<'_>, form: PrintFormat) {
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

fn is_net(ty: ParamType) -> bool {
    matches!(ty, ParamType::Ipv4net | ParamType::Ipv6net | ParamType::Ipnet)
}

fn signed_text(out: &mut Vec<u8>, value: i64, form: PrintFormat) {
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

fn list_text(out: &mut Vec<u8>, items: &[Value<'_>], form: PrintFormat) {
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

    fn form(ty: ParamType, format: Format) -> PrintFormat {
        PrintFormat { ty, format, buffers: Buffers::Dots }
    }

    fn text(value: Value<'_>, form: PrintFormat) -> String {
        let mut out = Vec::new();
        value_text(&mut out, value, form);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_print_in_each_base() {
        for (value, ty, format, shown) in [
            (Value::Int(-42), ParamType::Int64, Format::Dec, "-42"),
            (Value::Int(i64::MIN), ParamType::Fd, Format::Dec, "-9223372036854775808"),
            (Value::Uint(u64::MAX), ParamType::Uint64, Format::Dec, "18446744073709551615"),
            (Value::Int(0xfe00), ParamType::Int32, Format::Hex, "FE00"),
            (Value::Int(-1), ParamType::Int32, Format::Hex, "FFFFFFFF"),
            (Value::Int(-1), ParamType::Int8, Format::Oct, "377"),
            (Value::Uint(0o644), ParamType::Mode, Format::Oct, "644"),
            (Value::Uint(7), ParamType::Reltime, Format::Padded, "000000007"),
            (Value::Int(3), ParamType::Fd, Format::Na, "3"),
            (Value::Double(0.054_931_640_625), ParamType::Double, Format::Na, "0.1"),
            (Value::Double(-2.9), ParamType::Double, Format::Dec, "-2.9"),
        ] {
            assert_eq!(text(value, form(ty, format)), shown, "{value:?}");
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
        }
        let net = PrintFormat { ty: ParamType::Ipnet, ..form };
        assert_eq!(text(Value::Ip(Ipv4Addr::LOCALHOST.into()), net), "<IPNET>");
    }

    #[test]
    fn lists_print_in_parentheses_and_are_cut() {
        let form = form(ParamType::Charbuf, Format::Na);
        let items = [Value::Text(b"file"), Value::Text(b"ipv4")];
        assert_eq!(text(Value::List(&items), form), "(file,ipv4)");
        assert_eq!(text(Value::List(&[]), form), "()");
        assert_eq!(text(Value::List(&[Value::Text(&[b'x'; 2000])]), form).len(), LIST_TEXT_MAX);
    }

    #[test]
    fn buffers_are_printable_or_base64() {
        let printable = form(ParamType::Bytebuf, Format::Na);
        let base64 = PrintFormat { buffers: Buffers::Base64, ..printable };
        assert_eq!(text(Value::Bytes(b"\x7fELF \"\\\n"), printable), ".ELF \"\\.");
        for (bytes, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(text(Value::Bytes(bytes.as_bytes()), base64), expected);
        }
        assert_eq!(text(Value::Bytes(&[b'x'; 1022]), printable).len(), 1022);
        assert_eq!(text(Value::Bytes(&[b'x'; 1023]), printable).len(), 1021);
    }

    proptest! {
        #[test]
        fn any_number_prints_as_the_standard_library_does(value in any::<i64>()) {
            let dec = form(ParamType::Int64, Format::Dec);
            prop_assert_eq!(text(Value::Int(value), dec), value.to_string());
        }
    }
}
