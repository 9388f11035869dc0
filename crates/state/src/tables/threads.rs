//! Reads and writes the columns of one thread.

use std::sync::Arc;

use super::columns::ThreadColumn;
use super::error::TableError;
use crate::cells::CellValue;
use crate::text_budget::TextBudget;
use crate::thread::{Exec, Thread, ThreadFlags, cut_path};

/// The value of a column; `None` if the column is a table.
pub(super) fn read(thread: &Thread, column: ThreadColumn) -> Option<CellValue<'_>> {
    use ThreadColumn as C;
    let exec = &*thread.exec;
    Some(match column {
        C::Tid => CellValue::Int64(thread.tid),
        C::Pid => CellValue::Int64(thread.pid),
        C::Ptid => CellValue::Int64(thread.ptid),
        C::ReaperTid => CellValue::Int64(thread.reaper_tid),
        C::Sid => CellValue::Int64(thread.sid),
        C::Comm => CellValue::Text(exec.comm()),
        C::Exe => CellValue::Text(&exec.exe),
        C::ExePath => CellValue::Text(&exec.exepath),
        C::ExeWritable => CellValue::Bool(exec.exe_writable),
        C::ExeUpperLayer => CellValue::Bool(exec.exe_upper_layer),
        C::ExeLowerLayer => CellValue::Bool(exec.exe_lower_layer),
        C::ExeFromMemfd => CellValue::Bool(exec.exe_from_memfd),
        C::Flags => CellValue::Uint32(thread.flags.0),
        C::FdLimit => CellValue::Int64(thread.fdlimit),
        C::Uid => CellValue::Uint32(thread.uid),
        C::Gid => CellValue::Uint32(thread.gid),
        C::Loginuid => CellValue::Uint32(thread.loginuid),
        C::ExeIno => CellValue::Uint64(exec.exe_ino),
        C::ExeInoCtime => CellValue::Uint64(exec.exe_ino_ctime),
        C::ExeInoMtime => CellValue::Uint64(exec.exe_ino_mtime),
        C::Vtid => CellValue::Int64(thread.vtid),
        C::Vpid => CellValue::Int64(thread.vpid),
        C::Vpgid => CellValue::Int64(thread.vpgid),
        C::Pgid => CellValue::Int64(thread.pgid),
        C::PidnsInitStartTs => CellValue::Uint64(thread.pidns_init_start_ts),
        C::Root => CellValue::Text(&thread.root),
        C::Tty => CellValue::Uint32(thread.tty),
        C::Cwd => CellValue::Text(&thread.cwd),
        C::Args | C::Env | C::Cgroups | C::FileDescriptors => return None,
    })
}

/// Writes a column.
pub(super) fn write(
    thread: &mut Thread,
    column: ThreadColumn,
    value: CellValue<'_>,
    budget: &TextBudget,
) -> Result<(), TableError> {
    use {CellValue as V, ThreadColumn as C};
    if column.is_read_only() {
        return Err(TableError::ReadOnly(column.name()));
    }
    match (column, value) {
        (C::Tid, V::Int64(it)) => thread.tid = it,
        (C::Pid, V::Int64(it)) => thread.pid = it,
        (C::Ptid, V::Int64(it)) => thread.ptid = it,
        (C::ReaperTid, V::Int64(it)) => thread.reaper_tid = it,
        (C::Sid, V::Int64(it)) => thread.sid = it,
        (C::FdLimit, V::Int64(it)) => thread.fdlimit = it,
        (C::Vtid, V::Int64(it)) => thread.vtid = it,
        (C::Vpid, V::Int64(it)) => thread.vpid = it,
        (C::Vpgid, V::Int64(it)) => thread.vpgid = it,
        (C::Pgid, V::Int64(it)) => thread.pgid = it,
        (C::Flags, V::Uint32(it)) => thread.flags = ThreadFlags(it),
        (C::Uid, V::Uint32(it)) => thread.uid = it,
        (C::Gid, V::Uint32(it)) => thread.gid = it,
        (C::Loginuid, V::Uint32(it)) => thread.loginuid = it,
        (C::Tty, V::Uint32(it)) => thread.tty = it,
        (C::PidnsInitStartTs, V::Uint64(it)) => thread.pidns_init_start_ts = it,
        (C::Root, V::Text(it)) => thread.root = cut_path(it).into(),
        (C::Comm, V::Text(it)) => rename(thread, cut_path(it), None, None, budget),
        (C::Exe, V::Text(it)) => rename(thread, &comm(thread), Some(cut_path(it)), None, budget),
        _ => return write_exec(Arc::make_mut(&mut thread.exec), column, value),
    }
    Ok(())
}

/// Gives the thread a program with this name and, where given, another first argument and other
/// arguments (each ended by NUL). Threads that had the same program keep theirs.
pub(super) fn rename(
    thread: &mut Thread,
    comm: &[u8],
    exe: Option<&[u8]>,
    args: Option<&[u8]>,
    budget: &TextBudget,
) {
    let old = &thread.exec;
    let (exe, args) = (exe.unwrap_or(&old.exe), args.unwrap_or_else(|| old.args.bytes()));
    let (new, _) = old.renamed(comm, exe, args).admit(old, Default::default(), budget);
    thread.exec = new;
}

/// A copy of the thread's name.
pub(super) fn comm(thread: &Thread) -> Vec<u8> {
    thread.comm().to_vec()
}

fn write_exec(
    exec: &mut Exec,
    column: ThreadColumn,
    value: CellValue<'_>,
) -> Result<(), TableError> {
    use {CellValue as V, ThreadColumn as C};
    match (column, value) {
        (C::ExePath, V::Text(it)) => exec.exepath = cut_path(it).into(),
        (C::ExeWritable, V::Bool(it)) => exec.exe_writable = it,
        (C::ExeUpperLayer, V::Bool(it)) => exec.exe_upper_layer = it,
        (C::ExeLowerLayer, V::Bool(it)) => exec.exe_lower_layer = it,
        (C::ExeFromMemfd, V::Bool(it)) => exec.exe_from_memfd = it,
        (C::ExeIno, V::Uint64(it)) => exec.exe_ino = it,
        (C::ExeInoCtime, V::Uint64(it)) => exec.exe_ino_ctime = it,
        (C::ExeInoMtime, V::Uint64(it)) => exec.exe_ino_mtime = it,
        _ => return Err(TableError::WrongType),
    }
    Ok(())
}
