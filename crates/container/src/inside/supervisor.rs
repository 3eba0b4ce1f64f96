//! The supervisor of one program: starts it on the passed streams, adopts what it starts, tells its end, and ends all
//! of it when the program ends or whoever asked for it is gone.

use std::{
    io::Read as _,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    io::Errno,
    process::{Pid, WaitOptions, WaitStatus},
};

use super::{become_private, processes};
use crate::{
    Error,
    protocol::{self, Answer, Request},
};

pub(super) fn run() -> Result<(), Error> {
    become_private()?;
    let failed = |errno: Errno| Error::system("become the supervisor of a program")(errno.into());
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(failed)?;
    // Standard input is the socket.
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map(UnixStream::from).map_err(failed)?;
    let told = Error::system("talk to the program's user");
    let (request, streams) = protocol::receive::<Request>(&socket).map_err(&told)?;
    let program = match start(request, streams) {
        Ok(program) => program,
        Err(error) => return protocol::send(&socket, &Answer::Failed(error.to_string())).map_err(told),
    };
    let unwanted = watch(&socket)?;
    // When nobody listens any more, the watch ends the program.
    let _ = protocol::send(&socket, &Answer::Started);
    let answer = wait(program, &unwanted);
    end_descendants();
    let _ = protocol::send(&socket, &answer);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the inside of a container has no sandbox to start programs in")]
fn start(request: Request, streams: Vec<OwnedFd>) -> std::io::Result<Pid> {
    let Ok([input, output, error]) = <[OwnedFd; 3]>::try_from(streams) else {
        return Err(std::io::Error::other("its streams were not passed"));
    };
    let mut command = Command::new(request.program);
    command.args(request.args).env_clear().envs(request.env).current_dir(request.directory);
    command.stdin(input).stdout(output).stderr(error).process_group(0);
    let child = command.spawn()?;
    Ok(Pid::from_child(&child))
}

/// Ends the program when the socket is closed or anything is said on it. The flag is raised first.
fn watch(socket: &UnixStream) -> Result<Arc<AtomicBool>, Error> {
    let failed = Error::system("watch the socket of a program");
    let unwanted = Arc::new(AtomicBool::new(false));
    let (raised, mut socket) = (Arc::clone(&unwanted), socket.try_clone().map_err(&failed)?);
    let watching = move || {
        let _closed_or_broken = socket.read(&mut [0; 1]);
        raised.store(true, Ordering::SeqCst);
        processes::kill_descendants();
    };
    // It ends with the process.
    std::thread::Builder::new().spawn(watching).map(drop).map_err(failed)?;
    Ok(unwanted)
}

/// Waits for the program, and reaps what it leaves behind while it runs.
fn wait(program: Pid, unwanted: &AtomicBool) -> Answer {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((process, status))) if process == program => return answer(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return Answer::Signal(rustix::process::Signal::KILL.as_raw()),
        }
        if unwanted.load(Ordering::SeqCst) {
            // What was started while others were killed.
            processes::kill_descendants();
        }
    }
}

fn answer(status: WaitStatus) -> Answer {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Answer::Code(code),
        (None, signal) => Answer::Signal(signal.unwrap_or(rustix::process::Signal::KILL.as_raw())),
    }
}

/// Ends everything that descends from this process. Who is not seen was started by one that is, and whose end is
/// awaited here before the next look.
fn end_descendants() {
    loop {
        processes::kill_descendants();
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
