//! `masque token`: shown once, listed without the secret, revoked.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn a_token_is_made_listed_and_revoked() {
    let masque = Masque::new();
    let made = masque.shell("masque token create laptop --expires 90d");
    let secret = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert!(secret.starts_with("mqt_") && secret.len() == 47, "{secret}");
    assert_snapshot!(masque.session(
        "masque token create laptop
         masque token create 'a b'
         masque token create old --expires soon
         masque token list | sed 's/tok_[0-9a-z]*/[token]/; s/in 8.d/in [days]/'
         masque token revoke laptop
         masque token revoke laptop
         masque token list | sed 's/tok_[0-9a-z]*/[token]/'
         masque audit tail -n 2 | grep -o 'token\\.[a-z]*'"
    ));
    let database = fs_err::read(masque.path("home/masque.db")).unwrap();
    let wal = fs_err::read(masque.path("home/masque.db-wal")).unwrap_or_default();
    let stored = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    assert!(!stored(&database) && !stored(&wal), "the secret itself is not stored");
    let json = masque.json("masque token list --json");
    assert!(json[0]["id"].as_str().unwrap().starts_with("tok_") && json[0].get("digest").is_none());
}
