//! Commands that wait for a run. A consumed one stays, so that sending it again changes nothing.

use masque_types::{
    id::{CommandId, RunId},
    run::Command,
    time::Timestamp,
};

use crate::{Error, run_keys, session::Session, store::Reader};

const SEND: &str = "INSERT INTO inbox (id, run_key, command, at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING";
const CONSUME: &str = "UPDATE inbox SET consumed = true WHERE id = $1 AND run_key = $2 AND NOT consumed";
const PENDING: &str = "SELECT inbox.id, inbox.command FROM inbox JOIN runs ON runs.run_key = inbox.run_key \
     WHERE runs.id = $1 AND NOT inbox.consumed ORDER BY inbox.inbox_key";

pub(crate) async fn send<S: Session>(
    session: &S,
    id: CommandId,
    run: RunId,
    command: &str,
    at: Timestamp,
) -> Result<(), Error> {
    // The remembered key of a run that another process deleted could be another run's by now.
    let run_key = run_keys::look_up(session, run).await?;
    session.execute(SEND, &[id.to_string().into(), run_key.into(), command.into(), at.into()]).await?;
    Ok(())
}

/// Sends, if the receiver exists.
pub(crate) async fn deliver<S: Session>(
    session: &S,
    id: CommandId,
    run: RunId,
    command: &str,
    at: Timestamp,
) -> Result<(), Error> {
    match send(session, id, run, command, at).await {
        Err(Error::NoSuchRun { .. }) => Ok(()),
        sent => sent,
    }
}

pub(crate) async fn consume<S: Session>(session: &S, run_key: i64, id: CommandId) -> Result<(), Error> {
    session.execute(CONSUME, &[id.to_string().into(), run_key.into()]).await.map(|_changed| ())
}

/// The commands that wait, in the order in which they were sent.
pub(crate) async fn pending(reader: &Reader, run: RunId) -> Result<Vec<(CommandId, Command)>, Error> {
    let rows = reader.query(PENDING, vec![run.to_string().into()]).await?;
    rows.into_iter()
        .map(|mut row| {
            let id: CommandId = row.parsed()?;
            let command = serde_json::from_str(&row.text()?);
            Ok((id, command.map_err(|error| Error::unreadable(format!("command {id}"), error))?))
        })
        .collect()
}
