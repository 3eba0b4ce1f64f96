//! PostgreSQL: connections, errors, and [`Session`] on a pooled connection.

use std::{borrow::Cow, collections::BTreeSet, error::Error as _, sync::Arc, time::Duration};

use bytes::BytesMut;
use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod};
use masque_types::{id::RunId, secret::Secret};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
    error::SqlState,
    types::{Format, IsNull, ToSql, Type, to_sql_checked},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    Error, memory,
    run_keys::RunKeys,
    schema::{self, Words},
    session::Session,
    value::{Row, Value},
};

const WORDS: Words = Words {
    key: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    bytes: "BYTEA",
    id: "TEXT COLLATE \"C\"",
    lexemes: memory::postgres::LEXEMES,
};
/// What the database takes up.
pub(crate) const SIZE: &str = "SELECT pg_database_size(current_database())";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The channel on which writers tell which run changed.
pub(crate) const CHANNEL: &str = "masque_runs";
/// Any number that every Masque takes while it migrates.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7236837)";

/// A program that is frozen within a transaction would keep others from the run that it changed; the server ends the
/// transaction instead.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// A server and database, and how to reach it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
    pub(crate) place: Arc<str>,
    run_keys: Arc<RunKeys>,
}

impl Server {
    pub(crate) fn parse(url: &Secret) -> Result<Self, Error> {
        let mut config: Config = url.expose().parse().map_err(|error: tokio_postgres::Error| Error::Url {
            reason: error.source().map_or_else(|| error.to_string(), ToString::to_string),
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("masque");
        }
        // Without a word about it no TLS is tried: the connector asks only when the URL does.
        if config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(SslMode::Disable);
        }
        let place = place(&config).into();
        let tls = connector(&config)?;
        Ok(Self { config, tls, place, run_keys: Arc::default() })
    }

    /// A pool of connections; each is tried when it is taken.
    pub(crate) fn pool(&self, connections: usize) -> Result<Pool, Error> {
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.clone(), self.tls.clone(), manager_config);
        Pool::builder(manager).max_size(connections).build().map_err(|error| self.failure(error.to_string()))
    }

    pub(crate) async fn take(&self, pool: &Pool) -> Result<PostgresSession, Error> {
        match pool.get().await {
            Ok(client) => Ok(PostgresSession { client, server: self.clone() }),
            Err(PoolError::Backend(error)) => Err(self.error(&error)),
            Err(PoolError::Closed) => Err(Error::Closed),
            Err(error) => Err(self.unreachable(error.to_string())),
        }
    }

    /// What an error of the driver or the server means.
    pub(crate) fn error(&self, error: &tokio_postgres::Error) -> Error {
        let place = self.place.to_string();
        let Some(failure) = error.as_db_error() else {
            return self.unreachable(error.source().map_or_else(|| error.to_string(), ToString::to_string));
        };
        let (code, reason) = (failure.code(), failure.message().to_owned());
        match code.code().get(..2) {
            Some("28" | "3D") => Error::Refused { place, reason },
            // Includes a server that shuts down or starts up.
            Some("08" | "57") => Error::Unreachable { place, reason },
            _ if *code == SqlState::DISK_FULL => Error::DiskFull { place },
            _ if *code == SqlState::INSUFFICIENT_PRIVILEGE || *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
                Error::ReadOnly { place, reason }
            }
            _ if *code == SqlState::TOO_MANY_CONNECTIONS => Error::Unreachable { place, reason },
            _ if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => {
                Error::Damaged { place, reason }
            }
            _ => self.failure(reason),
        }
    }

    fn failure(&self, reason: String) -> Error {
        Error::Database { place: self.place.to_string(), reason }
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable { place: self.place.to_string(), reason }
    }
}

/// Host, port and database; user and password stay out.
fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("the database server {host}:{port}/{}", config.get_dbname().unwrap_or_default())
}

/// Trusts what the system trusts. Certificates are looked for only when TLS is asked for.
fn connector(config: &Config) -> Result<MakeRustlsConnect, Error> {
    let mut roots = rustls::RootCertStore::empty();
    if config.get_ssl_mode() == SslMode::Require {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            let reason = "sslmode=require needs the certificates of the system, and none were found";
            return Err(Error::Url { reason: reason.to_owned() });
        }
        roots.add_parsable_certificates(found.certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Url { reason: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// A connection taken from a pool, with what is needed to explain its errors.
pub(crate) struct PostgresSession {
    client: deadpool_postgres::Client,
    server: Server,
}

impl PostgresSession {
    pub(crate) async fn migrate(&self) -> Result<(), Error> {
        self.begin().await?;
        let migrated = self.apply_pending().await;
        if migrated.is_ok() {
            self.commit(&[]).await?;
        } else {
            self.rollback().await?;
        }
        migrated
    }

    async fn apply_pending(&self) -> Result<(), Error> {
        self.batch(MIGRATION_LOCK).await?;
        self.batch(schema::CREATE_RECORD).await?;
        let last = self.query_one(schema::LAST_APPLIED, &[]).await?.map_or(Ok(0), |mut row| row.int())?;
        for migration in schema::pending(&self.server.place, last)? {
            self.batch(&migration.text(&WORDS)).await?;
            self.execute(schema::RECORD, &[i64::from(migration.number).into(), migration.name.into()]).await?;
        }
        Ok(())
    }

    /// The server and database, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.server.place
    }

    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await.map_err(|error| self.server.error(&error))
    }

    /// Runs a statement and returns how many rows it changed.
    pub(crate) async fn run(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        let changed = async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.execute(&statement, &as_params(params)).await
        };
        changed.await.map_err(|error| self.server.error(&error))
    }

    /// Runs a statement and collects its rows.
    pub(crate) async fn rows(&self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        let found = async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.query(&statement, &as_params(params)).await
        };
        let found = found.await.map_err(|error| self.server.error(&error))?;
        found.iter().map(owned).collect::<Result<_, _>>().map_err(|error| self.server.error(&error))
    }
}

fn as_params<'a>(params: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Bool(value) => value.to_sql(kind, out),
            Self::Int(value) => value.to_sql(kind, out),
            Self::Float(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
            Self::Bytes(value) => value.as_ref().to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA, Type::BOOL, Type::FLOAT8].contains(kind)
    }

    fn encode_format(&self, _kind: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

fn owned(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    let column = |(place, column): (usize, &tokio_postgres::Column)| {
        Ok(match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(place)?.into(),
            Type::FLOAT8 => row.try_get::<_, Option<f64>>(place)?.map_or(Value::Null, Value::Float),
            Type::BOOL => row.try_get::<_, Option<bool>>(place)?.into(),
            Type::BYTEA => {
                row.try_get::<_, Option<Vec<u8>>>(place)?.map_or(Value::Null, |bytes| Value::Bytes(Cow::Owned(bytes)))
            }
            _ => row.try_get::<_, Option<String>>(place)?.into(),
        })
    };
    let columns: Result<_, tokio_postgres::Error> = row.columns().iter().enumerate().map(column).collect();
    columns.map(Row::new)
}

impl Session for PostgresSession {
    /// Workers that ask at the same time skip each other's rows instead of waiting for them.
    const CLAIM_NEXT: &'static str = claim_next!("", " FOR UPDATE SKIP LOCKED");
    const CLAIM_NEXT_QUEUED: &'static str = claim_next!("queued AND ", " FOR UPDATE SKIP LOCKED");

    fn run_keys(&self) -> &RunKeys {
        &self.server.run_keys
    }

    async fn query(&self, sql: &'static str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        self.rows(sql, params).await
    }

    async fn execute(&self, sql: &'static str, params: &[Value<'_>]) -> Result<u64, Error> {
        self.run(sql, params).await
    }

    async fn begin(&self) -> Result<(), Error> {
        self.batch(BEGIN).await
    }

    async fn commit(&self, changed: &[RunId]) -> Result<(), Error> {
        let changed: BTreeSet<_> = changed.iter().collect();
        // Ids have no quotes in them.
        let calls: Vec<_> = changed.iter().map(|run| format!("pg_notify('{CHANNEL}', '{run}')")).collect();
        // In one message with the commit, which saves a round trip.
        let notify = if calls.is_empty() { String::new() } else { format!("SELECT {}; ", calls.join(", ")) };
        self.batch(&format!("{notify}COMMIT")).await
    }

    async fn rollback(&self) -> Result<(), Error> {
        // A broken connection undoes the transaction by itself.
        if self.client.is_closed() { Ok(()) } else { self.batch("ROLLBACK").await }
    }
}
