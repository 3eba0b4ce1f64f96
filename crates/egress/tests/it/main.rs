//! The broker from outside: programs on one side, hosts on the other.

mod attacks;
mod names;
mod program;
mod real;
mod secrets;
mod site;
mod transfer;
