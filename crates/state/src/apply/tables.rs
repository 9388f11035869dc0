//! Events that describe users, groups and containers.

use std::sync::Arc;

use peregrine_event::params::{
    asyncevent_e as asyncevent, container_e as container_event,
    container_json_2_e as container_json, container_json_e as old_container_json,
    group_added_e as group, group_deleted_e as deleted_group, user_added_e as user,
    user_deleted_e as deleted_user,
};

use peregrine_event::snapshot::{Group, User};

use super::context::ApplyContext;
use crate::containers::{Container, ContainerKind};
use crate::export::{CONTAINER_UNAVAILABLE, CONTAINERS_LOOKED_UP, FILES, TIMES};
use crate::kubernetes::{Change as KubernetesChange, KUBERNETES_EVENT, POD_UID};
use crate::moved::MOVED;
use crate::state::State;
use crate::update::TASK;

peregrine_event::same_params!(container_json, old_container_json: JSON);
peregrine_event::same_params!(user, deleted_user: UID, CONTAINER_ID);
peregrine_event::same_params!(group, deleted_group: GID, CONTAINER_ID);

impl State {
    pub(super) fn user_added(&mut self, cx: &ApplyContext<'_>) {
        let user = User {
            uid: cx.u32(user::UID),
            gid: cx.u32(user::GID),
            name: cx.text(user::NAME).into(),
            home: cx.text(user::HOME).into(),
            shell: cx.text(user::SHELL).into(),
        };
        self.add_user(container(cx, user::CONTAINER_ID), user);
    }

    pub(super) fn user_deleted(&mut self, cx: &ApplyContext<'_>) {
        self.users.remove_user(container(cx, user::CONTAINER_ID), cx.u32(user::UID));
    }

    pub(super) fn group_added(&mut self, cx: &ApplyContext<'_>) {
        let group = Group { gid: cx.u32(group::GID), name: cx.text(group::NAME).into() };
        self.add_group(container(cx, group::CONTAINER_ID), group);
    }

    pub(super) fn group_deleted(&mut self, cx: &ApplyContext<'_>) {
        self.users.remove_group(container(cx, group::CONTAINER_ID), cx.u32(group::GID));
    }

    /// The oldest form, which has few fields. It is only a part of the state.
    pub(super) fn container_added(&mut self, cx: &ApplyContext<'_>) {
        if !self.config.containers {
            return;
        }
        let text = |param| String::from_utf8_lossy(cx.text(param)).into_owned();
        self.add_container(Arc::new(Container {
            id: text(container_event::ID),
            kind: ContainerKind::from_code(cx.u64(container_event::TYPE)),
            name: text(container_event::NAME),
            image: text(container_event::IMAGE),
            ..Container::default()
        }));
    }

    pub(super) fn container_described(&mut self, cx: &ApplyContext<'_>) {
        if let Some(container) = self.read_container(cx.event.text(container_json::JSON)) {
            self.describe(container);
        }
    }

    pub(super) fn async_event(&mut self, cx: &ApplyContext<'_>) {
        match cx.event.text(asyncevent::NAME) {
            Some(b"container") => {
                if let Some(container) = self.read_container(cx.event.text(asyncevent::DATA)) {
                    self.describe(container);
                }
            }
            Some(b"container_removed") => {
                if let Some(container) = self.read_container(cx.event.text(asyncevent::DATA)) {
                    self.remove_container(container.id.as_bytes());
                    self.event_container = Some(Arc::new(container));
                }
            }
            Some(name) if name == KUBERNETES_EVENT.as_bytes() => {
                if let Some(json) = cx.event.text(asyncevent::DATA) {
                    self.kubernetes_event(json);
                }
            }
            Some(CONTAINER_UNAVAILABLE) => {
                if let Some(id) = cx.event.text(asyncevent::DATA) {
                    self.recorded_unavailable(id);
                }
            }
            Some(CONTAINERS_LOOKED_UP) => self.follow_lookups(),
            Some(MOVED) => self.moved(cx),
            Some(FILES) => {
                if let Some(json) = cx.event.text(asyncevent::DATA) {
                    self.recorded_files(json);
                }
            }
            Some(TIMES) => {
                if let Some(data) = cx.event.param(asyncevent::DATA) {
                    self.recorded_times(data);
                }
            }
            Some(TASK) => self.task_updated(cx),
            _ => {}
        }
    }

    fn kubernetes_event(&mut self, json: &[u8]) {
        let Ok(change) = KubernetesChange::from_json(json) else {
            self.counters.bad_containers += 1;
            return;
        };
        let Some(change) = change else { return };
        let pod = match &change {
            KubernetesChange::Pod(pod) if !pod.probes.is_empty() => Some(Arc::clone(pod)),
            _ => None,
        };
        self.counters.dropped_others += u64::from(!self.kubernetes.apply(change));
        if let Some(pod) = pod {
            let own = |uid: &str| uid == pod.object.uid || uid == pod.static_uid;
            let kubernetes = &self.kubernetes;
            self.containers.change_labelled(POD_UID, own, |it| kubernetes.add_probes(it));
        }
    }

    fn read_container(&mut self, json: Option<&[u8]>) -> Option<Container> {
        let json = json.filter(|json| self.config.containers && !json.is_empty())?;
        let container = Container::from_json(json);
        self.counters.bad_containers += u64::from(container.is_err());
        container.ok()
    }

    fn describe(&mut self, mut container: Container) {
        if !self.config.containers {
            return;
        }
        self.kubernetes.add_probes(&mut container);
        let container = Arc::new(container);
        self.event_container = Some(Arc::clone(&container));
        self.add_container(container);
    }
}

/// The container an account belongs to.
fn container<'e>(cx: &ApplyContext<'e>, param: usize) -> &'e [u8] {
    cx.event.text(param).unwrap_or_default()
}
