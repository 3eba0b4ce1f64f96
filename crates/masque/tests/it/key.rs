//! `masque key`: keys of providers, sealed.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn a_key_is_sealed_used_and_removed_and_never_shown() {
    let masque = Masque::new();
    let session = masque.session(
        "printf 'sk-hunter2\\n' | masque key set anthropic
         masque key list
         masque doctor | grep anthropic
         masque key set nobody < /dev/null
         masque key set openai < /dev/null
         masque audit tail | sed 's/^.*UTC  //'
         masque key remove anthropic
         masque key list
         masque key remove anthropic",
    );
    assert!(!session.replace("printf 'sk-hunter2", "").contains("hunter2"), "{session}");
    for entry in fs_err::read_dir(masque.path("home")).unwrap() {
        let bytes = fs_err::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    }
    assert_snapshot!(session, @r#"
    $ printf 'sk-hunter2\n' | masque key set anthropic
    ! the key of anthropic is sealed
    $ masque key list
    anthropic
    $ masque doctor | grep anthropic
      ok     anthropic                     key from the sealed store
    $ masque key set nobody < /dev/null
    ! error: there is no provider `nobody`
    ! hint: known: anthropic, cerebras, deepseek, fireworks, gemini, groq, llamacpp, lmstudio, mistral, ollama, openai, openrouter, together, vllm, xai
    [exit 2]
    $ masque key set openai < /dev/null
    ! error: the key is empty or holds white space
    ! hint: paste the key alone, on one line
    [exit 2]
    $ masque audit tail | sed 's/^.*UTC  //'
    #  AT                       ACTOR        ACTION   TARGET     DETAIL
    user:tester  key.set  anthropic  {}
    $ masque key remove anthropic
    ! the key of anthropic is removed
    $ masque key list
    $ masque key remove anthropic
    ! error: there is no sealed key for `anthropic`
    ! hint: `masque key list` shows which there are
    [exit 2]
    "#);
}

#[test]
fn keys_are_rotated_put_under_a_passphrase_and_back_in_a_file() {
    let mut masque = Masque::new();
    masque.shell("printf 'sk-hunter2\\n' | masque key set anthropic; printf 'hunter3\\n' | masque secret set TOKEN");
    masque.shell("masque persona backup tester; masque persona identity tester");
    let well = "masque doctor | grep -o 'anthropic .*'
                masque persona health tester | grep -c good";
    let mut session = masque.session(&format!(
        "masque key rotate
         {well}
         echo short | masque key passphrase
         echo 'correct horse battery' | masque key passphrase
         test -e $MASQUE_HOME/seal.key
         masque persona verify tester"
    ));
    masque.set("MASQUE_SEAL_PASSPHRASE", "correct horse battery");
    session += &masque.session(&format!(
        "{well}
         masque key passphrase --remove
         ls $MASQUE_HOME/seal.key"
    ));
    masque.unset("MASQUE_SEAL_PASSPHRASE");
    session += &masque.session(&format!(
        "{well}
         masque audit tail | grep -o 'key.rotate.*'"
    ));
    assert_snapshot!(session, @r#"
    $ masque key rotate
    ! everything is sealed with new keys
    $ masque doctor | grep -o 'anthropic .*'
    anthropic                     key from the sealed store
    $ masque persona health tester | grep -c good
    4
    $ echo short | masque key passphrase
    ! error: the passphrase has less than 12 characters
    ! hint: take several words that do not belong together
    [exit 2]
    $ echo 'correct horse battery' | masque key passphrase
    ! everything is sealed with new keys
    ! from now on Masque needs the passphrase: set MASQUE_SEAL_PASSPHRASE
    $ test -e $MASQUE_HOME/seal.key
    [exit 1]
    $ masque persona verify tester
    ! error: everything is sealed with a passphrase, and none was given
    ! hint: set MASQUE_SEAL_PASSPHRASE to the passphrase
    [exit 5]
    $ masque doctor | grep -o 'anthropic .*'
    anthropic                     key from the sealed store
    $ masque persona health tester | grep -c good
    4
    $ masque key passphrase --remove
    ! everything is sealed with new keys
    $ ls $MASQUE_HOME/seal.key
    [home]/seal.key
    $ masque doctor | grep -o 'anthropic .*'
    anthropic                     key from the sealed store
    $ masque persona health tester | grep -c good
    4
    $ masque audit tail | grep -o 'key.rotate.*'
    key.rotate        vault      {"moved":5,"root":"renewed"}
    key.rotate        vault      {"moved":5,"root":"passphrase"}
    key.rotate        vault      {"moved":5,"root":"file"}
    "#);
}
