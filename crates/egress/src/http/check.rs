//! Whether a request may leave: for the right host, without placeholders where they may not be; and putting secrets in.

use super::{
    Exchange,
    head::{Header, Headers, Request},
};
use crate::{Event, HostName, Refusal, rules::Host};

/// Checks a request and makes it what is sent.
pub(super) fn check(exchange: &Exchange<'_>, request: &mut Request) -> Result<(), Refusal> {
    if request.method.eq_ignore_ascii_case("CONNECT") {
        return Err(Refusal::Http("this is no proxy: connect to the host itself".to_owned()));
    }
    check_host(exchange, request)?;
    check_target(exchange, request)?;
    keep_only_websocket(&mut request.headers);
    if exchange.puts_secrets_in {
        put_secrets_in(exchange, request)?;
        // In what is compressed, secrets cannot be found.
        request.headers.remove("accept-encoding");
        request.headers.remove("sec-websocket-extensions");
        request.headers.add("accept-encoding", "identity");
    } else {
        refuse_placeholders(exchange, &request.headers)?;
    }
    Ok(())
}

/// One Host header, and it says where the connection leads.
fn check_host(exchange: &Exchange<'_>, request: &Request) -> Result<(), Refusal> {
    let hosts: Vec<&[u8]> = request.headers.all("host").collect();
    match hosts.as_slice() {
        [host] => check_authority(exchange, &String::from_utf8_lossy(host)),
        _ => Err(Refusal::Http("a request needs exactly one Host header".to_owned())),
    }
}

fn check_authority(exchange: &Exchange<'_>, authority: &str) -> Result<(), Refusal> {
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let right_port = port.is_none_or(|port| port == exchange.destination.port.to_string());
    let right_host = match &exchange.destination.host {
        Host::Name(name) => HostName::parse(host).as_ref() == Ok(name),
        Host::Address(address) => host == address.to_string(),
    };
    if right_port && right_host { Ok(()) } else { Err(Refusal::OtherName { asked: authority.to_owned() }) }
}

/// The target is a path, or an address of the same host, and has no placeholder in it.
fn check_target(exchange: &Exchange<'_>, request: &Request) -> Result<(), Refusal> {
    let target = request.target.as_str();
    if let Some((scheme, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) {
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(Refusal::Http("the target of the request is no path".to_owned()));
        }
        check_authority(exchange, rest.split(['/', '?', '#']).next().unwrap_or_default())?;
    } else if !(target.starts_with('/') || (target == "*" && request.method == "OPTIONS")) {
        return Err(Refusal::Http("the target of the request is no path".to_owned()));
    }
    for text in [target.as_bytes().to_vec(), percent_decoded(target.as_bytes())] {
        if let Some(name) = exchange.context.secrets.find(&text) {
            return Err(Refusal::Placeholder { name: name.to_owned(), place: "in an address" });
        }
    }
    Ok(())
}

/// Other protocols than WebSocket would have to be understood.
fn keep_only_websocket(headers: &mut Headers) {
    let wants_websocket = headers.all("upgrade").all(|value| value.eq_ignore_ascii_case(b"websocket"));
    if !wants_websocket {
        headers.remove("upgrade");
    }
    headers.remove("te");
}

fn put_secrets_in(exchange: &Exchange<'_>, request: &mut Request) -> Result<(), Refusal> {
    let Host::Name(host) = &exchange.destination.host else { return Ok(()) };
    let mut used = Vec::new();
    for header in &mut request.headers.0 {
        refuse_in_name(exchange, header)?;
        if !carries_credentials(&header.name) {
            refuse_in_value(exchange, header, "in a header that is not for credentials")?;
            continue;
        }
        if let Some(swapped) = exchange.context.secrets.put_in(&header.value, host, exchange.destination.port)? {
            header.value = swapped.value;
            used.extend(swapped.names);
        }
    }
    used.sort_unstable();
    used.dedup();
    for name in used {
        exchange.context.observer.tell(Event::SecretUsed { name, host: exchange.destination.host.text() });
    }
    Ok(())
}

fn refuse_placeholders(exchange: &Exchange<'_>, headers: &Headers) -> Result<(), Refusal> {
    for header in &headers.0 {
        refuse_in_name(exchange, header)?;
        refuse_in_value(exchange, header, "in a header, without encryption")?;
    }
    Ok(())
}

/// Whether a header is one that servers read credentials from and do not keep: what they keep beside a stored object
/// could be read again from elsewhere.
fn carries_credentials(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_kept = name.contains("-meta-");
    let speaks_of_keys = ["key", "token", "secret", "auth"].iter().any(|word| name.ends_with(word));
    name == "authorization" || (speaks_of_keys && !is_kept)
}

fn refuse_in_value(exchange: &Exchange<'_>, header: &Header, place: &'static str) -> Result<(), Refusal> {
    match exchange.context.secrets.find(&header.value) {
        Some(name) => Err(Refusal::Placeholder { name: name.to_owned(), place }),
        None => Ok(()),
    }
}

fn refuse_in_name(exchange: &Exchange<'_>, header: &Header) -> Result<(), Refusal> {
    match exchange.context.secrets.find(header.name.as_bytes()) {
        Some(name) => Err(Refusal::Placeholder { name: name.to_owned(), place: "in a header's name" }),
        None => Ok(()),
    }
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let code = (*first == b'%').then(|| Some(digit(behind.first())? * 16 + digit(behind.get(1))?)).flatten();
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(byte) => {
                decoded.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_into_headers_for_credentials_only() {
        for name in ["Authorization", "X-Api-Key", "api-key", "PRIVATE-TOKEN", "x-goog-api-key", "X-Auth-Token"] {
            assert!(carries_credentials(name), "{name}");
        }
        for name in ["X-Amz-Meta-Token", "Content-Type", "User-Agent", "Cookie", "x-goog-meta-key", "If-Match"] {
            assert!(!carries_credentials(name), "{name}");
        }
    }
}
