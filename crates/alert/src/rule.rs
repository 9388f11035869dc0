//! What all alerts of a rule have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::id::IdSeed;
use crate::{AlertId, Priority, RuleId, RuleRegistry};

/// The event source of alerts that the engine raises about itself.
pub const INTERNAL_SOURCE: &str = "internal";

/// The running engine, as far as its alerts name it.
#[derive(Clone, Debug)]
pub struct AlertOrigin {
    registry: Arc<RuleRegistry>,
    hostname: Arc<str>,
}

impl AlertOrigin {
    /// An engine on a host.
    #[must_use]
    pub fn new(registry: Arc<RuleRegistry>, hostname: &str) -> Self {
        Self { registry, hostname: hostname.into() }
    }

    /// The ids of all rules.
    #[must_use]
    pub fn registry(&self) -> &RuleRegistry {
        &self.registry
    }

    /// Name of the host.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }
}

/// The next [`RuleInfo::revision`].
static REVISIONS: AtomicU64 = AtomicU64::new(0);

/// Who wrote a rule. It decides how text and JSON of its alerts look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// A rules file.
    User,
    /// The engine, to report about itself: losses, timeouts, metrics.
    Internal,
}

/// What all alerts of a rule have in common. They share it, so an alert costs no copy of it.
#[derive(Debug)]
pub struct RuleInfo {
    id: RuleId,
    kind: RuleKind,
    name: Arc<str>,
    source: Arc<str>,
    priority: Priority,
    tags: Vec<String>,
    fields: Vec<String>,
    context: Vec<String>,
    hostname: Arc<str>,
    seed: IdSeed,
    revision: u64,
    digest: Option<Digest>,
}

/// Alerts of one rule that are reported together instead of one by one.
#[derive(Clone, Debug)]
pub struct Digest {
    /// Their rule.
    pub rule: Arc<RuleInfo>,
    /// How many they are.
    pub count: u64,
    /// Time of the first, nanoseconds since the epoch.
    pub first: u64,
    /// Time of the last, nanoseconds since the epoch.
    pub last: u64,
}

impl RuleInfo {
    /// A rule of a rules file. `fields` are the names of the values of each alert, in their order.
    #[must_use]
    pub fn new(
        origin: &AlertOrigin,
        source: &str,
        name: &str,
        priority: Priority,
        tags: Vec<String>,
        fields: Vec<String>,
    ) -> Self {
        let kind = RuleKind::User;
        Self { kind, tags, ..Self::with_fields(origin, source, name, priority, fields) }
    }

    /// The same rule with alerts that have further values, of [`context`](Self::context).
    #[must_use]
    pub fn with_context(self, context: Vec<String>) -> Self {
        Self { context, ..self }
    }

    /// A rule of the engine itself.
    pub(crate) fn internal(
        origin: &AlertOrigin,
        name: &str,
        priority: Priority,
        fields: Vec<String>,
    ) -> Self {
        Self::with_fields(origin, INTERNAL_SOURCE, name, priority, fields)
    }

    /// A rule of the engine itself, for an alert about alerts.
    pub(crate) fn of_digest(
        origin: &AlertOrigin,
        name: &str,
        fields: Vec<String>,
        digest: Digest,
    ) -> Self {
        let rule = Self::internal(origin, name, digest.rule.priority, fields);
        Self { digest: Some(digest), ..rule }
    }

    fn with_fields(
        origin: &AlertOrigin,
        source: &str,
        name: &str,
        priority: Priority,
        fields: Vec<String>,
    ) -> Self {
        let id = origin.registry.intern(source, name);
        Self {
            id,
            kind: RuleKind::Internal,
            name: origin.registry.name(id),
            source: origin.registry.source(id),
            priority,
            tags: Vec::new(),
            fields,
            context: Vec::new(),
            hostname: origin.hostname.clone(),
            seed: IdSeed::new(&origin.hostname, source, name),
            revision: REVISIONS.fetch_add(1, Relaxed),
            digest: None,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> RuleId {
        self.id
    }

    /// Who wrote it.
    #[must_use]
    pub fn kind(&self) -> RuleKind {
        self.kind
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of its event source.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How urgent its alerts are.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Names of the values of its alerts.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Names of values that alerts have for formats that describe who has acted, whatever the rule
    /// prints.
    #[must_use]
    pub fn context(&self) -> &[String] {
        &self.context
    }

    /// Name of the host that its alerts come from.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Tells this definition of the rule from those of other generations, which have the same id.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The alerts that its alert reports, if it is a digest.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    pub(crate) fn alert_id(&self, time: u64, number: u64) -> AlertId {
        self.seed.id(time, number)
    }
}
