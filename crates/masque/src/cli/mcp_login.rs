//! `masque mcp login`, `logout` and `probe`: MCP servers over HTTP that ask who calls.

use masque_app::{
    App, Error,
    logins::{self, LogIn, Probe, ProbeFailure},
    personas,
};
use masque_types::{message::joined_text, persona::Persona};
use serde_json::Value;

use super::{Context, key};
use crate::{exit::Exit, render};

/// Which server.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Persona
    persona: String,
    /// MCP server, by its name in the persona's file
    server: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LoginArguments {
    #[command(flatten)]
    which: Which,
    /// Id of this client, where the server's operator gave one out
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Read the client's secret from standard input
    #[arg(long, requires = "client_id")]
    client_secret: bool,
    /// Right to ask for; what the server names when absent
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProbeArguments {
    #[command(flatten)]
    which: Which,
    /// Call this tool
    #[arg(long, value_name = "TOOL")]
    call: Option<String>,
    /// Its arguments, as JSON
    #[arg(long, value_name = "JSON", requires = "call", default_value = "{}")]
    arguments: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Logs a persona in.
pub(crate) async fn login(context: Context, arguments: LoginArguments) -> Result<Exit, Error> {
    let (persona, actor) = (persona(&context, &arguments.which)?, context.actor());
    let (_, address) = logins::server_of(&persona, &arguments.which.server)?;
    let secret = match arguments.client_secret {
        true => Some(key::read_secret("secret of the client")?),
        false => None,
    };
    let wanted = LogIn {
        server: address.to_owned(),
        client: arguments.client_id.map(|id| (id, secret)),
        scopes: arguments.scopes,
        ..LogIn::default()
    };
    let app = context.open().await?;
    let done = app.log_in(&actor, &persona.name, wanted, async |address| show(&app, address)).await;
    app.close().await?;
    done?;
    render::note(&format!("{} is logged in to {}", persona.name, arguments.which.server));
    Ok(Exit::Success)
}

/// Logs a persona out.
pub(crate) async fn logout(context: Context, which: Which) -> Result<Exit, Error> {
    let (persona, actor) = (persona(&context, &which)?, context.actor());
    let (_, address) = logins::server_of(&persona, &which.server)?;
    let app = context.open().await?;
    let done = app.log_out(&actor, &persona.name, address).await;
    app.close().await?;
    done?;
    render::note(&format!("{} has no login to {} any more", persona.name, which.server));
    Ok(Exit::Success)
}

/// Tries a server out.
pub(crate) async fn probe(context: Context, arguments: ProbeArguments) -> Result<Exit, Error> {
    let persona = persona(&context, &arguments.which)?;
    let (server, _) = logins::server_of(&persona, &arguments.which.server)?;
    let input: Value = serde_json::from_str(&arguments.arguments)
        .map_err(|error| Error::usage(format!("--arguments is no JSON: {error}")))?;
    let app = context.open().await?;
    let done = match app.probe(&persona.name, server).await {
        Ok(probe) => {
            let done = match &arguments.call {
                Some(tool) => call(&probe, tool, &input).await,
                None => Ok(list(&probe, arguments.json)),
            };
            probe.close().await;
            done
        }
        Err(failure) => Err(failed(failure, &arguments.which)),
    };
    app.close().await?;
    done
}

fn persona(context: &Context, which: &Which) -> Result<Persona, Error> {
    let catalog = personas::catalog(&context.host, &context.project);
    Ok(personas::find(&catalog, &which.persona)?.persona.clone())
}

/// Shows the address that the person opens, and opens it where there is a browser.
fn show(app: &App, address: &str) {
    render::note(&format!("open this address to consent, in a browser on this machine:\n{address}"));
    if let Err(error) = app.open_in_browser(address) {
        render::note(&format!("the browser was not opened: {error}"));
    }
}

fn list(probe: &Probe, json: bool) -> Exit {
    for diagnostic in &probe.diagnostics {
        render::warning(diagnostic);
    }
    if json {
        render::json(&probe.tools().map(|(_, spec)| spec).collect::<Vec<_>>());
        return Exit::Success;
    }
    let rows = probe.tools().map(|(name, spec)| {
        let purpose = spec.description.lines().next().unwrap_or_default();
        [name.clone(), spec.effect.name().to_owned(), purpose.to_owned()]
    });
    render::table(["TOOL", "EFFECT", "DESCRIPTION"], rows);
    Exit::Success
}

async fn call(probe: &Probe, tool: &str, input: &Value) -> Result<Exit, Error> {
    let output = probe.call(tool, input).await.map_err(|failure| Error::environment(failure.reason))?;
    render::text(&joined_text(&output.content));
    Ok(if output.is_error { Exit::Failed } else { Exit::Success })
}

fn failed(failure: ProbeFailure, which: &Which) -> Error {
    match failure.challenge {
        Some(_) => Error::refused("the server asks for a login")
            .hint(format!("masque mcp login {} {}", which.persona, which.server)),
        None => Error::environment(failure.reason),
    }
}
