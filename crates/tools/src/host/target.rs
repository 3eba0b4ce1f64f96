//! From the text of an address to the host that may be connected to: strict parsing, one resolution, every address
//! checked. Leaves out the connection.

use std::net::{IpAddr, SocketAddr};

use masque_egress::{Resolver, forbidden_class};
use url::{Host, Url};

use crate::failure::{Failure, Outcome};

/// A checked address: connect to `addresses` and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) host: String,
    pub(super) addresses: Vec<SocketAddr>,
}

/// Parses strictly: what two parsers could read differently is refused before anything else looks at it.
///
/// # Errors
/// For anything but a plain http or https address.
pub(super) fn parse(text: &str) -> Outcome<Url> {
    let refuse = |why: &str| Failure::new(format!("the address is not accepted: {why}"));
    if text.chars().any(|letter| letter.is_control() || letter.is_whitespace() || letter == '\\') {
        return Err(refuse("it contains white space, control characters or a backslash; write them percent-encoded"));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| refuse("it must begin with https:// or http://"))?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(refuse("only https:// and http:// are fetched"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Browsers' rules skip further slashes, and then what stands behind them is the authority.
    if authority.is_empty() {
        return Err(refuse("it has no host"));
    }
    if authority.contains(['@', '%']) {
        return Err(refuse("it must not contain a user name, a password or encoded letters before the path"));
    }
    let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
    let written = if authority.starts_with('[') {
        authority
    } else {
        authority.split_once(':').map_or(authority, |(host, _)| host)
    };
    match url.host() {
        None => Err(refuse("it has no host")),
        Some(Host::Ipv4(address)) if address.to_string() != written => {
            Err(refuse("write the IP address as four decimal numbers"))
        }
        Some(Host::Domain(name)) if name.ends_with('.') => Err(refuse("write the host without a final dot")),
        Some(_) => Ok(url),
    }
}

/// Resolves the host once and checks every address that it has.
///
/// # Errors
/// When the host has no address, or one that is not public and not in `allowed`.
pub(super) async fn check(url: Url, resolver: &dyn Resolver, allowed: &[SocketAddr]) -> Outcome<Target> {
    let port = url.port_or_known_default().unwrap_or(443);
    let literal = |address: IpAddr| (address.to_string(), vec![SocketAddr::new(address, port)]);
    let (host, addresses) = match url.host() {
        Some(Host::Ipv4(address)) => literal(address.into()),
        Some(Host::Ipv6(address)) => literal(address.into()),
        Some(Host::Domain(name)) => (name.to_owned(), resolved(name, port, resolver).await?),
        None => return Err(Failure::new("the address has no host")),
    };
    for address in &addresses {
        if let Some(class) = forbidden_class(address.ip()).filter(|_| !allowed.contains(address)) {
            return Err(Failure::new(format!(
                "`{host}` is not fetched: {} is {class}; only public addresses are reached by this tool",
                address.ip()
            )));
        }
    }
    Ok(Target { url, host, addresses })
}

async fn resolved(name: &str, port: u16, resolver: &dyn Resolver) -> Outcome<Vec<SocketAddr>> {
    let addresses = resolver
        .resolve(name, port)
        .await
        .map_err(|error| Failure::new(format!("the host `{name}` was not found: {error}; check its spelling")))?;
    if addresses.is_empty() {
        return Err(Failure::new(format!("the host `{name}` has no address; check its spelling")));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_of_refused_addresses() {
        let refused = [
            "",
            "example.com",
            "file:///etc/passwd",
            "javascript://x",
            "ftp://example.com/",
            "http:/example.com",
            "http://",
            "http:///example.com/",
            "http:///-@a#",
            "http://user@example.com/",
            "http://a:b@example.com/",
            "http://evil\0.example.com/",
            "http://example.com\\@127.0.0.1/",
            "http://example.com./",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://017700000001/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://exa mple.com/",
            "http://exam\tple.com/",
            "http://１２７.0.0.1/",
            "http://[::1",
            "http://a:99999/",
        ];
        for text in refused {
            assert!(parse(text).is_err(), "{text:?}");
        }
        for text in [
            "https://example.com/a?b=1#c",
            "HTTP://Example.COM:8080/",
            "http://bücher.example/",
            "http://[2606:4700::1111]/",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        assert_eq!(parse("http://bücher.example/").unwrap().host_str(), Some("xn--bcher-kva.example"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_gives_only_plain_addresses(text in "(http|https|HTTP)?:?/{0,3}[a-z0-9@:.%\\[\\]/\\\\?#-]{0,30}") {
            if let Ok(url) = parse(&text) {
                prop_assert!(matches!(url.scheme(), "http" | "https"));
                prop_assert!(url.username().is_empty() && url.password().is_none() && url.host().is_some());
            }
        }
    }
}
