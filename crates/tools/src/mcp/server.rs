//! One server through its life: started once, called by many, restarted after a crash, closed at the end.

use std::time::Duration;

use masque_types::persona::Forms;
use rmcp::{
    Peer, RoleClient, ServiceError,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, InputRequest, JsonObject, RequestMetaObject},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{
    client::{self, Client},
    connection::{Connection, How, StartFailure, challenge, with_stderr},
    sanitise,
};

/// Crashes in a row, without a call that worked, after which a server is not started again.
const MOST_CRASHES: u32 = 3;
/// How often a server may ask for input before one answer.
const MOST_ROUNDS: usize = 10;
/// The wait before the first restart; it doubles with each crash in a row.
const BACKOFF: Duration = Duration::from_millis(100);

/// A server and how to start it again.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    how: How,
    forms: Forms,
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

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallFailure {
    /// In words for the model.
    pub(crate) reason: String,
    /// The `WWW-Authenticate` header with which the server asked for a login with more rights.
    pub(super) challenge: Option<String>,
}

impl CallFailure {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), challenge: None }
    }
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// When it cannot be started within the limit.
    pub(crate) async fn start(name: String, how: How, forms: Forms, limit: Duration) -> Result<Self, StartFailure> {
        let connection = Connection::open(&how, Client::new(forms), limit).await?;
        let slot = Slot { connection: Some(connection), generation: 1, ..Slot::default() };
        Ok(Self { name, how, forms, limit, slot: Mutex::new(slot) })
    }

    /// A server that is started on its first call.
    pub(super) fn idle(name: String, how: How, forms: Forms, limit: Duration) -> Self {
        let slot = Slot { resting: true, ..Slot::default() };
        Self { name, how, forms, limit, slot: Mutex::new(slot) }
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
            return Err(CallFailure::new(format!("`{}` is closed", self.name)));
        }
        if let Some(connection) = slot.connection.as_ref().filter(|connection| connection.is_alive()) {
            return Ok(Line { peer: connection.peer(), generation: slot.generation });
        }
        if !slot.resting {
            self.take_crash(&mut slot).await?;
        }
        let connection = Connection::open(&self.how, Client::new(self.forms), self.limit)
            .await
            .map_err(|failure| CallFailure::new(format!("`{}` could not be started: {failure}", self.name)))?;
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
            return Err(CallFailure::new(with_stderr(&reason, &said)));
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
        let answer = tokio::time::timeout(limit, call_through(&line.peer, self.forms, parameters(request)?)).await;
        let name = &self.name;
        match answer {
            Err(_) => Err(CallFailure::new(format!(
                "`{name}` gave no answer within {} ms and the call was cancelled; it may have had an effect",
                limit.as_millis()
            ))),
            Ok(Ok(CallToolResponse::Complete(result))) => {
                self.slot.lock().await.crashes = 0;
                Ok(result)
            }
            Ok(Ok(CallToolResponse::InputRequired(_))) => {
                Err(CallFailure::new(format!("`{name}` keeps asking for input that this call cannot give")))
            }
            Ok(Ok(_)) => {
                Err(CallFailure::new(format!("`{name}` makes a task of the call, which it was not asked for")))
            }
            Ok(Err(ServiceError::McpError(error))) => Err(CallFailure::new(format!(
                "`{name}` refused the call: {}",
                sanitise::clean(&error.message, sanitise::SHORT)
            ))),
            Ok(Err(error)) => Err(self.broken(line, &error).await),
        }
    }

    /// What to say about a connection that broke during a call.
    async fn broken(&self, line: &Line, error: &ServiceError) -> CallFailure {
        if let Some(challenge) = challenge(error) {
            let reason = format!(
                "`{}` refused the call: it asks for a login with more rights, which a person gives with `masque mcp login`",
                self.name
            );
            return CallFailure { reason, challenge: Some(challenge) };
        }
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
        CallFailure::new(with_stderr(&reason, &said))
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

/// Calls, and answers what the server asks on the way: forms as the persona's file says; it is given no model, and no
/// directories. It may go on without.
async fn call_through(
    peer: &Peer<RoleClient>,
    forms: Forms,
    mut call: CallToolRequestParams,
) -> Result<CallToolResponse, ServiceError> {
    let mut response = peer.call_tool_once(call.clone()).await?;
    for _ in 0..MOST_ROUNDS {
        let CallToolResponse::InputRequired(asked) = &response else { break };
        let answers = asked.input_requests.iter().flatten();
        let answers = answers.filter_map(|(key, request)| Some((key.clone(), reply(forms, request)?))).collect();
        call.input_responses = asked.input_requests.as_ref().map(|_| answers);
        call.request_state = asked.request_state.clone();
        response = peer.call_tool_once(call.clone()).await?;
    }
    Ok(response)
}

fn reply(forms: Forms, request: &InputRequest) -> Option<Value> {
    match request {
        InputRequest::Elicitation(asked) => serde_json::to_value(client::answer(forms, &asked.params)).ok(),
        InputRequest::ListRoots(_) => Some(json!({ "roots": [] })),
        _ => None,
    }
}

fn parameters(request: Request<'_>) -> Result<CallToolRequestParams, CallFailure> {
    let mut parameters = CallToolRequestParams::new(request.tool.to_owned());
    match request.arguments {
        Value::Object(arguments) => parameters.arguments = Some(arguments.clone()),
        Value::Null => {}
        _ => return Err(CallFailure::new("the arguments must be a JSON object that fits the tool's schema")),
    }
    if !request.meta.is_empty() {
        parameters.meta = Some(RequestMetaObject::from(request.meta));
    }
    Ok(parameters)
}
