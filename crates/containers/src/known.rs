//! The containers that were told.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use peregrine_limits::{CONTAINER_CACHE_BYTES, CONTAINERS};

use crate::settings::EngineKind;

/// The containers that were told and are not gone, by the beginning of their ids.
#[derive(Debug, Default)]
pub(crate) struct Known {
    by_id: HashMap<String, Entry>,
    /// Of all JSON texts.
    bytes: usize,
    /// Number of the last end.
    ends: u64,
}

/// A container that was told.
#[derive(Debug)]
pub(crate) struct Entry {
    origin: Origin,
    pub(crate) full_id: String,
    /// When it was made, seconds since the epoch.
    created: i64,
    /// Of its JSON.
    hash: u64,
    /// What was told last, if there was room.
    json: Option<Arc<str>>,
    /// Whether it was described before it started, and lacks what it has since then.
    awaits_start: bool,
    /// Whether an event of the runtime has described it, and no answer yet.
    is_preliminary: bool,
    /// Path of its control group.
    pub(crate) cgroup: Option<Arc<[u8]>>,
    /// Whether rules have seen it.
    shown: bool,
    /// Set when it has ended: the number of the end.
    ended: Option<u64>,
}

/// Who has described a container.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) engine: EngineKind,
    /// Path of its socket.
    pub(crate) socket: Rc<Path>,
}

/// What is new about a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The container was not known.
    Container,
    /// The container was known; some value has changed.
    Values,
    /// Nothing.
    Nothing,
    /// Another engine describes it, and better.
    Foreign,
}

impl Known {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id)
    }

    /// The JSON that was told last of a container that has started.
    pub(crate) fn json(&self, id: &str) -> Option<Arc<str>> {
        self.by_id.get(id).filter(|entry| !entry.awaits_start)?.json.clone()
    }

    /// The JSON of a container that an event has described, and no answer yet.
    pub(crate) fn preliminary(&self, id: &str) -> Option<Arc<str>> {
        self.by_id.get(id).filter(|entry| entry.is_preliminary)?.json.clone()
    }

    /// Whether this socket has described a container.
    pub(crate) fn is_of(&self, id: &str, socket: &Path) -> bool {
        self.by_id.get(id).is_some_and(|entry| &*entry.origin.socket == socket)
    }

    /// Whether all of a container is known that its events need.
    pub(crate) fn is_complete(&self, id: &str) -> bool {
        self.by_id.contains_key(id) && !self.awaits_start(id)
    }

    /// Whether a container was described before it started.
    pub(crate) fn awaits_start(&self, id: &str) -> bool {
        self.by_id.get(id).is_some_and(|entry| entry.awaits_start)
    }

    /// The container with this id lacks what it gets when it starts.
    pub(crate) fn set_awaits_start(&mut self, id: &str, awaits_start: bool) {
        if let Some(entry) = self.by_id.get_mut(id) {
            entry.awaits_start = awaits_start;
        }
    }

    /// The container with this id is described by an event, and by no answer.
    pub(crate) fn set_preliminary(&mut self, id: &str) {
        if let Some(entry) = self.by_id.get_mut(id) {
            entry.is_preliminary = true;
        }
    }

    /// Sets the control group of a container.
    pub(crate) fn set_cgroup(&mut self, id: &str, cgroup: &Arc<[u8]>) {
        if let Some(entry) = self.by_id.get_mut(id) {
            entry.cgroup = Some(Arc::clone(cgroup));
        }
    }

    /// Takes a description. A container with the same id that was made at another time is another
    /// one.
    pub(crate) fn describe(
        &mut self,
        id: &str,
        (full_id, created): (&str, i64),
        origin: Origin,
        json: &str,
    ) -> News {
        let mut hasher = DefaultHasher::new();
        json.hash(&mut hasher);
        let hash = hasher.finish();
        let mut news = News::Container;
        let (mut cgroup, mut shown) = (None, false);
        if let Some(known) = self.by_id.get_mut(id) {
            if rank(known.origin.engine) > rank(origin.engine) && known.ended.is_none() {
                return News::Foreign;
            }
            let same_time = known.is_preliminary || known.created == created;
            if known.full_id == full_id && same_time {
                (known.ended, known.is_preliminary) = (None, false);
                if known.hash == hash {
                    return News::Nothing;
                }
                news = News::Values;
                (cgroup, shown) = (known.cgroup.take(), known.shown);
            }
            self.remove(id);
        }
        if self.by_id.len() >= CONTAINERS.get() {
            CONTAINERS.reach();
            return news;
        }
        let fits = self.bytes + json.len() <= CONTAINER_CACHE_BYTES.get();
        if fits {
            self.bytes += json.len();
        } else {
            CONTAINER_CACHE_BYTES.reach();
        }
        let (json, full_id) = (fits.then(|| json.into()), full_id.to_owned());
        let entry = Entry {
            origin,
            full_id,
            created,
            hash,
            json,
            awaits_start: false,
            is_preliminary: false,
            cgroup,
            shown,
            ended: None,
        };
        self.by_id.insert(id.to_owned(), entry);
        news
    }

    /// Rules see it from now on; whether they have seen it before.
    pub(crate) fn show(&mut self, id: &str) -> bool {
        self.by_id.get_mut(id).is_some_and(|entry| std::mem::replace(&mut entry.shown, true))
    }

    /// Marks the end of a container; returns its number. `None` when the container is not known or
    /// has ended before.
    pub(crate) fn end(&mut self, id: &str) -> Option<u64> {
        let entry = self.by_id.get_mut(id).filter(|entry| entry.ended.is_none())?;
        self.ends += 1;
        entry.ended = Some(self.ends);
        entry.ended
    }

    /// Whether a container is still at this end: it has not begun again.
    pub(crate) fn is_ended(&self, id: &str, end: u64) -> bool {
        self.by_id.get(id).is_some_and(|entry| entry.ended == Some(end))
    }

    /// Forgets a container.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Entry> {
        let entry = self.by_id.remove(id)?;
        self.bytes -= entry.json.as_ref().map_or(0, |json| json.len());
        Some(entry)
    }

    /// Whole ids of the containers that were described by this socket and have not ended.
    pub(crate) fn of_socket(&self, socket: &Path) -> Vec<String> {
        let own = |entry: &&Entry| &*entry.origin.socket == socket && entry.ended.is_none();
        self.by_id.values().filter(own).map(|entry| entry.full_id.clone()).collect()
    }
}

impl Entry {
    /// What was told last, if there was room.
    pub(crate) fn json(&self) -> Option<&Arc<str>> {
        self.json.as_ref()
    }
}

/// How much an engine knows of a container that several describe: containers of cri-dockerd are
/// docker's too, and those of both are containerd's.
fn rank(engine: EngineKind) -> u8 {
    match engine {
        EngineKind::Containerd => 0,
        EngineKind::Docker | EngineKind::Podman => 1,
        EngineKind::Cri => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: (&str, i64) = ("abcd", 1);

    fn by(engine: EngineKind) -> Origin {
        Origin { engine, socket: Path::new(engine.name()).into() }
    }

    fn docker() -> Origin {
        by(EngineKind::Docker)
    }

    #[test]
    fn the_same_is_told_once() {
        let mut known = Known::default();
        assert_eq!(known.describe("ab", DOCKER, docker(), "{}"), News::Container);
        assert!(!known.show("ab") && known.show("ab"));
        assert_eq!(known.describe("ab", DOCKER, docker(), "{}"), News::Nothing);
        assert_eq!(known.describe("ab", DOCKER, docker(), "{1}"), News::Values);
        assert!(known.show("ab"));
        assert_eq!(known.json("ab").as_deref(), Some("{1}"));
        // The id was used again.
        assert_eq!(known.describe("ab", ("abcd", 2), docker(), "{1}"), News::Container);
        assert!(!known.show("ab"));
        let containerd = by(EngineKind::Containerd);
        assert_eq!(known.describe("ab", ("abcd", 2), containerd, "{2}"), News::Foreign);
        assert_eq!((known.len(), known.bytes), (1, 3));
    }

    #[test]
    fn a_container_that_begins_again_has_not_ended() {
        let mut known = Known::default();
        assert_eq!(known.end("ab"), None);
        known.describe("ab", DOCKER, docker(), "{}");
        let end = known.end("ab").unwrap();
        assert!(known.is_ended("ab", end) && known.end("ab").is_none());
        assert_eq!(known.describe("ab", DOCKER, docker(), "{}"), News::Nothing);
        assert!(!known.is_ended("ab", end));
        assert_ne!(known.end("ab"), Some(end));
        assert!(known.remove("ab").is_some() && known.bytes == 0);
    }

    #[test]
    fn one_that_has_not_started_is_asked_about_again() {
        let mut known = Known::default();
        known.describe("ab", DOCKER, docker(), "{}");
        assert!(known.is_complete("ab") && known.json("ab").is_some());
        known.set_awaits_start("ab", true);
        assert!(!known.is_complete("ab") && known.json("ab").is_none());
        known.describe("ab", DOCKER, docker(), "{1}");
        known.set_awaits_start("ab", false);
        assert!(known.is_complete("ab") && !known.is_complete("cd"));
    }

    #[test]
    fn an_answer_completes_what_an_event_has_said() {
        let mut known = Known::default();
        known.describe("ab", ("abcd", 0), docker(), "{}");
        known.set_preliminary("ab");
        known.set_cgroup("ab", &b"/x"[..].into());
        assert_eq!(known.preliminary("ab").as_deref(), Some("{}"));
        assert_eq!(known.describe("ab", DOCKER, docker(), "{1}"), News::Values);
        assert!(known.preliminary("ab").is_none() && known.get("ab").unwrap().cgroup.is_some());
        assert_eq!(known.describe("ab", ("abcd", 2), docker(), "{1}"), News::Container);
    }

    #[test]
    fn texts_are_bounded() {
        let mut known = Known::default();
        let json = "x".repeat(CONTAINER_CACHE_BYTES.get() / 2 + 1);
        known.describe("a", DOCKER, docker(), &json);
        known.describe("b", DOCKER, docker(), &json);
        assert!(known.json("a").is_some() && known.json("b").is_none());
        assert_eq!(known.of_socket(Path::new("docker")), ["abcd"; 2]);
        assert!(known.of_socket(Path::new("podman")).is_empty());
    }
}
