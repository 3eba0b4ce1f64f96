//! Secrets and their placeholders: which host a secret is bound to, putting values in, and finding placeholders where they
//! may not be.

use std::borrow::Cow;

use aho_corasick::AhoCorasick;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{Error, HostName, Refusal, Rules, SecretRule, scrub::Scrubber};

/// Shorter placeholders could be met by chance.
const PLACEHOLDER_LENGTH: usize = 16;

/// Shorter values would be found everywhere in answers.
const VALUE_LENGTH: usize = 6;

/// The secrets of a broker.
pub(crate) struct Secrets {
    bound: Vec<Bound>,
    placeholders: Option<AhoCorasick>,
    longest: usize,
}

struct Bound {
    rule: SecretRule,
    hosts: Rules,
}

/// A header's value with secrets in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Swapped {
    pub(crate) value: Vec<u8>,
    /// The names of the secrets.
    pub(crate) names: Vec<String>,
}

impl Secrets {
    pub(crate) fn new(rules: Vec<SecretRule>) -> Result<Self, Error> {
        for (index, rule) in rules.iter().enumerate() {
            let others = rules.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
            check(rule, others)
                .map_err(|problem| Error::Secret { name: rule.name.clone(), problem: problem.to_owned() })?;
        }
        let placeholders = rules.iter().map(|rule| rule.placeholder.clone()).collect::<Vec<_>>();
        let longest = placeholders.iter().map(String::len).max().unwrap_or_default();
        let bound = rules
            .into_iter()
            .map(|rule| Ok(Bound { hosts: Rules::parse(&rule.hosts)?, rule }))
            .collect::<Result<_, Error>>()?;
        let placeholders = if placeholders.is_empty() { None } else { Some(automaton(&placeholders)?) };
        Ok(Self { bound, placeholders, longest })
    }

    /// Whether TLS to this host must end in the broker.
    pub(crate) fn are_bound(&self, host: &HostName, port: u16) -> bool {
        self.bound.iter().any(|bound| bound.hosts.allows(host, port))
    }

    /// The name of the secret whose placeholder is in the bytes.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<&str> {
        let found = self.placeholders.as_ref()?.find(bytes)?;
        self.bound.get(found.pattern().as_usize()).map(|bound| bound.rule.name.as_str())
    }

    /// Puts the values of secrets that are bound to the host into a header's value; `None` when no placeholder is in it.
    /// Placeholders are found in user names and passwords of basic authentication (RFC 7617) as well.
    pub(crate) fn put_in(&self, value: &[u8], host: &HostName, port: u16) -> Result<Option<Swapped>, Refusal> {
        if let Some(swapped) = self.swap(value, host, port)? {
            return Ok(Some(swapped));
        }
        let Some((scheme, encoded)) = split_basic(value) else { return Ok(None) };
        let Ok(decoded) = STANDARD.decode(encoded) else { return Ok(None) };
        let Some(swapped) = self.swap(&decoded, host, port)? else { return Ok(None) };
        let value = [scheme, STANDARD.encode(&swapped.value).as_bytes()].concat();
        Ok(Some(Swapped { value, ..swapped }))
    }

    fn swap(&self, value: &[u8], host: &HostName, port: u16) -> Result<Option<Swapped>, Refusal> {
        let Some(placeholders) = &self.placeholders else { return Ok(None) };
        let mut swapped = Swapped { value: Vec::new(), names: Vec::new() };
        let mut at = 0;
        for found in placeholders.find_iter(value) {
            let Some(bound) = self.bound.get(found.pattern().as_usize()) else { continue };
            if !bound.hosts.allows(host, port) {
                let name = bound.rule.name.clone();
                return Err(Refusal::Placeholder { name, place: "in a header for a host that it is not bound to" });
            }
            swapped.value.extend(value.get(at..found.start()).unwrap_or_default());
            swapped.value.extend(bound.rule.value.expose().as_bytes());
            if !swapped.names.contains(&bound.rule.name) {
                swapped.names.push(bound.rule.name.clone());
            }
            at = found.end();
        }
        swapped.value.extend(value.get(at..).unwrap_or_default());
        Ok((!swapped.names.is_empty()).then_some(swapped))
    }

    /// Looks for placeholders in a stream of bytes.
    pub(crate) fn sentinel(&self, place: &'static str) -> Sentinel<'_> {
        Sentinel { secrets: self, place, tail: Vec::new() }
    }

    /// Takes the values of secrets that are bound to the host out of what it answers.
    pub(crate) fn scrubber(&self, host: &HostName, port: u16) -> Result<Scrubber, Refusal> {
        let bound = self.bound.iter().filter(|bound| bound.hosts.allows(host, port));
        Scrubber::new(bound.map(|bound| (bound.rule.value.expose(), bound.rule.placeholder.as_str())))
    }
}

fn automaton(placeholders: &[String]) -> Result<AhoCorasick, Error> {
    AhoCorasick::new(placeholders)
        .map_err(|error| Error::Secret { name: "all together".to_owned(), problem: error.to_string() })
}

fn check<'a>(rule: &SecretRule, mut others: impl Iterator<Item = &'a SecretRule>) -> Result<(), &'static str> {
    let value = rule.value.expose();
    let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if rule.placeholder.len() < PLACEHOLDER_LENGTH || !is_visible(&rule.placeholder) {
        return Err("its placeholder must be at least 16 visible ASCII letters");
    }
    if others.any(|other| other.placeholder.contains(&rule.placeholder)) {
        return Err("its placeholder is a part of another one");
    }
    if value.len() < VALUE_LENGTH {
        return Err("its value is too short to be recognised in answers; secrets have at least 6 letters");
    }
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("its value has control characters, which no header takes");
    }
    if rule.hosts.is_empty() {
        return Err("it is bound to no host");
    }
    Ok(())
}

/// The scheme with the space behind it, and what is encoded.
fn split_basic(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then_some((scheme, encoded.trim_ascii()))
}

/// Finds placeholders in bytes that come in pieces.
pub(crate) struct Sentinel<'a> {
    secrets: &'a Secrets,
    place: &'static str,
    /// The end of what came before, one byte less than the longest placeholder.
    tail: Vec<u8>,
}

impl Sentinel<'_> {
    /// Whether the next bytes may leave.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let Some(keep) = self.secrets.longest.checked_sub(1) else { return Ok(()) };
        let border = bytes.get(..keep.min(bytes.len())).unwrap_or_default();
        let across: Cow<'_, [u8]> =
            if self.tail.is_empty() { Cow::Borrowed(&[]) } else { [&self.tail, border].concat().into() };
        if let Some(name) = self.secrets.find(&across).or_else(|| self.secrets.find(bytes)) {
            return Err(Refusal::Placeholder { name: name.to_owned(), place: self.place });
        }
        self.tail.extend(bytes.get(bytes.len().saturating_sub(keep)..).unwrap_or_default());
        let surplus = self.tail.len().saturating_sub(keep);
        self.tail.drain(..surplus);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use masque_types::secret::Secret;

    fn secrets() -> Secrets {
        let rule = |name: &str, hosts: &[&str]| SecretRule {
            placeholder: format!("mq_{name}_0123456789abcdef"),
            value: Secret::new(format!("value-of-{name}")),
            name: name.to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        Secrets::new(vec![rule("one", &["api.example.org"]), rule("two", &["*.example.net:8443"])]).unwrap()
    }

    fn host(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[test]
    fn values_go_only_to_bound_hosts() {
        let (secrets, one, two) = (secrets(), host("api.example.org"), host("a.example.net"));
        let value = b"Bearer mq_one_0123456789abcdef";
        let swapped = secrets.put_in(value, &one, 443).unwrap().unwrap();
        assert_eq!(swapped, Swapped { value: b"Bearer value-of-one".to_vec(), names: vec!["one".to_owned()] });
        for (name, port) in [(&two, 8443), (&one, 8443), (&host("example.org"), 443)] {
            assert!(matches!(secrets.put_in(value, name, port), Err(Refusal::Placeholder { .. })), "{name}:{port}");
        }
        assert_eq!(secrets.put_in(b"Bearer mq_one_0123456789abcde", &one, 443).unwrap(), None);
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text)).into_bytes();
        let swapped = secrets.put_in(&basic("me:mq_one_0123456789abcdef"), &one, 443).unwrap().unwrap();
        assert_eq!(swapped.value, basic("me:value-of-one"));
        assert!(secrets.put_in(&basic("me:mq_two_0123456789abcdef"), &one, 443).is_err());
    }

    #[test]
    fn a_placeholder_is_found_however_it_is_cut() {
        let secrets = secrets();
        let text = b"some text before mq_two_0123456789abcdef and after";
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut sentinel = secrets.sentinel("there");
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert!(pieces.iter().any(|piece| sentinel.check(piece).is_err()), "{first} {second}");
            }
        }
    }

    #[test]
    fn what_cannot_work_is_an_error() {
        let rule = |placeholder: &str, value: &str, host: &str| SecretRule {
            placeholder: placeholder.to_owned(),
            value: Secret::new(value),
            name: "key".to_owned(),
            hosts: vec![host.to_owned()],
        };
        let good = "mq_0123456789abcdef";
        for (placeholder, value, host) in [
            ("mq_short", "long enough", "a.org"),
            ("mq_0123456789 abcdef", "long enough", "a.org"),
            (good, "tiny!", "a.org"),
            (good, "two\r\nlines", "a.org"),
            (good, "long enough", "https://a.org"),
        ] {
            let error = Secrets::new(vec![rule(placeholder, value, host)]).err().unwrap();
            assert!(!error.to_string().contains(value), "{error}");
        }
        let twice = vec![rule(good, "long enough", "a.org"), rule(good, "another one", "b.org")];
        assert!(Secrets::new(twice).is_err());
    }
}
