//! What this machine can enforce, for people: [`Mechanism`].

/// One mechanism of the kernel that the sandbox uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mechanism {
    /// Its name.
    pub name: &'static str,
    /// What it enforces.
    pub enforces: &'static str,
    /// Whether it works here.
    pub state: State,
    /// Whether the sandbox refuses to start without it.
    pub required: bool,
}

/// Whether a mechanism works on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It does; how.
    Enforced(String),
    /// It does not; why, and what that means.
    Missing(String),
}
