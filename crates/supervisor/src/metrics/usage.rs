//! [`Usage`]: what a process uses.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What this process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Processor time since it began.
    pub cpu: Duration,
}

impl Usage {
    /// What this process uses now. Where `/proc` cannot be read, its memory is told as zero.
    #[must_use]
    pub fn of_this_process() -> Self {
        let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
        let cpu = seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0));
        Self { memory_bytes: kibibytes.unwrap_or(0) * 1024, cpu }
    }
}
