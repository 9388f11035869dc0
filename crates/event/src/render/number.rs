//! Numbers as C's `printf` writes them.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::table::Format;

/// A number of `width` bytes in the base of its format. Decimal ones are signed whatever their
/// type.
pub(super) fn signed(value: i64, width: usize, format: Format, out: &mut Vec<u8>) {
    let bits = if width == 8 { value as u64 } else { u64::from(value as u32) };
    let value = if width == 8 { value } else { i64::from(value as i32) };
    // Writing to a Vec cannot fail.
    let _ = match format {
        Format::Oct if bits == 0 => write!(out, "0"),
        Format::Oct => write!(out, "0{bits:o}"),
        Format::Hex => write!(out, "{bits:X}"),
        Format::Padded => write!(out, "{value:09}"),
        Format::Dec | Format::Na => write!(out, "{value}"),
    };
}

/// Decimal digits, without `fmt`: most values of an alert are numbers.
pub fn decimal(out: &mut Vec<u8>, negative: bool, mut value: u64) {
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

/// Six significant digits without trailing zeros, as `%g` has them.
pub(super) fn general(value: f64, out: &mut Vec<u8>) {
    const DIGITS: i32 = 6;
    let start = out.len();
    let _ = write!(out, "{:.*e}", DIGITS as usize - 1, value);
    let Some(mark) = out.iter().rposition(|&byte| byte == b'e').filter(|&mark| mark > start) else {
        return; // Not a number.
    };
    let exponent = std::str::from_utf8(out.get(mark + 1..).unwrap_or_default());
    let exponent: i32 = exponent.ok().and_then(|digits| digits.parse().ok()).unwrap_or_default();
    if (-4..DIGITS).contains(&exponent) {
        out.truncate(start);
        let _ = write!(out, "{:.*}", (DIGITS - 1 - exponent) as usize, value);
        trim_zeros(start, out);
    } else {
        out.truncate(mark);
        trim_zeros(start, out);
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:02}", exponent.abs());
    }
}

/// Removes the zeros at the end of a fraction, and its point when nothing is left of it.
fn trim_zeros(start: usize, out: &mut Vec<u8>) {
    if out.iter().skip(start).any(|&byte| byte == b'.') {
        while out.last() == Some(&b'0') {
            out.pop();
        }
        if out.last() == Some(&b'.') {
            out.pop();
        }
    }
}

/// `2026-11-22 09:51:01` of seconds since the epoch, `offset` seconds ahead of UTC.
pub(super) fn date_time(seconds: i64, offset: i32, out: &mut Vec<u8>) {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    let time = Offset::from_seconds(offset).unwrap_or(Offset::UTC).to_datetime(time);
    let _ = write!(out, "{} {}", time.date(), time.time());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(print: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        print(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bases() {
        let number = |value, width, format| text(|out| signed(value, width, format, out));
        assert_eq!(number(0o644, 4, Format::Oct), "0644");
        assert_eq!(number(0, 4, Format::Oct), "0");
        assert_eq!(number(0xfe00, 4, Format::Hex), "FE00");
        assert_eq!(number(-1, 4, Format::Hex), "FFFFFFFF");
        assert_eq!(number(-1, 8, Format::Hex), "FFFFFFFFFFFFFFFF");
        assert_eq!(number(u32::MAX.into(), 4, Format::Dec), "-1");
        assert_eq!(number(u32::MAX.into(), 8, Format::Na), "4294967295");
        assert_eq!(number(42, 8, Format::Padded), "000000042");
    }

    #[test]
    fn six_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.000_999_339, "0.000999339"),
            (0.1, "0.1"),
            (1e-9, "1e-09"),
            (1.5e-5, "1.5e-05"),
            (123_456.7, "123457"),
            (999_999.5, "1e+06"),
            (18_446_744_073.7, "1.84467e+10"),
        ] {
            assert_eq!(text(|out| general(value, out)), expected);
        }
    }

    #[test]
    fn dates() {
        for (seconds, offset, expected) in [
            (0, 0, "1970-01-01 00:00:00"),
            (951_782_399, 1, "2000-02-29 00:00:00"),
            (1_795_341_061, 5400, "2026-11-22 11:21:01"),
            (1, -2, "1969-12-31 23:59:59"),
        ] {
            assert_eq!(text(|out| date_time(seconds, offset, out)), expected);
        }
    }
}
