//! The store's behaviour on both databases, and what only a file can do.

mod audit;
mod crash;
mod disk;
mod faults;
mod journal;
mod lease;
mod listing;
mod waiting;
