//! `masque key`: provider keys in Masque's sealed store. A key is read from standard input, never from an argument.

use std::io::{IsTerminal as _, Write as _};

use masque_app::Error;
use masque_types::secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Seal the key of a provider; it is read from standard input
    Set {
        /// Provider, such as anthropic
        provider: String,
    },
    /// List the providers that have a sealed key
    List,
    /// Remove the sealed key of a provider
    Remove {
        /// Provider
        provider: String,
    },
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let actor = context.actor();
    let app = context.open().await?;
    let done = match command {
        Command::Set { provider } => {
            app.check_provider(&provider)?;
            let key = read_secret(&format!("key of {provider}"))?;
            let set = app.set_key(&actor, &provider, &key).await;
            set.map(|()| render::note(&format!("the key of {provider} is sealed")))
        }
        Command::List => app.sealed_keys().map(|keys| keys.iter().for_each(|provider| render::line(provider))),
        Command::Remove { provider } => {
            let removed = app.remove_key(&actor, &provider).await;
            removed.map(|()| render::note(&format!("the key of {provider} is removed")))
        }
    };
    app.close().await?;
    done.map(|()| Exit::Success)
}

/// One line of standard input; not echoed on a terminal.
pub(super) fn read_secret(what: &str) -> Result<Secret, Error> {
    let input = std::io::stdin();
    let mut line = String::new();
    if !input.is_terminal() {
        input.read_line(&mut line)?;
        return Ok(Secret::new(line));
    }
    let mut error = anstream::stderr();
    write!(error, "{what} (not shown): ")?;
    error.flush()?;
    let before = tcgetattr(&input).map_err(std::io::Error::from)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &silent).map_err(std::io::Error::from)?;
    let read = input.read_line(&mut line);
    tcsetattr(&input, OptionalActions::Flush, &before).map_err(std::io::Error::from)?;
    writeln!(error)?;
    read?;
    Ok(Secret::new(line))
}
