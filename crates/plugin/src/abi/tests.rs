//! Layouts, against the published binding of the interface.

use core::mem::{align_of, offset_of, size_of};

use falco_plugin_api as theirs;

use super::*;

/// Holds that two structs have the same size, alignment and offsets.
macro_rules! same {
    ($ours:ty, $theirs:ty $(, $our:ident = $their:ident)* $(,)?) => {
        assert_eq!(size_of::<$ours>(), size_of::<$theirs>(), stringify!($ours));
        assert_eq!(align_of::<$ours>(), align_of::<$theirs>(), stringify!($ours));
        $(assert_eq!(
            offset_of!($ours, $our),
            offset_of!($theirs, $their),
            concat!(stringify!($ours), ".", stringify!($our))
        );)*
    };
}

#[test]
fn events_and_fields_have_the_layout_of_the_interface() {
    same!(
        EventHeader,
        theirs::ss_plugin_event,
        ts = ts,
        tid = tid,
        len = len,
        ty = type_,
        nparams = nparams
    );
    same!(EventInput, theirs::ss_plugin_event_input, event = evt, number = evtnum, source = evtsrc);
    same!(ByteBuffer, theirs::ss_plugin_byte_buffer, len = len, at = ptr);
    same!(
        ExtractField,
        theirs::ss_plugin_extract_field,
        values = res,
        count = res_len,
        field_id = field_id,
        field = field,
        arg_key = arg_key,
        arg_index = arg_index,
        arg_present = arg_present,
        ty = ftype,
        list = flist,
    );
    same!(ValueOffsets, theirs::ss_plugin_extract_value_offsets, start = start, length = length);
    same!(
        Metric,
        theirs::ss_plugin_metric,
        name = name,
        kind = type_,
        value = value,
        value_type = value_type
    );
}

#[test]
fn inputs_have_the_layout_of_the_interface() {
    same!(
        InitInput,
        theirs::ss_plugin_init_input,
        config = config,
        owner = owner,
        owner_last_error = get_owner_last_error,
        tables = tables,
        log = log_fn,
    );
    same!(
        ExtractInput,
        theirs::ss_plugin_field_extract_input,
        owner = owner,
        owner_last_error = get_owner_last_error,
        count = num_fields,
        fields = fields,
        reader = table_reader,
        reader_ext = table_reader_ext,
        offsets = value_offsets,
    );
    same!(
        ParseInput,
        theirs::ss_plugin_event_parse_input,
        owner = owner,
        owner_last_error = get_owner_last_error,
        reader = table_reader,
        writer = table_writer,
        reader_ext = table_reader_ext,
        writer_ext = table_writer_ext,
    );
    same!(ConfigInput, theirs::ss_plugin_set_config_input, config = config);
    same!(
        RoutineVtable,
        theirs::ss_plugin_routine_vtable,
        subscribe = subscribe,
        unsubscribe = unsubscribe
    );
    same!(
        CaptureInput,
        theirs::ss_plugin_capture_listen_input,
        owner = owner,
        routines = routine,
        reader_ext = table_reader_ext,
        writer_ext = table_writer_ext,
        owner_last_error = get_owner_last_error,
    );
}

#[test]
fn tables_have_the_layout_of_the_interface() {
    same!(StateData, theirs::ss_plugin_state_data);
    same!(TableInfo, theirs::ss_plugin_table_info, name = name, key_type = key_type);
    same!(
        FieldInfo,
        theirs::ss_plugin_table_fieldinfo,
        name = name,
        ty = field_type,
        read_only = read_only
    );
    same!(
        FieldsVtable,
        theirs::ss_plugin_table_fields_vtable_ext,
        list = list_table_fields,
        get = get_table_field,
        add = add_table_field,
    );
    same!(
        ReaderVtable,
        theirs::ss_plugin_table_reader_vtable,
        name = get_table_name,
        size = get_table_size,
        get = get_table_entry,
        read = read_entry_field,
    );
    same!(
        ReaderVtableExt,
        theirs::ss_plugin_table_reader_vtable_ext,
        name = get_table_name,
        size = get_table_size,
        get = get_table_entry,
        read = read_entry_field,
        release = release_table_entry,
        iterate = iterate_entries,
    );
    same!(
        WriterVtable,
        theirs::ss_plugin_table_writer_vtable_ext,
        clear = clear_table,
        erase = erase_table_entry,
        create = create_table_entry,
        destroy = destroy_table_entry,
        add = add_table_entry,
        write = write_entry_field,
    );
    same!(
        TableInput,
        theirs::ss_plugin_table_input,
        name = name,
        key_type = key_type,
        table = table,
        reader = reader,
        writer = writer,
        fields = fields,
        reader_ext = reader_ext,
        writer_ext = writer_ext,
        fields_ext = fields_ext,
    );
    same!(
        InitTables,
        theirs::ss_plugin_init_tables_input,
        list = list_tables,
        get = get_table,
        add = add_table,
        fields = fields,
        fields_ext = fields_ext,
        reader_ext = reader_ext,
        writer_ext = writer_ext,
    );
}

#[test]
fn numbers_are_those_of_the_interface() {
    assert_eq!(SUCCESS, theirs::ss_plugin_rc_SS_PLUGIN_SUCCESS);
    assert_eq!(FAILURE, theirs::ss_plugin_rc_SS_PLUGIN_FAILURE);
    assert_eq!(TIMEOUT, theirs::ss_plugin_rc_SS_PLUGIN_TIMEOUT);
    assert_eq!(EOF, theirs::ss_plugin_rc_SS_PLUGIN_EOF);
    assert_eq!(NOT_SUPPORTED, theirs::ss_plugin_rc_SS_PLUGIN_NOT_SUPPORTED);
    assert_eq!(SCHEMA_JSON, theirs::ss_plugin_schema_type_SS_PLUGIN_SCHEMA_JSON);
    assert_eq!(size_of::<Bool>(), size_of::<theirs::ss_plugin_bool>());
}
