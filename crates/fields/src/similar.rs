//! Names that look like a name.

use strsim::osa_distance;

/// How many names are offered.
const MAX: usize = 3;

/// The names that are a slip or two away from `name`, nearest first.
pub(crate) fn similar<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let limit = 1 + name.len() / 5;
    let mut near: Vec<(usize, &str)> =
        names.map(|other| (osa_distance(name, other), other)).collect();
    near.retain(|(distance, _)| *distance <= limit);
    near.sort();
    near.dedup();
    near.into_iter().take(MAX).map(|(_, other)| other.to_owned()).collect()
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
            assert_eq!(osa_distance(a, b), slips, "{a} {b}");
            assert_eq!(osa_distance(b, a), slips, "{b} {a}");
        }
    }

    #[test]
    fn offers_the_nearest_first_and_nothing_far() {
        let names = ["fd.name", "fd.names", "fd.num", "proc.cmdline"];
        assert_eq!(similar("fd.nam", names.into_iter()), ["fd.name", "fd.num", "fd.names"]);
        assert!(similar("proc.aname", names.into_iter()).is_empty());
    }
}
