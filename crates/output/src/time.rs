//! Times as alerts show them.

use std::io::Write;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SECOND: u64 = 1_000_000_000;

/// Writes times. Alerts of the same second share the date and the time of day.
#[derive(Debug)]
pub(crate) struct TimeWriter {
    zone: TimeZone,
    second: Option<u64>,
    /// `2024-01-01T00:00:00`, in UTC.
    utc: Vec<u8>,
    /// `23:59:59`, in the zone.
    local: Vec<u8>,
}

impl TimeWriter {
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self { zone, second: None, utc: Vec::new(), local: Vec::new() }
    }

    /// Appends `2024-01-01T00:00:00.000000000` in UTC, without a mark of the zone.
    pub(crate) fn utc(&mut self, out: &mut Vec<u8>, ts: u64) {
        self.update(ts);
        out.extend_from_slice(&self.utc);
        fraction(out, ts);
    }

    /// Appends `23:59:59.123456789` in the zone.
    pub(crate) fn local(&mut self, out: &mut Vec<u8>, ts: u64) {
        self.update(ts);
        out.extend_from_slice(&self.local);
        fraction(out, ts);
    }

    fn update(&mut self, ts: u64) {
        let second = ts / SECOND;
        if self.second.replace(second) != Some(second) {
            let (utc, local) = (civil(ts, &TimeZone::UTC), civil(ts, &self.zone));
            self.utc.clear();
            // Writing to memory can't fail.
            let _ = write!(self.utc, "{:04}-{:02}-{:02}T", utc.year(), utc.month(), utc.day());
            time_of_day(&mut self.utc, &utc);
            self.local.clear();
            time_of_day(&mut self.local, &local);
        }
    }
}

/// `23:59:59.123456789`, in the time zone of the machine, of nanoseconds since the epoch.
#[must_use]
pub fn local_time_of_day(ts: u64) -> String {
    let mut text = Vec::new();
    TimeWriter::new(TimeZone::system()).local(&mut text, ts);
    String::from_utf8(text).unwrap_or_default()
}

fn time_of_day(out: &mut Vec<u8>, time: &DateTime) {
    let _ = write!(out, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
}

/// Appends a point and nine digits.
fn fraction(out: &mut Vec<u8>, ts: u64) {
    let mut digits = *b".000000000";
    let mut left = ts % SECOND;
    for digit in digits.iter_mut().skip(1).rev() {
        *digit += (left % 10) as u8;
        left /= 10;
    }
    out.extend_from_slice(&digits);
}

fn civil(ts: u64, zone: &TimeZone) -> DateTime {
    // 64 bits of nanoseconds end in the year 2554, well inside what a timestamp can hold.
    let timestamp = Timestamp::from_nanosecond(i128::from(ts)).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.to_datetime(timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_has_all_digits() {
        let mut times = TimeWriter::new(TimeZone::UTC);
        for (ts, shown) in [
            (1_470_327_477_881_785_348, "2016-08-04T16:17:57.881785348"),
            (1_470_327_477_000_000_001, "2016-08-04T16:17:57.000000001"),
            (0, "1970-01-01T00:00:00.000000000"),
            (u64::MAX, "2554-07-21T23:34:33.709551615"),
        ] {
            let mut out = Vec::new();
            times.utc(&mut out, ts);
            assert_eq!(String::from_utf8(out).unwrap(), shown);
        }
    }

    #[test]
    fn time_of_day_follows_the_zone() {
        let mut out = Vec::new();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        TimeWriter::new(zone).local(&mut out, 1_470_327_477_000_000_001);
        assert_eq!(out, b"18:17:57.000000001");
    }
}
