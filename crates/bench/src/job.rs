//! The pieces of work that are measured as processes of their own: for their memory, their flushes, a fresh start.

use serde::{Deserialize, Serialize};

use crate::{egress::EgressJob, many::ManyJob, steps::StepsJob, waiting::ReadyJob};

/// One piece of work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    Steps(StepsJob),
    Ready(ReadyJob),
    Many(ManyJob),
    Egress(EgressJob),
}

impl Job {
    /// Does it, on a runtime like that of `masque`, and returns its result as JSON.
    pub(crate) fn run(&self) -> anyhow::Result<String> {
        let runtime = runtime()?;
        Ok(match self {
            Self::Steps(job) => serde_json::to_string(&runtime.block_on(job.run())?)?,
            Self::Ready(job) => serde_json::to_string(&runtime.block_on(job.run())?)?,
            Self::Egress(job) => serde_json::to_string(&job.run()?)?,
            Self::Many(job) => serde_json::to_string(&runtime.block_on(job.run())?)?,
        })
    }
}

/// A runtime like that of `masque`.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}
