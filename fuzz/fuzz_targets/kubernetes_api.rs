//! What the API server of Kubernetes sends, and the events that come of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_state::KubernetesChange;

fuzz_target!(|bytes: &[u8]| {
    peregrine_kubernetes::fuzz(bytes);
    let _ = KubernetesChange::from_json(bytes);
});
