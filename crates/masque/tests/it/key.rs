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
