//! Secrets in a text: keys by the shapes that their makers gave them, and values that look drawn at random where a word
//! beside them says that they are secret.
//!
//! A finding names line and kind and what to write instead; it never holds the value.

mod patterns;
mod value;

use serde::Serialize;

use super::finding::numbered;

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leak {
    /// Its line, from 1.
    pub line: u32,
    /// What it looks like: `GitHub token`.
    pub kind: String,
    /// What to write in its place: `$GITHUB_TOKEN`.
    pub placeholder: String,
}

/// The secrets in a text, one for each line and kind.
#[must_use]
pub fn scan(text: &str) -> Vec<Leak> {
    let mut leaks: Vec<Leak> = Vec::new();
    for (line, content) in numbered(text) {
        let known = patterns::known(content);
        // What has a maker's shape is not told a second time by its surroundings.
        let guessed = if known.is_empty() { value::assigned(content) } else { Vec::new() };
        for (kind, placeholder) in known.into_iter().chain(guessed) {
            let leak = Leak { line, kind, placeholder };
            if !leaks.contains(&leak) {
                leaks.push(leak);
            }
        }
    }
    leaks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<String> {
        scan(text).into_iter().map(|leak| format!("{} {}", leak.kind, leak.placeholder)).collect()
    }

    /// Put together here, so that no scanner of repositories takes this file for a leak.
    fn joined(parts: &[&str]) -> String {
        parts.concat()
    }

    #[test]
    fn keys_of_well_known_makers_are_found() {
        let word = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5hJ7kL9";
        for (text, kind) in [
            (joined(&["AKIA", "Q3EGRAB5XWKPLTZ7"]), "AWS access key $AWS_ACCESS_KEY_ID"),
            (joined(&["ghp", "_", &word[..36]]), "GitHub token $GITHUB_TOKEN"),
            (joined(&["glpat", "-", &word[..20]]), "GitLab token $GITLAB_TOKEN"),
            (joined(&["xoxb", "-1234567890-", &word[..24]]), "Slack token $SLACK_TOKEN"),
            (joined(&["sk", "_live_", &word[..24]]), "Stripe key $STRIPE_API_KEY"),
            (joined(&["sk-ant", "-api03-", word]), "Anthropic key $ANTHROPIC_API_KEY"),
            (joined(&["sk-proj", "-", word]), "OpenAI key $OPENAI_API_KEY"),
            (joined(&["AIza", "Sy", &word[..33]]), "Google API key $GOOGLE_API_KEY"),
            (joined(&["npm", "_", &word[..36]]), "npm token $NPM_TOKEN"),
            (joined(&["hf", "_", &word[..34]]), "Hugging Face token $HF_TOKEN"),
            (joined(&["-----BEGIN RSA ", "PRIVATE KEY-----"]), "private key $PRIVATE_KEY"),
            (joined(&["postgres://app:", "s3cr3tPass", "@db.internal/app"]), "password in a URL $DATABASE_URL"),
            (joined(&["Authorization: Bearer ", word]), "authorization header $TOKEN"),
            (joined(&["eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxMjM0NTY3ODkwIn0", ".", word]), "JSON web token $JWT"),
        ] {
            assert_eq!(kinds(&format!("a line\nuse {text} here")), [kind], "{kind}");
            assert_eq!(scan(&format!("a line\nuse {text} here"))[0].line, 2);
        }
    }

    #[test]
    fn values_beside_a_word_that_says_secret_are_found() {
        for (text, placeholder) in [
            ("password=abc123", "$PASSWORD"),
            ("DB_PASSWORD: \"hunter2!x\"", "$DB_PASSWORD"),
            ("const apiKey = 'q8Zr4Tn1Vb6Xc3Wd'", "$API_KEY"),
            ("client_secret: 7fK2pQ9xLmN4vR8tYw3zB6", "$CLIENT_SECRET"),
            ("export SESSION_TOKEN=f3a9c1d47be852006a8d9e1f", "$SESSION_TOKEN"),
        ] {
            let found = scan(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].placeholder, placeholder);
            assert!(!format!("{found:?}").contains("hunter2"), "never the value");
        }
    }

    #[test]
    fn placeholders_references_and_code_are_none() {
        for text in [
            "password=$DB_PASSWORD",
            "password: ${DB_PASSWORD}",
            "API_KEY=<your key>",
            "token: {{ vault.token }}",
            "secret = os.environ[\"SECRET\"]",
            "let token = env::var(\"TOKEN\")?;",
            "password: String,",
            "token: &str",
            "api_key: required",
            "Authorization: Bearer <token>",
            "Authorization: Bearer $TOKEN",
            "password=********",
            "postgres://user:password@localhost/db",
            "postgres://app:$PASSWORD@db/app",
            "https://example.org/a:b@c",
            "secret: projects/app/secrets/db",
            "the token is checked in `auth.rs`",
            "token_count = 128000",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "AKIAIOSFODNN7EXAMPLE",
            "password = getpass()",
            "max_tokens: 4096",
            "secrets: [GITHUB_TOKEN]",
            "token: sk-xxxxxxxxxxxxxxxxxxxxxxxx",
            "Stored in AWS Secrets Manager under prod/db/password.",
            "password = bcrypt::hash(input)",
            "auth: oauth2",
            "key: 0123456789",
            "api-key-header = X-Api-Key",
            "SECRET=changeme",
            "private_key_path: /etc/keys/app.pem",
        ] {
            assert!(scan(text).is_empty(), "{text}: {:?}", scan(text));
        }
    }

    #[test]
    fn the_books_of_this_repository_hold_none() {
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let mut pages = vec![root.join("README.md"), root.join("ARCHITECTURE.md"), root.join("CONTRIBUTING.md")];
        for directory in ["docs/src", "crates/persona/bundled"] {
            let entries = fs_err::read_dir(root.join(directory)).unwrap();
            pages.extend(entries.map(|entry| entry.unwrap().path()));
        }
        // The page about standards shows what is refused.
        pages.retain(|page| {
            page.extension().is_some_and(|extension| extension == "md") && !page.ends_with("standards.md")
        });
        for page in pages {
            let leaks = scan(&fs_err::read_to_string(&page).unwrap());
            assert!(leaks.is_empty(), "{}: {leaks:?}", page.display());
        }
    }

    proptest! {
        #[test]
        fn prose_is_no_secret(words in proptest::collection::vec("[a-zA-Z]{1,14}[,.:;]?", 1..30)) {
            prop_assert!(scan(&words.join(" ")).is_empty());
        }

        #[test]
        fn a_random_key_is_found_wherever_it_stands(key in "[A-Za-z0-9]{36}", before in "[ a-z`\"(]{0,20}", after in "[ \"`).,]?") {
            let text = format!("{before} {}{key}{after}", joined(&["ghp", "_"]));
            prop_assert_eq!(kinds(&text), ["GitHub token $GITHUB_TOKEN"]);
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC{0,200}") {
            let _ = scan(&text);
        }
    }
}
