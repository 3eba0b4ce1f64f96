//! A short-lived program whose output is kept and that may not take longer than a time: for checks.

use std::{
    io,
    time::{Duration, Instant},
};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe;

use super::{Output, ServiceCommand, ServiceEnd, ServiceProcess};
use crate::Error;

/// Bytes that are read at once.
const CHUNK: usize = 4 << 10;
/// How often is read before something else is looked at.
const READS: usize = 64;

/// What became of a short-lived program.
#[derive(Debug)]
pub struct Captured {
    /// How it ended; none when it took too long and was killed.
    pub end: Option<ServiceEnd>,
    /// The beginning of what it printed.
    pub output: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}

impl ServiceCommand {
    /// Runs it to its end, for this long at most, and keeps so many bytes of what it prints. What it started in its
    /// session ends with it; when it takes too long, everything that has its mark. Its own `output` is not used.
    /// Dropping the future kills its session.
    ///
    /// # Errors
    /// When it cannot be started or awaited.
    pub async fn run(mut self, limit: Duration, output_bytes: usize) -> Result<Captured, Error> {
        let failed = |source| Error::Process { doing: "run a program to its end", source };
        let begun = Instant::now();
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
        let reader = pipe::Receiver::from_owned_fd(reader).map_err(failed)?;
        self.output = Output::Descriptor(writer);
        // Born into the group of its service, it must not end together with that.
        let running = Running(self.start()?.without_group());
        drop(self);
        let mut output = Vec::new();
        let ended = tokio::time::timeout(limit, to_the_end(&running.0, &reader, &mut output, output_bytes)).await;
        let in_time = ended.is_ok();
        ended.unwrap_or(Ok(())).map_err(failed)?;
        let end = if in_time {
            // What it left behind; its number is its own until its end is asked for.
            running.0.kill_group();
            running.0.end().map_err(failed)?
        } else {
            running.0.kill_tree().await?;
            None
        };
        Ok(Captured { end, output, took: begun.elapsed() })
    }
}

/// Keeps what a program prints until it has ended. Its descendants may hold the pipe open, so its end is what counts.
async fn to_the_end(
    process: &ServiceProcess,
    reader: &pipe::Receiver,
    output: &mut Vec<u8>,
    most: usize,
) -> io::Result<()> {
    let mut is_open = true;
    loop {
        tokio::select! {
            ready = reader.readable(), if is_open => {
                ready?;
                is_open = read_all(reader, output, most)?;
            }
            ended = process.has_ended() => {
                ended?;
                if is_open {
                    read_all(reader, output, most)?;
                }
                return Ok(());
            }
        }
    }
}

/// Reads what is there; false at the end. What is above the bound is thrown away.
fn read_all(reader: &pipe::Receiver, output: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    let mut chunk = [0; CHUNK];
    // A program that prints for ever must not keep us here.
    for _ in 0..READS {
        match reader.try_read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(length) => {
                let room = most.saturating_sub(output.len()).min(length);
                output.extend_from_slice(chunk.get(..room).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// A program that ends when nobody waits for it any more.
struct Running(ServiceProcess);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill_and_bury();
    }
}
