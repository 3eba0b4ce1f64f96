//! One server through its life: started once, called by many, restarted after a crash, closed at the end.

use std::time::Duration;

use rmcp::{
    Peer, RoleClient, ServiceError,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, JsonObject, RequestMetaObject},
};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{
    connection::{Connection, How, StartFailure, with_stderr},
    sanitise,
};

/// Crashes in a row, without a call that worked, after which a server is not started again.
const MOST_CRASHES: u32 = 3;
/// The wait before the first restart; it doubles with each crash in a row.
const BACKOFF: Duration = Duration::from_millis(100);

/// A server and how to start it again.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    how: How,
    limit: Duration,
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    connection: Option<Connection>,
    /// Which start this is, from 1.
    generation: u64,
    crashes: u32,
    /// Whether it was not started yet, or was ended by us until it is needed.
    resting: bool,
    closed: bool,
}

/// A connection to call over.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(super) peer: Peer<RoleClient>,
    pub(super) generation: u64,
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    /// The server's own name of the tool.
    pub(crate) tool: &'a str,
    pub(crate) arguments: &'a Value,
    pub(crate) meta: JsonObject,
    pub(crate) limit: Duration,
}

/// Why a call gave no result, in words for the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallFailure(pub(crate) String);

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// When it cannot be started within the limit.
    pub(crate) async fn start(name: String, how: How, limit: Duration) -> Result<Self, StartFailure> {
        let connection = Connection::open(&how, limit).await?;
        let slot = Slot { connection: Some(connection), generation: 1, ..Slot::default() };
        Ok(Self { name, how, limit, slot: Mutex::new(slot) })
    }

    /// A server that is started on its first call.
    pub(super) fn idle(name: String, how: How, limit: Duration) -> Self {
        let slot = Slot { resting: true, ..Slot::default() };
        Self { name, how, limit, slot: Mutex::new(slot) }
    }

    /// Ends the program until it is needed.
    pub(super) async fn rest(&self) {
        let mut slot = self.slot.lock().await;
        slot.resting = true;
        if let Some(connection) = slot.connection.take() {
            connection.end().await;
        }
    }

    /// The live connection; starts the server again when it has ended since the last call.
    ///
    /// # Errors
    /// When it cannot be started again.
    pub(super) async fn line(&self) -> Result<Line, CallFailure> {
        let mut slot = self.slot.lock().await;
        if slot.closed {
            return Err(CallFailure(format!("`{}` is closed", self.name)));
        }
        if let Some(connection) = slot.connection.as_ref().filter(|connection| connection.is_alive()) {
            return Ok(Line { peer: connection.peer(), generation: slot.generation });
        }
        if !slot.resting {
            self.take_crash(&mut slot).await?;
        }
        let connection = Connection::open(&self.how, self.limit)
            .await
            .map_err(|failure| CallFailure(format!("`{}` could not be started: {failure}", self.name)))?;
        slot.resting = false;
        slot.generation += 1;
        let line = Line { peer: connection.peer(), generation: slot.generation };
        slot.connection = Some(connection);
        Ok(line)
    }

    /// Counts the end of a server that nobody ended, and waits before the next start.
    async fn take_crash(&self, slot: &mut Slot) -> Result<(), CallFailure> {
        let said = match slot.connection.take() {
            Some(connection) => connection.end().await,
            None => String::new(),
        };
        slot.crashes += 1;
        if slot.crashes > MOST_CRASHES {
            let reason =
                format!("`{}` ended {MOST_CRASHES} times in a row and is not started again; do without it", self.name);
            return Err(CallFailure(with_stderr(&reason, &said)));
        }
        tracing::warn!(server = %self.name, crashes = slot.crashes, "the server ended and is started again");
        tokio::time::sleep(BACKOFF * 2_u32.saturating_pow(slot.crashes - 1)).await;
        Ok(())
    }

    /// Performs a call on whatever connection is live.
    ///
    /// # Errors
    /// As [`Server::call_over`].
    pub(crate) async fn call(&self, request: Request<'_>) -> Result<CallToolResult, CallFailure> {
        let line = self.line().await?;
        self.call_over(&line, request).await
    }

    /// Performs a call.
    ///
    /// # Errors
    /// When the server does not answer in time, ends during the call, or refuses the request.
    pub(super) async fn call_over(&self, line: &Line, request: Request<'_>) -> Result<CallToolResult, CallFailure> {
        let limit = request.limit;
        let answer = tokio::time::timeout(limit, line.peer.call_tool_once(parameters(request)?)).await;
        let name = &self.name;
        match answer {
            Err(_) => Err(CallFailure(format!(
                "`{name}` gave no answer within {} ms and the call was cancelled; it may have had an effect",
                limit.as_millis()
            ))),
            Ok(Ok(CallToolResponse::Complete(result))) => {
                self.slot.lock().await.crashes = 0;
                Ok(result)
            }
            Ok(Ok(_)) => {
                Err(CallFailure(format!("`{name}` asks for input or makes a task of the call; Masque does neither")))
            }
            Ok(Err(ServiceError::McpError(error))) => Err(CallFailure(format!(
                "`{name}` refused the call: {}",
                sanitise::clean(&error.message, sanitise::SHORT)
            ))),
            Ok(Err(error)) => Err(self.broken(line, &error).await),
        }
    }

    /// What to say about a connection that broke during a call.
    async fn broken(&self, line: &Line, error: &ServiceError) -> CallFailure {
        let mut slot = self.slot.lock().await;
        // Another call may have started the server again already.
        let is_this = slot.generation == line.generation;
        let ended = slot.connection.take_if(|connection| is_this && !connection.is_alive());
        let said = match ended {
            Some(connection) => connection.end().await,
            None => String::new(),
        };
        let reason = format!(
            "`{}` ended or lost its connection during the call ({error}); it may have had an effect",
            self.name
        );
        CallFailure(with_stderr(&reason, &said))
    }

    /// Ends the server; later calls are refused.
    pub(crate) async fn close(&self) {
        let mut slot = self.slot.lock().await;
        slot.closed = true;
        if let Some(connection) = slot.connection.take() {
            connection.end().await;
        }
    }
}

fn parameters(request: Request<'_>) -> Result<CallToolRequestParams, CallFailure> {
    let mut parameters = CallToolRequestParams::new(request.tool.to_owned());
    match request.arguments {
        Value::Object(arguments) => parameters.arguments = Some(arguments.clone()),
        Value::Null => {}
        _ => return Err(CallFailure("the arguments must be a JSON object that fits the tool's schema".to_owned())),
    }
    if !request.meta.is_empty() {
        parameters.meta = Some(RequestMetaObject::from(request.meta));
    }
    Ok(parameters)
}
