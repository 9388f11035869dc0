//! Metrics of plugins.

use std::sync::{Arc, PoisonError};

use peregrine_limits::{PLUGIN_METRICS, PLUGIN_TEXT_BYTES};
use peregrine_telemetry::PluginMetrics;
use peregrine_telemetry::metrics::{MetricValue, PluginStats};

use crate::abi::Metric;
use crate::instance::Instance;
use crate::text::PluginText;

/// Asks all of these for their metrics, whenever metrics are collected. Counters of several
/// instances of a plugin are added up; of other values, the first counts.
pub fn plugin_metrics(instances: Vec<Instance>) -> PluginMetrics {
    PluginMetrics(Arc::new(move || {
        let mut all: Vec<PluginStats> = Vec::new();
        for metric in instances.iter().flat_map(Instance::metrics) {
            let same =
                all.iter_mut().find(|it| it.plugin == metric.plugin && it.name == metric.name);
            match same.map(|it| (&mut it.value, &metric.value)) {
                None => all.push(metric),
                Some((MetricValue::Uint(sum), MetricValue::Uint(more))) if metric.monotonic => {
                    *sum = sum.saturating_add(*more);
                }
                Some(_) => {}
            }
        }
        all
    }))
}

impl Instance {
    /// The metrics of the plugin. Any thread may ask for them, also while other calls run.
    pub fn metrics(&self) -> Vec<PluginStats> {
        let inner = &*self.inner;
        let Some(function) = inner.functions().get_metrics else { return Vec::new() };
        let one_at_a_time = inner.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = 0;
        let metrics = inner.call_beside("get_metrics", |state| {
            // SAFETY: the count lives during the call. The interface allows it beside other calls.
            unsafe { function(state, &raw mut count) }
        });
        if metrics.is_null() {
            return Vec::new();
        }
        if count as usize > PLUGIN_METRICS.get() {
            PLUGIN_METRICS.reach();
        }
        let metric = |index| {
            // SAFETY: the plugin says that there are so many, and keeps them until the next call,
            // which waits for the lock.
            unsafe { metric(inner.plugin(), metrics.add(index).read_unaligned()) }
        };
        let metrics = (0..(count as usize).min(PLUGIN_METRICS.get())).filter_map(metric).collect();
        drop(one_at_a_time);
        metrics
    }
}

/// A metric, copied. `None` when it has no name, or a value of an unknown type.
///
/// # Safety
/// Its name is null or ends with NUL.
unsafe fn metric(plugin: &str, metric: Metric) -> Option<PluginStats> {
    // SAFETY: the promise of the caller.
    let name = unsafe { PluginText::at(metric.name, PLUGIN_TEXT_BYTES.get()) }?;
    let value = metric.value;
    // SAFETY: numbers of any size are valid with any bits, and the union has at least eight bytes.
    let value = unsafe {
        match metric.value_type {
            0 => MetricValue::Uint(value.u32.into()),
            1 => MetricValue::Int(value.s32.into()),
            2 => MetricValue::Uint(value.u64),
            3 => MetricValue::Int(value.s64),
            4 => MetricValue::Double(value.double),
            5 => MetricValue::Double(value.float.into()),
            6 => MetricValue::Int(value.int.into()),
            _ => return None,
        }
    };
    let name = String::from_utf8_lossy(name.bytes).into_owned();
    let (plugin, monotonic) = (plugin.to_owned(), metric.kind == 0);
    (!name.is_empty()).then_some(PluginStats { plugin, name, monotonic, value })
}
