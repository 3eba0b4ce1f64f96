//! Chores that all processes over one store do once: a row each says when it was last done.

use masque_types::time::Timestamp;

use crate::{
    Error, Store,
    session::Session,
    write::{Outcome, Write},
};

impl Store {
    /// Takes a chore that was last done at `not_since` or before, or never, and notes that it is done now. Of several that
    /// ask, one gets `true`.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn take_chore(&self, name: &'static str, now: Timestamp, not_since: Timestamp) -> Result<bool, Error> {
        match self.write(Write::TakeChore(Chore { name, now, not_since })).await? {
            Outcome::Changed(taken) => Ok(taken),
            _ => Err(crate::store::mixed_up()),
        }
    }

    /// When a chore was last done.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn chore_done_at(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let row = self.reader().query(DONE_AT, vec![name.to_owned().into()]).await?.into_iter().next();
        row.map(|mut row| row.time()).transpose()
    }
}

/// A wish to do a chore.
#[derive(Debug)]
pub(crate) struct Chore {
    name: &'static str,
    now: Timestamp,
    not_since: Timestamp,
}

const DONE_AT: &str = "SELECT done_at FROM chores WHERE name = $1";
const TAKE: &str = "INSERT INTO chores (name, done_at) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET done_at = $2 WHERE chores.done_at <= $3";

pub(crate) async fn take<S: Session>(session: &S, chore: &Chore) -> Result<bool, Error> {
    let params = [chore.name.into(), chore.now.into(), chore.not_since.into()];
    session.execute(TAKE, &params).await.map(|changed| changed == 1)
}
