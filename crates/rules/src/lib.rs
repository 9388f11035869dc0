//! Rules files: lists, macros, rules, exceptions and overrides, with every error and warning and
//! its place in the source.
//!
//! [`Loader`] reads files one after the other and returns a [`LoadResult`] for each; [`RuleSet`] is
//! the result. Files in the format of 2016 are read too, and [`convert`] converts them to YAML.
//! This crate knows the format of rules files and the rule language, and nothing of events and
//! state: the existing fields come from a [`Vocabulary`](peregrine_filter::Vocabulary).

#![warn(clippy::indexing_slicing)]

mod altered;
mod budget;
mod cause;
mod changes;
mod check;
mod code;
mod compile;
mod condition;
mod conditions;
mod decode;
mod define;
mod deprecated;
mod describe;
mod diagnose;
mod doubtful;
mod exception;
mod expand;
mod files;
mod foreign;
mod futile;
mod hints;
mod keys;
mod legacy;
mod literal;
mod load;
mod macros;
mod memo;
mod outline;
mod outputs;
mod overrides;
mod parts;
mod place;
mod query;
mod read;
mod result;
mod rule_set;
mod schema;
mod sources;
mod syntax;
mod text_parts;
mod unmet;
mod version;

pub use cause::Cause;
pub use changes::RuleChanges;
pub use check::Checker;
pub use code::{ErrorCode, WarningCode};
pub use conditions::{WrittenCondition, WrittenConditions};
pub use describe::{NotLoaded, UsedPlugins};
pub use files::{FilesAt, files_at, read_file};
pub use legacy::convert;
pub use literal::is_pasted_alike;
pub use load::{Loader, is_test};
pub use outline::{
    DefinitionKind, Effect, FileOutline, ItemId, JoinedText, Operation, Outline, OutlineException,
    OutlineItem, OutlineKey, Reference, Written,
};
pub use parts::{RulesPart, RulesText};
pub use place::{ItemKind, Location, Place};
pub use query::{CONDITION, OUTPUT};
pub use result::{Explained, Finding, FindingKind, LoadResult};
pub use rule_set::{ExtraField, List, Macro, Rule, RuleSet, Selected, Selection};
pub use schema::rule_schema;
pub use sources::{Addition, EventSource, Origin, OutputAddition};
pub use unmet::Unmet;
pub use version::{ENGINE_VERSION, PluginRequirement, Version};
