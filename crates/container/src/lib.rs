//! Containers of Podman and Docker as a place for programs, through their API.
//!
//! Leaves out personas and policies; it knows images, paths and limits only.
