//! `metrics`: numbers about the program itself.

use crate::declare::section;

section! {
    /// Numbers about the program.
    pub Metrics "Metrics" extra { "minProperties": 1 } {
        /// Collect them.
        enabled: bool = false;
        /// Time between two reports, with units: 1h, 1m30s, 500ms.
        interval: String = "5000".to_owned();
        /// Report as an alert.
        output_rule: bool = false;
        /// Report into this file, one JSON object a line.
        output_file: String = String::new();
        /// With matches of each rule.
        rules_counters_enabled: bool = true;
        /// With CPU and memory.
        resource_utilization_enabled: bool = true;
        /// With counters of the picture of the machine.
        state_counters_enabled: bool = true;
        /// With events and losses in the kernel.
        kernel_event_counters_enabled: bool = true;
        /// The same for each CPU.
        kernel_event_counters_per_cpu_enabled: bool = true;
        /// With counters of BPF iterators.
        kernel_iter_event_counters_enabled: bool = true;
        /// With run counts and times of BPF programs.
        libbpf_stats_enabled: bool = true;
        /// Let the kernel count those runs while this program does (BPF_ENABLE_STATS), for all BPF programs of the machine: each run takes a little longer then. Otherwise they are counted where `sysctl kernel.bpf_stats_enabled=1` says so.
        bpf_enable_stats: bool = false, extra { "$comment": "Peregrine" };
        /// With what plugins count.
        plugins_metrics_enabled: bool = true;
        /// With statistics of the allocator.
        jemalloc_stats_enabled: bool = true;
        /// With events and time of each system call and each rule.
        syscalls_counters_enabled: bool = false, extra { "$comment": "Peregrine" };
        /// Memory in megabytes.
        convert_memory_to_mb: bool = true;
        /// With numbers that are zero.
        include_empty_values: bool = false;
    }
}
