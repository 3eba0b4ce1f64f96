//! One live connection to a server: the transport, the handshake, the program behind it, and its end.

use std::{collections::HashMap, time::Duration};

use masque_sandbox::Exit;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::{
    Peer, RoleClient, ServiceExt as _,
    model::{ClientCapabilities, ClientConfig, Implementation},
    service::RunningService,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};

use super::stderr::Tail;
use crate::program::{self, Start, StartError, Starter};

/// How long a program may take to end by itself after its input was closed.
const GRACE: Duration = Duration::from_secs(1);

/// How a server is reached.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// A program started in a sandbox, over its standard streams.
    Program { starter: Starter, start: Start },
    /// A server over HTTP.
    Http { url: String, headers: HashMap<HeaderName, HeaderValue> },
}

/// Why a server did not start.
#[derive(Debug)]
pub(crate) enum StartFailure {
    /// The program could not be started in its sandbox or container.
    Program(StartError),
    /// It started, or answered, but not as it should.
    Server(String),
}

impl std::fmt::Display for StartFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Program(error) => error.fmt(f),
            Self::Server(reason) => f.write_str(reason),
        }
    }
}

/// A server that answered the handshake.
#[derive(Debug)]
pub(super) struct Connection {
    service: RunningService<RoleClient, ClientConfig>,
    program: Option<Program>,
}

#[derive(Debug)]
struct Program {
    program: program::Program,
    stderr: Tail,
}

impl Connection {
    /// Starts the server and shakes hands.
    ///
    /// # Errors
    /// When the sandbox cannot be made, or there is no handshake within the limit.
    pub(super) async fn open(how: &How, limit: Duration) -> Result<Self, StartFailure> {
        match how {
            How::Program { starter, start } => {
                let program = starter.start(start).await.map_err(StartFailure::Program)?;
                Self::over_pipes(program, limit).await
            }
            How::Http { url, headers } => Self::over_http(url, headers.clone(), limit).await,
        }
    }

    async fn over_pipes(mut started: program::Program, limit: Duration) -> Result<Self, StartFailure> {
        let (input, output) = (started.take_stdin(), started.take_stdout());
        let mut program = Program { stderr: Tail::of(started.take_stderr()), program: started };
        let (Some(input), Some(output)) = (input, output) else {
            program.program.kill().await;
            return Err(StartFailure::Server("its standard streams are not connected".to_owned()));
        };
        let reason = match tokio::time::timeout(limit, client().serve((output, input))).await {
            Ok(Ok(service)) => return Ok(Self { service, program: Some(program) }),
            Ok(Err(error)) => format!("no MCP handshake: {error}"),
            Err(_) => late(limit),
        };
        Err(StartFailure::Server(with_stderr(&reason, &program.end().await)))
    }

    async fn over_http(
        url: &str,
        headers: HashMap<HeaderName, HeaderValue>,
        limit: Duration,
    ) -> Result<Self, StartFailure> {
        crate::host::fetch::install_cryptography();
        // A redirect would carry the persona's headers to somewhere else.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| StartFailure::Server(error.to_string()))?;
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        config.custom_headers = headers;
        let transport = StreamableHttpClientTransport::with_client(http, config);
        match tokio::time::timeout(limit, client().serve(transport)).await {
            Ok(Ok(service)) => Ok(Self { service, program: None }),
            Ok(Err(error)) => Err(StartFailure::Server(format!("no MCP handshake: {error}"))),
            Err(_) => Err(StartFailure::Server(late(limit))),
        }
    }

    pub(super) fn peer(&self) -> Peer<RoleClient> {
        self.service.peer().clone()
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.service.is_closed() && !self.service.is_transport_closed()
    }

    /// Ends the connection and the program; gives how it ended and the end of its standard error.
    pub(super) async fn end(self) -> String {
        // An error means that the connection's task broke down: it is gone as well.
        let _ = self.service.cancel().await;
        match self.program {
            Some(program) => program.end().await,
            None => String::new(),
        }
    }
}

impl Program {
    /// Its input is closed: it may end by itself for a moment, then it is ended.
    async fn end(mut self) -> String {
        let exit = match tokio::time::timeout(GRACE, self.program.wait()).await {
            Ok(Ok(Exit::Code(0))) | Err(_) => String::new(),
            Ok(Ok(Exit::Code(code))) => format!("[it ended with code {code}]\n"),
            Ok(Ok(Exit::Signal(signal))) => format!("[it was ended by signal {signal}]\n"),
            Ok(Err(error)) => format!("[{error}]\n"),
        };
        self.program.kill().await;
        exit + &self.stderr.end().await
    }
}

fn client() -> ClientConfig {
    ClientConfig::new(ClientCapabilities::default(), Implementation::new("masque", env!("CARGO_PKG_VERSION")))
}

fn late(limit: Duration) -> String {
    format!("no MCP handshake within {} ms; raise its time limit if it is slow to start", limit.as_millis())
}

/// A reason with what the server said about it.
pub(super) fn with_stderr(reason: &str, stderr: &str) -> String {
    if stderr.is_empty() { reason.to_owned() } else { format!("{reason}\n{}", stderr.trim_end()) }
}
