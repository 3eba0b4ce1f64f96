//! [`Limits`]: what a service may use; [`Logs`]: what is kept of what it prints.

use serde::{Deserialize, Serialize};

/// What a service and everything that it starts may use together. Absent: no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Limits {
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Thousandths of a processor.
    pub milli_cpus: Option<u32>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// Open files of each process.
    pub open_files: Option<u64>,
    /// Whether it may not start where the limits cannot be enforced.
    pub enforce: bool,
}

/// What is kept of what a service prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    /// Size in bytes at which a file is closed and a new one begun.
    pub rotate_bytes: u64,
    /// How many closed files are kept.
    pub keep: u32,
    /// Bytes a second that are kept; what is above is dropped, counted and told. Absent: no bound.
    pub budget_bytes: Option<u64>,
}

impl Default for Logs {
    fn default() -> Self {
        Self { rotate_bytes: 10 << 20, keep: 5, budget_bytes: None }
    }
}
