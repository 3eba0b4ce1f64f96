//! The first message of a TLS client: which host it names. Leaves out the rest of TLS.

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{HostName, Refusal, context::broken, rules::Host};

/// A whole greeting.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The bytes as they came, and what came behind them.
    pub(crate) bytes: Vec<u8>,
    /// The name that is asked for.
    pub(crate) name: Option<String>,
}

/// Takes a greeting apart as it comes.
pub(crate) struct GreetingReader(Acceptor);

impl GreetingReader {
    pub(crate) fn new() -> Self {
        Self(Acceptor::default())
    }

    /// Takes more bytes. Once the greeting is whole it says which name is asked for, and takes no more.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<Option<Option<String>>, Refusal> {
        while !bytes.is_empty() {
            self.0.read_tls(&mut bytes).map_err(|error| Refusal::Tls(error.to_string()))?;
            if let Some(accepted) = self.0.accept().map_err(|(error, _)| Refusal::Tls(error.to_string()))? {
                return Ok(Some(accepted.client_hello().server_name().map(str::to_owned)));
            }
        }
        Ok(None)
    }
}

/// Reads a greeting.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Greeting, Refusal> {
    let mut reader = GreetingReader::new();
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        let length = stream.read_buf(&mut bytes).await.map_err(|error| broken(&error))?;
        if length == 0 {
            return Err(Refusal::Tls("the greeting is cut off".to_owned()));
        }
        if let Some(name) = reader.feed(bytes.get(before..).unwrap_or_default())? {
            return Ok(Greeting { bytes, name });
        }
    }
}

/// Whether a greeting asks for the host that the connection leads to. A host that is listed as an address has no name.
pub(crate) fn check(host: &Host, name: Option<&str>) -> Result<(), Refusal> {
    match (host, name) {
        (Host::Address(_), None) => Ok(()),
        (Host::Name(_), None) => Err(Refusal::NoName),
        (Host::Name(expected), Some(asked)) if HostName::parse(asked).as_ref() == Ok(expected) => Ok(()),
        (_, Some(asked)) => Err(Refusal::OtherName { asked: asked.to_owned() }),
    }
}
