//! The command line: arguments, and one file per command.

mod approvals;
mod audit;
mod chat;
mod completions;
mod config;
mod demo;
mod doctor;
pub(crate) mod drive;
mod explain;
mod extract;
mod fleet;
mod handoff;
mod key;
mod mcp;
mod mcp_conformance;
mod mcp_install;
mod mcp_login;
mod memory;
mod persona;
mod persona_author;
mod persona_home;
mod persona_transfer;
mod run;
mod runs;
mod secret;
mod standard;
mod token;
mod tool;
mod tool_server;
mod trust;
mod worker;

use std::{io::Write as _, path::PathBuf};

use clap::{CommandFactory as _, Parser, Subcommand};
use masque_app::{
    App, Error,
    config::{Argument, Settings},
    host::Host,
};
use masque_types::actor::Actor;

use crate::{exit::Exit, render};

/// Runs personas: AI agents with durable runs, each in its own sandbox
#[derive(Debug, Parser)]
#[command(name = "masque", version, disable_help_subcommand = true, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    /// At a terminal, `chat` when absent
    #[command(subcommand)]
    command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// Directory to work in; the current one when absent
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Set a configuration option for this invocation; `masque config show` lists them
    #[arg(short = 'c', long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Talk to a persona
    Chat(chat::Arguments),
    /// Run a persona on a task
    Run(run::Arguments),
    /// Leave a task to a persona, with what belongs to it, at once or as a package
    Handoff(handoff::Arguments),
    /// List, show and steer runs
    #[command(subcommand)]
    Runs(runs::Command),
    /// Answer the questions of waiting runs
    #[command(subcommand)]
    Approvals(approvals::Command),
    /// List, show, check, write, import and export personas
    #[command(subcommand)]
    Persona(persona::Command),
    /// List, show and find tools
    #[command(subcommand)]
    Tool(tool::Command),
    /// Show the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Explain what a persona may do, what it may not, and why
    Explain(explain::Arguments),
    /// Read and verify the audit log
    #[command(subcommand)]
    Audit(audit::Command),
    /// The standards of a project: search, propose, approve
    #[command(subcommand)]
    Standard(standard::Command),
    /// Trust what a project brings: MCP servers, hooks, unconfined runs
    Trust(trust::Arguments),
    /// Keep and find what personas remember
    #[command(subcommand)]
    Memory(memory::Command),
    /// Keep provider keys in the sealed store
    #[command(subcommand)]
    Key(key::Command),
    /// Keep secrets that personas use without seeing them
    #[command(subcommand)]
    Secret(secret::Command),
    /// Make, list and revoke access tokens of the server
    #[command(subcommand)]
    Token(token::Command),
    /// Show what this machine can enforce and which models can be asked
    Doctor(doctor::Arguments),
    /// Watch the bundled architect review this directory, without a model
    Demo(demo::Arguments),
    /// Start, watch and heal a fleet of services
    #[command(subcommand)]
    Fleet(fleet::Command),
    /// Serve personas, standards and memory to editors and other MCP clients
    Mcp(mcp::Arguments),
    /// Drive runs that nobody drives
    Worker(worker::Arguments),
    /// Print shell completions
    Completions(completions::Arguments),
    /// Serve the built-in tools on standard input and output
    #[command(hide = true)]
    ToolServer(tool_server::Arguments),
    /// Show the text of a document
    #[command(hide = true)]
    Extract(extract::Arguments),
    /// Start programs inside of a container
    #[command(hide = true)]
    ContainerInside,
}

/// Runs the command line of this process.
pub(crate) fn run() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Success };
        }
    };
    dispatch(arguments).unwrap_or_else(|error| {
        render::error(&error);
        Exit::of_error(&error)
    })
}

fn dispatch(arguments: Arguments) -> Result<Exit, Error> {
    let global = arguments.global;
    let Some(command) = arguments.command else {
        if chat::is_interactive() {
            return block_on(chat::run(Context::read(global, &[])?, chat::Arguments::default()));
        }
        return Ok(usage());
    };
    match command {
        Command::Completions(arguments) => Ok(completions::run(&arguments)),
        Command::ToolServer(arguments) => tool_server::run(&arguments),
        Command::Extract(arguments) => extract::run(global, arguments),
        Command::ContainerInside => masque_app::containers::inside().map(|()| Exit::Success),
        Command::Persona(command) => block_on(persona::run(Context::read(global, &[])?, command)),
        Command::Tool(command) => block_on(tool::run(Context::read(global, &[])?, command)),
        Command::Explain(arguments) => explain::run(&Context::read(global, &arguments.settings())?, &arguments),
        Command::Config(command) => config::run(&Context::read(global, &[])?, &command),
        Command::Chat(arguments) => {
            let context = Context::read(global, &arguments.settings())?;
            block_on(chat::run(context, arguments))
        }
        Command::Run(arguments) => {
            let context = Context::read(global, &arguments.settings())?;
            block_on(run::run(context, arguments))
        }
        Command::Handoff(arguments) => {
            let context = Context::read(global, &arguments.settings())?;
            block_on(handoff::run(context, arguments))
        }
        Command::Runs(command) => {
            let context = Context::read(global, &command.settings())?;
            block_on(runs::run(context, command))
        }
        Command::Approvals(command) => block_on(approvals::run(Context::read(global, &[])?, command)),
        Command::Standard(command) => block_on(standard::run(Context::read(global, &[])?, command)),
        Command::Audit(command) => block_on(audit::run(Context::read(global, &[])?, command)),
        Command::Trust(arguments) => block_on(trust::run(Context::read(global, &[])?, arguments)),
        Command::Memory(command) => block_on(memory::run(Context::read(global, &[])?, command)),
        Command::Key(command) => block_on(key::run(Context::read(global, &[])?, command)),
        Command::Secret(command) => block_on(secret::run(Context::read(global, &[])?, command)),
        Command::Token(command) => block_on(token::run(Context::read(global, &[])?, command)),
        Command::Doctor(arguments) => block_on(doctor::run(Context::read(global, &[])?, arguments)),
        Command::Demo(arguments) => {
            let context = Context::read(global, &arguments.settings())?;
            block_on(demo::run(context, arguments))
        }
        Command::Mcp(arguments) => {
            let context = Context::read(global, &arguments.settings())?;
            block_on(mcp::run(context, arguments))
        }
        Command::Fleet(command) => block_on(fleet::run(Context::read(global, &[])?, command)),
        Command::Worker(arguments) => block_on(worker::run(Context::read(global, &[])?, arguments)),
    }
}

/// Without a command and without a terminal to talk at.
fn usage() -> Exit {
    let help = Arguments::command().render_help();
    let _ = write!(anstream::stderr(), "{}", help.ansi());
    Exit::Usage
}

fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(future);
    // A thread may still wait for an answer at the terminal that nobody needs any more; all else has been awaited.
    runtime.shutdown_background();
    result
}

/// Warnings of the parts go to standard error; `MASQUE_LOG=debug` shows more.
fn log_to_standard_error(filter: Option<&str>) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter.unwrap_or("warn"));
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).without_time().with_target(false);
    if let Ok(filter) = filter {
        // A second start in the same process keeps the first one.
        let _ = log.with_env_filter(filter).try_init();
    }
}

/// Those of a command's arguments that were given, as configuration of the highest layer: option, argument, value.
pub(crate) fn given(options: &[(&'static str, &str, &Option<String>)]) -> Vec<Argument> {
    let argument = |&(key, origin, text): &(&'static str, &str, &Option<String>)| {
        Some(Argument { key, text: text.clone()?, origin: origin.to_owned() })
    };
    options.iter().filter_map(argument).collect()
}

/// What every command starts from.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) host: Host,
    pub(crate) settings: Settings,
    /// Where the command works.
    pub(crate) directory: PathBuf,
    /// The project of that directory.
    pub(crate) project: PathBuf,
}

impl Context {
    fn read(global: Global, settings: &[Argument]) -> Result<Self, Error> {
        let host = Host::read()?;
        log_to_standard_error(host.variable("MASQUE_LOG"));
        let directory = match &global.directory {
            Some(directory) => masque_app::runs::workspace(&host.directory.join(directory))?,
            None => host.directory.clone(),
        };
        let project = Host::project(&directory);
        let mut all = Vec::new();
        for pair in &global.set {
            all.push(masque_app::config::argument(pair)?);
        }
        all.extend_from_slice(settings);
        let settings = Settings::load(&host, &project, &all)?;
        for diagnostic in &settings.diagnostics {
            render::warning(diagnostic);
        }
        Ok(Self { host, settings, directory, project })
    }

    /// The person at the terminal.
    pub(crate) fn actor(&self) -> Actor {
        Actor::User(self.host.user.clone())
    }

    /// Opens the store.
    pub(crate) async fn open(self) -> Result<App, Error> {
        App::open(self.host, self.settings).await
    }
}
