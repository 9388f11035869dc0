//! Throttles alerts: of those of a rule that have the same key, some are sent in each window, and a
//! digest about the others follows at its end.
//!
//! Windows are of event time, so a replay always sends the same alerts. A window begins with the
//! first alert of its key.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use peregrine_alert::{
    Alert, AlertOrigin, Digest, InternalRule, Priority, RuleId, RuleInfo, Scalar,
};
use peregrine_engine::{Generation, Throttle, ThrottleSettings};
use peregrine_fields::Field;
use peregrine_filter::Supplier;
use peregrine_limits::{THROTTLE_BYTES, THROTTLE_WINDOWS};
use peregrine_telemetry::metrics::ThrottleStats;

/// Windows of all rules and keys. Outlives the rules of a generation.
pub(crate) struct AlertThrottle {
    rules: HashMap<RuleId, ThrottledRule>,
    /// What ends next. The number tells windows of the same end apart.
    by_end: BTreeMap<(u64, u64), WindowKey>,
    /// The end of the first of these.
    next_end: u64,
    opened: u64,
    /// Memory of keys.
    bytes: usize,
    /// The key of the last match.
    key: Vec<u8>,
    digests: InternalRule,
    stats: ThrottleStats,
}

/// A rule, and the values of its key.
type WindowKey = (RuleId, Arc<[u8]>);

/// A rule with open windows.
struct ThrottledRule {
    settings: ThrottleSettings,
    windows: HashMap<Arc<[u8]>, Window>,
}

struct Window {
    rule: Arc<RuleInfo>,
    passed: u64,
    suppressed: u64,
    /// Times of the first and the last alert that was suppressed.
    first: u64,
    last: u64,
}

/// Rule name of digests.
const RULE: &str = "Falco internal: alerts throttled";

/// Memory of a window beside its key.
const WINDOW_BYTES: usize = 256;

impl AlertThrottle {
    pub(crate) fn new(origin: &AlertOrigin) -> Self {
        Self {
            rules: HashMap::new(),
            by_end: BTreeMap::new(),
            next_end: u64::MAX,
            opened: 0,
            bytes: 0,
            key: Vec::new(),
            digests: InternalRule::new(origin, RULE, Priority::Notice),
            stats: ThrottleStats::default(),
        }
    }

    /// Whether the alert about an event with these values, which happened at `ts`, is to be sent.
    /// Submits digests of windows that have ended.
    pub(super) fn admits<S>(
        &mut self,
        id: RuleId,
        rule: &Arc<RuleInfo>,
        throttle: &Throttle<Field>,
        ts: u64,
        values: &S,
        submit: impl FnMut(Alert),
    ) -> bool
    where
        S: Supplier<Field> + ?Sized,
    {
        self.key.clear();
        throttle.key(values, &mut self.key);
        self.count(id, rule, throttle.settings(), ts, submit)
    }

    /// Whether a window has ended.
    #[inline]
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.next_end <= now
    }

    /// Ends the windows whose time is over.
    #[cold]
    pub(crate) fn expire(&mut self, now: u64, mut submit: impl FnMut(Alert)) {
        while let Some(first) = self.by_end.first_entry().filter(|it| it.key().0 <= now) {
            let (end, (rule, key)) = first.remove_entry();
            self.close(rule, &key, end.0, &mut submit);
        }
        self.next_end = self.by_end.keys().next().map_or(u64::MAX, |(end, _)| *end);
    }

    /// Ends the windows of rules that are throttled otherwise, or not at all, by this generation.
    pub(crate) fn install(&mut self, generation: &Generation, mut submit: impl FnMut(Alert)) {
        let settings: HashMap<_, _> = generation.throttled().collect();
        let kept = |(id, rule): (&RuleId, &ThrottledRule)| {
            let same = settings.get(id).is_some_and(|settings| **settings == rule.settings);
            (!same).then_some(*id)
        };
        let changed: Vec<_> = self.rules.iter().filter_map(kept).collect();
        self.end_where(|rule| changed.contains(rule), &mut submit);
    }

    /// Ends all windows: the run is over.
    pub(crate) fn finish(&mut self, mut submit: impl FnMut(Alert)) {
        self.end_where(|_| true, &mut submit);
    }

    pub(crate) fn stats(&self) -> ThrottleStats {
        ThrottleStats { windows: self.by_end.len() as u64, ..self.stats }
    }

    /// Counts an alert in the window of `key`.
    fn count(
        &mut self,
        id: RuleId,
        rule: &Arc<RuleInfo>,
        settings: &ThrottleSettings,
        now: u64,
        submit: impl FnMut(Alert),
    ) -> bool {
        if self.is_due(now) {
            self.expire(now, submit);
        }
        let window = self.rules.get_mut(&id).and_then(|it| it.windows.get_mut(&*self.key));
        if let Some(window) = window {
            if window.passed < settings.max {
                window.passed += 1;
                return true;
            }
            if window.suppressed == 0 {
                window.first = now;
            }
            window.suppressed += 1;
            window.last = now;
            self.stats.suppressed += 1;
            return false;
        }
        if let Some(limit) = [
            (self.by_end.len(), &THROTTLE_WINDOWS),
            (self.bytes + self.key.len() + WINDOW_BYTES, &THROTTLE_BYTES),
        ]
        .into_iter()
        .find_map(|(used, limit)| (used >= limit.get()).then_some(limit))
        {
            limit.reach();
            self.stats.unthrottled += 1;
            return true;
        }
        self.open(id, rule, settings, now);
        true
    }

    fn open(&mut self, id: RuleId, rule: &Arc<RuleInfo>, settings: &ThrottleSettings, now: u64) {
        self.opened += 1;
        let end = (now.saturating_add(settings.window), self.opened);
        let key: Arc<[u8]> = self.key.as_slice().into();
        self.bytes += key.len() + WINDOW_BYTES;
        self.by_end.insert(end, (id, Arc::clone(&key)));
        self.next_end = self.next_end.min(end.0);
        let rule = Arc::clone(rule);
        let window = Window { rule, passed: 1, suppressed: 0, first: now, last: now };
        let throttled = self.rules.entry(id).or_insert_with(|| ThrottledRule {
            settings: settings.clone(),
            windows: HashMap::new(),
        });
        throttled.windows.insert(key, window);
    }

    fn end_where(&mut self, ends: impl Fn(&RuleId) -> bool, submit: &mut dyn FnMut(Alert)) {
        let ended = self.by_end.extract_if(.., |_, (rule, _)| ends(rule));
        for (_, (rule, key)) in ended.collect::<Vec<_>>() {
            self.close(rule, &key, u64::MAX, submit);
        }
        self.next_end = self.by_end.keys().next().map_or(u64::MAX, |(end, _)| *end);
    }

    /// Ends a window that is no longer in `by_end`. The digest is of the time `end`, or of the last
    /// alert, if the window has not lasted as long.
    fn close(&mut self, id: RuleId, key: &[u8], end: u64, submit: &mut dyn FnMut(Alert)) {
        let Some(throttled) = self.rules.get_mut(&id) else { return };
        let Some(window) = throttled.windows.remove(key) else { return };
        self.bytes -= key.len() + WINDOW_BYTES;
        let alert = (window.suppressed > 0)
            .then(|| window.digest(&self.digests, &throttled.settings, key, end));
        if throttled.windows.is_empty() {
            self.rules.remove(&id);
        }
        if let Some(alert) = alert {
            self.stats.digests += 1;
            submit(alert);
        }
    }
}

impl Window {
    fn digest(
        self,
        digests: &InternalRule,
        settings: &ThrottleSettings,
        key: &[u8],
        end: u64,
    ) -> Alert {
        let Self { rule, passed, suppressed, first, last, .. } = self;
        let name = rule.name().to_owned();
        let number =
            if suppressed == 1 { "1 alert".to_owned() } else { format!("{suppressed} alerts") };
        let text = format!("{RULE}. {number} of rule '{name}' not sent.");
        let lossy = |value| Scalar::Text(String::from_utf8_lossy(value).into_owned());
        let mut fields: BTreeMap<_, _> =
            settings.values(key).map(|(name, value)| (name.to_owned(), lossy(value))).collect();
        fields.extend(
            [
                ("throttle.first", Scalar::Uint(first)),
                ("throttle.last", Scalar::Uint(last)),
                ("throttle.passed", Scalar::Uint(passed)),
                ("throttle.rule", Scalar::Text(name)),
                ("throttle.suppressed", Scalar::Uint(suppressed)),
                ("throttle.window_ns", Scalar::Uint(settings.window)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let time = if end == u64::MAX { last } else { end };
        digests.digest(time, &text, fields, Digest { rule, count: suppressed, first, last })
    }
}

#[cfg(test)]
mod tests {
    use peregrine_alert::RuleRegistry;
    use peregrine_engine::ThrottledRules;
    use peregrine_fields::Fields;
    use peregrine_rules::{EventSource, Loader};

    use super::*;

    const WINDOW: u64 = 100;

    struct World {
        throttle: AlertThrottle,
        rule: Arc<RuleInfo>,
        settings: ThrottleSettings,
        digests: Vec<Alert>,
    }

    fn world(max: u64) -> World {
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
        let rule = RuleInfo::new(&origin, "syscall", "R", Priority::Error, vec![], vec![]);
        let settings = ThrottleSettings { max, window: WINDOW, key: Vec::new() };
        let (throttle, digests) = (AlertThrottle::new(&origin), Vec::new());
        World { throttle, rule: Arc::new(rule), settings, digests }
    }

    impl World {
        fn alert(&mut self, key: &[u8], now: u64) -> bool {
            self.throttle.key.clear();
            self.throttle.key.extend_from_slice(key);
            let Self { throttle, rule, settings, digests } = self;
            throttle.count(rule.id(), rule, settings, now, |alert| digests.push(alert))
        }

        /// Time, count, first and last of each digest since the last call.
        fn digests(&mut self) -> Vec<[u64; 4]> {
            let values = |alert: Alert| {
                let digest = alert.rule().digest().unwrap();
                [alert.time(), digest.count, digest.first, digest.last]
            };
            std::mem::take(&mut self.digests).into_iter().map(values).collect()
        }
    }

    #[test]
    fn a_window_lasts_from_its_first_alert_on() {
        let mut world = world(2);
        let passed = [1, 2, 3, 50, 100].map(|now| world.alert(b"a", now));
        assert_eq!(passed, [true, true, false, false, false]);
        assert!(world.alert(b"b", 60));
        assert_eq!(world.digests(), [[0; 4]; 0]);
        assert_eq!(world.throttle.stats().windows, 2);
        // At its end, another one begins.
        assert!(world.alert(b"a", 101));
        assert_eq!(world.digests(), [[101, 3, 3, 100]]);
        assert!(!world.throttle.is_due(159) && world.throttle.is_due(160));
        // Nothing was suppressed in that of b.
        let World { throttle, digests, .. } = &mut world;
        throttle.expire(160, |alert| digests.push(alert));
        assert_eq!(world.digests(), [[0; 4]; 0]);
        assert!(world.alert(b"a", 102) && !world.alert(b"a", 103));
        let World { throttle, digests, .. } = &mut world;
        throttle.finish(|alert| digests.push(alert));
        assert_eq!(world.digests(), [[103, 1, 103, 103]]);
        let stats = world.throttle.stats();
        assert_eq!((stats.suppressed, stats.digests, stats.windows), (4, 2, 0));
        assert!(world.throttle.bytes == 0 && world.throttle.rules.is_empty());
        assert!(!world.throttle.is_due(u64::MAX - 1));
    }

    #[test]
    fn without_room_for_a_window_alerts_are_sent() {
        let mut world = world(1);
        for key in 0..THROTTLE_WINDOWS.get() as u64 {
            assert!(world.alert(&key.to_le_bytes(), 1));
        }
        assert!(world.alert(b"more", 1) && world.alert(b"more", 1));
        assert_eq!(world.throttle.stats().unthrottled, 2);
        // Known combinations stay throttled, and the end of windows makes room.
        assert!(!world.alert(&0_u64.to_le_bytes(), 2));
        assert!(world.alert(b"more", 1 + WINDOW) && !world.alert(b"more", 2 + WINDOW));
        assert_eq!(world.digests(), [[1 + WINDOW, 1, 2, 2]]);
        assert!(world.alert(&vec![0; THROTTLE_BYTES.get()], 3 + WINDOW));
        assert_eq!(world.throttle.stats().unthrottled, 3);
    }

    /// Windows outlive the rules, unless another throttle is in force.
    #[test]
    fn a_reload_ends_only_the_windows_of_other_throttles() {
        let mut world = world(1);
        let registry = RuleRegistry::new();
        let fields = Fields::syscall();
        let generation = |max| {
            let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
            let rule = "- {rule: R, desc: d, condition: evt.num > 0, output: o, priority: INFO}";
            assert!(loader.load("rules.yaml", rule.as_bytes()).successful());
            let settings = ThrottleSettings { max, window: WINDOW, key: Vec::new() };
            let throttle = Arc::new(Throttle::new(settings, &fields).unwrap());
            let generation = Generation::new(loader.into_rules(), &registry, Default::default());
            let (rules, tags) = (Vec::new(), Vec::new());
            generation.with_throttles(&[ThrottledRules { rules, tags, throttle }])
        };
        world.alert(b"", 1);
        world.alert(b"", 2);
        let World { throttle, digests, .. } = &mut world;
        throttle.install(&generation(1), |alert| digests.push(alert));
        assert_eq!(digests.len(), 0);
        assert!(!world.alert(b"", 3));
        let World { throttle, digests, .. } = &mut world;
        throttle.install(&generation(2), |alert| digests.push(alert));
        assert_eq!(world.digests(), [[3, 2, 2, 3]]);
        assert!(world.alert(b"", 4));
    }
}
