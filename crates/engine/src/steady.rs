//! The time of one drive: follows the worker's clock forwards, and goes on when that clock stops or is set back, so
//! that deadlines and time limits still come. Leaves out leases, which are compared with other workers' clocks.

use std::sync::Arc;

use masque_types::time::Timestamp;
use tokio::time::Instant;

use crate::driver::Clock;

/// A clock that never goes back.
pub(crate) struct SteadyTime {
    clock: Arc<Clock>,
    /// A time that was read, and when that was.
    read: (Timestamp, Instant),
}

impl SteadyTime {
    /// Starts at the clock's time, or at a later one that is known to have passed.
    pub(crate) fn new(clock: Arc<Clock>, passed: Timestamp) -> Self {
        let read = (clock().max(passed), Instant::now());
        Self { clock, read }
    }

    /// The time now.
    pub(crate) fn now(&mut self) -> Timestamp {
        let (time, at) = self.read;
        let steady = time.plus(at.elapsed());
        let clock = (self.clock)();
        if clock <= steady {
            return steady;
        }
        self.read = (clock, Instant::now());
        clock
    }
}
