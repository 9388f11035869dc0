//! How the fields are declared.

use peregrine_event::{Format, ParamType};
use peregrine_fields::RuntimeField;
use peregrine_fields::table::{Cost, ListedArgument, Purity};

/// A field that is text, or a list of texts. To read one costs about as much as to search the
/// event for it.
pub(super) fn text_field(
    name: String,
    description: String,
    list: bool,
    argument: Option<ListedArgument>,
) -> RuntimeField {
    RuntimeField {
        name,
        description,
        ty: ParamType::Charbuf,
        format: Format::Na,
        list,
        argument,
        purity: Purity::Pure,
        cost: Cost::flat(60),
        hidden: false,
        suggested: false,
    }
}
