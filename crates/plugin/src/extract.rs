//! Values of fields, as plugins give them.

use core::ffi::CStr;
use core::ptr;
use std::ffi::CString;
use std::marker::PhantomData;
use std::net::IpAddr;

use peregrine_limits::{PLUGIN_VALUE_BYTES, PLUGIN_VALUES};

use crate::abi::{ByteBuffer, ExtractField, ExtractInput, FieldValues, SUCCESS, field_type};
use crate::host;
use crate::instance::{Instance, PluginEvent};
use crate::text::PluginText;

/// Type of the values of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// `string`
    Text,
    /// `uint64`
    Uint,
    /// `reltime`: nanoseconds.
    Duration,
    /// `abstime`: nanoseconds since the epoch.
    Time,
    /// `bool`
    Bool,
    /// `ipaddr`
    Address,
    /// `ipnet`
    Network,
}

impl FieldType {
    /// The type with this name in `get_fields`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::Text,
            "uint64" => Self::Uint,
            "reltime" => Self::Duration,
            "abstime" => Self::Time,
            "bool" => Self::Bool,
            "ipaddr" => Self::Address,
            "ipnet" => Self::Network,
            _ => return None,
        })
    }

    fn number(self) -> u32 {
        match self {
            Self::Text => field_type::STRING,
            Self::Uint => field_type::UINT64,
            Self::Duration => field_type::RELTIME,
            Self::Time => field_type::ABSTIME,
            Self::Bool => field_type::BOOL,
            Self::Address => field_type::IPADDR,
            Self::Network => field_type::IPNET,
        }
    }
}

/// A field with its argument, as a rule asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldRequest {
    id: u32,
    name: CString,
    ty: FieldType,
    list: bool,
    key: Option<CString>,
    index: Option<u64>,
}

impl FieldRequest {
    /// The field with this index and name, without argument. `None` when the name contains a NUL.
    pub fn new(id: u32, name: &str, ty: FieldType, list: bool) -> Option<Self> {
        Some(Self { id, name: CString::new(name).ok()?, ty, list, key: None, index: None })
    }

    /// With an argument: its text where the field takes a key, its number where it takes an index,
    /// and both where it takes both. `None` when the text contains a NUL.
    pub fn with_argument(self, key: Option<&str>, index: Option<u64>) -> Option<Self> {
        let key = key.map(CString::new).transpose().ok()?;
        Some(Self { key, index, ..self })
    }

    /// Its type.
    pub fn field_type(&self) -> FieldType {
        self.ty
    }

    /// Whether it has any number of values.
    pub fn is_list(&self) -> bool {
        self.list
    }

    /// As the interface has it. The pointers are valid as long as the request.
    fn input(&self) -> ExtractField {
        ExtractField {
            values: FieldValues { any: ptr::null_mut() },
            count: 0,
            field_id: self.id,
            field: self.name.as_ptr(),
            arg_key: self.key.as_deref().map_or(ptr::null(), CStr::as_ptr),
            // What the reference passes where there is none.
            arg_index: self.index.unwrap_or(u64::MAX),
            arg_present: (self.key.is_some() || self.index.is_some()).into(),
            ty: self.ty.number(),
            list: self.list.into(),
        }
    }
}

/// The values of a field of an event, in the memory of the plugin. At least one.
#[derive(Clone, Copy)]
pub struct FieldAnswer<'a> {
    values: FieldValues,
    len: usize,
    ty: FieldType,
    memory: PhantomData<&'a ()>,
}

/// A value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// Of the type [`FieldType::Text`].
    Text(&'a [u8]),
    /// Of numbers and times.
    Uint(u64),
    /// Of [`FieldType::Bool`].
    Bool(bool),
    /// Of addresses and networks.
    Ip(IpAddr),
}

impl<'a> FieldAnswer<'a> {
    /// What a plugin has answered. `None` when there is no value.
    ///
    /// # Safety
    /// The answer is of a plugin that keeps to the interface: there are `count` values at the
    /// address, and they stay during `'a`.
    unsafe fn of(answer: &ExtractField, request: &FieldRequest) -> Option<Self> {
        // SAFETY: all members of the union are pointers.
        let at = unsafe { answer.values.any };
        if answer.count == 0 || at.is_null() {
            return None;
        }
        let mut len = usize::try_from(answer.count).unwrap_or(usize::MAX);
        if len > PLUGIN_VALUES.get() {
            PLUGIN_VALUES.reach();
            len = PLUGIN_VALUES.get();
        }
        Some(Self { values: answer.values, len, ty: request.ty, memory: PhantomData })
    }

    /// Number of values.
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// A value. `None` beyond the last one, for a null text, and for an address that is neither of
    /// 4 nor of 16 bytes.
    pub fn get(&self, index: usize) -> Option<FieldValue<'a>> {
        if index >= self.len {
            return None;
        }
        // SAFETY: there are `len` values of this type, see `of`. Texts end with NUL and buffers
        // have the length that they say.
        unsafe {
            Some(match self.ty {
                FieldType::Text => {
                    let at = self.values.text.add(index).read_unaligned();
                    let text = PluginText::at(at, PLUGIN_VALUE_BYTES.get())?;
                    if text.cut {
                        PLUGIN_VALUE_BYTES.reach();
                    }
                    FieldValue::Text(text.bytes)
                }
                FieldType::Uint | FieldType::Duration | FieldType::Time => {
                    FieldValue::Uint(self.values.uint64.add(index).read_unaligned())
                }
                FieldType::Bool => {
                    FieldValue::Bool(self.values.boolean.add(index).read_unaligned() != 0)
                }
                FieldType::Address | FieldType::Network => {
                    FieldValue::Ip(address(self.values.buffer.add(index).read_unaligned())?)
                }
            })
        }
    }

    /// All values that there are.
    pub fn iter(&self) -> impl Iterator<Item = FieldValue<'a>> {
        let answer = *self;
        (0..self.len).filter_map(move |index| answer.get(index))
    }
}

/// An address in the memory of a plugin.
///
/// # Safety
/// The buffer has the length that it says, if that is one of an address.
unsafe fn address(buffer: ByteBuffer) -> Option<IpAddr> {
    if buffer.at.is_null() {
        return None;
    }
    // SAFETY: only as many bytes are read as there are, says the caller.
    unsafe {
        match buffer.len {
            4 => Some(buffer.at.cast::<[u8; 4]>().read_unaligned().into()),
            16 => Some(buffer.at.cast::<[u8; 16]>().read_unaligned().into()),
            _ => None,
        }
    }
}

impl Instance {
    /// The values of one field of an event, as they are in the memory of the plugin, for as long as
    /// `read` runs. `None` when the event has none.
    ///
    /// The caller sees to it that the plugin [extracts](Self::extracts) from events of this type
    /// and source.
    pub fn extract<R>(
        &self,
        event: &PluginEvent<'_>,
        field: &FieldRequest,
        read: impl FnOnce(FieldAnswer<'_>) -> R,
    ) -> Option<R> {
        let mut fields = [field.input()];
        let mut read = Some(read);
        self.ask(event, &mut fields, |answers| {
            // SAFETY: the plugin has answered, and keeps its values until its next call, which
            // comes when this returns.
            let answer = unsafe { FieldAnswer::of(answers.first()?, field) }?;
            read.take().map(|read| read(answer))
        })
        .flatten()
    }

    /// The same for several fields in one call. `read` is given the index of a field that has
    /// values, in rising order. False when the plugin has none for the event.
    pub fn extract_all(
        &self,
        event: &PluginEvent<'_>,
        fields: &[FieldRequest],
        mut read: impl FnMut(usize, FieldAnswer<'_>),
    ) -> bool {
        let mut inputs: Vec<_> = fields.iter().map(FieldRequest::input).collect();
        let answered = self.ask(event, &mut inputs, |answers| {
            for (index, (answer, field)) in answers.iter().zip(fields).enumerate() {
                // SAFETY: as above.
                if let Some(answer) = unsafe { FieldAnswer::of(answer, field) } {
                    read(index, answer);
                }
            }
        });
        answered.is_some()
    }

    fn ask<R>(
        &self,
        event: &PluginEvent<'_>,
        fields: &mut [ExtractField],
        read: impl FnOnce(&[ExtractField]) -> R,
    ) -> Option<R> {
        const FUNCTION: &str = "extract_fields";
        let inner = &*self.inner;
        let function = inner.functions().extract_fields?;
        let count = u32::try_from(fields.len()).ok()?;
        let calls = inner.wait_on_event_thread(FUNCTION).ok()?;
        let event = event.input();
        let input = ExtractInput {
            owner: inner.owner_handle(),
            owner_last_error: Some(host::last_error),
            count,
            fields: fields.as_mut_ptr(),
            reader: inner.old_reader(),
            reader_ext: inner.owner.host.tables.as_ref().map_or(ptr::null(), |t| t.reader()),
            offsets: ptr::null_mut(),
        };
        let code = inner.call(FUNCTION, |state| {
            // SAFETY: event, input and fields live during the call; no other call runs.
            unsafe { function(state, &raw const event, &raw const input) }
        });
        let result = (code == SUCCESS).then(|| read(fields));
        drop(calls);
        result
    }
}
