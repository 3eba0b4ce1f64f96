//! Use cases over jobs: runs that are queued for a worker, as editors and other programs ask for them.
//!
//! A job is a run. This owns what is added to one: the queue, estimates, progress, looking without polling, clean-up and
//! the workers inside of servers. Leaves out driving, which is the same for all runs.

mod estimate;
mod invoke;
mod keep;
mod look;
mod material;
mod memo;
mod prepared;
mod progress;
mod stamps;
#[cfg(test)]
mod tests;
mod view;
mod workers;

use std::time::Duration;

pub(crate) use self::memo::Memo;
pub use self::{
    view::{Deleted, Estimate, Invoke, Invoked, JobQuery, JobStatistics, JobView, Jobs, OpenQuestion},
    workers::JobWorkers,
};

/// The longest time that [`App::check_job`](crate::App::check_job) waits: clients give up on a request after a minute.
pub const LONGEST_WAIT: Duration = Duration::from_secs(55);
