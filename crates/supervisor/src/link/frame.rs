//! Frames: four bytes of length (big endian), then JSON. A length is bounded before anything is read or kept for it.

use std::{collections::BTreeMap, time::Duration};

use masque_fleet::{
    model::ServiceId,
    status::{HostStatus, State},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use crate::Error;

/// Bytes of the first frame, before it is known who talks.
pub(super) const GREETING_BYTES: usize = 4 << 10;

/// Bytes of any later frame: more than a thousand services with all that is told about them.
pub(super) const FRAME_BYTES: usize = 8 << 20;

/// What is said on a connection after the greeting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Frame {
    /// The last question's number that was heard: whatever is in here was said after that.
    pub(super) echo: u64,
    /// What is said.
    pub(super) body: Body,
}

/// The kinds of what is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    /// A question that any later frame of the other side answers.
    Beat(u64),
    /// Nothing but that the last question was heard.
    Heard,
    /// All states; whatever is not in here is not known.
    All(BTreeMap<ServiceId, State>),
    /// What changed since.
    Changes {
        /// Other states, and new services.
        states: BTreeMap<ServiceId, State>,
        /// Services that are not known any more.
        gone: Vec<ServiceId>,
    },
    /// Asks for everything about the services.
    Ask {
        /// Number of the question.
        number: u64,
        /// How many further supervisors may be asked for the answer.
        hops: u8,
    },
    /// The answer to the question of that number, and to all before.
    Answer {
        /// The number.
        to: u64,
        /// By host.
        hosts: Vec<HostStatus>,
    },
}

/// Reads one frame; none where the other side ended the connection between two frames.
pub(super) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> Result<Option<T>, Error> {
    let Some(length) = read_length(from).await? else { return Ok(None) };
    if length == 0 || length > most {
        return Err(Error::Talk(format!("it sent a frame of {length} bytes; at most {most} are allowed")));
    }
    // Grows with what arrives: an announced length alone takes no memory.
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(Error::Talk("it ended the connection within a frame".to_owned()));
    }
    let frame = serde_json::from_slice(&bytes);
    frame.map(Some).map_err(|error| Error::Talk(format!("it sent a frame that is not understood: {error}")))
}

async fn read_length(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<usize>, Error> {
    let mut bytes = Vec::new();
    from.take(4).read_to_end(&mut bytes).await?;
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => Ok(Some(u32::from_be_bytes(bytes) as usize)),
        Err(_) if bytes.is_empty() => Ok(None),
        Err(_) => Err(Error::Talk("it ended the connection within a frame".to_owned())),
    }
}

/// Writes one frame, within that time.
pub(super) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    frame: &impl Serialize,
    most: usize,
    within: Duration,
) -> Result<(), Error> {
    let body = serde_json::to_vec(frame).map_err(|error| Error::Talk(error.to_string()))?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= most);
    let length = length.ok_or_else(|| Error::Talk(format!("what it is to be told has {} bytes", body.len())))?;
    let bytes = [&length.to_be_bytes(), body.as_slice()].concat();
    let written = async {
        to.write_all(&bytes).await?;
        to.flush().await
    };
    let slow = || Error::Talk(format!("it took nothing for {} seconds", within.as_secs()));
    Ok(timeout(within, written).await.map_err(|_| slow())??)
}
