//! The broker's own certificate authority: one certificate for each host whose TLS ends in the broker.
//!
//! Keys are made in memory and never leave it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::{Error, HostName};

/// Certificates are kept for so many hosts; a program can ask for more only under a pattern.
const KEPT: usize = 1024;

/// Signs for hosts.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    host_key: KeyPair,
    configs: Mutex<HashMap<HostName, Arc<ServerConfig>>>,
}

/// The one cryptography that this program uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Authority {
    pub(crate) fn new() -> Result<Self, Error> {
        let failed = |error: rcgen::Error| Error::Certificates(error.to_string());
        let mut params = params("Masque egress broker");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(params, key).map_err(failed)?,
            host_key: KeyPair::generate().map_err(failed)?,
            configs: Mutex::default(),
        })
    }

    pub(crate) fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// How to speak TLS as the host with this name.
    pub(crate) fn config_for(&self, name: &HostName) -> Result<Arc<ServerConfig>, String> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(name) {
            return Ok(Arc::clone(config));
        }
        if configs.len() >= KEPT {
            configs.clear();
        }
        let config = Arc::new(self.make_config(name)?);
        configs.insert(name.clone(), Arc::clone(&config));
        Ok(config)
    }

    fn make_config(&self, name: &HostName) -> Result<ServerConfig, String> {
        let mut params = params(name.as_str());
        params.subject_alt_names =
            vec![rcgen::SanType::DnsName(name.as_str().try_into().map_err(|error: rcgen::Error| error.to_string())?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.host_key, &self.issuer).map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.host_key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key))
            .map_err(|error| error.to_string())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The years do not matter: the keys are gone with the broker. They are such that every program can read them.
fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    // Common names have at most 64 letters; the name that counts is the alternative one.
    params.distinguished_name.push(DnType::CommonName, common_name.chars().take(64).collect::<String>());
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params
}
