//! Events that tell of users, groups and containers.

use std::sync::Arc;

use super::context::ApplyContext;
use crate::containers::{Container, ContainerKind};
use crate::state::State;
use crate::thread::{Purpose, Thread};
use crate::tree::ThreadRef;
use crate::users::{Group, User};

impl State {
    pub(super) fn user_added(&mut self, act: &mut ApplyContext<'_>) {
        let user = User {
            uid: act.u32(0),
            gid: act.u32(1),
            name: act.text(2).into(),
            home: act.text(3).into(),
            shell: act.text(4).into(),
        };
        self.add_user(container(act, 5), user);
    }

    pub(super) fn user_deleted(&mut self, act: &mut ApplyContext<'_>) {
        self.users.remove_user(container(act, 5), act.u32(0));
    }

    pub(super) fn group_added(&mut self, act: &mut ApplyContext<'_>) {
        let group = Group { gid: act.u32(0), name: act.text(1).into() };
        self.add_group(container(act, 2), group);
    }

    pub(super) fn group_deleted(&mut self, act: &mut ApplyContext<'_>) {
        self.users.remove_group(container(act, 2), act.u32(0));
    }

    /// The oldest form, which says little.
    pub(super) fn container_added(&mut self, act: &mut ApplyContext<'_>) {
        let text = |index| String::from_utf8_lossy(act.text(index)).into_owned();
        self.tell_of(Container {
            id: text(0),
            kind: ContainerKind::from_code(act.u64(1)),
            name: text(2),
            image: text(3),
            ..Container::default()
        });
    }

    pub(super) fn container_described(&mut self, act: &mut ApplyContext<'_>) {
        if let Some(container) = self.read_container(act.event.text(0)) {
            self.tell_of(container);
        }
    }

    pub(super) fn async_event(&mut self, act: &mut ApplyContext<'_>) {
        match act.event.text(1) {
            Some(b"container") => {
                if let Some(container) = self.read_container(act.event.text(2)) {
                    self.tell_of(container);
                }
            }
            Some(b"container_removed") => {
                if let Some(container) = self.read_container(act.event.text(2)) {
                    self.containers.remove(container.id.as_bytes());
                    self.told = Some(Arc::new(container));
                }
            }
            _ => {}
        }
    }

    fn read_container(&mut self, json: Option<&[u8]>) -> Option<Container> {
        let json = json.filter(|json| self.config.containers && !json.is_empty())?;
        let container = Container::from_json(json);
        self.counters.bad_containers += u64::from(container.is_err());
        container.ok()
    }

    fn tell_of(&mut self, container: Container) {
        if !self.config.containers {
            return;
        }
        let container = Arc::new(container);
        self.told = Some(Arc::clone(&container));
        self.counters.dropped_others += u64::from(!self.containers.insert(container));
    }

    /// Finds the container that a thread runs in, now that its control groups may have changed.
    pub(crate) fn find_container(&mut self, at: ThreadRef) {
        if !self.config.containers {
            return;
        }
        let Some(thread) = self.tree.get(at) else { return };
        let (id, kind) = self.cgroups.container(&thread.cgroups);
        let changed = thread.container != id;
        if let Some(kind) = kind {
            // Nobody will say more of it.
            let id = String::from_utf8_lossy(&id).into_owned();
            let bare = Container { id, kind, ..Container::default() };
            self.counters.dropped_others += u64::from(!self.containers.insert(Arc::new(bare)));
        }
        let purpose = self.tree.get(at).and_then(|thread| self.purpose(thread, &id));
        let Some(thread) = self.tree.get_mut(at) else { return };
        thread.purpose = purpose.unwrap_or(thread.purpose);
        thread.container = Arc::clone(&id);
        let (uid, gid) = (thread.uid, thread.gid);
        if changed {
            self.note_user(&id, uid, gid);
        }
    }

    /// Why a process runs in this container, where that can be told.
    fn purpose(&self, thread: &Thread, container: &[u8]) -> Option<Purpose> {
        let container = self.containers.get(container).filter(|_| !container.is_empty())?;
        if thread.vpid == 1 {
            return Some(Purpose::Container);
        }
        let parent = self.tree.parent(thread);
        if let Some(inherited) = parent.map(|p| p.purpose).filter(|&p| p != Purpose::Unknown) {
            return Some(inherited);
        }
        let args = thread.exec.args.iter().filter(|arg| !arg.is_empty());
        let probe = container.probe(&thread.exec.exe, args)?;
        // What comes from the container's first process is no probe, whatever it looks like.
        let inside = |t: &Thread| t.vpid == 1 && !t.container.is_empty();
        (!self.tree.ancestors(thread).any(inside)).then_some(Purpose::Probe(probe))
    }
}

/// The container an account belongs to.
fn container<'e>(act: &ApplyContext<'e>, index: usize) -> &'e [u8] {
    act.event.text(index).unwrap_or_default()
}
