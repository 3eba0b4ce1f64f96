//! What other programs call the tools: one table per program, read in both directions.
//!
//! Leaves out the tools of MCP servers, whose names each dialect builds in its own way.

/// The month whose releases the names are from. It goes into the record of an import.
pub(crate) const VERSION: &str = "2026-11";

/// The names of one program.
#[derive(Debug)]
pub(crate) struct Aliases {
    /// The program, for people.
    pub(crate) program: &'static str,
    /// Whether it takes names that it does not know: what we cannot map goes back as it came.
    pub(crate) keeps_unknown: bool,
    /// Their name and ours. Where several of theirs mean one of ours, the first is written.
    names: &'static [(&'static str, &'static str)],
}

pub(crate) const CLAUDE: Aliases = Aliases {
    program: "Claude Code, Letta",
    keeps_unknown: true,
    names: &[
        ("Read", "fs.read"),
        ("Write", "fs.write"),
        ("Edit", "fs.edit"),
        ("MultiEdit", "fs.edit"),
        ("NotebookEdit", "fs.edit"),
        ("LS", "fs.list"),
        ("Glob", "fs.glob"),
        ("Grep", "fs.search"),
        ("Bash", "shell.exec"),
        ("WebFetch", "web.fetch"),
        ("WebSearch", "web.search"),
        ("AskUserQuestion", "human.ask"),
        ("Agent", "agent.call"),
        ("Task", "agent.call"),
        ("Skill", "skill.use"),
    ],
};

pub(crate) const GEMINI: Aliases = Aliases {
    program: "Gemini CLI",
    keeps_unknown: false,
    names: &[
        ("read_file", "fs.read"),
        ("read_many_files", "fs.read"),
        ("write_file", "fs.write"),
        ("replace", "fs.edit"),
        ("list_directory", "fs.list"),
        ("glob", "fs.glob"),
        ("grep_search", "fs.search"),
        ("search_file_content", "fs.search"),
        ("run_shell_command", "shell.exec"),
        ("web_fetch", "web.fetch"),
        ("google_web_search", "web.search"),
        ("ask_user", "human.ask"),
        ("activate_skill", "skill.use"),
    ],
};

pub(crate) const OPENCODE: Aliases = Aliases {
    program: "opencode",
    keeps_unknown: false,
    names: &[
        ("read", "fs.read"),
        ("write", "fs.write"),
        ("edit", "fs.edit"),
        ("patch", "fs.edit"),
        ("multiedit", "fs.edit"),
        ("list", "fs.list"),
        ("glob", "fs.glob"),
        ("grep", "fs.search"),
        ("bash", "shell.exec"),
        ("webfetch", "web.fetch"),
        ("websearch", "web.search"),
        ("question", "human.ask"),
        ("task", "agent.call"),
        ("skill", "skill.use"),
    ],
};

pub(crate) const OPENHANDS: Aliases = Aliases {
    program: "OpenHands",
    keeps_unknown: false,
    names: &[
        ("file_editor", "fs.edit"),
        ("terminal", "shell.exec"),
        ("execute_bash", "shell.exec"),
        ("str_replace_editor", "fs.edit"),
        ("FileEditorTool", "fs.edit"),
        ("TerminalTool", "shell.exec"),
        ("delegate", "agent.call"),
    ],
};

pub(crate) const GOOSE: Aliases = Aliases {
    program: "goose",
    keeps_unknown: false,
    names: &[
        ("write", "fs.write"),
        ("edit", "fs.edit"),
        ("text_editor", "fs.edit"),
        ("tree", "fs.list"),
        ("shell", "shell.exec"),
        ("developer__shell", "shell.exec"),
        ("developer__text_editor", "fs.edit"),
    ],
};

pub(crate) const CODEX: Aliases =
    Aliases { program: "Codex", keeps_unknown: false, names: &[("shell", "shell.exec"), ("apply_patch", "fs.edit")] };

/// All tables.
pub(crate) const ALL: [&Aliases; 6] = [&CLAUDE, &GEMINI, &OPENCODE, &OPENHANDS, &GOOSE, &CODEX];

impl Aliases {
    /// What the program calls a tool of ours.
    pub(crate) fn theirs(&self, ours: &str) -> Option<&'static str> {
        self.names.iter().find(|(_, tool)| *tool == ours).map(|(theirs, _)| *theirs)
    }

    /// What we call a tool of theirs.
    pub(crate) fn ours(&self, theirs: &str) -> Option<&'static str> {
        self.names.iter().find(|(name, _)| *name == theirs).map(|(_, ours)| *ours)
    }

    /// All names, theirs and ours.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.names.iter().copied()
    }
}

/// What we call a tool of any of the programs: no two of them use one name for different tools.
pub(crate) fn ours(theirs: &str) -> Option<&'static str> {
    ALL.iter().find_map(|table| table.ours(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool_names;

    #[test]
    fn every_name_leads_to_a_tool_of_ours_and_means_the_same_everywhere() {
        for table in ALL {
            for (theirs, tool) in table.names() {
                assert!(tool_names::is_canonical(tool), "{theirs} → {tool}");
                assert!(!tool_names::is_canonical(theirs), "{theirs}");
                assert_eq!(ours(theirs), Some(tool), "{}: {theirs}", table.program);
                let written = table.theirs(tool).unwrap();
                assert_eq!(table.ours(written), Some(tool), "{}: what is written is read back", table.program);
            }
        }
    }
}
