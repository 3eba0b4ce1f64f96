//! `masque key`: provider keys in Masque's sealed store, and the keys that everything is sealed with. A key or passphrase
//! is read from standard input, never from an argument.

use std::io::{IsTerminal as _, Write as _};

use masque_app::{
    App, Error,
    rotation::{self, NextRoot},
};
use masque_types::{actor::Actor, secret::Secret};
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
    /// Seal everything with new keys: provider keys, secrets, homes, identities
    Rotate,
    /// Seal everything with a passphrase instead of a key file; it is read from standard input
    Passphrase {
        /// Go back to a key file
        #[arg(long)]
        remove: bool,
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
        Command::Rotate => rotate(&app, &actor, NextRoot::Renewed).await,
        Command::Passphrase { remove: true } => rotate(&app, &actor, NextRoot::File).await,
        Command::Passphrase { remove: false } => match read_passphrase() {
            Ok(next) => rotate(&app, &actor, next).await,
            Err(error) => Err(error),
        },
    };
    app.close().await?;
    done.map(|()| Exit::Success)
}

async fn rotate(app: &App, actor: &Actor, next: NextRoot) -> Result<(), Error> {
    let is_passphrase = matches!(next, NextRoot::Passphrase(_));
    app.rotate_keys(actor, next).await?;
    render::note("everything is sealed with new keys");
    if is_passphrase {
        render::note("from now on Masque needs the passphrase: set MASQUE_SEAL_PASSPHRASE");
    }
    Ok(())
}

/// A new passphrase; whoever cannot see it types it twice.
fn read_passphrase() -> Result<NextRoot, Error> {
    let given = read_secret("new passphrase")?;
    let next = rotation::new_passphrase(&given)?;
    if std::io::stdin().is_terminal() && read_secret("the same again")?.expose() != given.expose() {
        return Err(Error::usage("the two passphrases differ").hint("nothing was changed; try again"));
    }
    Ok(next)
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
