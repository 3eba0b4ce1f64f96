//! The pure heart of the supervisor: [`Board`] holds all services of one supervisor, takes what happened ([`Input`])
//! and says what is to be done ([`Action`]).
//!
//! Owns every decision: what starts when, what counts as well, what is restarted, what stands in, what ends before
//! what. Leaves out everything that touches the world: it has no clock (times are passed in, measured since the
//! supervisor's start), does no I/O, and draws its random waits from a seed.

mod action;
mod board;
mod failures;
mod input;
mod order;
mod rolling;
mod roster;
mod run;
mod text;
mod unit;
mod upkeep;
mod view;
mod why;

pub use action::{Action, Resolved};
pub use board::Board;
pub use input::{End, Input, Notice, Outcome, Selection, Which};
pub use rolling::{Rolling, RollingReport, RollingSpec, RollingStep};
pub use view::View;
