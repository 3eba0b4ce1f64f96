//! Host names, parsed strictly before any rule looks at them: what two parsers could read differently is no name.
//!
//! Leaves out which names are allowed.

use std::fmt;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// A host name in lower case without a final dot: letters, digits and hyphens in labels that the domain name system
/// takes, internationalised ones as valid A-labels, and nothing that some program reads as an IP address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(String);

/// Why a text is no host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// More than 253 letters, or a label with more than 63.
    #[error("it is too long")]
    TooLong,
    /// Two dots in a row, or one at the beginning.
    #[error("a part between two dots is empty")]
    EmptyLabel,
    /// Something else than letters, digits, hyphens and dots.
    #[error("it has a letter that host names do not have; write names with other letters in their `xn--` form")]
    Letter,
    /// A label begins or ends with a hyphen.
    #[error("a part begins or ends with a hyphen")]
    Hyphen,
    /// A label begins with `xn--` and is not the one encoding of a name.
    #[error("a part that begins with `xn--` is not validly encoded")]
    Encoding,
    /// The last label is a number, so that programs read the whole as an IP address.
    #[error("it can be read as an IP address")]
    Number,
}

impl HostName {
    /// Reads a name. One final dot is taken away, capital letters become small ones.
    ///
    /// # Errors
    /// For whatever is not plainly a host name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > 253 {
            return Err(NameError::TooLong);
        }
        text.split('.').try_for_each(check_label)?;
        if text.rsplit('.').next().is_some_and(is_number) {
            return Err(NameError::Number);
        }
        let name = text.to_ascii_lowercase();
        check_encoding(&name)?;
        Ok(Self(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_label(label: &str) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if label.len() > 63 {
        return Err(NameError::TooLong);
    }
    if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(NameError::Letter);
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(NameError::Hyphen);
    }
    Ok(())
}

/// Whether programs take a name that ends so for an IPv4 address: decimal, octal or hexadecimal.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// An encoded label must be the one encoding of what it stands for.
fn check_encoding(name: &str) -> Result<(), NameError> {
    if !name.split('.').any(|label| label.starts_with("xn--")) {
        return Ok(());
    }
    // Hyphens in the third and fourth place occur in real names of servers.
    let encoded =
        Uts46::new().to_ascii(name.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify);
    match encoded {
        Ok(encoded) if encoded == name => Ok(()),
        _ => Err(NameError::Encoding),
    }
}
