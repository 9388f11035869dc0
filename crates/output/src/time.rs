//! Times as alerts show them.

use std::io::Write;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Appends `2024-01-01T00:00:00.000000000Z`.
pub(crate) fn utc(out: &mut Vec<u8>, ts: u64) {
    let time = civil(ts, &TimeZone::UTC);
    let (year, month, day) = (time.year(), time.month(), time.day());
    // Writing to memory can't fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T");
    time_of_day(out, &time);
    out.push(b'Z');
}

/// `23:59:59.123456789`, in the time zone of the machine: nanoseconds since the epoch as alerts show them.
#[must_use]
pub fn local_time_of_day(ts: u64) -> String {
    let mut text = Vec::new();
    add_local_time_of_day(&mut text, ts);
    String::from_utf8(text).unwrap_or_default()
}

/// Appends `23:59:59.123456789`, in the time zone of the machine.
pub(crate) fn add_local_time_of_day(out: &mut Vec<u8>, ts: u64) {
    time_of_day(out, &civil(ts, &TimeZone::system()));
}

/// Appends `Jan  1 00:00:00`: now, as the system log wants it.
pub(crate) fn syslog_now(out: &mut Vec<u8>) {
    let now = jiff::Zoned::now();
    let _ = write!(out, "{}", now.strftime("%b %e %H:%M:%S"));
}

fn time_of_day(out: &mut Vec<u8>, time: &DateTime) {
    let (hour, minute, second, ns) =
        (time.hour(), time.minute(), time.second(), time.subsec_nanosecond());
    let _ = write!(out, "{hour:02}:{minute:02}:{second:02}.{ns:09}");
}

pub(crate) fn civil(ts: u64, zone: &TimeZone) -> DateTime {
    // 64 bits of nanoseconds end in the year 2554, well inside what a timestamp can hold.
    let timestamp = Timestamp::from_nanosecond(i128::from(ts)).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.to_datetime(timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(write: impl Fn(&mut Vec<u8>, u64), ts: u64) -> String {
        let mut out = Vec::new();
        write(&mut out, ts);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn utc_has_all_digits() {
        assert_eq!(show(utc, 1_470_327_477_881_785_348), "2016-08-04T16:17:57.881785348Z");
        assert_eq!(show(utc, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(show(utc, u64::MAX), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn time_of_day_follows_the_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let shown = show(|out, ts| time_of_day(out, &civil(ts, &zone)), 1_470_327_477_000_000_001);
        assert_eq!(shown, "18:17:57.000000001");
    }
}
