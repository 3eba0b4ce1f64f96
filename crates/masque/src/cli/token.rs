//! `masque token`: access tokens of clients that reach the server over a network connection.

use std::time::Duration;

use masque_app::{App, Error, tokens::TokenView};
use masque_types::time::Timestamp;
use serde_json::json;

use super::Context;
use crate::{
    exit::Exit,
    render::{self, style},
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token; it is shown once
    Create {
        /// Who uses it: jobs and the audit log carry this name
        name: String,
        /// How long it works, such as 90d
        #[arg(long, value_name = "TIME", value_parser = masque_app::config::duration)]
        expires: Option<Duration>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List tokens, newest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token; it stops working at once
    Revoke {
        /// Its name, its id, or the beginning of its id
        token: String,
    },
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let actor = context.actor();
    let app = context.open().await?;
    let done = match command {
        Command::Create { name, expires, json } => {
            let expires_at = expires.map(|time| app.now().plus(time));
            app.create_token(&actor, &name, expires_at).await.map(|(view, secret)| {
                if json {
                    render::json(&json!({ "token": view, "secret": secret.expose() }));
                } else {
                    render::line(secret.expose());
                    render::note("it is shown this once: clients send it as `Authorization: Bearer …`");
                }
            })
        }
        Command::List { json } => list(&app, json).await,
        Command::Revoke { token } => app
            .revoke_token(&actor, &token)
            .await
            .map(|view| render::note(&format!("the token of {} is revoked", view.name))),
    };
    app.close().await?;
    done.map(|()| Exit::Success)
}

async fn list(app: &App, json: bool) -> Result<(), Error> {
    let (tokens, now) = (app.tokens().await?, app.now());
    if json {
        render::json(&tokens);
        return Ok(());
    }
    let rows = tokens.iter().map(|token| {
        let used = token.used_at.map_or_else(|| "never".to_owned(), |used| style::age(now, used));
        [token.id.to_string(), token.name.clone(), state(token, now), style::age(now, token.created_at), used]
    });
    render::table(["TOKEN", "NAME", "STATE", "AGE", "USED"], rows);
    Ok(())
}

fn state(token: &TokenView, now: Timestamp) -> String {
    match token.expires_at {
        _ if token.revoked_at.is_some() => "revoked".to_owned(),
        Some(expires) if expires <= now => "expired".to_owned(),
        Some(expires) => format!("expires in {}", style::age(expires, now)),
        None => "in use".to_owned(),
    }
}
