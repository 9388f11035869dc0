//! From configuration and rules to everything that runs.

use std::sync::Arc;

use peregrine_delivery::{DeliveryError, checked};
use peregrine_engine::Generation;
use peregrine_fields::Field;
use peregrine_output::Delivery;
use peregrine_rules::RuleSet;
use peregrine_runtime::observers::RunPolicies;
use peregrine_runtime::observers::metrics::MetricsSettings;

use super::agent::Agent;
use super::prepare::generation;
use super::server::{self, ServerPlan};
use super::setup::Setup;
use super::{host, metrics, run};

/// What a configuration asks of a run, all of it checked. The start and every reload make one, so
/// they check the same.
pub struct Plan {
    /// The rules, and how they are evaluated.
    pub generation: Arc<Generation>,
    /// The outputs.
    pub delivery: Delivery,
    /// Reactions of the run.
    pub policies: RunPolicies,
    /// Metrics, if they are collected.
    pub metrics: Option<MetricsSettings>,
    /// The web server, if there is one.
    pub server: Option<ServerPlan>,
}

impl Plan {
    /// Checks the outputs and compiles the rules.
    pub fn new(setup: &Setup, set: RuleSet<Field>, agent: &Agent) -> anyhow::Result<Self> {
        let delivery =
            checked(&setup.loaded, &host::identity(), &mut |warning| setup.warn(warning))
                .map_err(told)?;
        let generation = generation(setup, set, &agent.origin, &delivery.channels)?;
        let metrics = metrics::settings(setup, agent, &delivery)?;
        let (policies, server) = (run::policies(setup), server::plan(setup));
        Ok(Self { generation, delivery, policies, metrics, server })
    }
}

/// Errors of the configuration are told with their place.
fn told(error: DeliveryError) -> anyhow::Error {
    match error {
        DeliveryError::Config(error) => error.into(),
        other => other.into(),
    }
}
