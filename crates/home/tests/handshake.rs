//! The handshake against an attacker who may change, repeat, delay, reroute and invent messages.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by a panic")]

use std::{collections::BTreeMap, time::Duration};

use masque_home::{
    handshake::{
        AwaitingGrant, Initiator, Limits, Platform, Random, Refusal, Request, Responder, SignedCapability, Terms, Use,
    },
    identity::{Card, Entry, Identity, KeyPair, PublicKey, Registry, SignedCard, Succession},
    name::Name,
};
use masque_types::{digest::Digest, time::Timestamp};
use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// An installation with one persona, and the randomness of a test.
struct World {
    installation: KeyPair,
    registry: Registry,
    identity: Identity,
    random: StdRng,
}

fn card(name: &str, key: PublicKey, version: u64, icon: &str) -> Card {
    Card {
        name: Name::of_persona(name).unwrap(),
        version,
        file: Digest::of("file"),
        icon: Some(Digest::of(icon)),
        public_key: key,
        key_epoch: 1,
        issued_at: NOW,
    }
}

fn entry(card: &SignedCard) -> Entry {
    Entry { card: card.clone(), successions: Vec::new(), icon_shape: None }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let installation = KeyPair::from_seed(&random.random());
        let key = KeyPair::from_seed(&random.random());
        let card = SignedCard::sign(card("architect", key.public(), 2, "icon"), &installation).unwrap();
        let mut registry = Registry::default();
        registry.register(entry(&card)).unwrap();
        Self { installation, registry, identity: Identity { key, card }, random }
    }

    fn random(&mut self) -> Random {
        Random { nonce: self.random.random(), ephemeral: self.random.random() }
    }

    fn responder(&mut self) -> Responder {
        let terms = Terms {
            server: "masque".into(),
            epoch: 7,
            audiences: vec!["tools".into()],
            life: Duration::from_secs(3600),
            limits: Limits { per_persona: u32::MAX, altogether: u32::MAX, open_challenges: 1 << 20 },
        };
        Responder::new(self.installation.clone(), terms, &self.random.random())
    }

    fn platform(&self) -> Platform {
        Platform { server: "masque".into(), key: self.installation.public(), epoch: 7 }
    }

    /// HELLO, CHALLENGE and PROOF of an honest initiator with some identity.
    fn run(&mut self, responder: &mut Responder, identity: &Identity) -> Transcript {
        let (initiator, hello) = Initiator::start(identity, request(), channel(), &self.random());
        let challenge = responder.challenge(&hello, channel(), NOW, &self.random()).unwrap();
        let (waiting, proof) = initiator.answer(&challenge, &self.platform()).unwrap();
        Transcript { waiting, hello, challenge, proof }
    }

    fn refusal(&mut self, identity: &Identity) -> Refusal {
        let mut responder = self.responder();
        let transcript = self.run(&mut responder, identity);
        self.grant(&mut responder, &transcript.proof, NOW).unwrap_err()
    }

    fn grant(&self, responder: &mut Responder, proof: &[u8], now: Timestamp) -> Result<Vec<u8>, Refusal> {
        let granted = responder.grant(&self.registry, proof, channel(), &["read".into(), "admin".into()], now, [7; 24]);
        granted.map(|granted| granted.grant)
    }
}

struct Transcript {
    waiting: AwaitingGrant,
    hello: Vec<u8>,
    challenge: Vec<u8>,
    proof: Vec<u8>,
}

fn request() -> Request {
    Request { audience: "tools".into(), scopes: vec!["read".into(), "write".into()] }
}

fn channel() -> Digest {
    Digest::of("peer 7 on socket 3")
}

#[test]
fn an_honest_handshake_ends_in_a_capability_of_minutes_for_the_common_scopes() {
    let mut world = World::new(1);
    let mut responder = world.responder();
    let identity = world.identity.clone();
    let transcript = world.run(&mut responder, &identity);
    let grant = world.grant(&mut responder, &transcript.proof, NOW).unwrap();
    let signed = transcript.waiting.finish(&grant, NOW).unwrap();
    let capability = signed.capability();
    assert_eq!(
        (capability.scopes.as_slice(), capability.persona.as_str()),
        (["read".to_owned()].as_slice(), "architect")
    );
    assert_eq!(capability.expires_at.since(NOW), Duration::from_secs(300), "an hour was configured");

    let (platform, key, request) = (world.installation.public(), identity.key.public(), Digest::of("GET /x"));
    let signature = signed.sign_use(&identity.key, &request);
    let claim = Use {
        platform: &platform,
        audience: "tools",
        scope: "read",
        request: &request,
        key: &key,
        signature: &signature,
        now: NOW,
    };
    assert_eq!(SignedCapability::decode(&signed.encode()).unwrap().check(&claim), Ok(()));
    let thief = KeyPair::random();
    let (theirs, stolen) = (thief.public(), signed.sign_use(&thief, &request));
    for (claim, refusal) in [
        (Use { scope: "write", ..claim }, Refusal::OutOfScope),
        (Use { audience: "vault", ..claim }, Refusal::OutOfScope),
        (Use { now: NOW.plus(Duration::from_secs(300)), ..claim }, Refusal::Expired),
        (Use { request: &Digest::of("GET /y"), ..claim }, Refusal::BadSignature),
        (Use { key: &theirs, signature: &stolen, ..claim }, Refusal::BadSignature),
        (Use { platform: &theirs, ..claim }, Refusal::BadSignature),
    ] {
        assert_eq!(signed.check(&claim), Err(refusal));
    }
}

#[test]
fn each_way_to_be_wrong_has_its_name() {
    let mut world = World::new(2);
    let mut responder = world.responder();
    let own = world.identity.clone();
    let transcript = world.run(&mut responder, &own);
    world.grant(&mut responder, &transcript.proof, NOW).unwrap();
    assert_eq!(world.grant(&mut responder, &transcript.proof, NOW), Err(Refusal::Replayed));
    let mut other = world.responder();
    assert_eq!(world.grant(&mut other, &transcript.proof, NOW), Err(Refusal::Unknown), "of another process");

    let late = world.run(&mut responder, &own);
    assert_eq!(world.grant(&mut responder, &late.proof, NOW.plus(Duration::from_secs(30))), Err(Refusal::Expired));

    let moved = world.run(&mut responder, &own);
    let elsewhere = responder.grant(&world.registry, &moved.proof, Digest::of("another socket"), &[], NOW, [0; 24]);
    assert_eq!(elsewhere, Err(Refusal::WrongChannel));

    let with = |card: Card, signer: &KeyPair, key: &KeyPair| Identity {
        key: key.clone(),
        card: SignedCard::sign(card, signer).unwrap(),
    };
    let (installation, key) = (world.installation.clone(), own.key.clone());
    let forger = KeyPair::random();
    let cases = [
        (with(card("stranger", key.public(), 2, "icon"), &installation, &key), Refusal::Unknown),
        (with(card("architect", key.public(), 2, "another"), &installation, &key), Refusal::WrongIcon),
        (with(card("architect", key.public(), 1, "icon"), &installation, &key), Refusal::WrongVersion),
        (with(card("architect", forger.public(), 2, "icon"), &forger, &forger), Refusal::BadSignature),
        (Identity { key: forger, card: own.card.clone() }, Refusal::BadSignature),
    ];
    for (identity, refusal) in cases {
        assert_eq!(world.refusal(&identity), refusal);
    }
    world.registry.revoke("architect", key.public(), NOW, "lost", &installation);
    assert_eq!(world.refusal(&own), Refusal::Revoked);
}

#[test]
fn a_challenge_of_another_platform_is_not_answered() {
    let mut world = World::new(3);
    let mut responder = world.responder();
    let identity = world.identity.clone();
    let (start, random) = (world.random(), world.random());
    let hello_of = || Initiator::start(&identity, request(), channel(), &start);
    let challenge = responder.challenge(&hello_of().1, channel(), NOW, &random).unwrap();
    let platform = world.platform();
    let refused = |challenge: &[u8], platform: &Platform| hello_of().0.answer(challenge, platform).err();
    assert_eq!(refused(&challenge, &platform), None);
    let other_key = Platform { key: KeyPair::random().public(), ..platform.clone() };
    assert_eq!(refused(&challenge, &other_key), Some(Refusal::BadSignature));
    let other_name = Platform { server: "other".into(), ..platform.clone() };
    assert_eq!(refused(&challenge, &other_name), Some(Refusal::BadSignature));
    let newer = Platform { epoch: 8, ..platform.clone() };
    assert_eq!(refused(&challenge, &newer), Some(Refusal::WrongVersion));
    let relayed = Initiator::start(&identity, request(), Digest::of("the relay's socket"), &start).0;
    assert_eq!(relayed.answer(&challenge, &platform).err(), Some(Refusal::BadSignature));
}

#[test]
fn attempts_are_limited_per_persona_altogether_and_at_once() {
    let mut world = World::new(4);
    let limited = |limits| Terms {
        server: "masque".into(),
        epoch: 7,
        audiences: Vec::new(),
        life: Duration::from_secs(60),
        limits,
    };
    let many = Limits { per_persona: 100, altogether: 100, open_challenges: 100 };
    for limits in
        [Limits { per_persona: 3, ..many }, Limits { altogether: 3, ..many }, Limits { open_challenges: 3, ..many }]
    {
        let mut responder = Responder::new(world.installation.clone(), limited(limits), &[1; 32]);
        let random = world.random();
        let hello = Initiator::start(&world.identity, request(), channel(), &random).1;
        for _ in 0..3 {
            assert!(responder.challenge(&hello, channel(), NOW, &world.random()).is_ok());
        }
        assert_eq!(responder.challenge(&hello, channel(), NOW, &world.random()), Err(Refusal::RateLimited));
        let later = NOW.plus(Duration::from_secs(61));
        assert!(responder.challenge(&hello, channel(), later, &world.random()).is_ok());
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let mut world = World::new(5);
    let mut responder = world.responder();
    let identity = world.identity.clone();
    let (start, second) = (world.random(), world.random());
    let platform = world.platform();
    let honest = || Initiator::start(&identity, request(), channel(), &start);
    let (_, hello) = honest();
    let challenge = responder.challenge(&hello, channel(), NOW, &second).unwrap();
    let (_, proof) = honest().0.answer(&challenge, &platform).unwrap();
    let ready = responder.clone();
    let grant = world.grant(&mut responder, &proof, NOW).unwrap();
    for bit in 0..challenge.len() * 8 {
        assert!(honest().0.answer(&flipped(&challenge, bit), &platform).is_err(), "challenge, bit {bit}");
    }
    for bit in 0..proof.len() * 8 {
        assert!(world.grant(&mut ready.clone(), &flipped(&proof, bit), NOW).is_err(), "proof, bit {bit}");
    }
    for bit in 0..grant.len() * 8 {
        let (waiting, _) = honest().0.answer(&challenge, &platform).unwrap();
        assert!(waiting.finish(&flipped(&grant, bit), NOW).is_err(), "grant, bit {bit}");
    }
    for bit in 0..hello.len() * 8 {
        let mut responder = world.responder();
        // The honest side never answers a challenge to another HELLO; an attacker repeats what it once signed.
        if let Ok(other) = responder.challenge(&flipped(&hello, bit), channel(), NOW, &second) {
            assert!(honest().0.answer(&other, &platform).is_err(), "hello, bit {bit}");
            assert!(world.grant(&mut responder, &proof, NOW).is_err(), "hello, bit {bit}");
        }
    }
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// What an attacker does to a message that it saw.
fn mutate(random: &mut StdRng, message: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    let place = random.random_range(0..bytes.len());
    match random.random_range(0..7) {
        0 => bytes[place] ^= 1 << random.random_range(0..8),
        1 => bytes[place] = random.random(),
        2 => bytes.truncate(place),
        3 => bytes.extend(std::iter::repeat_n(0, random.random_range(1..9))),
        4 => {
            let end = place.min(other.len());
            bytes[..end].copy_from_slice(&other[..end]);
        }
        5 => {
            let until = random.random_range(place..bytes.len());
            random.fill_bytes(&mut bytes[place..=until]);
        }
        _ => {
            let from = random.random_range(0..bytes.len());
            let length = random.random_range(1..65).min(bytes.len() - from.max(place));
            bytes.copy_within(from..from + length, place);
        }
    }
    bytes
}

#[test]
fn none_of_a_hundred_thousand_attacked_transcripts_is_accepted() {
    let counts = std::thread::scope(|scope| {
        let halves = [11, 12].map(|seed| scope.spawn(move || attack(seed, 50_000)));
        halves.map(|half| half.join().unwrap())
    });
    let mut seen = BTreeMap::new();
    for (refusal, count) in counts.into_iter().flatten() {
        *seen.entry(refusal).or_insert(0) += count;
    }
    let expected = [
        Refusal::Malformed,
        Refusal::Unknown,
        Refusal::Revoked,
        Refusal::WrongIcon,
        Refusal::WrongVersion,
        Refusal::WrongChannel,
        Refusal::BadSignature,
        Refusal::Expired,
        Refusal::Replayed,
    ];
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), expected, "{seen:?}");
    assert_eq!(seen.values().sum::<u32>(), 100_000);
}

/// Runs attacks against fresh and used challenges; how often which refusal was the answer. Panics on a grant.
fn attack(seed: u64, count: u32) -> BTreeMap<Refusal, u32> {
    let mut world = World::new(seed);
    let own = world.identity.clone();
    let thief = KeyPair::from_seed(&world.random.random());
    let mut seen = BTreeMap::new();
    let mut ready = world.responder();
    let mut transcript = world.run(&mut ready, &own);
    let mut earlier = transcript.proof.clone();
    for round in 0..count {
        if round % 500 == 0 {
            earlier = std::mem::take(&mut transcript.proof);
            ready = world.responder();
            transcript = world.run(&mut ready, &own);
        }
        let mut responder = ready.clone();
        let refusal = match world.random.random_range(0..20) {
            0 => attacked_hello(&mut world, &transcript, &own),
            1 => {
                let icon = if world.random.random() { "icon" } else { "stolen" };
                let card = card("architect", own.key.public(), world.random.random_range(0..4), icon);
                let signer = if world.random.random() { world.installation.clone() } else { thief.clone() };
                let forged = SignedCard::sign(card, &signer).unwrap();
                if forged == own.card {
                    world.refusal(&Identity { key: thief.clone(), card: forged })
                } else {
                    world.refusal(&Identity { key: own.key.clone(), card: forged })
                }
            }
            2 => {
                let mut registry = world.registry.clone();
                registry.revoke("architect", own.key.public(), NOW, "lost", &world.installation);
                responder.grant(&registry, &transcript.proof, channel(), &[], NOW, [0; 24]).unwrap_err()
            }
            3 => {
                let late = NOW.plus(Duration::from_millis(world.random.random_range(30_000..1_000_000)));
                world.grant(&mut responder, &transcript.proof, late).unwrap_err()
            }
            4 => {
                let elsewhere = Digest::of(world.random.random::<[u8; 8]>());
                let granted = responder.grant(&world.registry, &transcript.proof, elsewhere, &[], NOW, [0; 24]);
                granted.unwrap_err()
            }
            5 => {
                world.grant(&mut responder, &transcript.proof, NOW).unwrap();
                world.grant(&mut responder, &transcript.proof, NOW).unwrap_err()
            }
            _ => {
                let mut proof = mutate(&mut world.random, &transcript.proof, &earlier);
                if proof == transcript.proof {
                    proof.push(0);
                }
                world.grant(&mut responder, &proof, NOW).unwrap_err()
            }
        };
        *seen.entry(refusal).or_insert(0) += 1;
    }
    seen
}

/// A changed HELLO, answered with a proof that was made for the true one.
fn attacked_hello(world: &mut World, transcript: &Transcript, own: &Identity) -> Refusal {
    let mut hello = mutate(&mut world.random, &transcript.hello, &transcript.challenge);
    if hello == transcript.hello {
        hello.push(0);
    }
    let mut responder = world.responder();
    let random = world.random();
    let challenge = match responder.challenge(&hello, channel(), NOW, &random) {
        Ok(challenge) => challenge,
        Err(refusal) => return refusal,
    };
    let honest = Initiator::start(own, request(), channel(), &world.random()).0;
    assert!(honest.answer(&challenge, &world.platform()).is_err());
    // The nonce is right, the signature is for another transcript.
    let mut proof = transcript.proof.clone();
    proof[5..37].copy_from_slice(&random.nonce);
    world.grant(&mut responder, &proof, NOW).unwrap_err()
}

#[test]
fn a_registry_knows_who_signed_what() {
    let mut world = World::new(6);
    let (installation, old) = (world.installation.clone(), world.identity.key.clone());
    assert!(world.registry.faults(&installation.public()).is_empty());
    let new = KeyPair::random();
    let succession = Succession::new("architect", &old, new.public(), 2, NOW, &installation);
    assert!(succession.holds("architect", &installation.public()));
    for wrong in [
        Succession { epoch: 3, ..succession.clone() },
        Succession { new: KeyPair::random().public(), ..succession.clone() },
        Succession { at: Timestamp(0), ..succession.clone() },
    ] {
        assert!(!wrong.holds("architect", &installation.public()));
    }
    assert!(!succession.holds("engineer", &installation.public()));
    world.registry.revoke("architect", old.public(), NOW, "lost", &KeyPair::random());
    assert_eq!(world.registry.faults(&installation.public()).len(), 1);
    let twin = SignedCard::sign(card("archi-tect", new.public(), 1, "x"), &installation).unwrap();
    assert!(world.registry.register(entry(&twin)).unwrap_err().to_string().contains("looks like `architect`"));
    let same = SignedCard::sign(card("engineer", new.public(), 1, "icon"), &installation).unwrap();
    assert!(world.registry.register(entry(&same)).unwrap_err().to_string().contains("icon looks like"));
}
