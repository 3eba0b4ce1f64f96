//! The only way out of a sandbox: a broker with a network stack of its own that lets programs reach listed hosts and
//! puts secrets in on the way.
//!
//! Leaves out making the sandbox and its network device, and which persona may reach what.
