//! Suggestions for misspelled names.

use strsim::osa_distance;

/// Most names that are suggested.
const MAX: usize = 3;

/// The names within a small edit distance of `name`, nearest first.
pub(crate) fn similar<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    // Within a class of fields, the rest of the name must be alike.
    let limit = match name.split_once('.') {
        Some((_, rest)) => (rest.len() / 2).clamp(1, 1 + name.len() / 5),
        None => 1 + name.len() / 5,
    };
    let (mut near, mut longer) = (Vec::new(), Vec::new());
    for other in names {
        let distance = osa_distance(name, other);
        if distance <= limit {
            near.push((distance, other));
        } else if name.contains('.') && other.starts_with(name) {
            longer.push((distance, other));
        }
    }
    // `proc.cmd` is the beginning of `proc.cmdline`.
    near.sort();
    longer.sort();
    near.append(&mut longer);
    near.dedup();
    near.into_iter().take(MAX).map(|(_, other)| other.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_edits() {
        for (a, b, slips) in [
            ("", "", 0),
            ("abc", "", 3),
            ("proc.nmae", "proc.name", 1),
            ("fd.nam", "fd.name", 1),
            ("abcd", "badc", 2),
        ] {
            assert_eq!(osa_distance(a, b), slips, "{a} {b}");
            assert_eq!(osa_distance(b, a), slips, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_names_come_first_and_far_ones_not_at_all() {
        let names = ["fd.name", "fd.names", "fd.num", "proc.cmdline"];
        assert_eq!(similar("fd.nam", names.into_iter()), ["fd.name", "fd.num", "fd.names"]);
        assert!(similar("proc.aname", names.into_iter()).is_empty());
    }
}
