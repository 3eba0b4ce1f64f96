//! `masque doctor`: what the machine can do and which models can be asked.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn models_store_configuration_and_personas_are_examined() {
    let mut masque = Masque::new();
    masque.set("OPENAI_API_KEY", "sk-hunter2");
    masque.write("project/.agents/agents/broken.md", "---\nname: broken\ntools: [fs.read\n---\nText.\n");
    assert_snapshot!(masque.session("masque doctor | sed -n '/^models/,$p'"), @"
    $ masque doctor | sed -n '/^models/,$p'
    models
      absent anthropic                     no key: set ANTHROPIC_API_KEY, or masque key set anthropic
      absent cerebras                      no key: set CEREBRAS_API_KEY, or masque key set cerebras
      absent deepseek                      no key: set DEEPSEEK_API_KEY, or masque key set deepseek
      absent fireworks                     no key: set FIREWORKS_API_KEY, or masque key set fireworks
      absent gemini                        no key: set GEMINI_API_KEY, or masque key set gemini
      absent groq                          no key: set GROQ_API_KEY, or masque key set groq
      absent llamacpp                      not running at http://127.0.0.1:8080/v1
      absent lmstudio                      not running at http://127.0.0.1:1234/v1
      absent mistral                       no key: set MISTRAL_API_KEY, or masque key set mistral
      absent ollama                        not running at http://127.0.0.1:11434/v1
      ok     openai                        key from OPENAI_API_KEY
      absent openrouter                    no key: set OPENROUTER_API_KEY, or masque key set openrouter
      absent together                      no key: set TOGETHER_API_KEY, or masque key set together
      absent vllm                          not running at http://127.0.0.1:8000/v1
      absent xai                           no key: set XAI_API_KEY, or masque key set xai

    memory
      absent embeddings                    search is by words only; `masque memory model fetch` adds search by meaning

    store
      ok     audit                         audit chain of 0 entries is unbroken

    configuration
      ok     home                          [home]
      ok     user's file                   [user]/.config/masque

    personas
      ok     found                         21 personas, 1 files that cannot be used
      bad    broken                        [project]/.agents/agents/broken.md:3:8: error: the front matter is not YAML: unclosed bracket '['
                                           hint: check indentation, quotes and brackets at this place
    ");
    let findings = masque.json("masque doctor --json || true");
    let sandbox = findings.as_array().unwrap().iter().filter(|finding| finding["section"] == "sandbox");
    assert!(sandbox.count() > 5, "{findings}");
}
