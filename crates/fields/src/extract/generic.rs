//! Class `evt`, events of every source.

use std::io::Write;

use peregrine_event::params::{asyncevent_e, pluginevent_e};
use peregrine_event::render::Names;
use peregrine_event::{Class, EventType, Format, ParamType, until_nul};
use peregrine_filter::Value;

use super::common::{SECOND, flag};
use crate::table::Generic;
use crate::view::View;

pub(crate) fn value<'a>(view: &View<'a>, field: Generic) -> Option<Value<'a>> {
    let event = view.event;
    // Only records of the initial snapshot come before the first event.
    let since = event.ts.wrapping_sub(view.context.first_ts);
    match field {
        Generic::Num => Some(Value::Uint(event.num)),
        Generic::Time => time_text(view, false, true),
        Generic::TimeSeconds => time_text(view, false, false),
        Generic::TimeIso => Some(Value::Text(view.text(|out| iso8601(event.ts, out)))),
        Generic::Datetime => time_text(view, true, true),
        Generic::DatetimeSeconds => time_text(view, true, false),
        Generic::Rawtime => Some(Value::Uint(event.ts)),
        Generic::RawtimeSeconds => Some(Value::Uint(event.ts / SECOND)),
        Generic::RawtimeNanos => Some(Value::Uint(event.ts % SECOND)),
        Generic::Reltime => Some(Value::Uint(since)),
        Generic::ReltimeSeconds => Some(Value::Uint(since / SECOND)),
        Generic::ReltimeNanos => Some(Value::Uint(since % SECOND)),
        Generic::PluginName => Some(Value::Text(view.source()?.plugin.as_deref()?)),
        Generic::PluginInfo => plugin_info(view),
        Generic::Source => Some(Value::Text(&view.source()?.name)),
        Generic::IsAsync => flag(is_async(event.ty)),
        Generic::AsyncType if event.ty == EventType::AsynceventE => {
            event.text(asyncevent_e::NAME).map(Value::Text)
        }
        Generic::AsyncType if is_async(event.ty) => Some(Value::Text(event.ty.name().as_bytes())),
        Generic::AsyncType => None,
        Generic::Hostname => Some(Value::Text(&view.run.hostname)),
    }
}

/// What the plugin says about its event. The plugins that are built in show the whole payload.
fn plugin_info<'a>(view: &View<'a>) -> Option<Value<'a>> {
    let source = view.source()?;
    source.plugin.as_ref()?;
    if view.event.ty != EventType::PlugineventE {
        return None;
    }
    match &source.describer {
        Some(it) => Some(Value::Text(view.text(|out| it.describe(view.event, out)))),
        None => view.event.param(pluginevent_e::EVENT_DATA).map(until_nul).map(Value::Text),
    }
}

/// Type in JSON of fields that are nanoseconds since the epoch there, and text elsewhere.
pub(crate) fn time(field: Generic) -> Option<(ParamType, Format)> {
    match field {
        Generic::Time
        | Generic::TimeSeconds
        | Generic::TimeIso
        | Generic::Datetime
        | Generic::DatetimeSeconds => Some((ParamType::Abstime, Format::Dec)),
        _ => None,
    }
}

/// Time of the event in local time.
pub(super) fn time_text<'a>(view: &View<'a>, date: bool, nanos: bool) -> Option<Value<'a>> {
    let seconds = (view.event.ts / SECOND).cast_signed();
    let local = seconds + i64::from(view.utc_offset(seconds));
    let of_day = local.rem_euclid(86_400);
    // Writing to memory can't fail, here and below.
    Some(Value::Text(view.text(|out| {
        if date {
            write_date(local, out);
            out.push(b' ');
        }
        let (hours, minutes) = (of_day / 3600, of_day / 60 % 60);
        let _ = write!(out, "{hours:02}:{minutes:02}:{:02}", of_day % 60);
        if nanos {
            let _ = write!(out, ".{:09}", view.event.ts % SECOND);
        }
    })))
}

fn iso8601(ts: u64, out: &mut Vec<u8>) {
    let seconds = (ts / SECOND).cast_signed();
    write_date(seconds, out);
    let of_day = seconds.rem_euclid(86_400);
    let (hours, minutes) = (of_day / 3600, of_day / 60 % 60);
    let _ = write!(out, "T{hours:02}:{minutes:02}:{:02}.{:09}+0000", of_day % 60, ts % SECOND);
}

fn write_date(seconds: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
}

/// Year, month and day of a number of days since the epoch. Computed with years that start in
/// March, so that the leap day is the last one of a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Whether an event reports what did not happen at its time, such as the result of a scan.
fn is_async(ty: EventType) -> bool {
    ty.info().classes.contains(&Class::Metaevent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_since_the_epoch_convert_to_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_779, (2026, 11, 22)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
    }
}
