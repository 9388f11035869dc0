//! Numbers as C's `printf` writes them.

use std::io::Write;

use crate::table::Format;

/// A number of `width` bytes in the base of its format. Decimal ones are signed whatever their type.
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

/// Six significant digits without trailing zeros, as `%g` has them.
pub(super) fn general(value: f64, out: &mut Vec<u8>) {
    const DIGITS: i32 = 6;
    let scientific = format!("{:.*e}", DIGITS as usize - 1, value);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let _ = if (-4..DIGITS).contains(&exponent) {
        let fixed = format!("{:.*}", (DIGITS - 1 - exponent) as usize, value);
        write!(out, "{}", without_zeros(&fixed))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{}e{sign}{:02}", without_zeros(mantissa), exponent.abs())
    };
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// `2026-11-22 09:51:01` of seconds since the epoch.
pub(super) fn date_time(seconds: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let _ = write!(out, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}", second % 60);
}

/// Year, month and day of a day since the epoch. Years are counted from March, so that a leap day
/// is the last of its year.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day = day.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let january = i64::from(month >= 10);
    (year + era * 400 + january, month + 3 - 12 * january, date)
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
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_795_341_061, "2026-11-22 09:51:01"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
        ] {
            assert_eq!(text(|out| date_time(seconds, out)), expected);
        }
    }
}
