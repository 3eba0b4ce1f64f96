//! [`Ends`]: TLS 1.3 in which both sides show the raw public key of their host, and only known keys are believed.
//!
//! There are no names, authorities, dates and sessions to resume: a key is the whole identity ([RFC 7250]).
//!
//! [RFC 7250]: https://www.rfc-editor.org/rfc/rfc7250

use std::{collections::BTreeMap, sync::Arc};

use masque_home::identity::{KeyPair, PublicKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureAlgorithm,
    SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, Signer, SigningKey},
    version::TLS13,
};

use super::{Peer, Route, print_host_key};
use crate::Error;

/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const KEY_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// This host's ends of connections.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    key: PublicKey,
    own: Arc<CertifiedKey>,
    known: Arc<BTreeMap<PublicKey, usize>>,
    provider: Arc<CryptoProvider>,
    server: Arc<ServerConfig>,
}

impl Ends {
    /// Ends with that key, for those peers.
    pub(super) fn new(own: &KeyPair, peers: &[Peer]) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let public = own.public();
        let key = HostKey { pair: own.clone(), info: key_info(&own.public()) };
        let own = Arc::new(CertifiedKey::new(vec![CertificateDer::from(key.info.clone())], Arc::new(key)));
        let known = peers.iter().enumerate().filter_map(|(place, peer)| match &peer.route {
            Route::Tcp { key, .. } => Some((*key, place)),
            Route::Unix => None,
        });
        let known = Arc::new(known.collect::<BTreeMap<_, _>>());
        let verifier = Pinned { expected: known.keys().copied().collect(), provider: provider.clone() };
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(refused)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(own.clone())));
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self { key: public, own, known, provider, server: Arc::new(server) })
    }

    /// This host's key.
    pub(super) const fn own(&self) -> PublicKey {
        self.key
    }

    /// The end that accepts: any known key.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// The end that dials a peer: its key only.
    pub(super) fn client(&self, peer: usize) -> Result<Arc<ClientConfig>, Error> {
        let expected = self.known.iter().filter(|(_, place)| **place == peer).map(|(key, _)| *key).collect();
        let verifier = Pinned { expected, provider: self.provider.clone() };
        let mut client = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(refused)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(self.own.clone())));
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        Ok(Arc::new(client))
    }

    /// Whose key that is, which the handshake has checked.
    pub(super) fn peer(&self, shown: Option<&[CertificateDer<'_>]>) -> Option<usize> {
        let key = read_key(shown?.first()?)?;
        self.known.get(&key).copied()
    }
}

fn refused(error: rustls::Error) -> Error {
    Error::Talk(error.to_string())
}

fn key_info(key: &PublicKey) -> Vec<u8> {
    [&KEY_HEAD, key.as_bytes().as_slice()].concat()
}

fn read_key(info: &[u8]) -> Option<PublicKey> {
    let key = info.strip_prefix(&KEY_HEAD)?;
    Some(PublicKey::from_bytes(key.try_into().ok()?))
}

/// A host's key as TLS signs with it.
#[derive(Debug, Clone)]
struct HostKey {
    pair: KeyPair,
    info: Vec<u8>,
}

impl SigningKey for HostKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.info.as_slice()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for HostKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.pair.sign_bare(message).as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Believes these keys and nothing else.
#[derive(Debug)]
struct Pinned {
    expected: Vec<PublicKey>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn check(&self, shown: &[u8]) -> Result<(), rustls::Error> {
        let key = read_key(shown).ok_or(CertificateError::BadEncoding)?;
        if self.expected.contains(&key) {
            return Ok(());
        }
        let expected: Vec<String> = self.expected.iter().map(print_host_key).collect();
        let (shown, expected) = (print_host_key(&key), expected.join(" or "));
        Err(rustls::Error::General(format!("it showed the key {shown}; expected {expected}")))
    }

    fn check_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
    }
}

const OLD_VERSION: &str = "TLS 1.2 is not spoken here";

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _revocation: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General(OLD_VERSION.to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_signature(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _more: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General(OLD_VERSION.to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_signature(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
