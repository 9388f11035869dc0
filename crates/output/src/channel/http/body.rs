//! Bodies of requests.

use std::time::Duration;

use hyper::header::HeaderValue;

use crate::channel::network::Record;

/// Alerts that travel together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Alerts in a request at most.
    pub alerts: usize,
    /// Their bytes at most. A single larger alert is sent alone.
    pub bytes: usize,
    /// Time for which an alert waits for others at most.
    pub max_wait: Duration,
    /// How they stand in the body.
    pub form: BatchForm,
}

/// How several alerts stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchForm {
    /// One JSON array.
    JsonArray,
    /// A line each.
    Lines,
}

/// What the server is told about bodies.
pub(super) fn content_type(form: Option<BatchForm>, json: bool) -> HeaderValue {
    HeaderValue::from_static(match form {
        Some(BatchForm::Lines) if json => "application/x-ndjson",
        _ if json => "application/json",
        _ => "text/plain",
    })
}

/// The body of a request. Without a form, there is one record.
pub(super) fn body(form: Option<BatchForm>, records: &[Record<'_>]) -> Vec<u8> {
    let size = records.iter().map(|record| record.body.len() + 1).sum::<usize>() + 1;
    let mut body = Vec::with_capacity(size);
    let array = form == Some(BatchForm::JsonArray);
    for (index, record) in records.iter().enumerate() {
        match index {
            0 if array => body.push(b'['),
            0 => {}
            _ if array => body.push(b','),
            _ => body.push(b'\n'),
        }
        body.extend_from_slice(record.body);
    }
    match form {
        Some(BatchForm::JsonArray) => body.push(b']'),
        Some(BatchForm::Lines) => body.push(b'\n'),
        None => {}
    }
    body
}
