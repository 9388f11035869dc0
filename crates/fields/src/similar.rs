//! Names that look like a name.

/// How many names are offered.
const MAX: usize = 3;

/// The names that are a slip or two away from `name`, nearest first.
pub(crate) fn similar<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let limit = 1 + name.len() / 5;
    let mut near: Vec<(usize, &str)> =
        names.map(|other| (distance(name.as_bytes(), other.as_bytes()), other)).collect();
    near.retain(|(distance, _)| *distance <= limit);
    near.sort();
    near.dedup();
    near.into_iter().take(MAX).map(|(_, other)| other.to_owned()).collect()
}

/// Letters to add, remove, replace or swap with their neighbour to make one text of the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut best = at(&last, j) + usize::from(x != y);
            best = best.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_slips() {
        for (a, b, slips) in [
            ("", "", 0),
            ("abc", "", 3),
            ("proc.nmae", "proc.name", 1),
            ("fd.nam", "fd.name", 1),
            ("abcd", "badc", 2),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), slips, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), slips, "{b} {a}");
        }
    }

    #[test]
    fn offers_the_nearest_first_and_nothing_far() {
        let names = ["fd.name", "fd.names", "fd.num", "proc.cmdline"];
        assert_eq!(similar("fd.nam", names.into_iter()), ["fd.name", "fd.num", "fd.names"]);
        assert!(similar("proc.aname", names.into_iter()).is_empty());
    }
}
