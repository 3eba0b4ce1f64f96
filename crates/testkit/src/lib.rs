//! What the tests of Masque share: stores on both databases, disks that are too small, sample runs, fake providers,
//! documents of office programs, random fleets.
//! Leaves out every assertion about a single crate, which stands in that crate's tests.

#[cfg(feature = "store")]
pub mod database;
#[cfg(feature = "disk")]
pub mod disk;
#[cfg(feature = "documents")]
pub mod documents;
#[cfg(feature = "fleets")]
pub mod fleets;
pub mod need;
pub mod providers;
#[cfg(feature = "store")]
pub mod sample;
