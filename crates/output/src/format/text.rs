//! Lines of text.

use peregrine_alert::Alert;
use peregrine_event::render::json_escape;

use super::context::LineContext;
use super::json::json_value;

/// Time, priority and text.
pub(super) fn line(context: &mut LineContext, alert: &Alert, out: &mut Vec<u8>) {
    context.prefix(alert, context.iso_time, out);
    json_escape(out, alert.text());
}

/// Has the short local time whatever the configuration says, and lists the fields: so does Falco.
pub(super) fn internal(context: &mut LineContext, alert: &Alert, out: &mut Vec<u8>) {
    context.prefix(alert, false, out);
    out.extend_from_slice(alert.text());
    let mut before: &[u8] = b" (";
    for (name, value) in context.fields.of(alert) {
        out.extend_from_slice(before);
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        json_value(value, out);
        before = b" ";
    }
    out.push(b')');
}
