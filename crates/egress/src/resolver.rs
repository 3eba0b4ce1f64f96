//! Where the addresses of a name come from. Leaves out which of them may be used.

use std::{io, net::SocketAddr};

use masque_types::BoxFuture;

/// Turns names into addresses, outside of every sandbox.
pub trait Resolver: Send + Sync {
    /// Where `port` of the host with this name is reached: all its addresses.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    }
}
