//! The first frame of each side: who it is, of which fleet, in which version. Whoever does not fit is told why.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::frame::{self, GREETING_BYTES};
use crate::Error;

/// The version of what is said after the greeting.
const VERSION: u32 = 1;

/// The first frame.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Greeting {
    /// Who speaks.
    Hello(Hello),
    /// The answer to a greeting that does not fit; then the connection ends.
    Refused(String),
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    version: u32,
    fleet: String,
    name: String,
}

impl Hello {
    pub(super) fn new(fleet: &str, name: &str) -> Self {
        Self { version: VERSION, fleet: fleet.to_owned(), name: name.to_owned() }
    }

    /// Why that one does not fit, if it does not. `names` are those that it may have.
    fn misfit(&self, other: &Self, names: &[&str]) -> Option<String> {
        let expected = |what: &str, told: String, wanted: String| Some(format!("{what} {told}; expected {wanted}"));
        if other.version != self.version {
            return expected("it speaks version", other.version.to_string(), self.version.to_string());
        }
        if other.fleet != self.fleet {
            return expected("it is of the fleet", format!("{:?}", other.fleet), format!("{:?}", self.fleet));
        }
        if !names.contains(&other.name.as_str()) {
            return expected("it says that it is", format!("{:?}", other.name), format!("{names:?}"));
        }
        None
    }
}

/// The dialling side speaks first. The name of the answering side, which is `name`.
pub(super) async fn introduce(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    own: &Hello,
    name: &str,
    within: Duration,
) -> Result<(), Error> {
    frame::write(stream, &Greeting::Hello(own.clone()), GREETING_BYTES, within).await?;
    match hear(stream, within).await? {
        Greeting::Refused(why) => Err(Error::Talk(format!("it refused this supervisor: {why}"))),
        Greeting::Hello(other) => own.misfit(&other, &[name]).map_or(Ok(()), |why| Err(Error::Talk(why))),
    }
}

/// The answering side greets back whoever fits. The name of the dialling side, which is one of `names`.
pub(super) async fn welcome(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    own: &Hello,
    names: &[&str],
    within: Duration,
) -> Result<String, Error> {
    let Greeting::Hello(other) = hear(stream, within).await? else {
        return Err(Error::Talk("it dialled and refused at once".to_owned()));
    };
    if let Some(why) = own.misfit(&other, names) {
        // That the other side is told is a courtesy; what counts is the refusal.
        let _ = frame::write(stream, &Greeting::Refused(why.clone()), GREETING_BYTES, within).await;
        return Err(Error::Talk(why));
    }
    frame::write(stream, &Greeting::Hello(own.clone()), GREETING_BYTES, within).await?;
    Ok(other.name)
}

async fn hear(stream: &mut (impl AsyncRead + Unpin), within: Duration) -> Result<Greeting, Error> {
    let silent = || Error::Talk("it did not greet: is it a supervisor of Masque?".to_owned());
    let greeting = timeout(within, frame::read(stream, GREETING_BYTES)).await.map_err(|_| silent())??;
    greeting.ok_or_else(|| Error::Talk("it ended the connection without a greeting".to_owned()))
}
