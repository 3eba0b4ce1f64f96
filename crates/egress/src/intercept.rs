//! TLS that ends in the broker, for hosts to which secrets are bound: the broker speaks as the host to the program, and as
//! a program to the host.

use rustls::{pki_types::ServerName, server::Acceptor};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, client};

use crate::{
    HostName, Refusal,
    context::Context,
    dial::{PATIENCE, dial},
    greeting,
    http::{self, Exchange},
    meter::Meter,
    program::Program,
    serve::Destination,
};

/// Serves a program's connection to a bound host.
pub(crate) async fn serve(
    context: &Context,
    destination: &Destination,
    name: &HostName,
    program: &mut Program,
    meter: &Meter<'_>,
) -> Result<(), Refusal> {
    let failed = |error: std::io::Error| Refusal::Tls(error.to_string());
    let greeting = LazyConfigAcceptor::new(Acceptor::default(), &mut program.stream).await.map_err(failed)?;
    greeting::check(&destination.host, greeting.client_hello().server_name())?;
    let config = context.authority.config_for(name).map_err(Refusal::Tls)?;
    let mut stream = greeting.into_stream(config).await.map_err(failed)?;
    let exchange = Exchange { context, destination, meter, puts_secrets_in: true };
    let result = http::serve(&exchange, &mut stream, connect(context, destination, name)).await;
    // The program may be gone already.
    let _closed = stream.shutdown().await;
    result
}

async fn connect(
    context: &Context,
    destination: &Destination,
    name: &HostName,
) -> Result<client::TlsStream<TcpStream>, Refusal> {
    let server = ServerName::try_from(name.as_str().to_owned()).map_err(|error| Refusal::Tls(error.to_string()))?;
    let connector = TlsConnector::from(context.tls()?);
    let stream = dial(context, destination).await?;
    match timeout(PATIENCE, connector.connect(server, stream)).await {
        Ok(connected) => connected.map_err(|error| Refusal::Tls(format!("the host: {error}"))),
        Err(_) => Err(Refusal::Tls("the host does not answer the greeting".to_owned())),
    }
}
