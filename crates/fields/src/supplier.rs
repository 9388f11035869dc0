//! Answers for the rule language: each field goes to the extraction of its class.

use bumpalo::Bump;
use peregrine_event::{Format, ParamType};
use peregrine_filter::{OutputKind, OutputValue, Supplier, Value};

use crate::extract;
use crate::never::only_from_api_server;
use crate::table::FieldId;
use crate::view::View;
use crate::vocabulary::{Arg, Field};

impl Supplier<Field> for View<'_> {
    fn value<'s>(&'s self, field: &Field) -> Option<Value<'s>> {
        match field.id {
            FieldId::Generic(id) => extract::generic::value(self, id),
            FieldId::Syscall(id) => extract::syscall::value(self, id, &field.arg),
            FieldId::Util(_) => Some(Value::Uint(self.event.num)),
            FieldId::Process(id) => extract::process::value(self, id, &field.arg),
            FieldId::User(id) => extract::identity::user(self, id),
            FieldId::Group(id) => extract::identity::group(self, id),
            FieldId::Fd(id) => extract::fd::value(self, id, &field.arg),
            FieldId::FdList(id) => extract::fdlist::value(self, id),
            FieldId::FsPath(id) => extract::path::value(self, id),
            FieldId::Container(id) if only_from_api_server(id) => {
                extract::kubernetes::of_pod(self, id, &field.arg)
            }
            FieldId::Container(id) => extract::container::value(self, id, &field.arg)
                .or_else(|| extract::kubernetes::of_described_pod(self, id, &field.arg)),
            FieldId::Kubernetes(id) => extract::kubernetes::value(self, id, &field.arg),
            FieldId::Plugin(_) => match &field.arg {
                Arg::Registered(registered) => registered.value(self),
                _ => None,
            },
            FieldId::Static => match &field.arg {
                // Copied, because the constant belongs to the field, which may not outlive the
                // event.
                Arg::Text(text) => Some(Value::Text(self.text(|out| out.extend_from_slice(text)))),
                _ => None,
            },
        }
    }

    fn dynamic_type(&self, field: &Field) -> Option<(ParamType, Format)> {
        match (field.id, &field.arg) {
            (FieldId::Syscall(crate::table::Syscall::RawArg), Arg::Param(param)) => {
                extract::raw::type_of(self, param)
            }
            _ => None,
        }
    }

    fn output_value<'s>(&'s self, field: &Field, kind: OutputKind) -> Option<OutputValue<'s>> {
        let plain =
            || self.value(field).map(|value| OutputValue { value, ty: self.dynamic_type(field) });
        match field.id {
            FieldId::Generic(id) if kind == OutputKind::Json => extract::generic::time(id)
                .map_or_else(plain, |ty| {
                    Some(OutputValue { value: Value::Uint(self.event.ts), ty: Some(ty) })
                }),
            FieldId::Syscall(id) => {
                extract::syscall::output_value(self, id, &field.arg, kind).unwrap_or_else(plain)
            }
            FieldId::Process(id) => {
                extract::process::output_value(self, id, &field.arg, kind).unwrap_or_else(plain)
            }
            // A comparison with either of two ends, which has no single value to show.
            FieldId::Fd(id) if extract::fd::compares_both_ends(id) => None,
            _ => plain(),
        }
    }

    fn scratch(&self) -> &Bump {
        &self.scratch.bump
    }
}
