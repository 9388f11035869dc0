//! Reads and writes arguments, environment and control groups of one thread.

use peregrine_limits::TABLE_LIST_ENTRIES;

use super::columns::ListColumn;
use super::error::TableError;
use super::rows::TextList;
use super::threads;
use crate::cells::{CellValue, cut_text};
use crate::text_budget::TextBudget;
use crate::texts::Texts;
use crate::thread::Thread;

/// The texts of a list.
pub(super) fn texts(thread: &Thread, list: TextList) -> &Texts {
    match list {
        TextList::Args => &thread.exec.args,
        TextList::Env => &thread.env,
        TextList::Cgroups => &thread.cgroups,
    }
}

/// A column of one text.
pub(super) fn read(text: &[u8], column: ListColumn) -> CellValue<'_> {
    let (subsystem, path) = subsystem_and_path(text);
    CellValue::Text(match column {
        ListColumn::Value => text,
        ListColumn::First => subsystem,
        ListColumn::Second => path,
    })
}

/// Writes a column of the text with this index. A list that is shorter becomes longer.
pub(super) fn write(
    thread: &mut Thread,
    list: TextList,
    index: u64,
    column: ListColumn,
    text: &[u8],
    budget: &TextBudget,
) -> Result<(), TableError> {
    let index = usize::try_from(index).ok().filter(|&index| index < TABLE_LIST_ENTRIES.get());
    let Some(index) = index else {
        TABLE_LIST_ENTRIES.reach();
        return Err(TableError::Full);
    };
    let mut all: Vec<&[u8]> = texts(thread, list).iter().collect();
    if all.len() <= index {
        all.resize(index + 1, if list == TextList::Cgroups { b"=" } else { b"" });
    }
    let Some(place) = all.get_mut(index) else { return Err(TableError::Full) };
    let (subsystem, path) = subsystem_and_path(place);
    let text = cut_text(text);
    let new = match column {
        ListColumn::Value => text.to_vec(),
        ListColumn::First => [text, b"=", path].concat(),
        ListColumn::Second => [subsystem, b"=", text].concat(),
    };
    *place = &new;
    let joined = joined(&all);
    replace(thread, list, &joined, budget);
    Ok(())
}

/// Removes the text with this index.
pub(super) fn erase(
    thread: &mut Thread,
    list: TextList,
    index: u64,
    budget: &TextBudget,
) -> Result<(), TableError> {
    let mut all: Vec<&[u8]> = texts(thread, list).iter().collect();
    let index = usize::try_from(index).ok().filter(|&index| index < all.len());
    all.remove(index.ok_or(TableError::NotFound)?);
    let joined = joined(&all);
    replace(thread, list, &joined, budget);
    Ok(())
}

/// Removes all texts.
pub(super) fn clear(thread: &mut Thread, list: TextList, budget: &TextBudget) {
    replace(thread, list, b"", budget);
}

fn replace(thread: &mut Thread, list: TextList, texts: &[u8], budget: &TextBudget) {
    match list {
        TextList::Args => {
            let comm = threads::comm(thread);
            threads::rename(thread, &comm, None, Some(texts), budget);
        }
        TextList::Env => thread.env = Texts::new(texts),
        TextList::Cgroups => thread.cgroups = Texts::new(texts),
    }
}

/// All texts, each ended by NUL.
fn joined(texts: &[&[u8]]) -> Vec<u8> {
    texts.iter().flat_map(|text| [text, &b"\0"[..]].concat()).collect()
}

fn subsystem_and_path(text: &[u8]) -> (&[u8], &[u8]) {
    let equals = text.iter().position(|&b| b == b'=').unwrap_or(text.len());
    let (subsystem, rest) = text.split_at(equals);
    (subsystem, rest.strip_prefix(b"=").unwrap_or(rest))
}
