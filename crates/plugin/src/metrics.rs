//! Metrics of plugins.

use std::sync::PoisonError;

use peregrine_limits::{PLUGIN_METRICS, PLUGIN_TEXT_BYTES};

use crate::abi::Metric;
use crate::instance::Instance;
use crate::text::PluginText;

/// A metric of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginMetric {
    /// Its name.
    pub name: String,
    /// Whether its value never falls.
    pub monotonic: bool,
    /// Its value.
    pub value: PluginMetricValue,
}

/// The value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum PluginMetricValue {
    Uint(u64),
    Int(i64),
    Double(f64),
}

impl Instance {
    /// The metrics of the plugin. Any thread may ask for them, also while other calls run.
    pub fn metrics(&self) -> Vec<PluginMetric> {
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
            unsafe { metric(metrics.add(index).read_unaligned()) }
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
unsafe fn metric(metric: Metric) -> Option<PluginMetric> {
    // SAFETY: the promise of the caller.
    let name = unsafe { PluginText::at(metric.name, PLUGIN_TEXT_BYTES.get()) }?;
    let value = metric.value;
    // SAFETY: numbers of any size are valid with any bits, and the union has at least eight bytes.
    let value = unsafe {
        match metric.value_type {
            0 => PluginMetricValue::Uint(value.u32.into()),
            1 => PluginMetricValue::Int(value.s32.into()),
            2 => PluginMetricValue::Uint(value.u64),
            3 => PluginMetricValue::Int(value.s64),
            4 => PluginMetricValue::Double(value.double),
            5 => PluginMetricValue::Double(value.float.into()),
            6 => PluginMetricValue::Int(value.int.into()),
            _ => return None,
        }
    };
    let name = String::from_utf8_lossy(name.bytes).into_owned();
    (!name.is_empty()).then_some(PluginMetric { name, monotonic: metric.kind == 0, value })
}
