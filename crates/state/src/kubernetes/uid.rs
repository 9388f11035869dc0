//! The uid of a pod in the paths of its control groups.

use std::borrow::Cow;

use crate::texts::Texts;

/// Digits of a uid in its groups, with `-` (cgroupfs) or `_` (systemd) between them.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
/// Letters of a uid.
const UID: usize = 36;
/// Digits of the uid of a pod from a file, which has no groups.
const STATIC_UID: usize = 32;

/// The uid of the pod whose control group one of these is in.
pub(crate) fn pod_of(groups: &Texts) -> Option<Cow<'_, str>> {
    groups.iter().find_map(pod_uid)
}

/// The uid behind the first `pod` that is followed by one.
fn pod_uid(path: &[u8]) -> Option<Cow<'_, str>> {
    let starts = path.windows(3).enumerate().filter(|(_, word)| word == b"pod");
    let mut rests = starts.filter_map(|(at, _)| path.get(at + 3..));
    rests.find_map(|rest| with_groups(rest).or_else(|| static_uid(rest)))
}

fn with_groups(rest: &[u8]) -> Option<Cow<'_, str>> {
    let uid = std::str::from_utf8(rest.get(..UID)?).ok()?;
    let mut groups = uid.split(['-', '_']);
    let same = |(group, len): (&str, usize)| {
        group.len() == len && group.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let fits = groups.by_ref().zip(GROUPS).filter(|&pair| same(pair)).count() == GROUPS.len();
    let escaped = uid.contains('_');
    fits.then(|| if escaped { uid.replace('_', "-").into() } else { uid.into() })
}

/// 32 digits up to the end of the component, or to `.slice`.
fn static_uid(rest: &[u8]) -> Option<Cow<'_, str>> {
    let digits = rest.get(..STATIC_UID).filter(|it| it.iter().all(u8::is_ascii_hexdigit))?;
    let ends = rest.get(STATIC_UID).is_none_or(|next| matches!(next, b'/' | b'.'));
    std::str::from_utf8(digits).ok().filter(|_| ends).map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_uid_in_paths_of_both_drivers() {
        let uid = "05869489-8c7f-45dc-9abd-1b1620787bb1";
        let hash = "f3c1b2a49d0e8f7766554433221100aa";
        let escaped = uid.replace('-', "_");
        let id = "6".repeat(64);
        for (path, found) in [
            (format!("cpuset=/kubepods/besteffort/pod{uid}/{id}"), Some(uid)),
            (format!("cpu=/kubepods.slice/kubepods-pod{escaped}.slice/crio-{id}.scope"), Some(uid)),
            (format!("cpu=/kubepods/pod{hash}/{id}"), Some(hash)),
            (format!("cpu=/kubepods-burstable-pod{hash}.slice"), Some(hash)),
            (format!("cpu=/pod{hash}0/{id}"), None),
            (format!("cpu=/pod{}/x", uid.replace('0', "G")), None),
            (format!("cpu=/pod{}", &uid[..35]), None),
            ("cpu=/kubepods/podpod".to_owned(), None),
            ("cpu=/".to_owned(), None),
        ] {
            assert_eq!(pod_uid(path.as_bytes()).as_deref(), found, "{path}");
        }
    }
}
