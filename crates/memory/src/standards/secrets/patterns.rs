//! Keys by the shapes that their makers gave them.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::value::is_placeholder;

/// Kind, placeholder, pattern. The first group, if there is one, is the value.
const PATTERNS: &[(&str, &str, &str)] = &[
    ("AWS access key", "$AWS_ACCESS_KEY_ID", r"\b((?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16})\b"),
    ("GitHub token", "$GITHUB_TOKEN", r"(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})"),
    ("GitLab token", "$GITLAB_TOKEN", r"\b(gl(?:pat|ptt|dt|rt|cbt)-[A-Za-z0-9_-]{20,})"),
    ("Slack token", "$SLACK_TOKEN", r"\b(xox[abeoprs]-[0-9A-Za-z-]{16,})"),
    (
        "Slack webhook",
        "$SLACK_WEBHOOK_URL",
        r"(hooks\.slack\.com/services/T[0-9A-Z]{6,}/B[0-9A-Z]{6,}/[0-9A-Za-z]{16,})",
    ),
    ("Stripe key", "$STRIPE_API_KEY", r"\b((?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}|whsec_[0-9A-Za-z+/]{24,})"),
    ("Anthropic key", "$ANTHROPIC_API_KEY", r"\b(sk-ant-[A-Za-z0-9_-]{20,})"),
    ("OpenAI key", "$OPENAI_API_KEY", r"\b(sk-(?:proj-|svcacct-|admin-|or-v1-)?[A-Za-z0-9_-]{32,})"),
    ("Google API key", "$GOOGLE_API_KEY", r"\b(AIza[0-9A-Za-z_-]{35})"),
    ("Google token", "$GOOGLE_TOKEN", r"\b(ya29\.[0-9A-Za-z_-]{30,}|GOCSPX-[0-9A-Za-z_-]{24,})"),
    ("npm token", "$NPM_TOKEN", r"\b(npm_[A-Za-z0-9]{36})\b"),
    ("PyPI token", "$PYPI_TOKEN", r"\b(pypi-AgE[A-Za-z0-9_-]{50,})"),
    ("crates.io token", "$CARGO_REGISTRY_TOKEN", r"\b(cio[A-Za-z0-9]{32})\b"),
    ("Hugging Face token", "$HF_TOKEN", r"\b(hf_[A-Za-z0-9]{30,})\b"),
    ("SendGrid key", "$SENDGRID_API_KEY", r"\b(SG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{40,})"),
    ("DigitalOcean token", "$DIGITALOCEAN_TOKEN", r"\b(do[opr]_v1_[a-f0-9]{64})\b"),
    ("Telegram token", "$TELEGRAM_TOKEN", r"\b(\d{8,10}:AA[A-Za-z0-9_-]{33})\b"),
    ("Databricks token", "$DATABRICKS_TOKEN", r"\b(dapi[a-f0-9]{32})\b"),
    ("Shopify token", "$SHOPIFY_TOKEN", r"\b(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})\b"),
    ("HashiCorp Vault token", "$VAULT_TOKEN", r"\b(hv[sbr]\.[A-Za-z0-9_-]{24,})"),
    ("Azure storage key", "$AZURE_STORAGE_KEY", r"(?i)AccountKey=([A-Za-z0-9+/]{80,}={0,2})"),
    ("age key", "$AGE_KEY", r"\b(AGE-SECRET-KEY-1[0-9A-Z]{50,})"),
    ("private key", "$PRIVATE_KEY", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    ("JSON web token", "$JWT", r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,})"),
    (
        "password in a URL",
        "$DATABASE_URL",
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\x22`<>]*:([^\s/@'\x22`<>]{3,})@[^\s/]",
    ),
    (
        "authorization header",
        "$TOKEN",
        r"(?i)\b(?:authorization\s*[:=]\s*[\x22'`]?(?:bearer|basic|token)|x-api-key\s*:)\s+([A-Za-z0-9._~+/=-]{16,})",
    ),
];

/// Which patterns occur at all, in one pass.
static SET: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new(PATTERNS.iter().map(|(.., pattern)| pattern)).ok());

static ALL: LazyLock<Vec<Option<Regex>>> =
    LazyLock::new(|| PATTERNS.iter().map(|(.., pattern)| Regex::new(pattern).ok()).collect());

/// The keys in a line: kind and placeholder.
pub(super) fn known(line: &str) -> Vec<(String, String)> {
    let Some(set) = SET.as_ref() else { return Vec::new() };
    let mut found: Vec<(String, String)> = Vec::new();
    for place in set.matches(line) {
        let (Some((kind, placeholder, _)), Some(Some(regex))) = (PATTERNS.get(place), ALL.get(place)) else { continue };
        let is_real = regex.captures_iter(line).any(|captures| {
            captures.get(1).is_none_or(|value| !is_placeholder(value.as_str()) && !is_sample(kind, value.as_str()))
        });
        if is_real {
            found.push(((*kind).to_owned(), (*placeholder).to_owned()));
        }
    }
    // A key inside a header or a URL is told by its maker's name.
    if found.len() > 1 {
        found.retain(|(kind, _)| kind != "authorization header");
    }
    if found.iter().any(|(kind, _)| kind == "Anthropic key") {
        found.retain(|(kind, _)| kind != "OpenAI key");
    }
    found
}

/// Values that stand for a real one in every book.
fn is_sample(kind: &str, value: &str) -> bool {
    let value = value.to_lowercase();
    value.contains("example")
        || kind == "password in a URL"
            && ["password", "pass", "secret", "postgres", "root", "guest", "user", "admin", "pwd", "pw"]
                .contains(&value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(SET.is_some() && ALL.iter().all(Option::is_some));
    }
}
