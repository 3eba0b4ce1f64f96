//! A service that misbehaves on command, for tests.
//!
//! It serves `GET` at `HOST:PORT` if `PORT` is set, says `READY=1` at `NOTIFY_SOCKET` if that is set, and ends with
//! SIGTERM. The file `<its name>.orders` in its directory, read at its start and at each request, says what it does wrong:
//!
//! - `crash`: it ends at once; `slow`: it is ready only after 200 ms;
//! - `silent`: it never becomes ready; `hang`: it does not answer; `lie`: it answers that it is not well;
//! - `deaf`: it does not listen to SIGTERM; `flood`: it prints as much as it can, once for each start.
//!
//! It holds a lock on `<its name>.lock` as long as it runs. One that finds the lock held notes that in `doubles.txt`.

use std::{
    io::Write as _,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    process::ExitCode,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

/// Bytes that a flood has.
const FLOOD: usize = 4 << 20;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(run())) {
        Ok(code) => code,
        Err(error) => {
            // Nobody may be there to hear it.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> std::io::Result<ExitCode> {
    let name = variable("MASQUE_SERVICE").unwrap_or_default();
    let mut terminate = signal(SignalKind::terminate())?;
    let lock = fs_err::File::create(format!("{name}.lock"))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut doubles = fs_err::OpenOptions::new().create(true).append(true).open("doubles.txt")?;
        writeln!(doubles, "{name}")?;
    }
    let is_ordered = |order: &str| orders(&name).split_whitespace().any(|word| word == order);
    if is_ordered("crash") {
        return Ok(ExitCode::FAILURE);
    }
    let listener = match variable("PORT") {
        Some(port) => {
            let host = variable("HOST").unwrap_or_else(|| "127.0.0.1".to_owned());
            Some(TcpListener::bind(format!("{host}:{port}")).await?)
        }
        None => None,
    };
    if is_ordered("flood") {
        flood();
    }
    if is_ordered("slow") {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    if !is_ordered("silent") {
        say_ready()?;
    }
    let mut answers = JoinSet::new();
    loop {
        tokio::select! {
            _ = terminate.recv() => if !is_ordered("deaf") { return Ok(ExitCode::SUCCESS) },
            Some(stream) = accept(listener.as_ref()) => drop(answers.spawn(answer(stream, name.clone()))),
            Some(_) = answers.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

async fn answer(mut stream: TcpStream, name: String) {
    let mut request = [0; 1024];
    if stream.read(&mut request).await.is_err() {
        return;
    }
    let orders = orders(&name);
    let is_ordered = |order: &str| orders.split_whitespace().any(|word| word == order);
    if is_ordered("hang") || is_ordered("silent") {
        std::future::pending::<()>().await;
    }
    let status = if is_ordered("lie") { "503 Service Unavailable" } else { "200 OK" };
    let response = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // Who asked may have gone.
    let _ = stream.write_all(response.as_bytes()).await;
}

fn orders(name: &str) -> String {
    fs_err::read_to_string(format!("{name}.orders")).unwrap_or_default()
}

fn flood() {
    let line = [b'x'; 99];
    let mut out = std::io::stdout().lock();
    for _ in 0..FLOOD / 100 {
        // Nobody may be there to hear it.
        let _ = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
    }
}

fn say_ready() -> std::io::Result<()> {
    let Some(socket) = variable("NOTIFY_SOCKET") else { return Ok(()) };
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
}

#[expect(clippy::disallowed_methods, reason = "this program is the application")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
