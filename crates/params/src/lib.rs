//! Parameters of events as values of YAML: from what people write to the bytes of the wire, and
//! back.
//!
//! [`encode`] takes the words that outputs print (`O_WRONLY`, `ENOENT`, `10.0.0.1:80`) and numbers;
//! [`print()`] gives a value that encodes to the same bytes again. What has no readable form is
//! `{hex: …}`.
//!
//! The crate may know the event tables and YAML; it knows no rules, fields and files.
//!
//! ```
//! use peregrine_event::{Extra, Format, ParamInfo, ParamType};
//! use peregrine_params::{Shown, encode, print};
//! use peregrine_yaml::Node;
//!
//! let info = ParamInfo {
//!     name: "res",
//!     ty: ParamType::Errno,
//!     format: Format::Dec,
//!     extra: Extra::None,
//! };
//! let bytes = encode(&info, &Node::scalar("ENOENT")).unwrap();
//! assert_eq!(bytes, (-2_i64).to_le_bytes());
//! assert_eq!(print(&info, &bytes), Shown::Text("ENOENT".to_owned()));
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod address;
mod encode;
mod print;

pub use address::{Tuple, address, ends, tuple};
pub use encode::{NotAValue, bytes_of, encode, listed_texts};
pub use print::{Shown, print, text};
