//! Requests of OTLP, put together from encoded records.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_semantic_conventions::SCHEMA_URL;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

/// What all requests have around their records.
///
/// A record is encoded once, when its alert comes; a request takes its bytes as they are. That is
/// the same as encoding the whole request: a message inside another one is a field with the length
/// of its bytes, and fields may stand in any order.
#[derive(Debug)]
pub(super) struct Envelope {
    /// Encoded `ResourceLogs` without its `scope_logs`.
    resource: Vec<u8>,
    /// Encoded `ScopeLogs` without its `log_records`.
    scope: Vec<u8>,
}

/// Numbers of the fields that hold the next message.
const RESOURCE_LOGS: u32 = 1;
const SCOPE_LOGS: u32 = 2;
const LOG_RECORDS: u32 = 2;

impl Envelope {
    /// Records of this program, on the machine that these attributes describe.
    pub(super) fn new(resource: &BTreeMap<&str, &str>, scope: (&str, &str)) -> Self {
        let attribute = |(name, value): (&&str, &&str)| {
            let value = Some(AnyValue { value: Some(Any::StringValue((*value).to_owned())) });
            KeyValue { key: (*name).to_owned(), value, ..KeyValue::default() }
        };
        let attributes = resource.iter().map(attribute).collect();
        let resource = Resource { attributes, ..Resource::default() };
        let (name, version) = (scope.0.to_owned(), scope.1.to_owned());
        let scope = InstrumentationScope { name, version, ..InstrumentationScope::default() };
        let schema_url = SCHEMA_URL.to_owned();
        Self {
            resource: ResourceLogs {
                resource: Some(resource),
                scope_logs: Vec::new(),
                schema_url: schema_url.clone(),
            }
            .encode_to_vec(),
            scope: ScopeLogs { scope: Some(scope), log_records: Vec::new(), schema_url }
                .encode_to_vec(),
        }
    }

    /// The encoded `ExportLogsServiceRequest` with these encoded records.
    pub(super) fn request<'a>(&self, records: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
        let lengths = records.clone().map(|record| field_len(LOG_RECORDS, record.len()));
        let scope_len = self.scope.len() + lengths.sum::<usize>();
        let resource_len = self.resource.len() + field_len(SCOPE_LOGS, scope_len);
        let mut out = Vec::with_capacity(field_len(RESOURCE_LOGS, resource_len));
        begin(RESOURCE_LOGS, resource_len, &mut out);
        out.extend_from_slice(&self.resource);
        begin(SCOPE_LOGS, scope_len, &mut out);
        out.extend_from_slice(&self.scope);
        for record in records {
            begin(LOG_RECORDS, record.len(), &mut out);
            out.extend_from_slice(record);
        }
        out
    }
}

/// Bytes of a field with a message of this length.
fn field_len(field: u32, message: usize) -> usize {
    key_len(field) + encoded_len_varint(message as u64) + message
}

/// Appends what stands before a message of this length.
fn begin(field: u32, message: usize, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(message as u64, out);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_request_has_the_records_that_it_was_given(
            texts in prop::collection::vec(".*", 0..5),
            value in ".*",
        ) {
            let record = |text: &String| LogRecord {
                severity_text: text.clone(),
                ..LogRecord::default()
            };
            let records: Vec<_> = texts.iter().map(record).collect();
            let encoded: Vec<_> = records.iter().map(Message::encode_to_vec).collect();
            let resource = BTreeMap::from([("host.name", value.as_str())]);
            let envelope = Envelope::new(&resource, ("peregrine", "1.2"));
            let bytes = envelope.request(encoded.iter().map(Vec::as_slice));
            let request = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap();
            // Encoding it as a whole gives as many bytes.
            prop_assert_eq!(request.encoded_len(), bytes.len());
            let [ResourceLogs { resource: Some(resource), scope_logs, .. }] =
                request.resource_logs.as_slice() else { panic!("{request:?}") };
            prop_assert_eq!(&resource.attributes[0].key, "host.name");
            prop_assert_eq!(scope_logs[0].scope.as_ref().unwrap().version.as_str(), "1.2");
            prop_assert_eq!(&scope_logs[0].log_records, &records);
        }
    }
}
