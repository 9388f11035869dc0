use std::collections::BTreeMap;

use peregrine_event::snapshot::{self, Item};
use peregrine_event::{Builder, Event, EventType};
use proptest::prelude::*;

use super::*;
use crate::{Config, State};

fn state() -> State {
    let mut state = State::new(Config::default());
    for (tid, pid, ptid) in [(1, 1, 0), (7, 7, 1), (8, 7, 1)] {
        state.load(Item::Thread(Box::new(snapshot::Thread {
            tid,
            pid,
            ptid,
            comm: b"cat"[..].into(),
            exe: b"/bin/cat"[..].into(),
            args: b"-n\0/etc/hosts\0"[..].into(),
            env: b"A=1\0B=2\0"[..].into(),
            cgroups: b"cpuset=/\0memory=/m\0"[..].into(),
            cwd: b"/tmp"[..].into(),
            // The flag of threads that share their files.
            flags: u32::from(tid != pid),
            ..Default::default()
        })));
    }
    let kind = snapshot::FdKind::File { flags: 1, name: b"/etc/hosts".into(), mount_id: 2, dev: 3 };
    state.load(Item::Fds(7, vec![snapshot::Fd { fd: 3, ino: 9, kind }]));
    state.loaded();
    state
}

fn text(text: &str) -> CellValue<'_> {
    CellValue::Text(text.as_bytes())
}

fn value<'a>(session: &'a TableSession, state: &'a State, row: &Row, column: Column) -> String {
    match session.read(state, row, column) {
        Ok(Cell::Value(CellValue::Text(text))) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}

fn below(session: &TableSession, state: &State, row: &Row, column: ThreadColumn) -> Table {
    match session.read(state, row, Column::Thread(column)) {
        Ok(Cell::Table(table)) => table,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_plugins_write_is_what_rules_see() {
    let (mut state, mut session) = (state(), TableSession::default());
    let row = session.row(&state, &Table::Threads, 7).unwrap();
    let mut write = |column, value| session.write(&mut state, &row, Column::Thread(column), value);
    write(ThreadColumn::Comm, text("dog")).unwrap();
    write(ThreadColumn::Exe, text("/bin/dog")).unwrap();
    write(ThreadColumn::ExePath, text("/usr/bin/dog")).unwrap();
    write(ThreadColumn::ExeWritable, CellValue::Bool(true)).unwrap();
    write(ThreadColumn::Uid, CellValue::Uint32(5)).unwrap();
    assert_eq!(write(ThreadColumn::Cwd, text("/")), Err(TableError::ReadOnly("cwd")));
    assert_eq!(write(ThreadColumn::Args, text("/")), Err(TableError::TableColumn));
    assert_eq!(write(ThreadColumn::Uid, text("5")), Err(TableError::WrongType));
    let thread = state.by_tid(7).unwrap();
    assert_eq!(thread.exec.cmdline(), b"dog -n /etc/hosts");
    assert_eq!(
        (&*thread.exec.exe, &*thread.exec.exepath),
        (&b"/bin/dog"[..], &b"/usr/bin/dog"[..])
    );
    assert_eq!((thread.exec.exe_writable, thread.uid), (true, 5));
    // Another thread of the process keeps its name.
    assert_eq!(state.by_tid(8).unwrap().comm(), b"cat");
}

#[test]
fn every_column_of_a_thread_is_read_and_written() {
    let (mut state, mut session) = (state(), TableSession::default());
    let row = session.row(&state, &Table::Threads, 7).unwrap();
    for &column in ThreadColumn::ALL {
        let cell = Column::Thread(column);
        let new = match column.cell_type() {
            CellType::Int64 => CellValue::Int64(7),
            CellType::Uint32 => CellValue::Uint32(77),
            CellType::Uint64 => CellValue::Uint64(777),
            CellType::Bool => CellValue::Bool(true),
            CellType::Text => text("new"),
            CellType::Table => {
                assert!(matches!(session.read(&state, &row, cell), Ok(Cell::Table(_))));
                continue;
            }
            other => panic!("{other:?}"),
        };
        match session.write(&mut state, &row, cell, new) {
            Ok(()) => assert_eq!(session.read(&state, &row, cell), Ok(Cell::Value(new))),
            Err(error) => {
                assert_eq!((column, error), (ThreadColumn::Cwd, TableError::ReadOnly("cwd")));
                assert_eq!(value(&session, &state, &row, cell), "/tmp/");
            }
        }
    }
    assert_eq!((ThreadColumn::ALL.len(), FileColumn::ALL.len()), (32, 32));
}

#[test]
fn every_column_of_a_file_is_read_and_written() {
    let mut state = state();
    let mut session = TableSession::default();
    for &column in FileColumn::ALL {
        let draft = session.create(&Table::Files(ThreadRow::Draft(0))).unwrap();
        let new = match column.cell_type() {
            CellType::Uint8 if column == FileColumn::Type => CellValue::Uint8(7),
            CellType::Uint8 => CellValue::Uint8(2),
            CellType::Uint16 => CellValue::Uint16(80),
            CellType::Uint32 => CellValue::Uint32(1 << 13),
            CellType::Uint64 => CellValue::Uint64(0x0102_0304_0506_0708),
            CellType::Int64 => CellValue::Int64(-4),
            _ => text("name"),
        };
        let column = Column::File(column);
        session.write(&mut state, &draft, column, new).unwrap();
        assert_eq!(session.read(&state, &draft, column), Ok(Cell::Value(new)), "{column:?}");
        session.destroy(&draft).unwrap();
        assert_eq!(session.destroy(&draft), Err(TableError::NotCreated));
    }
}

#[test]
fn files_are_those_of_the_process() {
    let (mut state, mut session) = (state(), TableSession::default());
    let thread = session.row(&state, &Table::Threads, 8).unwrap();
    let files = below(&session, &state, &thread, ThreadColumn::FileDescriptors);
    assert_eq!(session.size(&state, &files), 1);
    let file = session.row(&state, &files, 3).unwrap();
    let cell = |column| session.read(&state, &file, Column::File(column)).unwrap();
    assert_eq!(cell(FileColumn::Name), Cell::Value(text("/etc/hosts")));
    assert_eq!(cell(FileColumn::Fd), Cell::Value(CellValue::Int64(3)));
    assert_eq!(cell(FileColumn::Pid), Cell::Value(CellValue::Int64(7)));
    assert_eq!(cell(FileColumn::Ino), Cell::Value(CellValue::Uint64(9)));
    assert_eq!(session.row(&state, &files, 4), Err(TableError::NoEntry));
    assert_eq!(session.row(&state, &files, -1), Err(TableError::NoEntry));

    // A connection that a plugin makes up.
    let draft = session.create(&files).unwrap();
    let mut write = |column, value| {
        session.write(&mut state, &draft, Column::File(column), value).unwrap();
    };
    write(FileColumn::Ipv4SrcIp, CellValue::Uint32(u32::from_ne_bytes([10, 0, 0, 1])));
    write(FileColumn::Type, CellValue::Uint8(3));
    write(FileColumn::Ipv4DstPort, CellValue::Uint16(443));
    write(FileColumn::Flags, CellValue::Uint32(1 << 2));
    write(FileColumn::Ipv6DstPort, CellValue::Uint16(1));
    write(FileColumn::Name, text("10.0.0.1:1->10.0.0.2:443"));
    let row = session.add(&mut state, &files, 4, &draft).unwrap();
    assert_eq!(session.add(&mut state, &files, 4, &draft), Err(TableError::NotAddable));
    let known = state.fd(state.by_tid(7).unwrap(), 4).unwrap();
    let crate::FdKind::Ipv4(tuple) = known.kind else { panic!("{known:?}") };
    assert_eq!((tuple.sip.octets(), tuple.dport), ([10, 0, 0, 1], 443));
    assert_eq!(known.role, Some(crate::Role::Client));
    assert_eq!(&*known.name, b"10.0.0.1:1->10.0.0.2:443");

    session.erase(&mut state, &files, 4).unwrap();
    assert_eq!(session.erase(&mut state, &files, 4), Err(TableError::NotFound));
    assert_eq!(session.read(&state, &row, Column::File(FileColumn::Fd)), Err(TableError::Gone));
    session.clear(&mut state, &files).unwrap();
    assert_eq!(state.fd_tables().total(), 0);
}

#[test]
fn texts_are_lists() {
    let (mut state, mut session) = (state(), TableSession::default());
    let thread = session.row(&state, &Table::Threads, 7).unwrap();
    let args = below(&session, &state, &thread, ThreadColumn::Args);
    let env = below(&session, &state, &thread, ThreadColumn::Env);
    let groups = below(&session, &state, &thread, ThreadColumn::Cgroups);
    let list = Column::List;
    let row = session.row(&state, &env, 1).unwrap();
    session.write(&mut state, &row, list(ListColumn::Value), text("B=3")).unwrap();
    assert_eq!(state.env(state.by_tid(8).unwrap()).bytes(), b"A=1\0B=3");
    let row = session.row(&state, &args, 0).unwrap();
    session.write(&mut state, &row, list(ListColumn::Value), text("-v")).unwrap();
    assert_eq!(state.by_tid(7).unwrap().exec.cmdline(), b"cat -v /etc/hosts");
    let row = session.row(&state, &groups, 1).unwrap();
    assert_eq!(value(&session, &state, &row, list(ListColumn::First)), "memory");
    session.write(&mut state, &row, list(ListColumn::Second), text("/x")).unwrap();
    assert_eq!(state.by_tid(7).unwrap().cgroup(b"memory"), Some(&b"/x"[..]));
    let wrong = session.read(&state, &row, list(ListColumn::Value));
    assert_eq!(wrong, Err(TableError::WrongTable));

    let draft = session.create(&args).unwrap();
    let row = session.add(&mut state, &args, 3, &draft).unwrap();
    assert_eq!(session.size(&state, &args), 4);
    session.write(&mut state, &row, list(ListColumn::Value), text("end")).unwrap();
    session.erase(&mut state, &args, 2).unwrap();
    assert_eq!(state.by_tid(7).unwrap().exec.cmdline(), b"cat -v /etc/hosts end");
    assert_eq!(session.row(&state, &args, 3), Err(TableError::NoEntry));
    let far = session.add(&mut state, &args, -1, &session_text());
    assert_eq!(far, Err(TableError::Full));
    session.clear(&mut state, &args).unwrap();
    assert_eq!(state.by_tid(7).unwrap().exec.cmdline(), b"cat");
}

fn session_text() -> Row {
    Row::NewText(TextList::Args)
}

#[test]
fn a_thread_that_a_plugin_adds_has_its_place_in_the_tree() {
    let (mut state, mut session) = (state(), TableSession::default());
    let draft = session.create(&Table::Threads).unwrap();
    let files = below(&session, &state, &draft, ThreadColumn::FileDescriptors);
    let file = session.create(&files).unwrap();
    session.write(&mut state, &file, Column::File(FileColumn::Name), text("/x")).unwrap();
    session.add(&mut state, &files, 5, &file).unwrap();
    for (column, id) in [(ThreadColumn::Pid, 9), (ThreadColumn::Ptid, 7)] {
        let column = Column::Thread(column);
        session.write(&mut state, &draft, column, CellValue::Int64(id)).unwrap();
    }
    let row = session.add(&mut state, &Table::Threads, 9, &draft).unwrap();
    let thread = state.by_tid(9).unwrap();
    assert_eq!(state.parent(thread).map(|parent| parent.tid), Some(7));
    assert_eq!(&*state.fd(thread, 5).unwrap().name, b"/x");
    // One with the same key replaces it.
    let draft = session.create(&Table::Threads).unwrap();
    session.add(&mut state, &Table::Threads, 9, &draft).unwrap();
    assert_eq!(session.size(&state, &Table::Threads), 4);
    let tid = Column::Thread(ThreadColumn::Tid);
    assert_eq!(session.read(&state, &row, tid), Err(TableError::Gone));
    assert_eq!(session.rows(&state, &Table::Threads).len(), 4);
    session.erase(&mut state, &Table::Threads, 9).unwrap();
    assert_eq!(session.erase(&mut state, &Table::Threads, 9), Err(TableError::NotFound));
    session.clear(&mut state, &Table::Threads).unwrap();
    assert!(state.tree().is_empty() && state.fd_tables().total() == 0);
}

#[test]
fn columns_of_plugins_end_with_the_thread_and_the_file() {
    let (mut state, mut session) = (state(), TableSession::default());
    let column = Column::ThreadDynamic(FIRST_THREAD_DYNAMIC, CellType::Uint64);
    let of_file = Column::FileDynamic(FIRST_FILE_DYNAMIC, CellType::Text);
    let row = session.row(&state, &Table::Threads, 7).unwrap();
    assert_eq!(session.read(&state, &row, column), Ok(Cell::Value(CellValue::Uint64(0))));
    session.write(&mut state, &row, column, CellValue::Uint64(4)).unwrap();
    assert_eq!(session.read(&state, &row, column), Ok(Cell::Value(CellValue::Uint64(4))));
    let files = below(&session, &state, &row, ThreadColumn::FileDescriptors);
    let file = session.row(&state, &files, 3).unwrap();
    session.write(&mut state, &file, of_file, text("seen")).unwrap();
    assert_eq!(value(&session, &state, &file, of_file), "seen");

    let mut apply = |ty, param: i64, ts| {
        let mut bytes = Vec::new();
        Builder::new(ty, ts, 7).i64(0).i64(param).finish(&mut bytes).unwrap();
        state.apply(&Event::parse(&bytes, 0).unwrap());
    };
    apply(EventType::SyscallCloseX, 3, 1);
    apply(EventType::SyscallCloseX, 9, 2);
    assert_eq!(session.read(&state, &file, of_file), Err(TableError::Gone));
    session.erase(&mut state, &Table::Threads, 8).unwrap();
    session.erase(&mut state, &Table::Threads, 7).unwrap();
    assert_eq!(session.read(&state, &row, column), Err(TableError::Gone));
}

#[test]
fn the_container_of_a_thread_is_a_column() {
    let (mut state, mut session) = (state(), TableSession::default());
    let row = session.row(&state, &Table::Threads, 7).unwrap();
    session.write(&mut state, &row, Column::ContainerId, text("0123456789ab")).unwrap();
    assert_eq!(&*state.by_tid(7).unwrap().container, b"0123456789ab");
    assert_eq!(value(&session, &state, &row, Column::ContainerId), "0123456789ab");
}

#[test]
fn there_are_only_so_many_drafts() {
    let mut session = TableSession::default();
    for _ in 0..peregrine_limits::TABLE_DRAFTS.get() {
        session.create(&Table::Threads).unwrap();
    }
    assert_eq!(session.create(&Table::Threads), Err(TableError::Full));
    session.destroy(&Row::Thread(ThreadRow::Draft(17))).unwrap();
    assert_eq!(session.create(&Table::Threads), Ok(Row::Thread(ThreadRow::Draft(17))));
    session.clear_drafts();
    assert_eq!(session.destroy(&Row::Thread(ThreadRow::Draft(17))), Err(TableError::NotCreated));
}

#[derive(Clone, Debug)]
enum Op {
    Add(i64, u64),
    Erase(i64),
    Write(i64, u64),
    AddFile(i64, i64, u64),
    EraseFile(i64, i64),
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let (tid, fd) = (1..6_i64, -1..40_i64);
    prop_oneof![
        4 => (tid.clone(), any::<u64>()).prop_map(|(tid, it)| Op::Add(tid, it)),
        2 => tid.clone().prop_map(Op::Erase),
        4 => (tid.clone(), any::<u64>()).prop_map(|(tid, it)| Op::Write(tid, it)),
        4 => (tid.clone(), fd.clone(), any::<u64>()).prop_map(|(t, fd, it)| Op::AddFile(t, fd, it)),
        2 => (tid, fd).prop_map(|(tid, fd)| Op::EraseFile(tid, fd)),
        1 => Just(Op::Clear),
    ]
}

proptest! {
    /// The tables behave like maps, whatever the order of operations.
    #[test]
    fn tables_are_maps(ops in prop::collection::vec(op(), 0..60)) {
        let number = Column::ThreadDynamic(FIRST_THREAD_DYNAMIC + 1, CellType::Uint64);
        let of_file = Column::FileDynamic(FIRST_FILE_DYNAMIC, CellType::Uint64);
        let mut model = BTreeMap::<i64, (u64, BTreeMap<i64, u64>)>::new();
        let (mut state, mut session) = (State::new(Config::default()), TableSession::default());
        for op in ops {
            match op {
                Op::Add(tid, it) => {
                    let draft = session.create(&Table::Threads).unwrap();
                    session.write(&mut state, &draft, number, CellValue::Uint64(it)).unwrap();
                    session.add(&mut state, &Table::Threads, tid, &draft).unwrap();
                    model.insert(tid, (it, BTreeMap::new()));
                }
                Op::Erase(tid) => {
                    let erased = session.erase(&mut state, &Table::Threads, tid);
                    prop_assert_eq!(erased.is_ok(), model.remove(&tid).is_some());
                }
                Op::Write(tid, it) => {
                    let row = session.row(&state, &Table::Threads, tid);
                    prop_assert_eq!(row.is_ok(), model.contains_key(&tid));
                    if let (Ok(row), Some((known, _))) = (row, model.get_mut(&tid)) {
                        session.write(&mut state, &row, number, CellValue::Uint64(it)).unwrap();
                        *known = it;
                    }
                }
                Op::AddFile(tid, fd, it) => {
                    let Ok(Row::Thread(at)) = session.row(&state, &Table::Threads, tid) else {
                        continue;
                    };
                    let draft = session.create(&Table::Files(at)).unwrap();
                    session.write(&mut state, &draft, of_file, CellValue::Uint64(it)).unwrap();
                    let added = session.add(&mut state, &Table::Files(at), fd, &draft);
                    prop_assert_eq!(added.is_ok(), fd >= 0);
                    if let (Ok(_), Some((_, files))) = (added, model.get_mut(&tid)) {
                        files.insert(fd, it);
                    }
                }
                Op::EraseFile(tid, fd) => {
                    let Ok(Row::Thread(at)) = session.row(&state, &Table::Threads, tid) else {
                        continue;
                    };
                    let erased = session.erase(&mut state, &Table::Files(at), fd);
                    let known = model.get_mut(&tid).and_then(|(_, files)| files.remove(&fd));
                    prop_assert_eq!(erased.is_ok(), known.is_some());
                }
                Op::Clear => {
                    session.clear(&mut state, &Table::Threads).unwrap();
                    model.clear();
                }
            }
            let mut found = BTreeMap::new();
            for row in session.rows(&state, &Table::Threads) {
                let number_of = |row: &Row, column| match session.read(&state, row, column) {
                    Ok(Cell::Value(CellValue::Uint64(it))) => it,
                    other => panic!("{other:?}"),
                };
                let Ok(Cell::Value(CellValue::Int64(tid))) =
                    session.read(&state, &row, Column::Thread(ThreadColumn::Tid))
                else {
                    panic!()
                };
                let files = below(&session, &state, &row, ThreadColumn::FileDescriptors);
                let files = session.rows(&state, &files).into_iter().map(|file| {
                    let Row::File(FileRow::Open(_, fd)) = file else { panic!() };
                    (fd, number_of(&file, of_file))
                });
                found.insert(tid, (number_of(&row, number), files.collect::<BTreeMap<_, _>>()));
            }
            prop_assert_eq!(&found, &model);
            let files: usize = model.values().map(|(_, files)| files.len()).sum();
            prop_assert_eq!(state.fd_tables().total(), files);
        }
    }
}
