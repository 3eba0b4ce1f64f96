//! From a listed host to a connection: the name is resolved once, every address is checked, and one of them is dialled.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};

use crate::{
    AddressPolicy, Event, Refusal, address::forbidden_class, context::Context, rules::Host, serve::Destination,
};

/// How long a name may take to be resolved, and an address to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the destination.
pub(crate) async fn dial(context: &Context, destination: &Destination) -> Result<TcpStream, Refusal> {
    let addresses = match &destination.host {
        // Listed as an address: whoever wrote the rule meant this one.
        Host::Address(address) => vec![SocketAddr::new(IpAddr::V4(*address), destination.port)],
        Host::Name(name) => resolve(context, name.as_str(), destination.port).await?,
    };
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small requests must not wait; where it cannot be set they only wait longer.
                let _set = stream.set_nodelay(true);
                let (host, port) = (destination.host.text(), destination.port);
                context.observer.tell(Event::Connected { host, port, address });
                return Ok(stream);
            }
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no answer in {} s", PATIENCE.as_secs()),
        }
    }
    Err(Refusal::Unreachable(last))
}

/// One address of the wrong class spoils them all: an honest name does not mix them.
async fn resolve(context: &Context, name: &str, port: u16) -> Result<Vec<SocketAddr>, Refusal> {
    let unreachable = |problem: String| Refusal::Unreachable(problem);
    let addresses = timeout(PATIENCE, context.resolver.resolve(name, port))
        .await
        .map_err(|_| unreachable("the name is not resolved in time".to_owned()))?
        .map_err(|error| unreachable(error.to_string()))?;
    if context.addresses == AddressPolicy::PublicOnly {
        for address in &addresses {
            if let Some(class) = forbidden_class(address.ip()) {
                return Err(Refusal::AddressClass { address: *address, class });
            }
        }
    }
    Ok(addresses)
}
