//! `masque mcp install`: the change is shown, then made, once, with a copy of the old file.

use insta::assert_snapshot;

use crate::support::Masque;

#[test]
fn each_client_gets_its_entry_and_keeps_what_it_had() {
    let mut masque = Masque::new();
    masque.set("XDG_CONFIG_HOME", &masque.path("user/.config").display().to_string());
    masque.write("user/.config/zed/settings.json", "// mine\n{\n  \"theme\": \"One\", // stays\n}\n");
    masque.write("user/.codex/config.toml", "# mine\nmodel = \"x\"\n");
    masque.write(
        "user/.config/goose/config.yaml",
        "GOOSE_MODE: auto # mine\nextensions:\n  developer:\n    enabled: true\n",
    );
    assert_snapshot!(masque.session(
        "masque mcp install --client claude
         masque mcp install --client claude --yes
         masque mcp install --client claude --yes
         masque mcp install --client cursor --project --persona tester --yes
         masque mcp install --client vscode --yes
         masque mcp install --client zed --yes
         masque mcp install --client codex --yes
         masque mcp install --client gemini --project --yes
         masque mcp install --client goose --yes
         masque mcp install --client goose --project
         masque mcp install --client goose --persona nobody --yes
         masque mcp install --client emacs
         ls ../user/.config/zed
         cat ../user/.config/zed/settings.json.bak"
    ));
}

#[test]
fn a_broken_file_is_refused_with_its_line_and_stays() {
    let masque = Masque::new();
    masque.write("project/.mcp.json", "{\n  \"mcpServers\": {,}\n}\n");
    masque.write("project/.codex/config.toml", "a = 1\nb = = 2\n");
    assert_snapshot!(masque.session(
        "masque mcp install --client claude --project --yes
         masque mcp install --client codex --project --yes
         cat .mcp.json"
    ));
    assert!(!masque.path("project/.mcp.json.bak").exists());
}
