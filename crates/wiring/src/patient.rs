//! Waits for what runtimes say of a container before an event of it is looked at: for commands that
//! show events to a person.

use std::time::{Duration, Instant};

use peregrine_event::inbox::{Preview, Told};
use peregrine_event::params::asyncevent_e;
use peregrine_event::snapshot::Item;
use peregrine_event::source::{
    AccountsRequest, ContainerAnswer, ContainerRequest, Observation, ProcResolver,
};

/// A resolver that waits for the answers to requests about containers.
pub struct PatientResolver<R> {
    inner: R,
    preview: Preview,
    longest: Duration,
}

impl<R> PatientResolver<R> {
    /// Waits up to this long for what this inbox is about to deliver.
    pub fn new(inner: R, preview: Preview, longest: Duration) -> Self {
        Self { inner, preview, longest }
    }
}

impl<R: ProcResolver> ProcResolver for PatientResolver<R> {
    fn resolve(&mut self, tid: i64, known: &dyn Fn(i64) -> bool) -> Vec<Item> {
        self.inner.resolve(tid, known)
    }

    fn request_accounts(&mut self, request: &AccountsRequest) -> bool {
        self.inner.request_accounts(request)
    }

    fn request_container(&mut self, request: &ContainerRequest) -> bool {
        self.preview.open();
        self.inner.request_container(request)
    }

    fn await_containers(&mut self, take: &mut dyn FnMut(Option<ContainerAnswer>) -> bool) {
        let deadline = Instant::now() + self.longest;
        let mut complete = take(None);
        while !complete && let Some(told) = self.preview.next(deadline) {
            complete = answer(told).is_some_and(|answer| take(Some(answer)));
        }
        self.preview.close();
    }
}

/// The answer to a request about a container, if this is one.
fn answer(told: Told) -> Option<ContainerAnswer> {
    match told {
        Told::Event(event) => {
            let event = event.parse().ok()?;
            let is_description = event.text(asyncevent_e::NAME) == Some(b"container");
            let json = event.text(asyncevent_e::DATA).filter(|_| is_description)?;
            Some(ContainerAnswer::Described(json.into()))
        }
        Told::Observation(Observation::ContainerUnavailable { container }) => {
            Some(ContainerAnswer::Unavailable(container))
        }
        Told::Observation(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peregrine_event::inbox::{InboxSender, inbox};
    use peregrine_event::source::ContainerEngine;
    use peregrine_event::{Builder, EventType};

    use super::*;

    /// Answers requests about containers at once.
    struct Answering(InboxSender);

    impl ProcResolver for Answering {
        fn resolve(&mut self, _: i64, _: &dyn Fn(i64) -> bool) -> Vec<Item> {
            Vec::new()
        }

        fn request_accounts(&mut self, _: &AccountsRequest) -> bool {
            true
        }

        fn request_container(&mut self, request: &ContainerRequest) -> bool {
            let mut bytes = Vec::new();
            let mut event = Builder::new(EventType::AsynceventE, 0, 0);
            event.u32(0).text("container").text("{}").finish(&mut bytes).unwrap();
            let container = Arc::clone(&request.container);
            let unknown = Observation::ContainerUnavailable { container };
            self.0.try_send(Told::event(bytes)).is_ok()
                && self.0.try_send(Told::Observation(unknown)).is_ok()
        }
    }

    #[test]
    fn answers_are_taken_before_they_are_delivered() {
        let preview = Preview::default();
        let (sender, mut inbox) = inbox();
        let sender = sender.with_preview(Some(preview.clone()));
        let longest = Duration::from_secs(60);
        let mut resolver = PatientResolver::new(Answering(sender), preview, longest);
        let container: Arc<[u8]> = b"ab"[..].into();
        let request = ContainerRequest {
            cgroup: Arc::clone(&container),
            container,
            tid: 1,
            engine: ContainerEngine::Docker,
            certain: true,
        };
        assert!(resolver.request_container(&request));
        let mut taken = Vec::new();
        resolver.await_containers(&mut |answer| {
            taken.push(answer);
            taken.len() == 3
        });
        let unknown = ContainerAnswer::Unavailable(b"ab"[..].into());
        let described = ContainerAnswer::Described(b"{}"[..].into());
        assert_eq!(taken, [None, Some(described), Some(unknown)]);
        assert!(inbox.take().is_some() && inbox.take().is_some());
        // Without an answer, the wait ends.
        resolver.longest = Duration::ZERO;
        resolver.await_containers(&mut |_| false);
    }
}
