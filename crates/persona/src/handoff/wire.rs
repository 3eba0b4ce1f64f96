//! A package on the wire: `MSQH`, the version, the signer's key, the signature, and zstd over `MessagePack`.
//!
//! The form of a version is written out here, apart from the nouns of `masque_types`, so that these may change while old
//! packages still load. Texts are borrowed on both ways; a package is checked in this order: its size, its signature,
//! its size when unpacked, its content. So nothing is unpacked that nobody signed.

use std::borrow::Cow;

use masque_types::{
    child::Expected,
    digest::Digest,
    event::BlobRef,
    message::{AssistantMessage, Message, Part, ToolCall, ToolMessage},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Artifact, Error, Handoff, ReplyTo, Source};

/// What signatures of packages are for: signatures for anything else are none of a package.
pub const PURPOSE: &str = "masque/handoff/v1";
/// The largest package, in bytes.
pub const MAX_BYTES: usize = 32 << 20;
/// The largest content of a package when unpacked, in bytes.
pub const MAX_DECODED_BYTES: usize = 16 << 20;

const MAGIC: &[u8; 4] = b"MSQH";
const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// Fast before small: a level higher saves little on text and takes several times as long.
const LEVEL: i32 = 1;

/// A package that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// What it holds.
    pub handoff: Handoff,
    /// The public key that signed it. Whether to trust it is the reader's decision.
    pub signed_by: [u8; KEY_BYTES],
}

/// Packs and signs. `sign` gets what is to be signed for [`PURPOSE`].
///
/// # Errors
/// When the content is larger than packages may be.
pub fn encode(
    handoff: &Handoff,
    key: &[u8; KEY_BYTES],
    sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_BYTES],
) -> Result<Vec<u8>, Error> {
    let damaged = |error: &dyn std::fmt::Display| Error::Damaged { what: error.to_string() };
    let content = rmp_serde::to_vec(&PackageV1::from(handoff)).map_err(|error| damaged(&error))?;
    if content.len() > MAX_DECODED_BYTES {
        return Err(too_large(content.len(), MAX_DECODED_BYTES));
    }
    let packed = zstd::bulk::compress(&content, LEVEL).map_err(|error| damaged(&error))?;
    let mut signed = Vec::with_capacity(1 + packed.len());
    signed.push(VERSION);
    signed.extend_from_slice(&packed);
    let signature = sign(&signed);
    let mut bytes = Vec::with_capacity(MAGIC.len() + 1 + KEY_BYTES + SIGNATURE_BYTES + packed.len());
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&signature);
    bytes.extend_from_slice(&packed);
    if bytes.len() > MAX_BYTES { Err(too_large(bytes.len(), MAX_BYTES)) } else { Ok(bytes) }
}

/// Reads a package. `verify` says whether a key signed some bytes for [`PURPOSE`].
///
/// # Errors
/// When it is none, is too large, was changed, or its content makes no sense.
pub fn decode(
    bytes: &[u8],
    verify: impl FnOnce(&[u8; KEY_BYTES], &[u8], &[u8; SIGNATURE_BYTES]) -> bool,
) -> Result<Opened, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(too_large(bytes.len(), MAX_BYTES));
    }
    let rest = bytes.strip_prefix(MAGIC).ok_or(Error::NotAPackage)?;
    let (version, rest) = rest.split_first().ok_or(Error::Signature)?;
    if *version != VERSION {
        return Err(Error::Newer { found: *version, known: VERSION });
    }
    let (key, rest) = rest.split_first_chunk::<KEY_BYTES>().ok_or(Error::Signature)?;
    let (signature, packed) = rest.split_first_chunk::<SIGNATURE_BYTES>().ok_or(Error::Signature)?;
    let mut signed = Vec::with_capacity(1 + packed.len());
    signed.push(*version);
    signed.extend_from_slice(packed);
    if !verify(key, &signed, signature) {
        return Err(Error::Signature);
    }
    let content = unpack(packed)?;
    let damaged = |error: rmp_serde::decode::Error| Error::Damaged { what: error.to_string() };
    let package: PackageV1<'_> = rmp_serde::from_slice(&content).map_err(damaged)?;
    Ok(Opened { handoff: package.into_handoff()?, signed_by: *key })
}

/// Unpacks within the bound: the size stands in the frame's head and is the most that is made room for.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, Error> {
    let damaged = || Error::Damaged { what: "its content cannot be unpacked".to_owned() };
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten().ok_or_else(damaged)?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > MAX_DECODED_BYTES {
        return Err(too_large(size, MAX_DECODED_BYTES));
    }
    zstd::bulk::decompress(packed, size).map_err(|_| damaged())
}

fn too_large(found: usize, limit: usize) -> Error {
    Error::TooLarge { what: format!("{found} bytes, at most {limit} are taken") }
}

/// Version 1. Encoded as arrays: fields keep their places, and new ones come in a new version.
#[derive(Serialize, Deserialize)]
struct PackageV1<'a> {
    #[serde(borrow)]
    task: Cow<'a, str>,
    #[serde(borrow)]
    source: SourceV1<'a>,
    #[serde(borrow)]
    target: Cow<'a, str>,
    #[serde(borrow)]
    history: Vec<MessageV1<'a>>,
    #[serde(borrow)]
    working_directory: Cow<'a, str>,
    #[serde(borrow)]
    environment: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(borrow)]
    artifacts: Vec<ArtifactV1<'a>>,
    #[serde(borrow)]
    expected: ExpectedV1<'a>,
    #[serde(borrow)]
    reply_to: Option<(Cow<'a, str>, Cow<'a, str>)>,
    timeout_ms: Option<u64>,
    created_at: i64,
}

#[derive(Serialize, Deserialize)]
struct SourceV1<'a>(
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow)] Option<Cow<'a, str>>,
);

#[derive(Serialize, Deserialize)]
struct ArtifactV1<'a>(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>, u64);

#[derive(Serialize, Deserialize)]
enum ExpectedV1<'a> {
    #[serde(rename = "t")]
    Text,
    #[serde(rename = "s")]
    Structured(Value),
    #[serde(rename = "f")]
    File(#[serde(borrow)] Cow<'a, str>),
}

#[derive(Serialize, Deserialize)]
enum MessageV1<'a> {
    #[serde(rename = "u")]
    User(#[serde(borrow)] Vec<PartV1<'a>>),
    #[serde(rename = "a")]
    Assistant(
        #[serde(borrow)] Cow<'a, str>,
        #[serde(borrow)] Option<Cow<'a, str>>,
        #[serde(borrow)] Vec<CallV1<'a>>,
        Option<Value>,
    ),
    #[serde(rename = "r")]
    Result(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Vec<PartV1<'a>>, bool),
}

#[derive(Serialize, Deserialize)]
enum PartV1<'a> {
    #[serde(rename = "t")]
    Text(#[serde(borrow)] Cow<'a, str>),
    #[serde(rename = "i")]
    Image(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>),
}

#[derive(Serialize, Deserialize)]
struct CallV1<'a>(
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    Value,
    #[serde(borrow)] Option<Cow<'a, str>>,
);

impl<'a> From<&'a Handoff> for PackageV1<'a> {
    fn from(handoff: &'a Handoff) -> Self {
        let Source { name, digest, run } = &handoff.source;
        Self {
            task: handoff.task.as_str().into(),
            source: SourceV1(
                name.as_str().into(),
                digest.map(|digest| digest.to_string().into()),
                run.map(|run| run.to_string().into()),
            ),
            target: handoff.target.as_str().into(),
            history: handoff.history.iter().map(MessageV1::from).collect(),
            working_directory: handoff.working_directory.as_str().into(),
            environment: handoff
                .environment
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect(),
            artifacts: handoff
                .artifacts
                .iter()
                .map(|Artifact { path, content }| {
                    ArtifactV1(path.as_str().into(), content.digest.to_string().into(), content.bytes)
                })
                .collect(),
            expected: match &handoff.expected {
                Expected::Text => ExpectedV1::Text,
                Expected::Structured { schema } => ExpectedV1::Structured(schema.clone()),
                Expected::File { path } => ExpectedV1::File(path.as_str().into()),
            },
            reply_to: handoff
                .reply_to
                .as_ref()
                .map(|ReplyTo { run, call_id }| (run.to_string().into(), call_id.as_str().into())),
            timeout_ms: handoff.timeout_ms,
            created_at: handoff.created_at.0,
        }
    }
}

impl<'a> From<&'a Message> for MessageV1<'a> {
    fn from(message: &'a Message) -> Self {
        match message {
            Message::User { content } => Self::User(content.iter().map(PartV1::from).collect()),
            Message::Assistant(AssistantMessage { text, reasoning, calls, opaque }) => Self::Assistant(
                text.as_str().into(),
                reasoning.as_deref().map(Into::into),
                calls
                    .iter()
                    .map(|ToolCall { id, tool, arguments, signature }| {
                        let signature = signature.as_deref().map(Into::into);
                        CallV1(id.as_str().into(), tool.as_str().into(), arguments.clone(), signature)
                    })
                    .collect(),
                opaque.clone(),
            ),
            Message::Tool(ToolMessage { call_id, tool, content, is_error }) => Self::Result(
                call_id.as_str().into(),
                tool.as_str().into(),
                content.iter().map(PartV1::from).collect(),
                *is_error,
            ),
        }
    }
}

impl<'a> From<&'a Part> for PartV1<'a> {
    fn from(part: &'a Part) -> Self {
        match part {
            Part::Text { text } => Self::Text(text.as_str().into()),
            Part::Image { media_type, data } => Self::Image(media_type.as_str().into(), data.as_str().into()),
        }
    }
}

fn parsed<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Damaged { what: format!("`{text}` is no {what}") })
}

impl PackageV1<'_> {
    fn into_handoff(self) -> Result<Handoff, Error> {
        let SourceV1(name, digest, run) = self.source;
        let source = Source {
            name: name.into_owned(),
            digest: digest.map(|text| parsed("digest", &text)).transpose()?,
            run: run.map(|text| parsed("run", &text)).transpose()?,
        };
        let reply = |(run, call_id): (Cow<'_, str>, Cow<'_, str>)| {
            Ok(ReplyTo { run: parsed("run", &run)?, call_id: call_id.into_owned() })
        };
        let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
        Ok(Handoff {
            task: self.task.into_owned(),
            source,
            target: self.target.into_owned(),
            history: self.history.into_iter().map(MessageV1::into_message).collect(),
            working_directory: self.working_directory.into_owned(),
            environment: self.environment.into_iter().map(owned).collect(),
            artifacts: self.artifacts.into_iter().map(ArtifactV1::into_artifact).collect::<Result<_, _>>()?,
            expected: match self.expected {
                ExpectedV1::Text => Expected::Text,
                ExpectedV1::Structured(schema) => Expected::Structured { schema },
                ExpectedV1::File(path) => Expected::File { path: inside(path.into_owned())? },
            },
            reply_to: self.reply_to.map(reply).transpose()?,
            timeout_ms: self.timeout_ms,
            created_at: Timestamp(self.created_at),
        })
    }
}

impl ArtifactV1<'_> {
    fn into_artifact(self) -> Result<Artifact, Error> {
        let Self(path, digest, bytes) = self;
        let content = BlobRef { digest: parsed::<Digest>("digest", &digest)?, bytes };
        Ok(Artifact { path: inside(path.into_owned())?, content })
    }
}

/// A path that stays in the working directory.
fn inside(path: String) -> Result<String, Error> {
    let leaves = path.is_empty() || path.starts_with('/') || path.split('/').any(|step| step == "..");
    if leaves {
        Err(Error::Damaged { what: format!("the path `{path}` leaves the working directory") })
    } else {
        Ok(path)
    }
}

impl MessageV1<'_> {
    fn into_message(self) -> Message {
        match self {
            Self::User(parts) => Message::User { content: parts.into_iter().map(PartV1::into_part).collect() },
            Self::Assistant(text, reasoning, calls, opaque) => Message::Assistant(AssistantMessage {
                text: text.into_owned(),
                reasoning: reasoning.map(Cow::into_owned),
                calls: calls
                    .into_iter()
                    .map(|CallV1(id, tool, arguments, signature)| ToolCall {
                        id: id.into_owned(),
                        tool: tool.into_owned(),
                        arguments,
                        signature: signature.map(Cow::into_owned),
                    })
                    .collect(),
                opaque,
            }),
            Self::Result(call_id, tool, parts, is_error) => Message::Tool(ToolMessage {
                call_id: call_id.into_owned(),
                tool: tool.into_owned(),
                content: parts.into_iter().map(PartV1::into_part).collect(),
                is_error,
            }),
        }
    }
}

impl PartV1<'_> {
    fn into_part(self) -> Part {
        match self {
            Self::Text(text) => Part::Text { text: text.into_owned() },
            Self::Image(media_type, data) => {
                Part::Image { media_type: media_type.into_owned(), data: data.into_owned() }
            }
        }
    }
}
