//! A plugin that answers from bytes: what a fuzzer gives, and what no plugin would.
//!
//! All memory that it returns is valid and as long as it says, up to the limits of the host: a host
//! can't check more. Everything else is as the bytes have it.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use peregrine_event::source::{Next, Record, Source, SourceNames};
use peregrine_event::{Event, EventType};
use peregrine_plugin::abi::{
    Bool, ByteBuffer, EventHeader, EventInput, ExtractInput, FieldValues, InitInput, Metric,
    MetricNumber, PluginFunctions, PluginState, ReturnCode, SourceInstance,
};
use peregrine_plugin::{FieldRequest, FieldType, Host, Library, PluginEvent};

/// Runs everything that a host does with a plugin that answers with these bytes. How many values
/// and events it has got.
pub fn run(bytes: &[u8]) -> (usize, usize) {
    // Answers are of the whole process.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    *answers() = Answers { bytes: bytes.to_vec(), ..Answers::default() };
    let functions = functions();
    // SAFETY: see above.
    let library = unsafe { Library::of_functions(functions) };
    let mut got = (0, 0);
    if let Ok(library) = library {
        use_plugin(&library, &mut got);
    }
    *answers() = Answers::default();
    got
}

fn use_plugin(library: &Library, (values, events): &mut (usize, usize)) {
    let host = Host { log: std::sync::Arc::new(|_, _, _| ()), tables: None };
    let Ok(instance) = library.init("{}", host) else { return };
    let _ = (instance.required_event_schema(), instance.set_config("{}"), instance.metrics());
    let _ = instance.list_open_params();
    let mut bytes = Vec::new();
    let mut event = peregrine_event::Builder::new(EventType::PlugineventE, 1, -1);
    if event.u32(7).param(b"payload").finish(&mut bytes).is_err() {
        return;
    }
    let Ok(event) = Event::parse(&bytes, 0) else { return };
    let input = PluginEvent::new(&event, c"answers");
    let _ = instance.event_to_string(&input, <[u8]>::len);
    for (list, ty) in [false, true].into_iter().flat_map(|list| TYPES.map(|ty| (list, ty))) {
        let Some(request) = FieldRequest::new(1, "a.field", ty, list) else { return };
        let read = instance.extract(&input, &request, |answer| answer.iter().count());
        assert!(read.unwrap_or_default() <= 65_536);
        *values += read.unwrap_or_default();
    }
    let Some(id) = SourceNames::default().intern("answers") else { return };
    let Ok(mut source) = instance.open("", id) else { return };
    for _ in 0..20 {
        match source.next() {
            Ok(Next::Record(Record::Event { event, .. })) => {
                *events += 1;
                // All of it can be read.
                assert!((0..event.nparams()).all(|index| event.param(index).is_some()));
                let input = PluginEvent::new(&event, c"answers");
                let _ = instance.event_to_string(&input, <[u8]>::len);
            }
            Ok(Next::Idle) => {}
            Ok(_) | Err(_) => break,
        }
        let _ = source.progress();
    }
}

const TYPES: [FieldType; 7] = [
    FieldType::Text,
    FieldType::Uint,
    FieldType::Duration,
    FieldType::Time,
    FieldType::Bool,
    FieldType::Address,
    FieldType::Network,
];

/// What is left of the bytes, and the memory that the host may still look at.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
    next: usize,
    texts: Vec<CString>,
    memory: Vec<Vec<u8>>,
    pointers: Vec<Vec<*const c_void>>,
    buffers: Vec<Vec<ByteBuffer>>,
    metrics: Vec<Vec<Metric>>,
}

// SAFETY: the pointers point to what belongs to the same struct.
unsafe impl Send for Answers {}

static ANSWERS: Mutex<Option<Answers>> = Mutex::new(None);

struct Held(MutexGuard<'static, Option<Answers>>);

fn answers() -> Held {
    Held(ANSWERS.lock().unwrap_or_else(PoisonError::into_inner))
}

impl std::ops::Deref for Held {
    type Target = Answers;
    fn deref(&self) -> &Answers {
        static NONE: Answers = Answers {
            bytes: Vec::new(),
            next: 0,
            texts: Vec::new(),
            memory: Vec::new(),
            pointers: Vec::new(),
            buffers: Vec::new(),
            metrics: Vec::new(),
        };
        self.0.as_ref().unwrap_or(&NONE)
    }
}

impl std::ops::DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Answers {
        self.0.get_or_insert_default()
    }
}

// SAFETY: what is shared is only the empty one.
unsafe impl Sync for Answers {}

impl Answers {
    fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.next).copied().unwrap_or_default();
        self.next += 1;
        byte
    }

    fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0 => 0,
            1 => u64::MAX,
            2 => 0xffff_ffff,
            3 => 322,
            4 => 38,
            _ => u64::from_le_bytes([(); 8].map(|()| self.byte())),
        }
    }

    fn code(&mut self) -> ReturnCode {
        match self.byte() {
            0..8 => 1,
            8..16 => -1,
            16..20 => 2,
            20..24 => self.number() as ReturnCode,
            _ => 0,
        }
    }

    fn some(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    fn keep_text(&mut self, text: Vec<u8>) -> *const c_char {
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        let text = CString::new(&text[..end]).unwrap_or_default();
        let at = text.as_ptr();
        self.texts.push(text);
        at
    }

    /// One of these texts, or any.
    fn text(&mut self, usual: &[&str]) -> *const c_char {
        match self.byte() {
            0 => ptr::null(),
            1..8 => {
                let len = usize::from(self.byte() % 64);
                let text = self.some(len);
                self.keep_text(text)
            }
            choice => {
                let usual = usual[usize::from(choice) % usual.len()];
                self.keep_text(usual.as_bytes().to_vec())
            }
        }
    }

    fn keep(&mut self, bytes: Vec<u8>) -> *mut u8 {
        self.memory.push(bytes);
        self.memory.last_mut().map_or(ptr::null_mut(), Vec::as_mut_ptr)
    }

    /// A number of things, and whether it is said truly.
    fn count(&mut self) -> (usize, u64) {
        let len = usize::from(self.byte() % 6);
        (len, len as u64)
    }

    /// An event, mostly one.
    fn event(&mut self) -> *const c_void {
        if self.byte() == 0 {
            return ptr::null();
        }
        let payload = usize::from(self.byte() % 16);
        let len = 38 + payload as u32;
        let mut event = Vec::new();
        event.extend(self.number().to_le_bytes());
        event.extend(self.number().to_le_bytes());
        event.extend(len.to_le_bytes());
        event.extend(322_u16.to_le_bytes());
        event.extend(2_u32.to_le_bytes());
        event.extend(4_u32.to_le_bytes());
        event.extend((payload as u32).to_le_bytes());
        event.extend([0; 4]);
        event.extend(self.some(payload));
        for _ in 0..self.byte().saturating_sub(250) {
            let at = usize::from(self.byte()) % event.len();
            event[at] = self.byte();
        }
        // The length must be true, or more than any event may have, or less than a header.
        let said = u32::from_le_bytes([event[16], event[17], event[18], event[19]]);
        if said as usize > event.len() && said as usize <= 64 << 20 {
            event[16..20].copy_from_slice(&len.to_le_bytes());
        }
        self.keep(event).cast_const().cast()
    }
}

fn functions() -> PluginFunctions {
    let absent = || answers().byte() == 0;
    macro_rules! maybe {
        ($($name:ident),*) => {
            PluginFunctions { $($name: (!absent()).then_some($name as _),)* ..PluginFunctions::default() }
        };
    }
    maybe!(
        get_required_api_version,
        get_required_event_schema_version,
        get_init_schema,
        init,
        destroy,
        get_last_error,
        get_name,
        get_description,
        get_contact,
        get_version,
        set_config,
        get_metrics,
        get_id,
        get_event_source,
        open,
        close,
        list_open_params,
        get_progress,
        event_to_string,
        next_batch,
        get_extract_event_types,
        get_extract_event_sources,
        get_fields,
        extract_fields
    )
}

macro_rules! texts {
    ($($name:ident($($arg:ident: $ty:ty),*) = $usual:expr;)*) => {
        $(unsafe extern "C-unwind" fn $name($($arg: $ty),*) -> *const c_char {
            $(let _ = $arg;)*
            answers().text(&$usual)
        })*
    };
}

texts! {
    get_required_api_version() = ["3.12.0", "3.0.0", "3.11.5"];
    get_required_event_schema_version(s: *mut PluginState) = ["4.0.0"];
    get_last_error(s: *mut PluginState) = ["it has failed"];
    get_name() = ["answers"];
    get_description() = ["answers from bytes"];
    get_contact() = [""];
    get_version() = ["0.1.0"];
    get_event_source() = ["answers", "answers", "answers", ""];
    event_to_string(s: *mut PluginState, e: *const EventInput) = ["text", ""];
    get_extract_event_sources() = ["[]", "[\"answers\"]", "[\"\", 1]", "[{}]"];
    get_fields() = ["[{\"name\":\"a.field\",\"type\":\"string\",\"desc\":\"d\"}]", "[]"];
}

unsafe extern "C-unwind" fn get_init_schema(ty: *mut u32) -> *const c_char {
    // SAFETY: the host passes the place of a number.
    unsafe { *ty = answers().number() as u32 };
    answers().text(&["{}"])
}

unsafe extern "C-unwind" fn init(_: *const InitInput, code: *mut ReturnCode) -> *mut PluginState {
    // SAFETY: as above.
    unsafe { *code = answers().code() };
    place(answers().byte())
}

/// A state or a source, of which only the address counts.
fn place(byte: u8) -> *mut c_void {
    if byte == 0 { ptr::null_mut() } else { ptr::dangling_mut::<u64>().cast() }
}

unsafe extern "C-unwind" fn destroy(_: *mut PluginState) {}

unsafe extern "C-unwind" fn set_config(
    _: *mut PluginState,
    _: *const peregrine_plugin::abi::ConfigInput,
) -> ReturnCode {
    answers().code()
}

unsafe extern "C-unwind" fn get_metrics(_: *mut PluginState, count: *mut u32) -> *mut Metric {
    let mut answers = answers();
    let (len, said) = answers.count();
    // SAFETY: as above.
    unsafe { *count = said as u32 };
    let metric = |answers: &mut Answers| Metric {
        name: answers.text(&["metric"]),
        kind: answers.byte().into(),
        value: MetricNumber { u64: answers.number() },
        value_type: u32::from(answers.byte() % 9),
    };
    let metrics = (0..len).map(|_| metric(&mut answers)).collect();
    answers.metrics.push(metrics);
    answers.metrics.last_mut().map_or(ptr::null_mut(), Vec::as_mut_ptr)
}

unsafe extern "C-unwind" fn get_id() -> u32 {
    match answers().byte() {
        0..8 => 0,
        id => id.into(),
    }
}

unsafe extern "C-unwind" fn open(
    _: *mut PluginState,
    _: *const c_char,
    code: *mut ReturnCode,
) -> *mut SourceInstance {
    // SAFETY: as above.
    unsafe { *code = answers().code() };
    place(answers().byte())
}

unsafe extern "C-unwind" fn close(_: *mut PluginState, _: *mut SourceInstance) {}

unsafe extern "C-unwind" fn list_open_params(
    _: *mut PluginState,
    code: *mut ReturnCode,
) -> *const c_char {
    // SAFETY: as above.
    unsafe { *code = answers().code() };
    answers().text(&["[]"])
}

unsafe extern "C-unwind" fn get_progress(
    _: *mut PluginState,
    _: *mut SourceInstance,
    hundredths: *mut u32,
) -> *const c_char {
    // SAFETY: as above.
    unsafe { *hundredths = answers().number() as u32 };
    answers().text(&["1%"])
}

unsafe extern "C-unwind" fn next_batch(
    _: *mut PluginState,
    _: *mut SourceInstance,
    count: *mut u32,
    events: *mut *mut *mut EventHeader,
) -> ReturnCode {
    let mut answers = answers();
    if answers.next > answers.bytes.len() + 64 {
        return peregrine_plugin::abi::EOF;
    }
    let len = usize::from(answers.byte() % 6);
    let array: Vec<_> = (0..len).map(|_| answers.event()).collect();
    answers.pointers.push(array);
    let array = answers.pointers.last_mut().map_or(ptr::null_mut(), Vec::as_mut_ptr);
    let said = if answers.byte() == 0 { u32::MAX } else { len as u32 };
    // SAFETY: as above.
    unsafe { (*count, *events) = (said, array.cast()) };
    answers.code()
}

unsafe extern "C-unwind" fn get_extract_event_types(
    count: *mut u32,
    _: *mut PluginState,
) -> *mut u16 {
    let mut answers = answers();
    let (len, said) = answers.count();
    // SAFETY: as above.
    unsafe { *count = said as u32 };
    let types = answers.some(2 * len + 1);
    // At an odd address, half of the time.
    answers.keep(types).cast()
}

unsafe extern "C-unwind" fn extract_fields(
    _: *mut PluginState,
    _: *const EventInput,
    input: *const ExtractInput,
) -> ReturnCode {
    let mut answers = answers();
    // SAFETY: the host passes its request, with that many fields.
    let fields =
        unsafe { std::slice::from_raw_parts_mut((*input).fields, (*input).count as usize) };
    for field in fields {
        let (len, said) = answers.count();
        field.count = said;
        field.values = match field.ty {
            _ if answers.byte() == 0 => FieldValues { any: ptr::null_mut() },
            9 => {
                let texts = (0..len).map(|_| answers.text(&["value"]).cast()).collect();
                answers.pointers.push(texts);
                let at = answers.pointers.last_mut().map_or(ptr::null_mut(), Vec::as_mut_ptr);
                FieldValues { any: at.cast() }
            }
            40 | 41 => {
                let buffer = |answers: &mut Answers| {
                    let len = [4, 16, 0, 5, u32::MAX][usize::from(answers.byte() % 5)];
                    let bytes = answers.some(16);
                    ByteBuffer { len, at: answers.keep(bytes).cast() }
                };
                let buffers = (0..len).map(|_| buffer(&mut answers)).collect();
                answers.buffers.push(buffers);
                let at = answers.buffers.last_mut().map_or(ptr::null_mut(), Vec::as_mut_ptr);
                FieldValues { any: at.cast() }
            }
            ty => {
                let size = if ty == 25 { size_of::<Bool>() } else { 8 };
                let bytes = answers.some(len * size);
                FieldValues { any: answers.keep(bytes).cast() }
            }
        };
    }
    answers.code()
}
