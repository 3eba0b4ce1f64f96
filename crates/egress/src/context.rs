//! What all connections of a broker share.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use rustls::ClientConfig;

use crate::{
    AddressPolicy, BrokerSpec, Error, Limits, Refusal, Resolver, Rules, Trust,
    authority::{Authority, provider},
    counters::Counting,
    names::NamePool,
    observer::Observer,
    quota::Window,
    secrets::Secrets,
};

/// The broker's rules, what it counts, and what it hands out.
pub(crate) struct Context {
    pub(crate) rules: Rules,
    pub(crate) secrets: Secrets,
    pub(crate) limits: Limits,
    pub(crate) addresses: AddressPolicy,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) observer: Observer,
    pub(crate) counting: Counting,
    pub(crate) bytes_out: Window,
    pub(crate) dns_queries: Window,
    pub(crate) authority: Authority,
    names: Mutex<NamePool>,
    trust: Trust,
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Context {
    pub(crate) fn new(spec: BrokerSpec) -> Result<Self, Error> {
        Ok(Self {
            rules: spec.rules,
            secrets: Secrets::new(spec.secrets)?,
            limits: spec.limits,
            addresses: spec.addresses,
            resolver: spec.resolver,
            observer: Observer::new(spec.observe),
            counting: Counting::default(),
            bytes_out: Window::new(spec.limits.bytes_out_per_minute),
            dns_queries: Window::new(spec.limits.dns_queries_per_minute.into()),
            authority: Authority::new()?,
            names: Mutex::default(),
            trust: spec.trust,
            tls: OnceLock::new(),
        })
    }

    pub(crate) fn names(&self) -> MutexGuard<'_, NamePool> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How TLS to real hosts is spoken. Made when it is needed first: reading this machine's certificates takes a while.
    pub(crate) fn tls(&self) -> Result<Arc<ClientConfig>, Refusal> {
        self.tls.get_or_init(|| client_config(&self.trust)).clone().map_err(Refusal::Tls)
    }
}

fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, String> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match trust {
        Trust::Platform => builder.with_platform_verifier().map_err(|error| error.to_string())?,
        Trust::Roots(roots) => {
            let mut store = rustls::RootCertStore::empty();
            store.add_parsable_certificates(roots.iter().cloned());
            builder.with_root_certificates(store)
        }
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A failed read or write as what the audit log says of it.
pub(crate) fn broken(error: &io::Error) -> Refusal {
    Refusal::Broken(error.to_string())
}
