//! `masque mcp`: the MCP server, for editors and other clients; and what concerns other programs' servers.

use std::net::SocketAddr;

use masque_app::{Error, config::Argument};
use masque_types::actor::{Caller, Reach};

use super::{Context, given, mcp_conformance, mcp_install, mcp_login};
use crate::{
    exit::Exit,
    mcp::{
        Service, Transport,
        http::{Credentials, Listen},
    },
    render,
};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Serve over HTTP at this address instead of standard input and output
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Offer one persona only; over HTTP each has its own path, `/mcp/p/<persona>`
    #[arg(long, value_name = "NAME", conflicts_with = "http")]
    persona: Option<String>,
    /// Ask for no access token; only for an address of this machine
    #[arg(long, requires = "http")]
    no_token: bool,
    /// Name by which clients may call this server, beside those of this machine
    #[arg(long, value_name = "HOST", requires = "http")]
    allow_host: Vec<String>,
    /// Origin of web pages that may call this server, such as https://example.com:443
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    allow_origin: Vec<String>,
    /// Offer what the protocol's conformance suite expects as well, to callers that count as this machine's user
    #[arg(long, hide = true, requires = "no_token")]
    conformance_fixtures: bool,
    /// Models to ask, first choice first: provider/model, separated by commas
    #[arg(short, long, value_name = "MODELS")]
    model: Option<String>,
}

/// What concerns the servers of others.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Enter the server in the configuration of a client, after showing the change
    Install(mcp_install::Arguments),
    /// Log a persona in to an MCP server over HTTP
    Login(mcp_login::LoginArguments),
    /// Forget a persona's login to an MCP server
    Logout(mcp_login::Which),
    /// Try an MCP server over HTTP out: list its tools, or call one
    Probe(mcp_login::ProbeArguments),
    /// Be the client that the protocol's conformance suite tests
    #[command(hide = true)]
    ConformanceClient(mcp_conformance::Arguments),
}

impl Arguments {
    /// The options among the arguments, as configuration of the highest layer.
    pub(crate) fn settings(&self) -> Vec<Argument> {
        given(&[("model.default", "--model", &self.model)])
    }
}

pub(crate) async fn run(context: Context, mut arguments: Arguments) -> Result<Exit, Error> {
    match arguments.command.take() {
        Some(Command::Install(arguments)) => mcp_install::run(&context, &arguments),
        Some(Command::Login(arguments)) => mcp_login::login(context, arguments).await,
        Some(Command::Logout(which)) => mcp_login::logout(context, which).await,
        Some(Command::Probe(arguments)) => mcp_login::probe(context, arguments).await,
        Some(Command::ConformanceClient(arguments)) => mcp_conformance::run(context, arguments).await,
        None => serve(context, arguments).await,
    }
}

async fn serve(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let transport = match arguments.http {
        Some(address) => Transport::Http(listen(&context, address, &arguments)?),
        None => Transport::Streams(arguments.persona.clone()),
    };
    let (project, workspace) = (context.project.clone(), context.directory.clone());
    let app = context.open().await?;
    let service = Service::new(&app, project, workspace);
    let service = if arguments.conformance_fixtures { service.with_fixtures() } else { service };
    let served = service.serve(transport).await;
    app.close().await?;
    served.map(|()| Exit::Success)
}

fn listen(context: &Context, address: SocketAddr, arguments: &Arguments) -> Result<Listen, Error> {
    let loopback = address.ip().is_loopback();
    let credentials = match (arguments.no_token, loopback) {
        (false, _) => Credentials::Tokens,
        (true, true) if arguments.conformance_fixtures => {
            Credentials::None(Caller { actor: context.actor(), reach: Reach::Local })
        }
        (true, true) => Credentials::None(Caller { actor: context.actor(), reach: Reach::Remote }),
        (true, false) => {
            return Err(Error::refused(format!("{address} can be reached from other machines: tokens are needed"))
                .hint("leave --no-token away and make a token: masque token create NAME")
                .hint("or serve this machine only: --http 127.0.0.1:7733"));
        }
    };
    if !loopback {
        render::note("connections are not encrypted: put a proxy with TLS in front of this address");
    }
    Ok(Listen { address, hosts: arguments.allow_host.clone(), origins: arguments.allow_origin.clone(), credentials })
}
