//! `masque mcp conformance-client`: what the protocol's official conformance suite starts as the client under test.
//!
//! Connects as a run would, logs in when it is asked to, and calls the tools. Which ones, the suite says in the
//! environment. Hidden: nobody else needs it.

use std::collections::BTreeMap;

use masque_app::{
    App, Error,
    logins::{LogIn, Probe, ProbeFailure},
};
use masque_types::{
    actor::Actor,
    persona::{Forms, McpServer, McpTransport},
    secret::Secret,
    tool::ToolSpec,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Context;
use crate::exit::Exit;

/// Whose logins they are.
const PERSONA: &str = "conformance";
/// Logins in a row, after which a server that still refuses is left.
const MOST_LOGINS: u32 = 3;
/// A document about this client that the suite's authorization server knows.
const CLIENT_DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Address of the suite's server
    url: String,
}

/// What the suite says beside the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    #[serde(alias = "toolCalls")]
    tool_calls: Vec<Call>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Call {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

struct Client {
    app: App,
    actor: Actor,
    url: String,
    server: McpServer,
    wanted: Wanted,
    logins: u32,
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let wanted = match context.host.variable("MCP_CONFORMANCE_CONTEXT") {
        Some(text) => serde_json::from_str(text).map_err(|error| Error::usage(error.to_string()))?,
        None => Wanted::default(),
    };
    let transport = McpTransport::Http { url: arguments.url.clone(), headers: BTreeMap::new() };
    let server = McpServer { forms: Forms::Defaults, ..McpServer::new(transport) };
    let actor = context.actor();
    let app = context.open().await?;
    let mut client = Client { app, actor, url: arguments.url, server, wanted, logins: 0 };
    let done = client.play().await;
    client.app.close().await?;
    done.map(|()| Exit::Success)
}

impl Client {
    async fn play(&mut self) -> Result<(), Error> {
        let mut probe = self.open().await?;
        for call in self.calls(&probe) {
            while let Err(failure) = probe.call(&call.name, &Value::Object(call.arguments.clone())).await {
                let Some(challenge) = failure.challenge else { break };
                probe.close().await;
                self.log_in(challenge).await?;
                probe = self.open().await?;
            }
        }
        probe.close().await;
        Ok(())
    }

    async fn open(&mut self) -> Result<Probe, Error> {
        loop {
            match self.app.probe(PERSONA, &self.server).await {
                Ok(probe) => return Ok(probe),
                Err(ProbeFailure { challenge: Some(challenge), .. }) => self.log_in(challenge).await?,
                Err(failure) => return Err(Error::environment(failure.reason)),
            }
        }
    }

    async fn log_in(&mut self, challenge: String) -> Result<(), Error> {
        self.logins += 1;
        if self.logins > MOST_LOGINS {
            return Err(Error::refused(format!("the server refused after {MOST_LOGINS} logins")));
        }
        let secret = self.wanted.client_secret.clone().map(Secret::new);
        let wanted = LogIn {
            server: self.url.clone(),
            client: self.wanted.client_id.clone().map(|id| (id, secret)),
            client_document: Some(CLIENT_DOCUMENT.to_owned()),
            scopes: Vec::new(),
            challenge: Some(challenge),
        };
        let app = &self.app;
        let open = async |address: &str| {
            // Without a browser nobody comes back, which ends the login.
            let _ = app.open_in_browser(address);
        };
        app.log_in(&self.actor, PERSONA, wanted, open).await
    }

    /// The calls that the suite wants; each tool once when it wants none in particular.
    fn calls(&self, probe: &Probe) -> Vec<Call> {
        if !self.wanted.tool_calls.is_empty() {
            return self.wanted.tool_calls.clone();
        }
        probe.tools().map(|(name, spec)| Call { name: name.clone(), arguments: sample(spec) }).collect()
    }
}

/// A value of the right kind for each required argument.
fn sample(spec: &ToolSpec) -> Map<String, Value> {
    let required = spec.input_schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let names = required.iter().filter_map(Value::as_str);
    names
        .map(|name| (name.to_owned(), sample_of(spec.input_schema.pointer(&format!("/properties/{name}/type")))))
        .collect()
}

fn sample_of(kind: Option<&Value>) -> Value {
    match kind.and_then(Value::as_str) {
        Some("string") => json!("test"),
        Some("integer") => json!(1),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => Value::Null,
    }
}
