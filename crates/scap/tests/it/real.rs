//! Captures of old releases: the events that Falco delivers, with its numbers.

use peregrine_event::{Event, EventType};
use peregrine_scap::{Counts, Reader, Record};

use crate::common::{CAPTURES, Owned, read_all, read_peeking};

#[test]
fn superfluous_enter_events_are_counted_but_not_numbered() {
    for (name, delivered, superfluous) in [("cat_write", 307, 38), ("curl_google", 991, 545)] {
        let mut reader = Reader::open(format!("{CAPTURES}/{name}.scap")).unwrap();
        let mut last = 0;
        while let Some(record) = reader.next().unwrap() {
            if let Record::Event { event, .. } = record {
                assert_eq!(event.num, last + 1);
                last = event.num;
            }
        }
        assert_eq!(reader.counts(), Counts { delivered, superfluous, unknown: 0 });
    }
}

#[test]
fn exit_events_are_complete() {
    let file = std::fs::File::open(format!("{CAPTURES}/cat_write.scap")).unwrap();
    let records = read_all(file);
    let event = |wanted| {
        records
            .iter()
            .find_map(|record| match record {
                Owned::Event { num, bytes, .. } if *num == wanted => Event::parse(bytes, 0).ok(),
                _ => None,
            })
            .unwrap()
    };

    let exec = event(131);
    assert_eq!((exec.ty, exec.tid), (EventType::SyscallExecve_19X, 20_072));
    assert_eq!((exec.text(1), exec.nparams()), (Some(&b"cat"[..]), exec.ty.info().params.len()));

    // The capture contains fd and size in the enter event only.
    let read = event(172);
    assert_eq!(read.ty, EventType::SyscallReadX);
    assert_eq!((read.i64(0), read.i64(2), read.u32(3)), (Some(0), Some(3), Some(131_072)));
}

#[test]
fn a_peek_changes_no_record() {
    for entry in std::fs::read_dir(CAPTURES).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "scap") {
            continue;
        }
        // Two in a row, so that there are records of a second section too.
        let file = [std::fs::read(&path).unwrap(), std::fs::read(&path).unwrap()].concat();
        let (plain, error) = read_peeking(&*file, |_| false);
        let (peeked, same_error) = read_peeking(&*file, |_| true);
        assert!(plain == peeked, "{}", path.display());
        assert_eq!(error.map(|error| error.to_string()), same_error.map(|error| error.to_string()));
    }
}
