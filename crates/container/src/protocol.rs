//! What is said between this process and the inside of a container: messages, their frames, and passed descriptors.
//!
//! A frame is its length in four bytes, most significant first, and JSON. What comes from inside is not trusted: its
//! frames are short, and a wrong one is an error. Leaves out who says what when.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};

use crate::expectation::Expectation;

/// Longest frame that goes inside: the kernel takes no larger arguments and environments.
const MAXIMUM_INWARD: usize = 16 << 20;
/// Longest frame that comes from inside.
const MAXIMUM_OUTWARD: usize = 1 << 20;
/// Most descriptors of one message.
const MAXIMUM_DESCRIPTORS: usize = 3;
/// The byte that carries the socket of a new program to the container's first process.
const NEW_PROGRAM: &[u8] = b"+";

/// The first message to the first process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) expectations: Vec<Expectation>,
    /// Whether programs may make local sockets, which reach the machine's own programs where they share its network.
    pub(crate) local_sockets: bool,
}

/// What the first process finds, its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// All sets of capabilities together.
    pub(crate) capabilities: u64,
    /// Whether programs cannot gain privileges.
    pub(crate) no_new_privileges: bool,
    /// Whether there is a system call filter.
    pub(crate) filtered: bool,
    /// Whether the root is read-only.
    pub(crate) root_read_only: bool,
    /// Names of network interfaces that lead anywhere, the machine's own excepted.
    pub(crate) routes: BTreeSet<String>,
    /// Expectations that are not met, for people.
    pub(crate) unmet: Vec<String>,
}

/// A program to start; its three streams are passed with the frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) directory: OsString,
}

/// What a program's supervisor says about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It runs.
    Started,
    /// It could not be executed.
    Failed(String),
    /// It, and all that it started, ended with this code.
    Code(i32),
    /// It, and all that it started, ended by this signal.
    Signal(i32),
}

fn frame<M: Serialize>(message: &M) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAXIMUM_INWARD);
    let mut frame = length.ok_or_else(|| io::Error::other("a message is too long"))?.to_be_bytes().to_vec();
    frame.extend(body);
    Ok(frame)
}

fn parse<M: DeserializeOwned>(body: &[u8]) -> io::Result<M> {
    serde_json::from_slice(body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn length(bytes: [u8; 4], maximum: usize) -> io::Result<usize> {
    usize::try_from(u32::from_be_bytes(bytes))
        .ok()
        .filter(|length| *length <= maximum)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a message is too long"))
}

/// Sends a message, from inside.
pub(crate) fn send<M: Serialize>(mut socket: &UnixStream, message: &M) -> io::Result<()> {
    socket.write_all(&frame(message)?)
}

/// Receives a message and up to three descriptors, inside.
pub(crate) fn receive<M: DeserializeOwned>(mut socket: &UnixStream) -> io::Result<(M, Vec<OwnedFd>)> {
    let mut start = [0; 4];
    let (count, descriptors) = receive_with_descriptors(socket, &mut start)?;
    socket.read_exact(start.get_mut(count..).unwrap_or_default())?;
    let mut body = vec![0; length(start, MAXIMUM_INWARD)?];
    socket.read_exact(&mut body)?;
    Ok((parse(&body)?, descriptors))
}

/// Waits for the socket of a new program, inside; none when the other side is gone.
pub(crate) fn receive_program(control: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let (count, mut descriptors) = receive_with_descriptors(control, &mut [0; 1])?;
    if count == 0 {
        return Ok(None);
    }
    descriptors.pop().map(Some).ok_or_else(|| io::Error::other("no socket was passed"))
}

fn receive_with_descriptors(socket: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAXIMUM_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = loop {
        match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut ancillary, flags) {
            Err(rustix::io::Errno::INTR) => {}
            result => break result?,
        }
    };
    let descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok((received.bytes, descriptors.flatten().collect()))
}

/// Sends a message with descriptors, from this side.
pub(crate) async fn send_with<M: Serialize>(
    socket: &mut tokio::net::UnixStream,
    message: &M,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let frame = frame(message)?;
    let sent = send_bytes_with(socket, &frame, descriptors).await?;
    socket.write_all(frame.get(sent..).unwrap_or_default()).await
}

/// Passes the socket of a new program to the first process.
pub(crate) async fn send_program(control: &tokio::net::UnixStream, socket: BorrowedFd<'_>) -> io::Result<()> {
    send_bytes_with(control, NEW_PROGRAM, &[socket]).await.map(drop)
}

async fn send_bytes_with(
    socket: &tokio::net::UnixStream,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let send = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAXIMUM_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors"));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        Ok(rustix::net::sendmsg(socket.as_fd(), &[IoSlice::new(bytes)], &mut ancillary, flags)?)
    };
    socket.async_io(Interest::WRITABLE, send).await
}

/// Reads frames from inside. What was read of a frame is kept when reading is given up.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// The next message; none at the end.
    pub(crate) async fn next<M: DeserializeOwned>(
        &mut self,
        socket: &mut tokio::net::UnixStream,
    ) -> io::Result<Option<M>> {
        loop {
            if let Some((start, rest)) = self.bytes.split_first_chunk::<4>() {
                let length = length(*start, MAXIMUM_OUTWARD)?;
                if let Some(body) = rest.get(..length) {
                    let message = parse(body)?;
                    self.bytes.drain(..4 + length);
                    return Ok(Some(message));
                }
            }
            if socket.read_buf(&mut self.bytes).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::{fd::AsFd, unix::net::UnixStream};

    use proptest::prelude::*;

    use super::{Answer, Frames, Request, receive, receive_program, send, send_program, send_with};

    fn request() -> Request {
        use std::os::unix::ffi::OsStringExt;
        let strange = std::ffi::OsString::from_vec(vec![0xff, b'=', b'\n']);
        Request {
            program: "p".into(),
            args: vec![strange.clone()],
            env: vec![("A".into(), strange)],
            directory: "/".into(),
        }
    }

    #[tokio::test]
    async fn a_request_arrives_whole_with_its_descriptors() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut ours = tokio::net::UnixStream::from_std(ours).unwrap();
        let file = tempfile::tempfile().unwrap();
        let mut large = request();
        large.args.push("x".repeat(1 << 20).into());
        let expected = large.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let (read, descriptors) = receive::<Request>(&theirs).unwrap();
            (read, descriptors, receive_program(&theirs).unwrap(), receive_program(&theirs).unwrap())
        });
        let streams = [file.as_fd(), file.as_fd(), file.as_fd()];
        send_with(&mut ours, &large, &streams).await.unwrap();
        send_program(&ours, file.as_fd()).await.unwrap();
        drop(ours);
        let (read, descriptors, program, end) = reading.await.unwrap();
        assert_eq!((read.args, read.env, descriptors.len()), (expected.args, expected.env, 3));
        assert!(program.is_some() && end.is_none());
    }

    #[tokio::test]
    async fn answers_are_read_in_any_pieces_and_long_ones_refused() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut ours = tokio::net::UnixStream::from_std(ours).unwrap();
        let mut frames = Frames::default();
        send(&theirs, &Answer::Started).unwrap();
        send(&theirs, &Answer::Code(3)).unwrap();
        std::io::Write::write_all(&mut &theirs, &[0xff; 4]).unwrap();
        assert_eq!(frames.next(&mut ours).await.unwrap(), Some(Answer::Started));
        assert_eq!(frames.next(&mut ours).await.unwrap(), Some(Answer::Code(3)));
        assert!(frames.next::<Answer>(&mut ours).await.is_err());
    }

    proptest! {
        #[test]
        fn nothing_from_inside_breaks_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (ours, theirs) = UnixStream::pair().unwrap();
                ours.set_nonblocking(true).unwrap();
                let mut ours = tokio::net::UnixStream::from_std(ours).unwrap();
                std::io::Write::write_all(&mut &theirs, &bytes).unwrap();
                drop(theirs);
                let mut frames = Frames::default();
                while let Ok(Some(_)) = frames.next::<Answer>(&mut ours).await {}
            });
        }
    }
}
