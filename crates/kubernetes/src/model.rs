//! What is known of the pods of the node, what is still wanted, and what has to be told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use peregrine_limits::{KUBERNETES_OBJECTS, KUBERNETES_WATCHES};

use crate::api::Item;
use crate::event::{self, References};

/// Objects that are watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// The pods of the node.
    Pods,
    /// A namespace, by name.
    Namespace(String),
    /// An object of a namespace.
    Owner { kind: OwnerKind, namespace: String, name: String },
    /// The services of a namespace.
    Services(String),
}

/// Owners of pods that fields tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OwnerKind {
    ReplicaSet,
    Deployment,
    ReplicationController,
}

/// What a watch has found.
#[derive(Debug)]
pub(crate) enum Found {
    /// All there are.
    Listed(Vec<Item>),
    /// One is new or has changed.
    Changed(Box<Item>),
    /// One is gone.
    Deleted(Box<Item>),
}

/// What follows from what was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Actions {
    /// Texts of events, in order.
    pub(crate) tell: Vec<String>,
    /// Watches to begin.
    pub(crate) start: Vec<Target>,
    /// Watches to end.
    pub(crate) stop: Vec<Target>,
}

/// What is known.
#[derive(Debug)]
pub(crate) struct Model {
    /// Whether services are watched.
    services: bool,
    pods: BTreeMap<String, Pod>,
    /// Objects of all targets but the pods, by uid.
    objects: BTreeMap<Target, BTreeMap<String, Item>>,
    /// Namespaces in which something has changed.
    changed: BTreeSet<String>,
    /// What was told, by uid.
    told: HashMap<String, Told>,
}

#[derive(Debug)]
struct Pod {
    item: Item,
    /// Since when it is gone.
    gone: Option<Instant>,
}

#[derive(Debug)]
struct Told {
    kind: &'static str,
    /// Hash of the text.
    hash: u64,
}

/// How long a pod is known when the API server has forgotten it: its processes may live longer.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

impl Model {
    pub(crate) fn new(services: bool) -> Self {
        Self {
            services,
            pods: BTreeMap::new(),
            objects: BTreeMap::new(),
            changed: BTreeSet::new(),
            told: HashMap::new(),
        }
    }

    /// Takes in what a watch has found.
    pub(crate) fn apply(&mut self, target: &Target, found: Found, now: Instant) {
        let Target::Pods = target else {
            // A watch that has ended since may have found something.
            let Some(objects) = self.objects.get_mut(target) else { return };
            match found {
                Found::Listed(items) => *objects = by_uid(items),
                Found::Changed(item) => drop(objects.insert(item.metadata.uid.clone(), *item)),
                Found::Deleted(item) => drop(objects.remove(&item.metadata.uid)),
            }
            self.changed.insert(target.namespace().to_owned());
            return;
        };
        match found {
            Found::Listed(items) => {
                let items = by_uid(items);
                for (uid, pod) in &mut self.pods {
                    if !items.contains_key(uid) {
                        pod.gone.get_or_insert(now);
                    }
                }
                items.into_values().for_each(|item| self.set_pod(item));
            }
            Found::Changed(item) => self.set_pod(*item),
            Found::Deleted(item) => {
                if let Some(pod) = self.pods.get_mut(&item.metadata.uid) {
                    pod.gone.get_or_insert(now);
                }
            }
        }
    }

    /// What follows from all that was taken in since the last call.
    pub(crate) fn settle(&mut self, now: Instant) -> Actions {
        let mut actions = Actions::default();
        self.pods.retain(|_, pod| pod.gone.is_none_or(|gone| now < gone + GRACE));
        self.want(&mut actions);
        let mut live: BTreeSet<String> = self.pods.keys().cloned().collect();
        for (target, objects) in &self.objects {
            if !matches!(target, Target::Services(_)) {
                live.extend(objects.keys().cloned());
            }
        }
        let changed = std::mem::take(&mut self.changed);
        for uid in self.pods.keys().cloned().collect::<Vec<_>>() {
            let Some(pod) = self.pods.get(&uid) else { continue };
            let references = self.references(&pod.item);
            let of_services = references.iter().filter(|(kind, _)| kind == "Service");
            live.extend(of_services.map(|(_, uid)| uid.clone()));
            if changed.contains(&pod.item.metadata.namespace) {
                self.tell_pod(&uid, &references, &mut actions.tell);
            }
        }
        let told = std::mem::take(&mut self.told);
        let (kept, gone) = told.into_iter().partition(|(uid, _)| live.contains(uid));
        self.told = kept;
        let gone: HashMap<String, Told> = gone;
        let mut removed: Vec<_> =
            gone.into_iter().map(|(uid, told)| event::removed(told.kind, &uid)).collect();
        removed.sort_unstable();
        actions.tell.extend(removed);
        actions
    }

    /// Number of pods.
    pub(crate) fn pods(&self) -> usize {
        self.pods.len()
    }

    fn set_pod(&mut self, item: Item) {
        let uid = &item.metadata.uid;
        if self.pods.len() >= KUBERNETES_OBJECTS.get() && !self.pods.contains_key(uid) {
            KUBERNETES_OBJECTS.reach();
            return;
        }
        self.changed.insert(item.metadata.namespace.clone());
        self.pods.insert(uid.clone(), Pod { item, gone: None });
    }

    /// Begins the watches that pods need, and ends those that none does.
    fn want(&mut self, actions: &mut Actions) {
        let mut wanted = BTreeSet::new();
        for pod in self.pods.values() {
            let namespace = &pod.item.metadata.namespace;
            wanted.insert(Target::Namespace(namespace.clone()));
            if self.services {
                wanted.insert(Target::Services(namespace.clone()));
            }
            let owner = Target::owner(&pod.item);
            let of_owner = owner.as_ref().and_then(|owner| self.single(owner));
            wanted.extend(of_owner.and_then(Target::owner));
            wanted.extend(owner);
        }
        let stop = self.objects.keys().filter(|target| !wanted.contains(target));
        actions.stop = stop.cloned().collect();
        self.objects.retain(|target, _| wanted.contains(target));
        for target in wanted {
            if self.objects.contains_key(&target) {
                continue;
            }
            if self.objects.len() >= KUBERNETES_WATCHES.get() {
                KUBERNETES_WATCHES.reach();
                break;
            }
            self.objects.insert(target.clone(), BTreeMap::new());
            actions.start.push(target);
        }
    }

    /// The object of a target that stands for one.
    fn single(&self, target: &Target) -> Option<&Item> {
        self.objects.get(target)?.values().next()
    }

    /// The objects that a pod belongs to.
    fn references(&self, pod: &Item) -> References {
        let namespace = &pod.metadata.namespace;
        let mut references = Vec::new();
        if let Some(item) = self.single(&Target::Namespace(namespace.clone())) {
            references.push(("Namespace".to_owned(), item.metadata.uid.clone()));
        }
        if let Some(owner) = pod.owner() {
            references.push((owner.kind.clone(), owner.uid.clone()));
            let item = Target::owner(pod).and_then(|owner| self.single(&owner));
            if let Some(owner) = item.and_then(Item::owner) {
                references.push((owner.kind.clone(), owner.uid.clone()));
            }
        }
        let services = self.objects.get(&Target::Services(namespace.clone()));
        let services = services.into_iter().flat_map(BTreeMap::values);
        let selecting = services.filter(|service| service.selects(pod.metadata.labels.as_ref()));
        references.extend(selecting.map(|it| ("Service".to_owned(), it.metadata.uid.clone())));
        references
    }

    /// Tells of a pod, after the objects that it refers to.
    fn tell_pod(&mut self, uid: &str, references: &References, tell: &mut Vec<String>) {
        let Some(pod) = self.pods.get(uid) else { return };
        let namespace = &pod.item.metadata.namespace;
        let told = &mut self.told;
        for (target, objects) in &self.objects {
            if target.namespace() != namespace {
                continue;
            }
            for (uid, item) in objects {
                if references.iter().any(|(_, known)| known == uid) {
                    tell_of(told, target.kind(), item, None, tell);
                }
            }
        }
        tell_of(told, "Pod", &pod.item, Some(references), tell);
    }
}

/// Adds the text about an object unless it has been told.
fn tell_of(
    told: &mut HashMap<String, Told>,
    kind: &'static str,
    item: &Item,
    references: Option<&References>,
    tell: &mut Vec<String>,
) {
    let uid = &item.metadata.uid;
    let before = told.get(uid).map(|told| told.hash);
    let text = event::changed(false, kind, item, references);
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let hash = hasher.finish();
    if before == Some(hash) {
        return;
    }
    told.insert(uid.clone(), Told { kind, hash });
    tell.push(match before {
        Some(_) => text,
        None => event::changed(true, kind, item, references),
    });
}

fn by_uid(items: Vec<Item>) -> BTreeMap<String, Item> {
    let items = items.into_iter().take(KUBERNETES_OBJECTS.get());
    items.map(|item| (item.metadata.uid.clone(), item)).collect()
}

impl Target {
    /// The owner of an object that fields tell of.
    fn owner(item: &Item) -> Option<Self> {
        let owner = item.owner()?;
        let kind = OwnerKind::from_name(&owner.kind)?;
        let namespace = item.metadata.namespace.clone();
        Some(Self::Owner { kind, namespace, name: owner.name.clone() })
    }

    /// The namespace of its objects; its own name for a namespace.
    fn namespace(&self) -> &str {
        match self {
            Self::Pods => "",
            Self::Namespace(namespace)
            | Self::Services(namespace)
            | Self::Owner { namespace, .. } => namespace,
        }
    }

    /// Kind of its objects.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Pods => "Pod",
            Self::Namespace(_) => "Namespace",
            Self::Owner { kind, .. } => kind.name(),
            Self::Services(_) => "Service",
        }
    }
}

impl OwnerKind {
    fn name(self) -> &'static str {
        match self {
            Self::ReplicaSet => "ReplicaSet",
            Self::Deployment => "Deployment",
            Self::ReplicationController => "ReplicationController",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let all = [Self::ReplicaSet, Self::Deployment, Self::ReplicationController];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn item(json: Value) -> Item {
        serde_json::from_value(json).unwrap()
    }

    fn object(name: &str, uid: &str, owner: Option<(&str, &str, &str)>) -> Item {
        let mut meta = json!({ "name": name, "namespace": "shop", "uid": uid });
        if let Some((kind, name, uid)) = owner {
            let owner = json!({ "kind": kind, "name": name, "uid": uid, "controller": true });
            meta["ownerReferences"] = json!([owner]);
        }
        meta["labels"] = json!({ "app": "web" });
        item(json!({ "metadata": meta }))
    }

    fn replica_set() -> Target {
        let (namespace, name) = ("shop".to_owned(), "web-5".to_owned());
        Target::Owner { kind: OwnerKind::ReplicaSet, namespace, name }
    }

    fn deployment() -> Target {
        let (namespace, name) = ("shop".to_owned(), "web".to_owned());
        Target::Owner { kind: OwnerKind::Deployment, namespace, name }
    }

    /// Reason, kind and uid of the texts.
    fn told(actions: &Actions) -> Vec<String> {
        let text = |json: &String| {
            let event: Value = serde_json::from_str(json).unwrap();
            let word = |key: &str| event[key].as_str().unwrap().to_owned();
            format!("{} {} {}", word("reason"), word("kind"), word("uid"))
        };
        actions.tell.iter().map(text).collect()
    }

    /// A model with a pod of a deployment, of which all is known.
    fn known(services: bool, now: Instant) -> Model {
        let mut model = Model::new(services);
        let pod = object("web-5-x", "p", Some(("ReplicaSet", "web-5", "r")));
        model.apply(&Target::Pods, Found::Listed(vec![pod]), now);
        model.settle(now);
        let owner = Some(("Deployment", "web", "d"));
        let found = Found::Listed(vec![object("web-5", "r", owner)]);
        model.apply(&replica_set(), found, now);
        let namespace = Target::Namespace("shop".into());
        model.apply(&namespace, Found::Listed(vec![object("shop", "n", None)]), now);
        model.settle(now);
        model.apply(&deployment(), Found::Listed(vec![object("web", "d", None)]), now);
        model.settle(now);
        model
    }

    #[test]
    fn what_a_pod_belongs_to_is_watched_and_told_before_it() {
        let now = Instant::now();
        let mut model = Model::new(false);
        let pod = object("web-5-x", "p", Some(("ReplicaSet", "web-5", "r")));
        model.apply(&Target::Pods, Found::Listed(vec![pod]), now);
        let actions = model.settle(now);
        assert_eq!(actions.start, [Target::Namespace("shop".into()), replica_set()]);
        assert_eq!(told(&actions), ["Create Pod p"]);
        assert!(actions.tell[0].contains(r#""ReplicaSet":{"list":["r"]}"#), "{:?}", actions.tell);
        let owner = Some(("Deployment", "web", "d"));
        let found = Found::Listed(vec![object("web-5", "r", owner)]);
        model.apply(&replica_set(), found, now);
        let actions = model.settle(now);
        assert_eq!(actions.start, [deployment()]);
        assert_eq!(told(&actions), ["Create ReplicaSet r", "Update Pod p"]);
        model.apply(&deployment(), Found::Changed(Box::new(object("web", "d", None))), now);
        // The pod knew the uid before.
        assert_eq!(told(&model.settle(now)), ["Create Deployment d"]);
        assert_eq!(model.settle(now), Actions::default());
    }

    #[test]
    fn nothing_is_told_twice() {
        let now = Instant::now();
        let mut model = known(false, now);
        let pod = object("web-5-x", "p", Some(("ReplicaSet", "web-5", "r")));
        model.apply(&Target::Pods, Found::Listed(vec![pod.clone()]), now);
        assert_eq!(model.settle(now), Actions::default());
        let status = item(json!({ "status": { "podIP": "10.0.0.7" } })).status;
        let pod = Item { status, ..pod };
        model.apply(&Target::Pods, Found::Changed(Box::new(pod)), now);
        assert_eq!(told(&model.settle(now)), ["Update Pod p"]);
    }

    #[test]
    fn a_pod_that_is_gone_takes_with_it_what_no_other_needs() {
        let now = Instant::now();
        let mut model = known(false, now);
        model.apply(&Target::Pods, Found::Listed(Vec::new()), now);
        assert_eq!(model.settle(now), Actions::default());
        let actions = model.settle(now + GRACE);
        assert_eq!(actions.stop.len(), 3);
        assert_eq!(
            told(&actions),
            ["Delete Deployment d", "Delete Namespace n", "Delete Pod p", "Delete ReplicaSet r"]
        );
        assert!(model.told.is_empty() && model.objects.is_empty() && model.pods() == 0);
    }

    #[test]
    fn an_object_with_a_new_uid_replaces_the_one_of_its_name() {
        let now = Instant::now();
        let mut model = known(false, now);
        model.apply(&deployment(), Found::Listed(vec![object("web", "d2", None)]), now);
        // The pod belongs to the old one until its replica set says otherwise.
        assert_eq!(told(&model.settle(now)), ["Delete Deployment d"]);
        let owner = Some(("Deployment", "web", "d2"));
        let found = Found::Changed(Box::new(object("web-5", "r", owner)));
        model.apply(&replica_set(), found, now);
        let told = told(&model.settle(now));
        assert_eq!(told, ["Create Deployment d2", "Update Pod p"]);
    }

    #[test]
    fn services_are_told_while_they_select_a_pod() {
        let now = Instant::now();
        let mut model = known(true, now);
        let service = |uid: &str, app: &str| {
            let mut service = object("svc", uid, None);
            service.spec = item(json!({ "spec": { "selector": { "app": app } } })).spec;
            service
        };
        let target = Target::Services("shop".into());
        let found = Found::Listed(vec![service("s1", "web"), service("s2", "db")]);
        model.apply(&target, found, now);
        assert_eq!(told(&model.settle(now)), ["Create Service s1", "Update Pod p"]);
        model.apply(&target, Found::Changed(Box::new(service("s1", "db"))), now);
        assert_eq!(told(&model.settle(now)), ["Update Pod p", "Delete Service s1"]);
    }

    #[test]
    fn what_is_watched_is_bounded() {
        let now = Instant::now();
        let mut model = Model::new(false);
        let pods = (0..KUBERNETES_WATCHES.get() + 10).map(|n| {
            let mut pod = object(&format!("p{n}"), &format!("u{n}"), None);
            pod.metadata.namespace = format!("n{n}");
            pod
        });
        model.apply(&Target::Pods, Found::Listed(pods.collect()), now);
        assert_eq!(model.settle(now).start.len(), KUBERNETES_WATCHES.get());
        assert_eq!(model.settle(now), Actions::default());
    }
}
