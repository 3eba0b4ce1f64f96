//! One live connection to a server: the transport, the handshake, the program behind it, and its end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use masque_sandbox::Exit;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::{
    ClientLifecycleMode, ClientServiceExt as _, Peer, RoleClient, ServiceError, ServiceExt as _,
    model::ProtocolVersion,
    service::{ClientInitializeError, RunningService},
    transport::{
        StreamableHttpClientTransport,
        streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError},
    },
};

use super::{
    client::Client,
    login::{self, Logins},
    stderr::Tail,
};
use crate::program::{self, Start, StartError, Starter};

/// How long a program may take to end by itself after its input was closed.
const GRACE: Duration = Duration::from_secs(1);

/// How a server is reached.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// A program started in a sandbox, over its standard streams.
    Program { starter: Starter, start: Start },
    /// A server over HTTP.
    Http { url: String, headers: HashMap<HeaderName, HeaderValue>, logins: Option<Arc<dyn Logins>> },
}

/// A server over HTTP.
struct Remote<'a> {
    url: &'a str,
    headers: &'a HashMap<HeaderName, HeaderValue>,
    logins: Option<&'a Arc<dyn Logins>>,
}

/// What came of a greeting.
type Greeted = Result<RunningService<RoleClient, Client>, ClientInitializeError>;

impl Remote<'_> {
    /// Connects and shakes hands.
    async fn greet(&self, client: Client, lifecycle: ClientLifecycleMode) -> Result<Greeted, StartFailure> {
        // A redirect would carry the persona's headers to somewhere else.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| StartFailure::Server(error.to_string()))?;
        let mut config = StreamableHttpClientTransportConfig::with_uri(self.url);
        config.custom_headers.clone_from(self.headers);
        Ok(match self.logins {
            Some(logins) => {
                let http = login::authorised(http, self.url, Arc::clone(logins)).await;
                let transport = StreamableHttpClientTransport::with_client(http.map_err(StartFailure::Server)?, config);
                client.serve_with_lifecycle(transport, lifecycle).await
            }
            None => {
                let transport = StreamableHttpClientTransport::with_client(http, config);
                client.serve_with_lifecycle(transport, lifecycle).await
            }
        })
    }
}

/// Why a server did not start.
#[derive(Debug)]
pub(crate) enum StartFailure {
    /// The program could not be started in its sandbox or container.
    Program(StartError),
    /// It started, or answered, but not as it should.
    Server(String),
    /// It asks for a login, or for one with more rights: its `WWW-Authenticate` header.
    Login { url: String, challenge: String },
}

impl std::fmt::Display for StartFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Program(error) => error.fmt(f),
            Self::Server(reason) => f.write_str(reason),
            Self::Login { url, .. } => write!(f, "{url} asks for a login: masque mcp login PERSONA SERVER"),
        }
    }
}

/// A server that answered the handshake.
#[derive(Debug)]
pub(super) struct Connection {
    service: RunningService<RoleClient, Client>,
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
    pub(super) async fn open(how: &How, client: Client, limit: Duration) -> Result<Self, StartFailure> {
        match how {
            How::Program { starter, start } => {
                let program = starter.start(start).await.map_err(StartFailure::Program)?;
                Self::over_pipes(program, client, limit).await
            }
            How::Http { url, headers, logins } => {
                Self::over_http(&Remote { url, headers, logins: logins.as_ref() }, client, limit).await
            }
        }
    }

    async fn over_pipes(mut started: program::Program, client: Client, limit: Duration) -> Result<Self, StartFailure> {
        let (input, output) = (started.take_stdin(), started.take_stdout());
        let mut program = Program { stderr: Tail::of(started.take_stderr()), program: started };
        let (Some(input), Some(output)) = (input, output) else {
            program.program.kill().await;
            return Err(StartFailure::Server("its standard streams are not connected".to_owned()));
        };
        let reason = match tokio::time::timeout(limit, client.serve((output, input))).await {
            Ok(Ok(service)) => return Ok(Self { service, program: Some(program) }),
            Ok(Err(error)) => format!("no MCP handshake: {error}"),
            Err(_) => late(limit),
        };
        Err(StartFailure::Server(with_stderr(&reason, &program.end().await)))
    }

    /// Speaks the newest protocol that both know. A server that cannot make anything of the question for it is asked again,
    /// as servers of the older protocol are.
    async fn over_http(remote: &Remote<'_>, client: Client, limit: Duration) -> Result<Self, StartFailure> {
        crate::host::fetch::install_cryptography();
        let begun = async {
            match remote.greet(client.clone(), either_era()).await? {
                Err(error) if error.auth_challenge().is_none() => {
                    remote.greet(client, ClientLifecycleMode::Initialize).await
                }
                greeted => Ok(greeted),
            }
        };
        match tokio::time::timeout(limit, begun).await {
            Ok(greeted) => {
                let service = greeted?.map_err(|error| no_handshake(remote.url, &error))?;
                Ok(Self { service, program: None })
            }
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

/// The newest protocol that both know: servers are asked what they speak, and older ones are greeted as they expect.
fn either_era() -> ClientLifecycleMode {
    let preferred_versions = ProtocolVersion::KNOWN_VERSIONS.iter().rev().cloned().collect();
    ClientLifecycleMode::Auto { preferred_versions, legacy_version: None }
}

fn no_handshake(url: &str, error: &ClientInitializeError) -> StartFailure {
    match error.auth_challenge() {
        Some(challenge) => StartFailure::Login { url: url.to_owned(), challenge: challenge.to_owned() },
        None => StartFailure::Server(format!("no MCP handshake: {error}")),
    }
}

/// The `WWW-Authenticate` header with which a server refused a call, if that is why it failed.
pub(super) fn challenge(error: &ServiceError) -> Option<String> {
    let ServiceError::TransportSend(error) = error else { return None };
    error.error.downcast_ref::<StreamableHttpError<reqwest::Error>>()?.auth_challenge().map(str::to_owned)
}

fn late(limit: Duration) -> String {
    format!("no MCP handshake within {} ms; raise its time limit if it is slow to start", limit.as_millis())
}

/// A reason with what the server said about it.
pub(super) fn with_stderr(reason: &str, stderr: &str) -> String {
    if stderr.is_empty() { reason.to_owned() } else { format!("{reason}\n{}", stderr.trim_end()) }
}
