//! CPU and memory of the program and its host, read from `/proc`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::metrics::ResourceUsage;

/// Environment variable with the file that holds the memory of the container.
const CONTAINER_MEMORY: &str = "FALCO_CGROUP_MEM_PATH";
/// Defaults of that file, for cgroup v1 and v2.
const CONTAINER_MEMORY_FILES: [&str; 2] =
    ["/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory.current"];

/// `USER_HZ`, the unit of times in `/proc/PID/stat`; the same on all machines.
const TICKS: u64 = 100;

/// Reads CPU and memory usage. Slow: the kernel walks all mappings of the process for its
/// proportional set size.
#[derive(Clone, Debug)]
pub struct ResourceReader {
    /// The `/proc` of the host.
    host: PathBuf,
    container_memory: Vec<PathBuf>,
}

impl ResourceReader {
    /// `host_root` is the root directory of the host, `/` outside a container.
    #[must_use]
    pub fn new(host_root: &Path) -> Self {
        let chosen =
            std::env::var_os(CONTAINER_MEMORY).map(PathBuf::from).filter(|path| is_plain(path));
        let container_memory = match chosen {
            Some(path) => vec![path],
            None => CONTAINER_MEMORY_FILES.map(PathBuf::from).into(),
        };
        Self { host: host_root.join("proc"), container_memory }
    }

    /// The current usage; what can't be read is 0.
    #[must_use]
    pub fn read(&self) -> ResourceUsage {
        let status = read("/proc/self/status");
        let host = |name: &str| read(self.host.join(name));
        let memory = host("meminfo");
        let of_memory = |name| field(&memory, name);
        let (used, age) = times(&read("/proc/self/stat"), &host("uptime"));
        let stat = host("stat");
        ResourceUsage {
            cpu_percent: if age > 0.0 { 100.0 * used / age } else { 0.0 },
            rss_kb: field(&status, "VmRSS:"),
            vsz_kb: field(&status, "VmSize:"),
            pss_kb: field(&read("/proc/self/smaps_rollup"), "Pss:"),
            container_memory: self.container_memory(),
            host_cpu_percent: host_cpu(&stat),
            host_memory_kb: of_memory("MemTotal:")
                .saturating_sub(of_memory("MemFree:"))
                .saturating_sub(of_memory("Buffers:"))
                .saturating_sub(of_memory("Cached:")),
            host_procs_running: field(&stat, "procs_running"),
            host_open_fds: word(&host("sys/fs/file-nr"), 0),
        }
    }

    fn container_memory(&self) -> u64 {
        let mut values = self.container_memory.iter().map(|path| word(&read(path), 0));
        values.find(|&bytes| bytes > 0).unwrap_or(0)
    }
}

/// Seconds since this process started.
#[must_use]
pub fn process_age() -> f64 {
    times(&read("/proc/self/stat"), &read("/proc/uptime")).1
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    !bytes.is_empty() && !bytes.windows(2).any(|two| two == b"..")
}

/// The number after this name at the start of a line.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |line| word(line, 0))
}

fn word(text: &str, index: usize) -> u64 {
    text.split_whitespace().nth(index).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// CPU time and age of a process in seconds, from its `stat` and the host's `uptime`.
fn times(stat: &str, uptime: &str) -> (f64, f64) {
    // The second field is the name in brackets, with any character in it.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let seconds = |index| word(after_name, index) as f64 / TICKS as f64;
    let uptime = uptime.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    (seconds(11) + seconds(12), f64::max(uptime - seconds(19), 0.0))
}

/// Share of CPU time since boot that was not idle, in percent.
fn host_cpu(stat: &str) -> f64 {
    const IDLE: usize = 3;
    // User, nice, system, idle, waiting, and two kinds of interrupts.
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let (idle, all) = (word(line, IDLE), (0..7).map(|index| word(line, index)).sum::<u64>());
    if all > 0 { 100.0 - 100.0 * idle as f64 / all as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process() {
        let resources = ResourceReader::new("/".as_ref()).read();
        assert!(resources.rss_kb > 0 && resources.vsz_kb > resources.rss_kb);
        assert!(resources.host_memory_kb > 0 && resources.host_procs_running > 0);
        assert!(resources.host_cpu_percent >= 0.0 && resources.host_cpu_percent <= 100.0);
        assert!(process_age() > 0.0);
    }

    #[test]
    fn a_host() {
        let place = tempfile::tempdir().unwrap();
        let proc = place.path().join("proc");
        fs::create_dir_all(proc.join("sys/fs")).unwrap();
        let write = |name: &str, text: &str| fs::write(proc.join(name), text).unwrap();
        write(
            "meminfo",
            "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 80 kB\nSwapCached: 5 kB\n",
        );
        write("stat", "cpu  10 0 10 60 20 0 0 9 9 9\ncpu0 1 1 1 1\nprocs_running 3\n");
        write("sys/fs/file-nr", "4096\t0\t9223372036854775807\n");
        let resources = ResourceReader::new(place.path()).read();
        assert_eq!(resources.host_memory_kb, 800);
        assert_eq!((resources.host_procs_running, resources.host_open_fds), (3, 4096));
        assert_eq!(resources.host_cpu_percent, 40.0);
    }

    #[test]
    fn times_of_a_process_with_a_strange_name() {
        let (user, system, start) = (3 * TICKS, 2 * TICKS, 40 * TICKS);
        let stat =
            format!("7 (a) b 9) S 1 2 3 4 5 6 7 8 9 10 {user} {system} 0 0 20 0 1 0 {start} 99");
        assert_eq!(times(&stat, "100.25 3.0\n"), (5.0, 60.25));
        assert_eq!(times("", ""), (0.0, 0.0));
    }

    #[test]
    fn paths_lead_nowhere_else() {
        assert!(is_plain("/sys/fs/cgroup/memory.current".as_ref()));
        assert!(!is_plain("/sys/fs/cgroup/../../etc/passwd".as_ref()) && !is_plain("".as_ref()));
    }
}
