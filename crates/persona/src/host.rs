//! Hosts and ports as persona files name them.
//!
//! Leaves out reaching them.

/// The port of a host without one.
const DEFAULT_PORT: &str = "443";

const HOW: &str = "write `zenodo.org:443`, `*.example.org`, or `*` for the whole network";

/// `host[:port]`, where the host may begin with `*.`, as `host:port` in lower case. The error is a hint.
pub(crate) fn pattern(text: &str) -> Result<String, &'static str> {
    let text = text.trim().to_ascii_lowercase();
    if text.contains("://") || text.contains('/') {
        return Err("name the host only, without `https://` and without a path");
    }
    let (host, port) = text.split_once(':').unwrap_or((&text, DEFAULT_PORT));
    let name = host.strip_prefix("*.").unwrap_or(host);
    let dotted = name.contains('.') || host == name;
    if !is_host(name) || !dotted {
        return Err(HOW);
    }
    match port.parse::<u16>() {
        Ok(number) if number > 0 && !port.starts_with('+') => Ok(format!("{host}:{number}")),
        _ => Err("a port is a number between 1 and 65535"),
    }
}

/// One host without port and pattern, in lower case. The error is a hint.
pub(crate) fn exact(text: &str) -> Result<String, &'static str> {
    let text = text.trim().to_ascii_lowercase();
    if text.contains('*') {
        return Err("name each host: a pattern could mean a host of somebody else");
    }
    if is_host(&text) { Ok(text) } else { Err("name the host only, without scheme, port and path: `api.example.org`") }
}

/// Whether a pattern of [`pattern`] means a host, on any port.
pub(crate) fn covers(pattern: &str, host: &str) -> bool {
    let (name, _) = pattern.rsplit_once(':').unwrap_or((pattern, ""));
    match name.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => name == host,
    }
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=253).contains(&name.len()) && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_brought_into_one_form() {
        for (text, expected) in [
            ("zenodo.org", Some("zenodo.org:443")),
            ("Zenodo.org:8443", Some("zenodo.org:8443")),
            ("*.example.org", Some("*.example.org:443")),
            ("localhost:80", Some("localhost:80")),
            ("192.0.2.1:80", Some("192.0.2.1:80")),
            ("https://zenodo.org", None),
            ("zenodo.org/path", None),
            ("*.org", None),
            ("*", None),
            ("a.*.org", None),
            ("zenodo.org:0", None),
            ("zenodo.org:70000", None),
            ("zenodo.org:+80", None),
            ("zenodo..org", None),
            ("[::1]:80", None),
            ("", None),
        ] {
            assert_eq!(pattern(text).ok().as_deref(), expected, "{text}");
        }
        assert!(covers("*.example.org:443", "a.example.org") && !covers("*.example.org:443", "example.org"));
        assert!(!covers("*.example.org:443", "badexample.org") && covers("a.org:1", "a.org"));
        assert!(exact("api.example.org").is_ok() && exact("a.org:443").is_err() && exact("*.a.org").is_err());
    }
}
