//! How much memory a capture can take.

use peregrine_scap::{Reader, ScapError};

/// A capture with a block of this type. Its length is that of the body, unless it says another one.
fn capture(ty: u32, body: &[u8], said: Option<u32>) -> Vec<u8> {
    let block = |ty: u32, body: &[u8], said: Option<u32>| {
        let total = said.unwrap_or(body.len() as u32 + 12).to_le_bytes();
        [&ty.to_le_bytes()[..], &total, body, &total].concat()
    };
    let section = [&0x1A2B_3C4D_u32.to_le_bytes()[..], &[1, 0, 2, 0], &[0xff; 8]].concat();
    [block(0x0A0D_0D0A, &section, None), block(ty, body, said)].concat()
}

/// Reads a capture to its end; the most bytes allocated meanwhile, and the error.
fn peak(capture: &[u8]) -> (u64, Option<ScapError>) {
    let mut error = None;
    let measured = allocation_counter::measure(|| {
        let mut reader = Reader::new(capture);
        error = loop {
            match reader.next() {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
    });
    eprintln!("{} KB: peak {} KB", capture.len() >> 10, measured.bytes_max >> 10);
    (measured.bytes_max, error)
}

#[test]
fn a_list_of_many_fds_takes_little_more_than_its_block() {
    const FDS: u32 = 0x203;
    let entry = [&3_i64.to_le_bytes()[..], &0_u64.to_le_bytes(), &[0]].concat();
    let list = [&7_i64.to_le_bytes()[..], &entry.repeat(1_000_000)].concat();
    let (peak, error) = peak(&capture(FDS, &list, None));
    // There is no event.
    assert!(matches!(error, Some(ScapError::NoEvents)), "{error:?}");
    // The buffer is copied while it grows.
    assert!(peak < 2 * list.len() as u64 + (8 << 20), "{peak}");
}

#[test]
fn a_long_event_block_is_refused_before_it_is_read() {
    const LARGE: u32 = 0x221;
    let (peak, error) = peak(&capture(LARGE, &[0; 1 << 20], Some(65 << 20)));
    let error = error.map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("an event block"), "{error}");
    assert!(peak < 1 << 20, "{peak}");
}
