//! Programming languages by file name. Leaves out their grammar.

/// A programming language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language {
    /// Its name, as in media types.
    pub(crate) name: &'static str,
}

impl Language {
    pub(crate) fn media_type(self) -> String {
        format!("text/x-{}", self.name)
    }
}

/// Extensions by language.
const EXTENSIONS: [(&str, &[&str]); 46] = [
    ("assembly", &["s", "asm"]),
    ("c", &["c", "h"]),
    ("clojure", &["clj", "cljs", "cljc", "edn"]),
    ("cmake", &["cmake"]),
    ("cpp", &["cc", "cpp", "cxx", "hpp", "hh", "hxx"]),
    ("csharp", &["cs"]),
    ("css", &["css", "scss", "sass", "less"]),
    ("cuda", &["cu", "cuh"]),
    ("dart", &["dart"]),
    ("elixir", &["ex", "exs"]),
    ("elm", &["elm"]),
    ("erlang", &["erl", "hrl"]),
    ("fortran", &["f", "f90", "f95", "f03"]),
    ("fsharp", &["fs", "fsi", "fsx"]),
    ("go", &["go"]),
    ("graphql", &["graphql", "gql"]),
    ("groovy", &["groovy", "gradle"]),
    ("haskell", &["hs", "lhs"]),
    ("hcl", &["tf", "tfvars", "hcl"]),
    ("java", &["java"]),
    ("javascript", &["js", "mjs", "cjs", "jsx"]),
    ("julia", &["jl"]),
    ("kotlin", &["kt", "kts"]),
    ("lisp", &["lisp", "el", "scm", "rkt"]),
    ("lua", &["lua"]),
    ("nix", &["nix"]),
    ("objective-c", &["m", "mm"]),
    ("ocaml", &["ml", "mli"]),
    ("perl", &["pl", "pm"]),
    ("php", &["php"]),
    ("powershell", &["ps1", "psm1"]),
    ("protobuf", &["proto"]),
    ("python", &["py", "pyi"]),
    ("r", &["r"]),
    ("ruby", &["rb", "rake", "gemspec"]),
    ("rust", &["rs"]),
    ("scala", &["scala", "sc"]),
    ("shell", &["sh", "bash", "zsh", "fish", "bats"]),
    ("solidity", &["sol"]),
    ("sql", &["sql"]),
    ("swift", &["swift"]),
    ("typescript", &["ts", "mts", "cts", "tsx"]),
    ("verilog", &["v", "sv", "svh"]),
    ("vue", &["vue", "svelte"]),
    ("xml", &["xml", "xsd", "xsl", "svg", "plist"]),
    ("zig", &["zig"]),
];

/// Files that are known by their whole name.
const NAMES: [(&str, &str); 9] = [
    ("makefile", "make"),
    ("gnumakefile", "make"),
    ("dockerfile", "dockerfile"),
    ("containerfile", "dockerfile"),
    ("cmakelists.txt", "cmake"),
    ("justfile", "make"),
    ("rakefile", "ruby"),
    ("gemfile", "ruby"),
    ("jenkinsfile", "groovy"),
];

/// The language of a file with this name.
pub(crate) fn of_name(name: &str) -> Option<Language> {
    let name = crate::file_name(name).to_ascii_lowercase();
    if let Some((_, language)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(Language { name: language });
    }
    let (_, extension) = name.rsplit_once('.')?;
    let (language, _) = EXTENSIONS.iter().find(|(_, extensions)| extensions.contains(&extension))?;
    Some(Language { name: language })
}
