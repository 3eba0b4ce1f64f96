//! Files of other programs: golden results for a corpus, hundreds of variants of it, and the way back.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use insta::assert_snapshot;
use masque_persona::dialect::{DIALECTS, Dialect, Found, Import, export, import};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");

/// The files of one directory of the corpus.
fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(Path::new(CORPUS).join(directory)).unwrap();
    let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.into_iter().collect()
}

/// Where the file would stand in a project.
fn usual_place(dialect: Option<&Dialect>, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap();
    let place = dialect.map_or("", |dialect| dialect.place);
    Path::new(place).parent().unwrap_or(Path::new("")).join(name)
}

fn read(dialect: Option<&'static Dialect>, path: &Path) -> Import {
    import(&usual_place(dialect, path), fs_err::read(path).unwrap(), None)
}

fn shown(path: &Path, found: &Import) -> String {
    let mut text = format!("# {}: ", path.file_name().unwrap().to_string_lossy());
    match &found.found {
        Found::Personas(personas) => {
            let names: Vec<&str> = personas.iter().map(|found| found.persona.name.as_str()).collect();
            let _ = writeln!(text, "{} {names:?}", found.dialect.unwrap_or("no dialect"));
            for persona in personas {
                let kept = persona.origin.iter().flat_map(|origin| origin.kept.keys());
                let kept: Vec<&String> = kept.collect();
                let _ = writeln!(text, "{}\nkept {kept:?}", persona.text.trim_end());
            }
        }
        Found::Servers(list) => {
            let _ = writeln!(text, "{} {:?}\n{}", list.dialect, list.names, list.text.trim_end());
        }
        Found::Nothing(reason) => {
            let _ = writeln!(text, "nothing: {reason}");
        }
    }
    for diagnostic in &found.diagnostics {
        let _ = writeln!(text, "> {}", diagnostic.to_string().replace('\n', "\n> "));
    }
    text
}

#[test]
fn the_corpus_is_read_as_it_always_was() {
    for dialect in DIALECTS {
        let mut text = String::new();
        for path in files(dialect.id) {
            let found = read(Some(dialect), &path);
            let empty = fs_err::metadata(&path).unwrap().len() == 0;
            if found.dialect.is_some() && !empty {
                assert_eq!(found.dialect, Some(dialect.id), "{}", path.display());
            }
            let usable = !matches!(&found.found, Found::Personas(personas) if personas.is_empty());
            // A file of several agents loses only those that are wrong.
            assert!(!usable || !found.has_errors() || dialect.id == "opencode-json", "{}", path.display());
            assert!(usable || found.has_errors(), "{}: lost without a word", path.display());
            text.push_str(&shown(&path, &found));
            text.push('\n');
        }
        assert_snapshot!(format!("corpus_{}", dialect.id), text);
    }
    for directory in ["servers", "none"] {
        let text: String = files(directory).iter().map(|path| shown(path, &read(None, path)) + "\n").collect();
        assert_snapshot!(format!("corpus_{directory}"), text);
    }
}

/// A file in the many ways in which the same is written.
fn variants(text: &str) -> Vec<Vec<u8>> {
    let longer = format!("{text}{}", "word ".repeat(3_000));
    let unknown = text.replacen("description", "x-team: [a, {b: c}]\ndescription", 1);
    vec![
        text.as_bytes().to_vec(),
        text.replace('\n', "\r\n").into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
        format!("{text}\n\n\n").into_bytes(),
        text.trim_end().as_bytes().to_vec(),
        longer.into_bytes(),
        unknown.into_bytes(),
        text.replacen("---\n", "---  \n", 1).into_bytes(),
        text.replace("description: ", "description:   ").into_bytes(),
        text.replacen("---\n", "---\n# a comment\n\n", 1).into_bytes(),
    ]
}

#[test]
fn variants_of_what_is_usable_stay_usable() {
    let mut count = 0;
    for dialect in DIALECTS.into_iter().filter(|dialect| dialect.place.ends_with(".md")) {
        for path in files(dialect.id) {
            let place = usual_place(Some(dialect), &path);
            let Ok(text) = fs_err::read_to_string(&path) else { continue };
            let usable = |bytes: Vec<u8>| {
                let found = import(&place, bytes, None);
                (!found.has_errors(), found.diagnostics)
            };
            let expected = usable(text.clone().into_bytes()).0;
            let plain = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
            for variant in variants(&plain).into_iter().filter(|_| expected) {
                count += 1;
                let shown = String::from_utf8_lossy(&variant).into_owned();
                let (good, found) = usable(variant);
                assert!(good, "{}:\n{found:#?}\n{}", path.display(), shown.chars().take(400).collect::<String>());
            }
        }
    }
    assert!(count >= 150, "{count} variants");
}

#[test]
fn what_was_imported_can_be_exported_everywhere_and_read_there() {
    for dialect in DIALECTS {
        for path in files(dialect.id) {
            let Found::Personas(personas) = read(Some(dialect), &path).found else { continue };
            for imported in personas {
                for target in DIALECTS {
                    let written = export(&imported.persona, target, imported.origin.as_ref());
                    let place = target.place_of(&imported.persona.name);
                    let back = import(Path::new(&place), written.text.clone().into_bytes(), None);
                    assert!(!back.has_errors(), "{} as {}\n{:#?}", path.display(), target.id, back.diagnostics);
                    assert_eq!(back.dialect, Some(target.id), "{}\n{}", path.display(), written.text);
                    if target.strict {
                        assert!(!written.text.contains("masque"), "{}: {}", target.id, written.text);
                    }
                }
            }
        }
    }
}

#[test]
fn the_list_of_dialects_is_in_order() {
    let ids: BTreeSet<&str> = DIALECTS.iter().map(|dialect| dialect.id).collect();
    assert_eq!(ids.len(), DIALECTS.len());
    for dialect in DIALECTS {
        assert_eq!(Dialect::find(dialect.id), Some(dialect));
        assert!(Path::new(CORPUS).join(dialect.id).is_dir(), "{} has no corpus", dialect.id);
        assert!(dialect.coverage().iter().any(|(field, says)| *field == "name" && *says));
    }
}

/// What an export to each dialect loses, as the book shows it.
#[test]
fn the_page_of_dialects_shows_what_is_lost() {
    let mut table = String::from("| field |");
    DIALECTS.iter().for_each(|dialect| table.push_str(&format!(" {} |", dialect.id)));
    table.push_str("\n|---|");
    DIALECTS.iter().for_each(|_| table.push_str("---|"));
    table.push('\n');
    let columns: Vec<_> = DIALECTS.iter().map(|dialect| dialect.coverage()).collect();
    for (row, (field, _)) in columns[0].iter().enumerate() {
        let cells = columns.iter().map(|column| if column[row].1 { " yes |" } else { " – |" });
        let _ = writeln!(table, "| `{field}` |{}", cells.collect::<String>());
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/dialects.md");
    let text = fs_err::read_to_string(&page).unwrap();
    let (begin, end) = ("<!-- what each dialect can say -->\n", "<!-- end -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let whole = format!("{before}{begin}\n{table}\n{end}{after}");
    if update() {
        fs_err::write(&page, &whole).unwrap();
    }
    assert!(
        text == whole || update(),
        "dialects.md is out of date: UPDATE=1 cargo test -p masque-persona --test dialects"
    );
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the test says whether the page is to be written")]
fn update() -> bool {
    std::env::var_os("UPDATE").is_some()
}
