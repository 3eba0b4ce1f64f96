//! `masque secret`: secrets that personas use without seeing them. A value is read from standard input, never from an
//! argument.

use masque_app::{Error, personas, secrets::SecretView};
use masque_types::persona::Injection;

use super::{Context, key};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Seal the value of a secret; it is read from standard input
    Set {
        /// Name, such as ZENODO_TOKEN
        name: String,
    },
    /// List the secrets and who may use them, without values
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a secret and all its grants
    Remove {
        /// Name
        name: String,
    },
    /// Let a persona use a secret in the way that its file says now
    Grant {
        /// Name
        name: String,
        /// Persona
        persona: String,
    },
    /// Take a secret back; running programs lose it
    Revoke {
        /// Name
        name: String,
        /// Persona; all of them when absent
        persona: Option<String>,
    },
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let actor = context.actor();
    let catalog = personas::catalog(&context.host, &context.project);
    let app = context.open().await?;
    let done = match command {
        Command::Set { name } => match key::read_secret(&format!("value of {name}")) {
            Ok(value) => app.set_secret(&actor, &name, &value).await.map(|()| {
                render::note(&format!(
                    "{name} is sealed; a persona may use it after: masque secret grant {name} PERSONA"
                ));
            }),
            Err(error) => Err(error),
        },
        Command::List { json } => app.secrets().map(|views| list(&views, json)),
        Command::Remove { name } => {
            let removed = app.remove_secret(&actor, &name).await;
            removed.map(|()| render::note(&format!("{name} is removed")))
        }
        Command::Grant { name, persona } => match personas::find(&catalog, &persona) {
            Ok(loaded) => app.grant_secret(&actor, &name, &loaded.persona).await.map(|grant| {
                let way = match grant.inject {
                    Injection::Header => format!("for {} only, and never sees it", grant.hosts.join(", ")),
                    Injection::Environment => "and its programs see it as it is".to_owned(),
                };
                render::note(&format!("{persona} may use {name} {way}"));
            }),
            Err(error) => Err(error),
        },
        Command::Revoke { name, persona } => {
            let revoked = app.revoke_secret(&actor, &name, persona.as_deref()).await;
            revoked.map(|count| render::note(&format!("{name} is taken back from {count}")))
        }
    };
    app.close().await?;
    done.map(|()| Exit::Success)
}

fn list(views: &[SecretView], json: bool) {
    if json {
        render::json(&views);
        return;
    }
    let rows = views.iter().map(|view| {
        let state = if view.is_set { "sealed" } else { "no value" };
        let granted: Vec<&str> = view.granted.iter().map(|(persona, _)| persona.as_str()).collect();
        [view.name.clone(), state.to_owned(), granted.join(", ")]
    });
    render::table(["SECRET", "STATE", "GRANTED TO"], rows);
}
