//! The numbered migrations and how they are applied: all in one transaction, recorded in `masque_migrations`.
//!
//! The text is the same for both databases but for four words in braces that each dialect spells in its own way:
//! `{key}` a number that the database gives out, `{bytes}` a string of bytes, `{id}` a text that sorts by its bytes,
//! `{lexemes}` the statements that make the full-text index.
//! A released migration is never edited; a new one is added.

use crate::Error;

pub(crate) struct Migration {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "runs", sql: include_str!("migrations/0001_runs.sql") },
    Migration { number: 2, name: "conversations", sql: include_str!("migrations/0002_conversations.sql") },
    Migration { number: 3, name: "memory", sql: include_str!("migrations/0003_memory.sql") },
    Migration { number: 4, name: "standards", sql: include_str!("migrations/0004_standards.sql") },
    Migration { number: 5, name: "jobs", sql: include_str!("migrations/0005_jobs.sql") },
];

/// Where applied migrations are recorded.
pub(crate) const CREATE_RECORD: &str =
    "CREATE TABLE IF NOT EXISTS masque_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL)";
pub(crate) const LAST_APPLIED: &str = "SELECT coalesce(max(number), 0) FROM masque_migrations";
pub(crate) const RECORD: &str = "INSERT INTO masque_migrations (number, name) VALUES ($1, $2)";

/// The words that differ between the databases.
pub(crate) struct Words {
    pub(crate) key: &'static str,
    pub(crate) bytes: &'static str,
    pub(crate) id: &'static str,
    pub(crate) lexemes: &'static str,
}

impl Migration {
    /// The text for one database.
    pub(crate) fn text(&self, words: &Words) -> String {
        self.sql
            .replace("{key}", words.key)
            .replace("{bytes}", words.bytes)
            .replace("{id}", words.id)
            .replace("{lexemes}", words.lexemes)
    }
}

/// The migrations that come after the last applied one.
pub(crate) fn pending(place: &str, last: i64) -> Result<impl Iterator<Item = &'static Migration>, Error> {
    let known = MIGRATIONS.last().map_or(0, |migration| migration.number);
    if last > i64::from(known) {
        return Err(Error::NewerSchema {
            place: place.to_owned(),
            found: u32::try_from(last).unwrap_or(u32::MAX),
            known,
        });
    }
    Ok(MIGRATIONS.iter().filter(move |migration| i64::from(migration.number) > last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let numbers: Vec<_> = MIGRATIONS.iter().map(|migration| migration.number).collect();
        assert_eq!(numbers, (1..=u32::try_from(MIGRATIONS.len()).unwrap()).collect::<Vec<_>>());
    }
}
