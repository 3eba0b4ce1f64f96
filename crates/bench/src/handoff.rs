//! A hand-off package beside JSON: its size, and how long packing and unpacking take.

use std::{collections::BTreeMap, hint::black_box, time::Instant};

use anyhow::Context as _;
use masque_home::identity::{KeyPair, PublicKey, Signature};
use masque_persona::handoff::{Handoff, PURPOSE, Source, decode, encode};
use masque_types::{
    child::Expected,
    message::{AssistantMessage, Message, Part, ToolCall, ToolMessage},
    time::Timestamp,
};
use serde_json::json;

use crate::{
    figures::{Row, Section, Unit},
    statistics::{median, real},
};

const MESSAGES: usize = 10_000;
const ROUNDS: usize = 15;

/// Measures packages of a long conversation.
pub(crate) fn measure() -> anyhow::Result<Section> {
    let handoff = handoff();
    let key = KeyPair::from_seed(&[7; 32]);
    let pack = || encode(&handoff, key.public().as_bytes(), |signed| *key.sign(PURPOSE, signed).as_bytes());
    let package = pack()?;
    let text = serde_json::to_vec(&handoff)?;
    let packing = timed(|| pack().map(drop).map_err(Into::into))?;
    let unpacking = timed(|| {
        decode(black_box(&package), |key, signed, signature| {
            PublicKey::from_bytes(*key).verifies(PURPOSE, signed, &Signature::from_bytes(*signature))
        })
        .map(drop)
        .map_err(Into::into)
    })?;
    let writing = timed(|| serde_json::to_vec(&handoff).map(drop).map_err(Into::into))?;
    // The history is what is large; the rest has no reader of its own.
    let history = serde_json::to_vec(&handoff.history)?;
    let reading = timed(|| serde_json::from_slice::<Vec<Message>>(black_box(&history)).map(drop).map_err(Into::into))?;
    let squeezing = timed(|| {
        let text = serde_json::to_vec(&handoff)?;
        zstd::bulk::compress(&text, 1).map(drop).context("zstd")
    })?;
    let squeezed = zstd::bulk::compress(&text, 1)?.len();
    Ok(Section {
        title: "Hand-off",
        command: "make bench ARGS=handoff",
        about: format!(
            "A package with a conversation of {MESSAGES} messages: answers with calls, results of source code, words of \
             people. Packing is encoding, compressing and signing; unpacking is verifying, decompressing and decoding. \
             JSON is neither compressed nor signed. Medians of {ROUNDS}."
        ),
        rows: vec![
            Row::new("size", Unit::Bytes, real(package.len() as u64))
                .at_most(real(text.len() as u64) * 0.4)
                .beside("JSON", Ok(real(text.len() as u64)))
                .beside("JSON in zstd", Ok(real(squeezed as u64))),
            Row::new("packing", Unit::Milliseconds, packing)
                .beside("JSON", Ok(writing))
                .beside("JSON in zstd, unsigned", Ok(squeezing)),
            Row::new("unpacking", Unit::Milliseconds, unpacking)
                .at_most(reading / 3.0)
                .beside("JSON, the history only", Ok(reading)),
        ],
    })
}

/// The middle of some rounds, in milliseconds.
fn timed(work: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let rounds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        work()?;
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    });
    Ok(median(rounds.collect::<anyhow::Result<_>>()?))
}

fn handoff() -> Handoff {
    Handoff {
        task: "Go on with the parser.".to_owned(),
        source: Source { name: "architect".to_owned(), digest: None, run: None },
        target: "engineer".to_owned(),
        history: (0..MESSAGES).map(message).collect(),
        working_directory: "/home/ada/project".to_owned(),
        environment: BTreeMap::new(),
        artifacts: Vec::new(),
        expected: Expected::Text,
        reply_to: None,
        timeout_ms: None,
        created_at: Timestamp(1_800_000_000_000),
    }
}

fn message(n: usize) -> Message {
    // A fixed mixing of the number, so that texts differ as those of a conversation do.
    let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
    let path = format!("crates/part{}/src/file{}.rs", mixed % 17, mixed % 231);
    match n % 4 {
        0 => Message::user(format!("Look at line {} of {path}: why does it say \"{:x}\"?", mixed % 900, mixed)),
        1 => Message::Assistant(AssistantMessage {
            text: format!("I read {path} from line {} on.", mixed % 800),
            calls: vec![ToolCall {
                id: format!("call_{mixed:016x}"),
                tool: "fs.read".to_owned(),
                arguments: json!({ "path": path, "offset": mixed % 800, "limit": 40 }),
                signature: None,
            }],
            ..AssistantMessage::default()
        }),
        2 => Message::Tool(ToolMessage {
            call_id: format!("call_{mixed:016x}"),
            tool: "fs.read".to_owned(),
            content: vec![Part::text(source(mixed))],
            is_error: false,
        }),
        _ => Message::Assistant(AssistantMessage {
            text: format!(
                "The value \"{mixed:x}\" comes from `load`:\n\n```rust\nlet value = load({})?;\n```\n",
                mixed % 99
            ),
            ..AssistantMessage::default()
        }),
    }
}

/// Some lines that look like source code.
fn source(mixed: u64) -> String {
    let line = |n: u64| {
        let value = mixed.rotate_left(u32::try_from(n).unwrap_or(0) * 5);
        format!(
            "{:>5}\t    let field_{} = table.get(\"{:x}\").map(|entry| entry.value + {});\n",
            n,
            value % 61,
            value,
            value % 977
        )
    };
    (1..=12).map(line).collect()
}
