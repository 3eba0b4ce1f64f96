//! The embedded database: connections, errors, and [`Session`] on a connection.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use masque_types::id::RunId;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    Error, memory,
    run_keys::RunKeys,
    schema::{self, Words},
    session::Session,
    value::{Row, Value},
};

const WORDS: Words = Words { key: "INTEGER PRIMARY KEY", bytes: "BLOB", id: "TEXT", lexemes: memory::sqlite::LEXEMES };
/// All statements of this crate fit.
const CACHED_STATEMENTS: usize = 256;
/// How long a connection waits for another program's lock.
pub(crate) const BUSY: Duration = Duration::from_secs(5);
/// How soon opening is tried again when another program is opening the database as well.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// What the file takes up, without the pages that wait to be used again.
pub(crate) const SIZE: &str = "SELECT (page_count - freelist_count) * page_size \
     FROM pragma_page_count, pragma_freelist_count, pragma_page_size";

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    File(PathBuf),
    Memory,
}

/// Where the database is, and how patient its users are.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) location: Location,
    pub(crate) busy: Duration,
}

impl Setup {
    pub(crate) fn place(&self) -> String {
        match &self.location {
            Location::File(path) => path.display().to_string(),
            Location::Memory => "the database in memory".to_owned(),
        }
    }

    /// Opens the connection of the writer: makes file and directory, sets the mode, migrates.
    pub(crate) fn open_writer(&self) -> Result<SqliteSession, Error> {
        let connection = match &self.location {
            Location::File(path) => {
                make_file(path)?;
                self.connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?
            }
            Location::Memory => Connection::open_in_memory().map_err(|error| self.error(&error))?,
        };
        add_vectors(&connection).map_err(|error| self.error(&error))?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        let session = SqliteSession { connection, setup: self.clone(), run_keys: RunKeys::default() };
        session.prepare_database()?;
        Ok(session)
    }

    /// Opens a connection that only reads. The file exists and is migrated.
    pub(crate) fn open_reader(&self, path: &Path) -> Result<SqliteSession, Error> {
        // Reading a WAL database may have to write its shared memory, so the connection is not opened read-only.
        let connection = self.connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        add_vectors(&connection).map_err(|error| self.error(&error))?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        connection.execute_batch("PRAGMA query_only = ON").map_err(|error| self.error(&error))?;
        Ok(SqliteSession { connection, setup: self.clone(), run_keys: RunKeys::default() })
    }

    fn connect(&self, path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| self.error(&error))?;
        connection.busy_timeout(self.busy).map_err(|error| self.error(&error))?;
        Ok(connection)
    }

    /// What an error of the database means.
    pub(crate) fn error(&self, error: &rusqlite::Error) -> Error {
        let (place, reason) = (self.place(), error.to_string());
        let rusqlite::Error::SqliteFailure(failure, _) = error else { return Error::Database { place, reason } };
        if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE {
            return Error::DiskFull { place };
        }
        match failure.code {
            ErrorCode::DiskFull => Error::DiskFull { place },
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                Error::ReadOnly { place, reason }
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                Error::Locked { place, waited_ms: u64::try_from(self.busy.as_millis()).unwrap_or(u64::MAX) }
            }
            ErrorCode::DatabaseCorrupt => Error::Damaged { place, reason },
            ErrorCode::NotADatabase => Error::NotADatabase { place },
            _ => Error::Database { place, reason },
        }
    }
}

/// Makes sqlite-vec's tables and functions known to a connection.
#[expect(unsafe_code, reason = "an extension that is linked in is called through the database's C interface")]
fn add_vectors(connection: &Connection) -> rusqlite::Result<()> {
    type EntryPoint = unsafe extern "C" fn(
        *mut rusqlite::ffi::sqlite3,
        *mut *mut std::ffi::c_char,
        *const rusqlite::ffi::sqlite3_api_routines,
    ) -> std::ffi::c_int;
    // SAFETY: sqlite-vec declares its entry point without parameters; every SQLite extension has these
    // (https://www.sqlite.org/loadext.html). Linked in, it uses neither message nor routines; the handle is the
    // connection's own and is open.
    let code = unsafe {
        let enter: EntryPoint = std::mem::transmute(sqlite_vec::sqlite3_vec_init as *const ());
        enter(connection.handle(), std::ptr::null_mut(), std::ptr::null())
    };
    if code == rusqlite::ffi::SQLITE_OK {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some("sqlite-vec did not start".to_owned())))
}

/// Makes directory and file, readable by their owner only: journals hold what people said.
fn make_file(path: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::DiskFull { place: path.display().to_string() }
        }
        _ => Error::ReadOnly { place: path.display().to_string(), reason: error.to_string() },
    };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs_err::create_dir_all(directory).map_err(failed)?;
    }
    fs_err::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop).map_err(failed)
}

/// A connection with what is needed to explain its errors.
#[derive(Debug)]
pub(crate) struct SqliteSession {
    connection: Connection,
    setup: Setup,
    run_keys: RunKeys,
}

impl SqliteSession {
    /// Sets the mode and migrates, as often as other programs that do the same get in between: SQLite does not wait for
    /// a lock where waiting could be a deadlock, as it is when two change the mode of an empty file.
    fn prepare_database(&self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            match self.try_prepare() {
                Err(Error::Locked { .. }) if begun.elapsed() < self.setup.busy => std::thread::sleep(TRY_AGAIN),
                outcome => return outcome,
            }
        }
    }

    fn try_prepare(&self) -> Result<(), Error> {
        self.refuse_foreign_tables()?;
        // Rows of about a kilobyte leave less of a larger page empty. Takes effect on a new file only.
        self.batch("PRAGMA page_size = 8192")?;
        // Acknowledged means flushed: FULL also in WAL mode, where the default would only be safe against crashes of
        // the program, not of the machine.
        self.batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")?;
        self.batch("BEGIN IMMEDIATE")?;
        let migrated = self.migrate();
        self.batch(if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        migrated
    }

    fn refuse_foreign_tables(&self) -> Result<(), Error> {
        let sql = "SELECT count(*), coalesce(sum(name = 'masque_migrations'), 0) FROM sqlite_schema";
        let mut row = self.only_row(sql)?;
        if row.int()? > 0 && row.int()? == 0 {
            return Err(Error::ForeignDatabase { place: self.setup.place() });
        }
        Ok(())
    }

    fn migrate(&self) -> Result<(), Error> {
        self.batch(schema::CREATE_RECORD)?;
        let last = self.only_row(schema::LAST_APPLIED)?.int()?;
        for migration in schema::pending(&self.setup.place(), last)? {
            self.batch(&migration.text(&WORDS))?;
            self.run(schema::RECORD, &[i64::from(migration.number).into(), migration.name.into()])?;
        }
        Ok(())
    }

    /// A number that changes when another connection wrote.
    pub(crate) fn data_version(&self) -> Result<i64, Error> {
        self.only_row("PRAGMA data_version")?.int()
    }

    fn only_row(&self, sql: &str) -> Result<Row, Error> {
        let row = self.rows(sql, &[])?.into_iter().next();
        row.ok_or_else(|| Error::Database { place: self.setup.place(), reason: "an answer has no row".to_owned() })
    }

    pub(crate) fn batch(&self, sql: &str) -> Result<(), Error> {
        self.connection.execute_batch(sql).map_err(|error| self.setup.error(&error))
    }

    pub(crate) fn run(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        let run = || -> rusqlite::Result<usize> {
            let mut statement = self.connection.prepare_cached(sql)?;
            bind(&mut statement, params)?;
            statement.raw_execute()
        };
        run().map(|changed| changed as u64).map_err(|error| self.setup.error(&error))
    }

    /// Does several reads that see the same state.
    pub(crate) fn snapshot<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.run("BEGIN", &[])?;
        let outcome = work();
        self.run("COMMIT", &[])?;
        outcome
    }

    /// Runs a statement and shows its rows one by one.
    pub(crate) fn each(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut show: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        let mut query = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(sql)?;
            bind(&mut statement, params)?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                show(row)?;
            }
            Ok(())
        };
        query().map_err(|error| self.setup.error(&error))
    }

    /// Runs a statement and collects its rows.
    pub(crate) fn rows(&self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        let query = || -> rusqlite::Result<Vec<Row>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            bind(&mut statement, params)?;
            let columns = statement.column_count();
            let mut found = Vec::new();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                let values = (0..columns).map(|column| row.get_ref(column).map(owned));
                found.push(Row::new(values.collect::<rusqlite::Result<_>>()?));
            }
            Ok(found)
        };
        query().map_err(|error| self.setup.error(&error))
    }
}

/// Binds `$3` to the third value. SQLite takes `$3` for a name and numbers names as they appear.
fn bind(statement: &mut rusqlite::Statement<'_>, params: &[Value<'_>]) -> rusqlite::Result<()> {
    for place in 1..=statement.parameter_count() {
        let number = statement.parameter_name(place).and_then(|name| name.get(1..)?.parse::<usize>().ok());
        let value = number.and_then(|number| params.get(number.checked_sub(1)?));
        let value = value.ok_or(rusqlite::Error::InvalidParameterCount(params.len(), place))?;
        statement.raw_bind_parameter(place, value)?;
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Float(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

fn owned(value: ValueRef<'_>) -> Value<'static> {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::Float(value),
        ValueRef::Text(value) => Value::Text(Cow::Owned(String::from_utf8_lossy(value).into_owned())),
        ValueRef::Blob(value) => Value::Bytes(Cow::Owned(value.to_vec())),
    }
}

impl Session for SqliteSession {
    const CLAIM_NEXT: &'static str = claim_next!("", "");
    const CLAIM_NEXT_QUEUED: &'static str = claim_next!("queued AND ", "");

    fn run_keys(&self) -> &RunKeys {
        &self.run_keys
    }

    async fn query(&self, sql: &'static str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        self.rows(sql, params)
    }

    async fn execute(&self, sql: &'static str, params: &[Value<'_>]) -> Result<u64, Error> {
        self.run(sql, params)
    }

    async fn begin(&self) -> Result<(), Error> {
        // A transaction that could not be undone when it failed is undone now.
        self.rollback().await?;
        self.run("BEGIN IMMEDIATE", &[]).map(|_changed| ())
    }

    async fn commit(&self, _changed: &[RunId]) -> Result<(), Error> {
        // Other programs look at `data_version`.
        self.run("COMMIT", &[]).map(|_changed| ())
    }

    async fn rollback(&self) -> Result<(), Error> {
        // A full disk undoes the transaction by itself.
        if self.connection.is_autocommit() { Ok(()) } else { self.run("ROLLBACK", &[]).map(|_changed| ()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(path: &Path) -> Setup {
        Setup { location: Location::File(path.to_owned()), busy: Duration::from_millis(20) }
    }

    #[test]
    fn a_locked_file_is_waited_for_and_then_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/masque.db");
        let writer = setup(&path).open_writer().unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let error = crate::session::finish(writer.begin()).unwrap_err();
        assert_eq!(error, Error::Locked { place: path.display().to_string(), waited_ms: 20 });
        other.execute_batch("ROLLBACK").unwrap();
        crate::session::finish(writer.begin()).unwrap();
    }

    #[test]
    fn refuses_other_files_and_newer_schemas() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("masque.db");
        let place = path.display().to_string();
        let open = || setup(&path).open_writer().map(drop).unwrap_err();

        fs_err::write(&path, "no database ".repeat(400)).unwrap();
        assert_eq!(open(), Error::NotADatabase { place: place.clone() });

        fs_err::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
        assert_eq!(open(), Error::ForeignDatabase { place: place.clone() });

        fs_err::remove_file(&path).unwrap();
        drop(setup(&path).open_writer().unwrap());
        let known = schema::MIGRATIONS.last().unwrap().number;
        let add = format!("INSERT INTO masque_migrations VALUES ({}, 'future')", known + 1);
        Connection::open(&path).unwrap().execute_batch(&add).unwrap();
        assert_eq!(open(), Error::NewerSchema { place, found: known + 1, known });
    }

    #[test]
    fn placeholders_may_come_in_any_order() {
        let writer = Setup { location: Location::Memory, busy: BUSY }.open_writer().unwrap();
        let mut row = writer.rows("SELECT $2, $1, $2", &["one".into(), 2_i64.into()]).unwrap().remove(0);
        assert_eq!((row.int().unwrap(), row.text().unwrap(), row.int().unwrap()), (2, "one".to_owned(), 2));
        assert!(writer.rows("SELECT $3", &["one".into()]).is_err());
    }
}
