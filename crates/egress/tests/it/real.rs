//! Real programs in real namespaces behind a real device.

use std::{
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use masque_egress::{Broker, DEVICE, Event, Refusal, Trust};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::AsyncWriteExt as _;

use crate::{
    secrets::{TestAuthority, VALUE, read_head, rule},
    site::{HostServer, Plan, read_all, within},
};

const NAMESPACE: &str = include_str!("namespace.py");

/// What the programs do; each line of the output is one finding.
const PROGRAMS: &str = r#"
import errno, os, socket, ssl, subprocess, urllib.request
def tell(name, *found): print(name, *found, flush=True)
def attempt(name, work):
    try: tell(name, work())
    except OSError as error: tell(name, errno.errorcode.get(error.errno, type(error).__name__))
    except Exception as error: tell(name, type(error).__name__)
def connect(host, port):
    with socket.create_connection((host, port), 30) as stream: return "connected"
def send(kind, protocol, to, data):
    with socket.socket(socket.AF_INET, kind, protocol) as stream: return stream.sendto(data, to)
curl = lambda *arguments: subprocess.run(["curl", "-sS", "-m", "60", *arguments], capture_output=True, text=True)
result = curl("http://plain.test/")
tell("curl-http", result.returncode, result.stdout.strip())
result = curl("-L", "http://plain.test/redirect")
tell("curl-redirect", result.returncode)
result = curl("--cacert", os.environ["HOST_CA"], "https://tls.test/")
tell("curl-tls", result.returncode, result.stdout.strip())
result = curl("--cacert", os.environ["BROKER_CA"], "-H", "authorization: Bearer " + os.environ["API_KEY"], "https://api.test/")
tell("curl-secret", result.returncode, result.stdout.strip())
context = ssl.create_default_context(cafile=os.environ["BROKER_CA"])
request = urllib.request.Request("https://api.test/", headers={"authorization": "Bearer " + os.environ["API_KEY"]})
attempt("python-secret", lambda: urllib.request.urlopen(request, context=context, timeout=60).read().decode().strip())
attempt("python-unlisted", lambda: connect("denied.test", 443))
attempt("raw-address", lambda: connect("1.1.1.1", 443))
attempt("raw-ipv6", lambda: connect("2606:4700::1111", 443))
attempt("port", lambda: connect("tls.test", 22))
attempt("nobody", lambda: connect("nobody.test", 5))
attempt("udp", lambda: send(socket.SOCK_DGRAM, 0, ("8.8.8.8", 53), b"query"))
attempt("icmp", lambda: send(socket.SOCK_RAW, socket.IPPROTO_ICMP, ("8.8.8.8", 0), b"\x08\0\xf7\xff\0\0\0\0"))
attempt("dns", lambda: socket.gethostbyname("Plain.Test.").startswith("198.18."))
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_know_nothing_of_the_broker_go_through_it() {
    let directory = tempfile::tempdir().unwrap();
    let Some((child, device, gate)) = start(directory.path()) else { return };
    within(drive(directory.path(), child, device, gate)).await;
}

async fn drive(directory: &Path, child: Child, device: OwnedFd, gate: UnixStream) {
    let (tls, api) = (TestAuthority::new(), TestAuthority::new());
    let plain_host = HostServer::new(|mut stream| async move {
        let head = read_head(&mut stream).await.unwrap();
        let answer = if head.starts_with("GET /redirect") {
            "HTTP/1.1 302 Found\r\nlocation: http://denied.test/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nplain\n"
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let tls_host = tls_host(&tls, "tls.test").await;
    let api_host = tls_host_that_echoes(&api).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fs_err::write(directory.join("host.pem"), tls.pem()).unwrap();

    let mut plan = Plan::new(&["plain.test:80", "tls.test", "api.test", "nobody.test:5"]);
    plan.secrets = vec![rule("key", VALUE, &["api.test"])];
    plan.trust = Trust::Roots(vec![api.certificate()]);
    let names: [(&str, SocketAddr); 4] = [
        ("plain.test", plain_host.address),
        ("tls.test", tls_host.address),
        ("api.test", api_host.address),
        ("nobody.test", nobody),
    ];
    let plan = names.into_iter().fold(plan, |plan, (name, address)| plan.name(name, address));
    let (spec, _names, told) = plan.spec();
    let broker = Broker::start(device, spec).unwrap();
    fs_err::write(directory.join("broker.pem"), broker.root_certificate()).unwrap();
    io::Write::write_all(&mut &gate, b"g").unwrap();

    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let findings: Vec<&str> = text.lines().collect();
    let expected = [
        "curl-http 0 plain",
        "curl-redirect 6",
        "curl-tls 0 tls.test",
        "curl-secret 0 Bearer mq_key_0123456789mq_key_0",
        "python-secret Bearer mq_key_0123456789mq_key_0",
        "python-unlisted gaierror",
        "raw-address ECONNREFUSED",
        "raw-ipv6 ENETUNREACH",
        "port ECONNREFUSED",
        "nobody ECONNREFUSED",
        "udp 5",
        "icmp 8",
        "dns True",
    ];
    assert_eq!(findings, expected, "{:?}", told.all());
    assert!(!text.contains(VALUE));
    let counters = broker.counters();
    assert_eq!(counters.dropped_packets, 2, "{:?}", told.refusals());
    assert!(told.refusals().contains(&("1.1.1.1:443".to_owned(), Refusal::NotListed)));
    let used = Event::SecretUsed { name: "key".to_owned(), host: "api.test".to_owned() };
    assert_eq!(told.all().into_iter().filter(|event| *event == used).count(), 2);
    broker.close().await;
}

async fn tls_host(authority: &TestAuthority, name: &'static str) -> HostServer {
    let acceptor = authority.acceptor(name);
    HostServer::new(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            read_head(&mut stream).await;
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{name}", name.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _closed = stream.shutdown().await;
            read_all(stream).await;
        }
    })
    .await
}

/// Answers with the authorization that it got, if that is the real one.
async fn tls_host_that_echoes(authority: &TestAuthority) -> HostServer {
    let acceptor = authority.acceptor("api.test");
    HostServer::new(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let head = read_head(&mut stream).await.unwrap_or_default().to_ascii_lowercase();
            let right = format!("Bearer {VALUE}");
            let text = if head.contains(&right.to_ascii_lowercase()) { right } else { "nothing".to_owned() };
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _closed = stream.shutdown().await;
            read_all(stream).await;
        }
    })
    .await
}

/// Starts the programs up to where they wait for the broker; none where this machine cannot do it.
#[expect(clippy::disallowed_methods, reason = "the programs run in namespaces of their own, which a script makes")]
fn start(directory: &Path) -> Option<(Child, OwnedFd, UnixStream)> {
    let file = |name: &str| directory.join(name);
    fs_err::write(file("namespace.py"), NAMESPACE).unwrap();
    fs_err::write(file("programs.py"), PROGRAMS).unwrap();
    fs_err::write(file("resolv.conf"), DEVICE.resolv_conf).unwrap();
    let (gate, inside) = UnixStream::pair().unwrap();
    let child = Command::new("python3")
        .arg(file("namespace.py"))
        .arg(file("resolv.conf"))
        .args(["python3".as_ref(), file("programs.py").as_os_str()])
        .env("API_KEY", "mq_key_0123456789")
        .env("HOST_CA", file("host.pem"))
        .env("BROKER_CA", file("broker.pem"))
        .stdin(OwnedFd::from(inside))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(child) = child else {
        skip("python3 cannot be started");
        return None;
    };
    match receive_device(&gate) {
        Some(device) => Some((child, device, gate)),
        None => {
            let output = child.wait_with_output().unwrap();
            skip(&format!("no device in a namespace: {}", String::from_utf8_lossy(&output.stderr)));
            None
        }
    }
}

fn receive_device(gate: &UnixStream) -> Option<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut messages = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(gate, &mut [io::IoSliceMut::new(&mut byte)], &mut messages, RecvFlags::CMSG_CLOEXEC).ok()?;
    let device = messages.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    })?;
    assert!(device.as_raw_fd() > 2);
    Some(device)
}

/// Says that the test is left out, and why; on the continuous checks that is a failure.
#[expect(clippy::disallowed_methods, reason = "tests learn from the environment whether they may be left out")]
fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must be able to do this: {reason}");
    eprintln!("skipped: {reason}");
}
