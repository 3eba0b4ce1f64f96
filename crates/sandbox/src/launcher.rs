//! The launcher: finds out once what the machine can do, and starts programs.

use crate::{Child, Command, Error, Mechanism, Profile};

/// Whether Landlock is used as the second layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LandlockUse {
    /// Where the kernel has it.
    IfPresent,
    /// Never: the first layer alone, for tests.
    Off,
}

/// Starts programs in sandboxes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Launcher {}

impl Launcher {
    /// Finds out what this machine can enforce. Takes a few milliseconds: keep the result.
    #[must_use]
    pub fn detect(landlock: LandlockUse) -> Self {
        let _ = landlock;
        Self {}
    }

    /// What this machine can enforce.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        Vec::new()
    }

    /// Starts a program. Must be called on a Tokio runtime with I/O enabled; blocks for some milliseconds.
    ///
    /// # Errors
    /// When something in the profile cannot be enforced here, names something that does not exist, or when the program
    /// cannot be executed.
    pub fn spawn(&self, profile: &Profile, command: &Command) -> Result<Child, Error> {
        let _ = (profile, command);
        Err(Error::ZeroByte { what: "x" })
    }
}
