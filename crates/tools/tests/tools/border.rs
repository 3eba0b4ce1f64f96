//! The way out of a sandbox: listed hosts, secrets that programs never see, and nothing else.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use masque_egress::{AddressPolicy, Event, Limits, Refusal, Resolver, Trust};
use masque_sandbox::{LandlockUse, Launcher};
use masque_tools::environment::{Border, EnvironmentSpec, HeldSecret};
use masque_types::{
    BoxFuture,
    persona::{Injection, McpServer, Persona, SecretGrant},
    policy::Policy,
    run::SandboxMode,
    secret::Secret,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use crate::{
    environment::{Stage, modes, persona, strange},
    support::text,
};

/// Where every name of the test leads to.
struct To(SocketAddr);

impl Resolver for To {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(vec![self.0]) })
    }
}

/// A host that answers every request with what it was sent.
struct Site {
    address: SocketAddr,
    authority: CertificateDer<'static>,
    requests: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Site {
    async fn new(names: &[&str]) -> Self {
        let mut root = CertificateParams::default();
        // Programs take a certificate that names its own issuer as its subject for one that signs itself.
        root.distinguished_name.push(rcgen::DnType::CommonName, "Authority of a test");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &root).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                connections.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    kept.lock().unwrap().push(head.clone());
                    let answer =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{head}", head.len());
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        let authority = root.der().clone();
        Self { address, authority, requests, _serving: serving }
    }

    fn border(&self, events: &Arc<Mutex<Vec<Event>>>) -> Border {
        let events = Arc::clone(events);
        Border {
            limits: Limits::STANDARD,
            addresses: AddressPolicy::AllowPrivate,
            trust: Trust::Roots(vec![self.authority.clone()]),
            resolver: Arc::new(To(self.address)),
            observe: Arc::new(move |event| events.lock().unwrap().push(event)),
        }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn held(name: &str, value: &str, hosts: &[&str]) -> HeldSecret {
    let inject = if hosts.is_empty() { Injection::Environment } else { Injection::Header };
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    HeldSecret { grant: SecretGrant { name: name.to_owned(), inject, hosts }, value: Secret::new(value) }
}

/// Whether sandboxes can have a network here; says why not.
pub(crate) fn can_broker(launcher: &Launcher) -> bool {
    let confines = modes(launcher).contains(&SandboxMode::Process);
    let has_device = std::path::Path::new("/dev/net/tun").exists();
    if confines && !has_device {
        assert!(option_env!("CI").is_none(), "/dev/net/tun is missing");
        println!("skipped: /dev/net/tun is missing");
    }
    confines && has_device
}

/// A request by a program of the sandbox that knows nothing of the broker.
fn request(url: &str, header: &str) -> String {
    format!(
        "/usr/bin/python3 -c 'import os, urllib.request as u
r = u.Request(\"{url}\", headers={{\"Authorization\": \"Bearer {header}\"}})
print(u.urlopen(r, timeout=30).read().decode())' 2>&1 | tail -n 20"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_to_its_host_and_programs_never_see_it() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    if !can_broker(&launcher) {
        return;
    }
    let site = Site::new(&["api.example.org", "other.example.org"]).await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let own = McpServer { secrets: vec!["OWNED".into(), "RAW".into()], ..strange("normal") };
    let mut persona = Persona { ..persona([("own", own), ("plain", strange("normal"))]) };
    persona.sandbox.hosts = vec!["api.example.org:443".into(), "other.example.org:443".into()];
    let secrets = vec![
        held("TOKEN", "canary-token-5d1f", &["api.example.org"]),
        held("OWNED", "canary-own-77aa", &["other.example.org"]),
        held("RAW", "canary-raw-0c3e", &[]),
    ];
    let border = site.border(&events);
    let policy = Policy::default();
    let adjust = |spec: &mut EnvironmentSpec<'_>| (spec.secrets, spec.border) = (secrets, border);
    let stage = Stage::with(&launcher, SandboxMode::Process, &persona, &policy, adjust).await;
    let notes = stage.diagnostics.iter().map(ToString::to_string).collect::<String>();
    assert!(notes.contains("`RAW` stands in the environment") && !notes.contains("canary"), "{notes}");

    // Every program has what is its own, under a placeholder of its own.
    let shell = stage.shell("env; cat /proc/[0-9]*/environ | tr '\\0' '\\n'").await;
    assert!(shell.contains("TOKEN=mq_") && !shell.contains("OWNED=") && !shell.contains("canary"), "{shell}");
    let values = text(&stage.call("mcp:own/values", json!({})).await);
    assert!(
        values.contains("OWNED=mq_") && values.contains("RAW=[secret RAW]") && !values.contains("TOKEN="),
        "{values}"
    );
    let plain = text(&stage.call("mcp:plain/values", json!({})).await);
    assert!(!["TOKEN=", "OWNED=", "RAW="].iter().any(|name| plain.contains(name)), "{plain}");

    // The host gets the value; what it sends back is scrubbed.
    let said = stage.shell(&request("https://api.example.org/x", "'$TOKEN'")).await;
    assert!(said.contains("GET /x HTTP/1.1") && said.contains("mq_") && !said.contains("canary"), "{said}");
    let sent = site.requests();
    assert!(sent.len() == 1 && sent[0].contains("Bearer canary-token-5d1f"), "{sent:?}");

    // A15: neither to another host nor in the address; A10: nothing that no rule lists.
    for (url, header) in [
        ("https://other.example.org/", "'$TOKEN'"),
        ("https://api.example.org/?q='$TOKEN'", "x"),
        ("https://evil.example.org/", "x"),
        ("https://1.1.1.1/", "x"),
    ] {
        let refused = stage.shell(&request(url, header)).await;
        assert!(refused.contains("rror") && !refused.contains("HTTP/1.1 200"), "{url}: {refused}");
    }
    assert!(site.requests().iter().all(|request| !request.contains("mq_")), "{:?}", site.requests());
    {
        let events = events.lock().unwrap();
        let used = Event::SecretUsed { name: "TOKEN".into(), host: "api.example.org".into() };
        assert!(events.contains(&used), "{events:?}");
        let misused = |event: &Event| matches!(event, Event::Refused { why: Refusal::Placeholder { name, .. }, .. } if name == "TOKEN");
        assert!(events.iter().filter(|event| misused(event)).count() >= 2, "{events:?}");
        assert!(!format!("{events:?}").contains("canary"));
    }

    // Taken back: no program reaches anything, and the one that saw a value is gone.
    stage.environment.revoke_secrets().await;
    let before = site.requests().len();
    let after = stage.shell(&request("https://api.example.org/", "'$TOKEN'")).await;
    assert!(!after.contains("HTTP/1.1"), "{after}");
    assert_eq!(site.requests().len(), before);
    assert!(text(&stage.call("mcp:own/values", json!({})).await).contains("closed"));
    stage.environment.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_of_hosts_there_is_no_way_out_and_no_secret() {
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    for mode in modes(&launcher) {
        let persona = persona([]);
        let policy = Policy::default();
        let adjust =
            |spec: &mut EnvironmentSpec<'_>| spec.secrets = vec![held("TOKEN", "canary", &["api.example.org"])];
        let stage = Stage::with(&launcher, mode, &persona, &policy, adjust).await;
        let notes = stage.diagnostics.iter().map(ToString::to_string).collect::<String>();
        assert!(notes.contains("`TOKEN` cannot be used") && notes.contains("net.allow"), "{mode:?}: {notes}");
        let environment = stage.shell("env").await;
        assert!(!environment.contains("TOKEN") && !environment.contains("canary"), "{environment}");
        stage.environment.close().await;
    }
}
