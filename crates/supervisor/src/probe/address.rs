//! Connections to `address:port`, and what fails in a sentence.

use std::{io, net::SocketAddr};

use tokio::net::TcpStream;

/// Connects. Small messages are sent at once.
pub(super) async fn connect(address: &str) -> Result<TcpStream, String> {
    let connected = match address.parse::<SocketAddr>() {
        Ok(parsed) => TcpStream::connect(parsed).await,
        // A name is looked up.
        Err(_) => TcpStream::connect(address).await,
    };
    let stream = connected.map_err(|error| sentence(address, &error))?;
    stream.set_nodelay(true).map_err(|error| sentence(address, &error))?;
    // Among the ports that the kernel gives out, a connection to a port where nobody listens may come from that very
    // port: then it is connected with itself.
    if stream.local_addr().ok() == stream.peer_addr().ok() {
        return Err(format!("connection refused at {address}"));
    }
    Ok(stream)
}

/// What went wrong with an address.
pub(super) fn sentence(address: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused at {address}"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => format!("connection reset by {address}"),
        io::ErrorKind::UnexpectedEof => format!("connection closed by {address}"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => format!("no way to {address}"),
        io::ErrorKind::InvalidInput => format!("`{address}` is no address: expected ADDRESS:PORT"),
        _ => format!("{address}: {error}"),
    }
}
