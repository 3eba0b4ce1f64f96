//! The client of a supervisor's control socket.

use std::time::Duration;

use masque_fleet::status::{Change, FleetStatus};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time::timeout,
};

use super::{
    SOCKET,
    message::{Answer, Explanation, LogLine, Request, Rolled, Target},
};
use crate::{Error, directory::StateDirectory};

/// How long a supervisor may take for an answer that needs no waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to a supervisor. One request at a time.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the supervisor of a state directory.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when nobody answers there.
    pub async fn connect(directory: &StateDirectory) -> Result<Self, Error> {
        match UnixStream::connect(directory.short(SOCKET)).await {
            Ok(stream) => Ok(Self { stream: BufReader::new(stream) }),
            Err(error) if is_nobody(&error) => Err(Error::NotRunning { directory: directory.path().to_owned() }),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks. The answers come from [`Self::next`].
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn ask(&mut self, request: &Request) -> Result<(), Error> {
        let mut line = serde_json::to_vec(request).map_err(std::io::Error::from)?;
        line.push(b'\n');
        self.stream.write_all(&line).await.map_err(|_| Error::Gone)
    }

    /// The next answer to what was asked; absent at its end.
    ///
    /// # Errors
    /// [`Error::Refused`] with the supervisor's sentence; [`Error::Gone`] when it ended.
    pub async fn next(&mut self) -> Result<Option<Answer>, Error> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).await.map_err(|_| Error::Gone)?;
        if read == 0 {
            return Err(Error::Gone);
        }
        match serde_json::from_str(&line).map_err(|error| Error::Answer(error.to_string()))? {
            Answer::Done => Ok(None),
            Answer::Failed(why) => Err(Error::Refused(why)),
            answer => Ok(Some(answer)),
        }
    }

    /// Asks, and gives all that is answered.
    ///
    /// # Errors
    /// As for [`Self::next`]; [`Error::Silent`] when the next answer does not come within some seconds.
    pub async fn all(&mut self, request: &Request) -> Result<Vec<Answer>, Error> {
        self.ask(request).await?;
        let mut answers = Vec::new();
        loop {
            match timeout(PATIENCE, self.next()).await {
                Ok(answer) => match answer? {
                    Some(answer) => answers.push(answer),
                    None => return Ok(answers),
                },
                Err(_) => return Err(self.silent()),
            }
        }
    }

    /// Finds out whether anybody answers, before something that takes its time.
    async fn ping(&mut self) -> Result<(), Error> {
        self.all(&Request::Changes { after: u64::MAX, follow: false }).await.map(drop)
    }

    fn silent(&self) -> Error {
        let process = self.stream.get_ref().peer_cred().ok().and_then(|peer| peer.pid());
        Error::Silent { process: process.and_then(|process| u32::try_from(process).ok()).unwrap_or(0) }
    }

    /// Where every service stands.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn status(&mut self) -> Result<FleetStatus, Error> {
        self.one(&Request::Status, |answer| match answer {
            Answer::Status(status) => Some(*status),
            _ => None,
        })
        .await
    }

    /// Why a service is where it is.
    ///
    /// # Errors
    /// As for [`Self::next`]; [`Error::Refused`] when there is no such service.
    pub async fn why(&mut self, service: &str) -> Result<Explanation, Error> {
        self.one(&Request::Why { service: service.to_owned() }, |answer| match answer {
            Answer::Explanation(explanation) => Some(*explanation),
            _ => None,
        })
        .await
    }

    /// Services are to run. Comes back at once; [`Self::changes`] tells what becomes of it.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn up(&mut self, target: Target) -> Result<(), Error> {
        self.all(&Request::Up { target }).await.map(drop)
    }

    /// Services are to end. Comes back at once.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn down(&mut self, target: Target) -> Result<(), Error> {
        self.all(&Request::Down { target }).await.map(drop)
    }

    /// Services are to be started anew. Comes back at once.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn restart(&mut self, target: Target) -> Result<(), Error> {
        self.all(&Request::Restart { target, rolling: false }).await.map(drop)
    }

    /// Services are replaced in waves. Comes back at the end.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn roll(&mut self, target: Target) -> Result<Rolled, Error> {
        self.slow(&Request::Restart { target, rolling: true }).await
    }

    /// The manifest is read again, and what changed is replaced in waves. Comes back at the end.
    ///
    /// # Errors
    /// As for [`Self::next`]; [`Error::Refused`] when the manifest is wrong.
    pub async fn reload(&mut self) -> Result<Rolled, Error> {
        self.slow(&Request::Reload).await
    }

    /// The changes above a number that the supervisor remembers.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn changes(&mut self, after: u64) -> Result<Vec<Change>, Error> {
        let answers = self.all(&Request::Changes { after, follow: false }).await?;
        Ok(answers.into_iter().filter_map(change).collect())
    }

    /// Begins to follow the changes above a number; [`Self::next_change`] tells them.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn follow_changes(&mut self, after: u64) -> Result<(), Error> {
        self.ping().await?;
        self.ask(&Request::Changes { after, follow: true }).await
    }

    /// Begins to follow what services print, after the last lines of each; [`Self::next`] tells it.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn follow_logs(&mut self, services: Vec<String>, lines: usize) -> Result<(), Error> {
        self.ping().await?;
        self.ask(&Request::Logs { services, lines, follow: true }).await
    }

    /// The next change that is followed.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn next_change(&mut self) -> Result<Change, Error> {
        loop {
            if let Some(change) = self.next().await?.ok_or(Error::Gone).map(change)? {
                return Ok(change);
            }
        }
    }

    /// The last lines that services printed.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn logs(&mut self, services: Vec<String>, lines: usize) -> Result<Vec<LogLine>, Error> {
        let answers = self.all(&Request::Logs { services, lines, follow: false }).await?;
        let line = |answer| match answer {
            Answer::Line(line) => Some(line),
            _ => None,
        };
        Ok(answers.into_iter().filter_map(line).collect())
    }

    /// Ends everything and the supervisor. Comes back when it has ended.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn shutdown(mut self) -> Result<(), Error> {
        match self.ping().await {
            Err(Error::Gone) => return Ok(()),
            answered => answered?,
        }
        self.ask(&Request::Shutdown).await?;
        match self.next().await {
            Err(Error::Gone) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => {
                let mut rest = Vec::new();
                // Whatever is told until the end, the end is what was asked for.
                let _ = tokio::io::AsyncReadExt::read_to_end(&mut self.stream, &mut rest).await;
                Ok(())
            }
        }
    }

    /// Asks for a replacement in waves, which takes as long as its services do.
    async fn slow(&mut self, request: &Request) -> Result<Rolled, Error> {
        self.ping().await?;
        self.ask(request).await?;
        let mut told = None;
        while let Some(answer) = self.next().await? {
            told = rolled(answer).or(told);
        }
        told.ok_or_else(|| Error::Answer("nothing was told".to_owned()))
    }

    async fn one<T>(&mut self, request: &Request, pick: impl Fn(Answer) -> Option<T>) -> Result<T, Error> {
        let answers = self.all(request).await?;
        answers.into_iter().find_map(pick).ok_or_else(|| Error::Answer("nothing was told".to_owned()))
    }
}

fn change(answer: Answer) -> Option<Change> {
    match answer {
        Answer::Change(change) => Some(change),
        _ => None,
    }
}

fn rolled(answer: Answer) -> Option<Rolled> {
    match answer {
        Answer::Rolled(rolled) => Some(rolled),
        _ => None,
    }
}

fn is_nobody(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused)
}
