//! Use cases over MCP servers that ask for a login: log in, log out, try a server out.
//!
//! A login belongs to one persona and one server's address, and stands sealed in Masque's home. It never enters a
//! sandbox: Masque itself speaks with servers over HTTP.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_home::seal::Vault;
use masque_tools::remote::{LoginRequest, Logins, PendingLogin};
pub use masque_tools::remote::{Probe, ProbeFailure};
use masque_types::{
    actor::Actor,
    digest::Digest,
    persona::{McpServer, McpTransport, Persona},
    secret::Secret,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    App, Error, audit,
    host::Host,
    keys::{self, Sealed},
};

/// How long a person has to consent in the browser.
const CONSENT_LIMIT: Duration = Duration::from_secs(300);
/// Bytes of the request with which a browser comes back.
const MOST_REQUEST_BYTES: usize = 16 * 1024;
/// What the person sees then.
const RETURNED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    Masque has the answer. You can close this page and go back to your terminal.\n";

/// The logins of one persona, sealed in Masque's home.
#[derive(Debug, Clone)]
pub(crate) struct SealedLogins {
    host: Host,
    persona: String,
}

/// One login's file.
#[derive(Debug, Serialize, Deserialize)]
struct LoginFile {
    persona: String,
    server: String,
    login: Sealed,
}

impl SealedLogins {
    pub(crate) fn of(host: &Host, persona: &str) -> Arc<dyn Logins> {
        Arc::new(Self { host: host.clone(), persona: persona.to_owned() })
    }

    fn path(&self, server: &str) -> PathBuf {
        let digest = Digest::of_parts([self.persona.as_bytes(), server.as_bytes()]);
        directory(&self.host).join(format!("{}.json", digest.short()))
    }

    fn write(&self, server: &str, login: Sealed) -> Result<(), String> {
        let file = LoginFile { persona: self.persona.clone(), server: server.to_owned(), login };
        let bytes = serde_json::to_vec_pretty(&file).map_err(|error| error.to_string())?;
        fs_err::create_dir_all(directory(&self.host)).map_err(|error| error.to_string())?;
        keys::write_private(&self.path(server), &bytes).map_err(|error| error.to_string())
    }

    /// What a login is sealed for: one that is moved to another persona or server cannot be opened.
    fn sealed_for(&self, server: &str) -> String {
        format!("login/{}/{server}", self.persona)
    }
}

impl Logins for SealedLogins {
    fn load(&self, server: &str) -> Result<Option<Secret>, String> {
        let path = self.path(server);
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let damaged = |error: String| format!("{} cannot be used: {error}; log in again", path.display());
        let file: LoginFile = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let login = keys::unseal(&self.host, &self.sealed_for(server), &file.login);
        login.map(Some).map_err(|error| damaged(error.to_string()))
    }

    fn save(&self, server: &str, login: &Secret) -> Result<(), String> {
        let sealed = keys::seal(&self.host, &self.sealed_for(server), login).map_err(|error| error.to_string())?;
        self.write(server, sealed)
    }

    fn forget(&self, server: &str) -> Result<(), String> {
        match fs_err::remove_file(self.path(server)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        }
    }
}

/// Seals all logins again with the newest key of the vault; how many there are.
///
/// # Errors
/// When one cannot be unsealed, or a file cannot be written.
pub(crate) fn reseal(host: &Host, vault: &Vault) -> Result<usize, Error> {
    let directory = match fs_err::read_dir(directory(host)) {
        Ok(directory) => directory,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut count = 0;
    for entry in directory {
        let path = entry?.path();
        let damaged = |error| Error::environment(format!("{} is no login: {error}", path.display()));
        let file: LoginFile = serde_json::from_slice(&fs_err::read(&path)?).map_err(damaged)?;
        let logins = SealedLogins { host: host.clone(), persona: file.persona };
        let mut sealed = BTreeMap::from([(logins.sealed_for(&file.server), file.login)]);
        keys::reseal_all(host, vault, &mut sealed, str::to_owned)?;
        for login in sealed.into_values() {
            logins.write(&file.server, login).map_err(Error::environment)?;
            count += 1;
        }
    }
    Ok(count)
}

fn directory(host: &Host) -> PathBuf {
    host.home.join("logins")
}

/// A login that is wanted.
#[derive(Debug, Clone, Default)]
pub struct LogIn {
    /// The server's address.
    pub server: String,
    /// The client's id and secret, where the server's operator gave them out.
    pub client: Option<(String, Option<Secret>)>,
    /// The address of a document about this client, for servers that know clients by such documents.
    pub client_document: Option<String>,
    /// The rights to ask for; empty means those that the server names.
    pub scopes: Vec<String>,
    /// The `WWW-Authenticate` header with which the server refused a request.
    pub challenge: Option<String>,
}

/// A server over HTTP in a persona's file, by the name that it has there, with its address.
///
/// # Errors
/// When the persona has no such server, or one that is no HTTP server.
pub fn server_of<'a>(persona: &'a Persona, server: &str) -> Result<(&'a McpServer, &'a str), Error> {
    let found = persona.mcp_servers.get(server);
    match found.map(|found| (found, &found.transport)) {
        Some((found, McpTransport::Http { url, .. })) => Ok((found, url)),
        Some((_, McpTransport::Stdio { .. })) => {
            Err(Error::usage(format!("`{server}` is a program that runs in the sandbox: it takes no login"))
                .hint("programs get secrets: see `masque secret --help`"))
        }
        None => {
            let names = persona.mcp_servers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() { "none".to_owned() } else { names };
            Err(Error::usage(format!("the persona `{}` has no MCP server `{server}`; it has: {names}", persona.name)))
        }
    }
}

impl App {
    /// Logs a persona in to a server. `show` gets the address that the person opens; this waits until the browser comes
    /// back to this machine.
    ///
    /// # Errors
    /// When the server names nobody who authorises, the person does not consent in time, or no token is given.
    pub async fn log_in(
        &self,
        actor: &Actor,
        persona: &str,
        wanted: LogIn,
        show: impl AsyncFnOnce(&str),
    ) -> Result<(), Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let redirect = format!("http://127.0.0.1:{}/callback", listener.local_addr()?.port());
        let server = wanted.server.clone();
        let request = LoginRequest {
            server: wanted.server,
            redirect: redirect.clone(),
            client: wanted.client,
            client_document: wanted.client_document,
            scopes: wanted.scopes,
            challenge: wanted.challenge,
        };
        let logins = SealedLogins::of(&self.host, persona);
        let pending = PendingLogin::begin(request, logins).await.map_err(Error::environment)?;
        show(pending.address()).await;
        let returned = tokio::time::timeout(CONSENT_LIMIT, returned(&listener)).await;
        let returned = returned.map_err(|_| {
            Error::refused(format!("nobody consented within {} s", CONSENT_LIMIT.as_secs())).hint("log in again")
        })??;
        pending.finish(&format!("{redirect}{returned}")).await.map_err(Error::refused)?;
        self.audit_login(actor, "login.create", persona, &server).await
    }

    /// Forgets a persona's login to a server.
    ///
    /// # Errors
    /// When there is none, or it cannot be removed.
    pub async fn log_out(&self, actor: &Actor, persona: &str, server: &str) -> Result<(), Error> {
        let logins = SealedLogins::of(&self.host, persona);
        if logins.load(server).map_err(Error::environment)?.is_none() {
            return Err(Error::usage(format!("`{persona}` has no login to {server}")));
        }
        logins.forget(server).map_err(Error::environment)?;
        self.audit_login(actor, "login.remove", persona, server).await
    }

    async fn audit_login(&self, actor: &Actor, action: &str, persona: &str, server: &str) -> Result<(), Error> {
        let detail = json!({ "server": server });
        Ok(self.store.audit(audit::entry(self.now(), actor, action, None, persona, detail)).await?)
    }

    /// Opens an address in the person's browser: the program of `BROWSER`, else that of the desktop, if there is one.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn open_in_browser(&self, address: &str) -> Result<(), Error> {
        let has_desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| self.host.variable(name).is_some());
        let program = self.host.variable("BROWSER").or_else(|| has_desktop.then_some("xdg-open"));
        let Some(program) = program else { return Ok(()) };
        let environment = self.host.environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let log = fs_err::OpenOptions::new().write(true).open("/dev/null")?;
        let program = Path::new(program);
        masque_sandbox::detach(program, &[address.into()], &environment, &self.host.directory, log.into())?;
        Ok(())
    }

    /// Connects to a server as a run of the persona would.
    ///
    /// # Errors
    /// As [`Probe::open`].
    pub async fn probe(&self, persona: &str, server: &McpServer) -> Result<Probe, ProbeFailure> {
        Probe::open(server, SealedLogins::of(&self.host, persona)).await
    }
}

/// The query with which the browser comes back; other requests, for an icon for example, are turned away.
async fn returned(listener: &TcpListener) -> Result<String, Error> {
    loop {
        let (stream, _) = listener.accept().await?;
        let answered = tokio::time::timeout(Duration::from_secs(5), answer(stream)).await;
        if let Ok(Ok(Some(query))) = answered {
            return Ok(query);
        }
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<Option<String>> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MOST_REQUEST_BYTES {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request);
    let target = text.strip_prefix("GET ").and_then(|rest| rest.split_whitespace().next());
    let query = target.and_then(|target| target.strip_prefix("/callback")).filter(|query| query.starts_with('?'));
    let reply = if query.is_some() { RETURNED } else { "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n" };
    stream.write_all(reply.as_bytes()).await?;
    Ok(query.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_belongs_to_one_persona_and_one_server() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::for_tests(root.path());
        let (ada, eve) = (SealedLogins::of(&host, "ada"), SealedLogins::of(&host, "eve"));
        ada.save("https://a.example/mcp", &Secret::new("token-canary")).unwrap();
        assert_eq!(ada.load("https://a.example/mcp").unwrap().unwrap().expose(), "token-canary");
        assert!(eve.load("https://a.example/mcp").unwrap().is_none());
        assert!(ada.load("https://b.example/mcp").unwrap().is_none());

        let file = fs_err::read_dir(directory(&host)).unwrap().next().unwrap().unwrap().path();
        assert!(!fs_err::read_to_string(&file).unwrap().contains("canary"));
        let theirs = SealedLogins { host: host.clone(), persona: "eve".into() }.path("https://a.example/mcp");
        fs_err::copy(&file, theirs).unwrap();
        assert!(eve.load("https://a.example/mcp").unwrap_err().contains("log in again"), "not by moving a file");
        ada.forget("https://a.example/mcp").unwrap();
        assert!(ada.load("https://a.example/mcp").unwrap().is_none());
    }
}
