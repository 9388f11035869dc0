//! Names of parameter and field types in listings.

use peregrine_event::ParamType;

/// Name of a type, as Falco's listings spell it.
pub(crate) fn type_name(ty: ParamType) -> String {
    match ty {
        ParamType::Dyn => "DYNAMIC".to_owned(),
        ParamType::CharbufPairArray => "CHARBUF_PAIR_ARRAY".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
}
