//! Hand-off packages: what is packed is unpacked, old packages load, changed ones are refused.

#![expect(clippy::unwrap_used, reason = "tests fail by a panic")]

use std::path::PathBuf;

use masque_persona::handoff::{Artifact, Error, Handoff, MAX_DECODED_BYTES, Opened, ReplyTo, Source, decode, encode};
use masque_types::{
    child::Expected,
    digest::Digest,
    event::BlobRef,
    id::RunId,
    message::{AssistantMessage, Message, Part, ToolCall, ToolMessage},
    time::Timestamp,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const KEY: [u8; 32] = [7; 32];

/// A stand-in for a signature: nobody without the bytes makes the same.
fn sign(signed: &[u8]) -> [u8; 64] {
    let digest = Digest::of_parts([&KEY[..], signed]);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(digest.as_bytes());
    signature
}

fn verify(key: &[u8; 32], signed: &[u8], signature: &[u8; 64]) -> bool {
    *key == KEY && *signature == sign(signed)
}

fn packed(handoff: &Handoff) -> Vec<u8> {
    encode(handoff, &KEY, sign).unwrap()
}

fn handoff() -> Handoff {
    let call = ToolCall {
        id: "c1".into(),
        tool: "fs.read".into(),
        arguments: json!({ "path": "src/lib.rs", "limit": 20, "share": 0.5, "deep": [null, true, { "ü": "€" }] }),
        signature: Some("signed".into()),
    };
    let said = AssistantMessage {
        text: "I look.".into(),
        reasoning: Some("It may be there.".into()),
        calls: vec![call],
        opaque: Some(json!([{ "type": "thinking", "signature": "abc" }])),
    };
    let result = ToolMessage {
        call_id: "c1".into(),
        tool: "fs.read".into(),
        content: vec![
            Part::text("fn main() {}\n"),
            Part::Image { media_type: "image/png".into(), data: "AAAA".into() },
        ],
        is_error: true,
    };
    Handoff {
        task: "Mend the parser.".into(),
        source: Source {
            name: "architect".into(),
            digest: Some(Digest::of("architect")),
            run: Some(RunId::derive(&Digest::of("run"))),
        },
        target: "engineer".into(),
        history: vec![Message::user("Make it faster."), Message::Assistant(said), Message::Tool(result)],
        working_directory: "/home/ada/project".into(),
        environment: [("EDITION".to_owned(), "2024".to_owned())].into(),
        artifacts: vec![Artifact {
            path: "docs/plan.md".into(),
            content: BlobRef { digest: Digest::of("plan"), bytes: 4 },
        }],
        expected: Expected::Structured { schema: json!({ "type": "object" }) },
        reply_to: Some(ReplyTo { run: RunId::derive(&Digest::of("run")), call_id: "c7".into() }),
        timeout_ms: Some(60_000),
        created_at: Timestamp(1_800_000_000_000),
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    let part = prop_oneof![
        4 => ".{0,40}".prop_map(Part::text),
        1 => "[a-z/]{1,9}".prop_map(|data| Part::Image { media_type: "image/png".into(), data }),
    ];
    let parts = || prop::collection::vec(part.clone(), 0..3);
    let call = (".{0,8}", ".{0,8}", any_value(), prop::option::of(".{0,8}"))
        .prop_map(|(id, tool, arguments, signature)| ToolCall { id, tool, arguments, signature });
    let said = (".{0,40}", prop::option::of(".{0,20}"), prop::collection::vec(call, 0..3), any_value());
    prop_oneof![
        parts().prop_map(|content| Message::User { content }),
        said.prop_map(|(text, reasoning, calls, opaque)| {
            let opaque = Some(opaque).filter(|opaque| !opaque.is_null());
            Message::Assistant(AssistantMessage { text, reasoning, calls, opaque })
        }),
        (".{0,8}", ".{0,8}", parts(), any::<bool>()).prop_map(|(call_id, tool, content, is_error)| {
            Message::Tool(ToolMessage { call_id, tool, content, is_error })
        }),
    ]
}

fn golden() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/handoff-v1.msqh"))
}

#[test]
fn a_package_of_version_1_loads() {
    let opened = decode(&fs_err::read(golden()).unwrap(), verify).unwrap();
    assert_eq!(opened, Opened { handoff: handoff(), signed_by: KEY });
}

#[test]
#[ignore = "writes the golden file of a new version, once"]
fn write_the_golden_file() {
    assert!(!golden().exists(), "it is there already and stays");
    fs_err::write(golden(), packed(&handoff())).unwrap();
}

#[test]
fn every_changed_bit_and_every_cut_is_refused() {
    let whole = packed(&handoff());
    for place in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[place / 8] ^= 1 << (place % 8);
        assert!(decode(&changed, verify).is_err(), "bit {place}");
    }
    for end in 0..whole.len() {
        assert!(decode(&whole[..end], verify).is_err(), "cut at {end}");
    }
    let longer = [&whole[..], b"\0"].concat();
    assert_eq!(decode(&longer, verify), Err(Error::Signature));
}

#[test]
fn what_is_wrong_is_told() {
    let whole = packed(&handoff());
    let read = |bytes: &[u8]| decode(bytes, verify).unwrap_err();
    assert_eq!(read(b"{\"task\":1}"), Error::NotAPackage);
    let newer = [b"MSQH\x02", &whole[5..]].concat();
    assert_eq!(read(&newer), Error::Newer { found: 2, known: 1 });
    let signed = |packed: &[u8]| {
        let content = [&[1], packed].concat();
        [&b"MSQH\x01"[..], &KEY, &sign(&content), packed].concat()
    };
    // Correctly signed and still hostile: nothing is unpacked beyond the bound.
    let bomb = zstd::bulk::compress(&vec![0; MAX_DECODED_BYTES + 1], 1).unwrap();
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    assert!(matches!(read(&signed(&bomb)), Error::TooLarge { .. }));
    assert!(matches!(read(&signed(b"no frame")), Error::Damaged { .. }));
    assert!(matches!(read(&signed(&zstd::bulk::compress(b"\x01", 1).unwrap())), Error::Damaged { .. }));
    for path in ["../secret", "/etc/passwd", "a/../../b", ""] {
        let mut leaving = handoff();
        leaving.artifacts[0].path = path.into();
        assert!(matches!(read(&packed(&leaving)), Error::Damaged { .. }), "{path}");
    }
}

#[test]
fn the_briefing_says_what_belongs_to_the_task() {
    let briefing = masque_types::message::joined_text(&handoff().briefing());
    for text in
        ["Mend the parser.", "architect", "docs/plan.md (4 bytes)", "EDITION=2024", "Make it faster.", "fs.read"]
    {
        assert!(briefing.contains(text), "{text}: {briefing}");
    }
    assert!(briefing.starts_with("Mend the parser."), "the task comes first: {briefing}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_packed_is_unpacked(history in prop::collection::vec(any_message(), 0..12), task in ".{0,80}") {
        let handoff = Handoff { history, task, ..handoff() };
        prop_assert_eq!(decode(&packed(&handoff), verify).unwrap().handoff, handoff);
    }

    #[test]
    fn whatever_is_signed_is_read_or_refused(content in prop::collection::vec(any::<u8>(), 0..400)) {
        let packed = zstd::bulk::compress(&content, 1).unwrap();
        let signed = [&[1], &packed[..]].concat();
        let _ = decode(&[&b"MSQH\x01"[..], &KEY, &sign(&signed), &packed].concat(), verify);
    }
}
