//! A store on each database, so that a test of the store is written once.
//!
//! PostgreSQL is the server that `MASQUE_TEST_POSTGRES` names, with a user who may create databases; each test makes
//! its own and drops it. Without the variable that half is skipped with a word about it, and fails when `CI=true`.

#![expect(clippy::expect_used, reason = "a test that cannot be set up fails by a panic")]

use std::path::PathBuf;

use masque_store::{Error, Store};
use masque_types::secret::Secret;
use url::Url;
use uuid::Uuid;

use crate::need::lacking;

/// Turns `async fn name(database: &TestDatabase) { … }` into one test for each database, `name::sqlite` and
/// `name::postgres`.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($database:ident: &TestDatabase) $body:block)*) => {$(
        mod $name {
            #[expect(clippy::wildcard_imports, reason = "the body sees what stands around the macro")]
            use super::*;

            $(#[$meta])*
            async fn body($database: &$crate::database::TestDatabase) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let database = $crate::database::TestDatabase::sqlite();
                body(&database).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(database) = $crate::database::TestDatabase::postgres().await {
                    body(&database).await;
                }
            }
        }
    )*};
}

/// An empty database of one test; it is gone when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Sqlite { directory: tempfile::TempDir },
    Postgres { server: Secret, url: Secret, name: String },
}

impl TestDatabase {
    /// A file in a temporary directory.
    ///
    /// # Panics
    /// When there is no temporary directory.
    #[must_use]
    pub fn sqlite() -> Self {
        Self { kind: Kind::Sqlite { directory: tempfile::tempdir().expect("a temporary directory") } }
    }

    /// A database of its own on the test server; none when no server is named.
    ///
    /// # Panics
    /// When the server does not do it, or none is named in CI.
    pub async fn postgres() -> Option<Self> {
        let server = test_server()?;
        let name = format!("masque_test_{}", Uuid::now_v7().simple());
        administer(&server, &format!("CREATE DATABASE {name}")).await.expect("the test server makes a database");
        let mut url = Url::parse(server.expose()).expect("MASQUE_TEST_POSTGRES is a URL");
        url.set_path(&name);
        Some(Self { kind: Kind::Postgres { server, url: Secret::new(url.as_str()), name } })
    }

    /// Opens a store on the database. Opening it twice is like two programs that share it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(&self) -> Store {
        self.try_open().await.expect("the test database opens")
    }

    /// Like [`TestDatabase::open`], for tests of what is refused.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn try_open(&self) -> Result<Store, Error> {
        match &self.kind {
            Kind::Sqlite { directory } => Store::open_sqlite(&directory.path().join("masque.db")).await,
            Kind::Postgres { url, .. } => Store::connect_postgres(url).await,
        }
    }

    /// The file, on SQLite.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::Sqlite { directory } => Some(directory.path().join("masque.db")),
            Kind::Postgres { .. } => None,
        }
    }

    /// The address, on PostgreSQL: for another process.
    #[must_use]
    pub fn url(&self) -> Option<&Secret> {
        match &self.kind {
            Kind::Sqlite { .. } => None,
            Kind::Postgres { url, .. } => Some(url),
        }
    }

    /// Changes the database behind the store's back, by statements that both databases understand.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn tamper(&self, statements: &str) {
        match &self.kind {
            Kind::Sqlite { directory } => {
                let file = directory.path().join("masque.db");
                let connection = rusqlite::Connection::open(file).expect("the file opens");
                connection.busy_timeout(std::time::Duration::from_secs(5)).expect("a time-out is set");
                connection.execute_batch(statements).expect("the statements run");
            }
            Kind::Postgres { url, .. } => administer(url, statements).await.expect("the statements run"),
        }
    }
}

impl Drop for TestDatabase {
    /// Also after a failed test. Waits on a thread of its own, because nothing can be awaited here.
    fn drop(&mut self) {
        let Kind::Postgres { server, name, .. } = &self.kind else { return };
        let (server, statement) = (server.clone(), format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(administer(&server, &statement)))
        });
        let _best_effort = dropping.join();
    }
}

/// Runs statements on a connection of their own.
async fn administer(url: &Secret, statements: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url.expose(), tokio_postgres::NoTls).await?;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    let done = client.batch_execute(statements).await;
    drop(client);
    while tasks.join_next().await.is_some() {}
    done
}

#[expect(clippy::disallowed_methods, reason = "tests learn from the environment which server they may use")]
fn test_server() -> Option<Secret> {
    if let Ok(url) = std::env::var("MASQUE_TEST_POSTGRES") {
        return Some(Secret::new(url));
    }
    lacking("MASQUE_TEST_POSTGRES names no server");
    None
}
