//! `masque fleet`: start, watch and heal many services as one.
//!
//! One file per kind of command. Leaves out what a supervisor does.

mod check;
mod deploy;
mod draw;
mod key;
mod logs;
mod look;
mod render;
mod steer;
mod supervise;
mod top;
mod up;

use std::path::PathBuf;

use masque_app::{
    Error,
    fleet::{Asked, Manifest, Place},
};
use serde_json::json;

use super::Context;
use crate::{exit::Exit, render as show};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Find what is wrong with a fleet before it starts
    Check(check::Arguments),
    /// Start the fleet: every service as soon as what it needs is ready
    Up(up::Arguments),
    /// End the fleet in order, and its supervisor
    Down(steer::DownArguments),
    /// Show where every service stands
    Status(look::StatusArguments),
    /// Show what services print
    Logs(logs::Arguments),
    /// Start services, and what they need
    Start(steer::ServicesArguments),
    /// End services; they stay so until they are started again
    Stop(steer::ServicesArguments),
    /// Start services anew
    Restart(steer::RestartArguments),
    /// Read the manifest again, and replace what changed wave by wave
    Reload(steer::ReloadArguments),
    /// Explain why a service is where it is, and what it waits for
    Why(look::WhyArguments),
    /// Show the fleet on the whole screen, with keys to steer it
    Top(top::Arguments),
    /// Show or make the key by which other hosts know this machine
    #[command(subcommand)]
    Key(key::Command),
    /// Draw what needs what
    Graph(draw::Arguments),
    /// Start the groups as containers, in the order of their needs, and wait until they are well
    Deploy(deploy::Arguments),
    /// Write the fleet as files for other tools: images, networks, volumes, health
    Render(render::Arguments),
    /// Print the JSON schema of fleet.toml
    Schema,
    /// Supervise in this process, without showing anything
    #[command(hide = true)]
    Supervise(supervise::Arguments),
}

/// Which fleet, and which part of it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Which {
    /// File that describes the fleet; found from here upward when absent
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    #[command(flatten)]
    part: Part,
}

/// Which part of a fleet.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Part {
    /// Set a variable of the manifest
    #[arg(long = "var", value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// The host that this machine is; found by its name or address when absent
    #[arg(long)]
    host: Option<String>,
    /// Only this group, with a supervisor of its own
    #[arg(long)]
    group: Vec<String>,
}

/// Which fleet, as a whole.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Whole {
    /// File that describes the fleet; found from here upward when absent
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Set a variable of the manifest
    #[arg(long = "var", value_name = "NAME=VALUE")]
    variables: Vec<String>,
}

impl Whole {
    fn asked(&self) -> Asked {
        Asked { files: self.file.clone(), variables: self.variables.clone(), ..Asked::default() }
    }
}

impl Part {
    fn asked(&self, files: &[PathBuf]) -> Asked {
        Asked {
            files: files.to_vec(),
            variables: self.variables.clone(),
            host: self.host.clone(),
            groups: self.group.clone(),
        }
    }
}

impl Which {
    fn asked(&self) -> Asked {
        self.part.asked(&self.file)
    }
}

/// Reads the manifest and shows what is wrong with it.
fn read(context: &Context, asked: Asked) -> Result<Manifest, Error> {
    let manifest = Manifest::read(&context.host, &context.directory, asked)?;
    for diagnostic in &manifest.diagnostics {
        show::warning(diagnostic);
    }
    Ok(manifest)
}

/// The same for those who only have to reach a supervisor: one that runs is reached although the manifest has errors
/// meanwhile.
fn known_place(context: &Context, asked: Asked) -> Result<Place, Error> {
    let manifest = read(context, asked)?;
    let place = manifest.known_place(&context.host)?;
    if manifest.fleet.is_none() {
        show::note("the manifest has errors; the supervisor that was started from it is asked all the same");
    }
    Ok(place)
}

/// The part of the fleet that this machine's supervisor has.
fn place(context: &Context, asked: Asked) -> Result<Place, Error> {
    read(context, asked)?.place(&context.host)
}

/// Says what was done.
fn said(json: bool, word: &str, text: &str) {
    if json {
        show::json(&json!({ "done": word }));
    } else {
        show::note(text);
    }
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    match command {
        Command::Check(arguments) => check::run(&context, &arguments).await,
        Command::Up(arguments) => up::run(context, arguments).await,
        Command::Down(arguments) => steer::down(context, arguments).await,
        Command::Status(arguments) => look::status(&context, arguments).await,
        Command::Logs(arguments) => logs::run(&context, arguments).await,
        Command::Start(arguments) => steer::start(context, arguments).await,
        Command::Stop(arguments) => steer::stop(context, arguments).await,
        Command::Restart(arguments) => steer::restart(context, arguments).await,
        Command::Reload(arguments) => steer::reload(context, arguments).await,
        Command::Why(arguments) => look::why(&context, arguments).await,
        Command::Top(arguments) => top::run(context, arguments).await,
        Command::Key(command) => key::run(context, command).await,
        Command::Graph(arguments) => draw::run(&context, &arguments).await,
        Command::Deploy(arguments) => deploy::run(context, arguments).await,
        Command::Render(arguments) => render::run(&context, &arguments),
        Command::Schema => {
            show::text(&show::pretty(&masque_app::fleet::schema()));
            Ok(Exit::Success)
        }
        Command::Supervise(arguments) => supervise::run(context, arguments).await,
    }
}
