//! Names of bits and values, joined by `|`.

use super::put_joined;
use crate::FlagTable;

/// Bits by their names. A name of several bits comes before the names of single ones in its table,
/// and takes its bits away.
pub(super) fn bits(table: FlagTable, value: u32, out: &mut Vec<u8>) {
    join(Take { table, initial: value, left: value }, out);
}

/// All names of one value.
pub(super) fn one(table: FlagTable, value: u32, out: &mut Vec<u8>) {
    join(table.iter().filter(|&&(_, v)| v == value).map(|&(name, _)| name), out);
}

/// Bits of a file mode by their names. A name of exactly the value ends the list even when
/// the names before it have taken all bits.
pub(super) fn mode(table: FlagTable, value: u32, out: &mut Vec<u8>) {
    let exact = table.iter().position(|&(_, v)| v == value).unwrap_or(table.len());
    let (before, rest) = table.split_at(exact);
    let last = rest.first().map(|&(name, _)| name);
    join(Take { table: before, initial: value, left: value }.chain(last), out);
}

/// Names found in a table, each taking its bits away.
struct Take {
    table: FlagTable,
    initial: u32,
    left: u32,
}

impl Iterator for Take {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        while let [(name, bits), rest @ ..] = self.table {
            self.table = rest;
            let found = if *bits == 0 { self.initial == 0 } else { self.left & bits == *bits };
            if found {
                self.left &= !bits;
                if *bits == self.initial {
                    self.table = &[];
                }
                return Some(name);
            }
        }
        None
    }
}

fn join(names: impl Iterator<Item = &'static str>, out: &mut Vec<u8>) {
    put_joined(names, b'|', out, |name, out| out.extend_from_slice(name.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: FlagTable = &[("NONE", 0), ("RW", 3), ("R", 1), ("W", 2), ("X", 4), ("X2", 4)];

    fn text(print: fn(FlagTable, u32, &mut Vec<u8>), value: u32) -> String {
        let mut out = Vec::new();
        print(TABLE, value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bits_are_taken_once() {
        assert_eq!(text(bits, 0), "NONE");
        assert_eq!(text(bits, 1), "R");
        assert_eq!(text(bits, 3), "RW");
        assert_eq!(text(bits, 7), "RW|X");
        assert_eq!(text(bits, 8), "");
        assert_eq!(text(bits, 9), "R");
    }

    #[test]
    fn a_value_has_all_its_names() {
        assert_eq!(text(one, 4), "X|X2");
        assert_eq!(text(one, 5), "");
    }

    #[test]
    fn a_mode_ends_with_its_exact_name() {
        assert_eq!(text(mode, 0), "NONE");
        assert_eq!(text(mode, 4), "X");
        assert_eq!(text(mode, 6), "W|X");
    }
}
