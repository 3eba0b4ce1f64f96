//! Reading one persona: the bytes, the cut between front matter and prompt, and the whole into a value.
//!
//! Leaves out which files there are, and what is mended in a front matter that is almost YAML.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use masque_tree::{Limits, Node, ParseError, Place, parse_yaml};
use masque_types::persona::Persona;

use crate::{
    front_matter::{self, Surroundings},
    notes::Notes,
    repair,
    sibling::Sibling,
};

/// No persona is larger; a larger file is something else.
const MAX_BYTES: u64 = 1 << 20;

/// What the tree of such a file may hold.
pub(crate) const LIMITS: Limits = Limits { nodes: 20_000, aliases: 100 };

/// Why a file gives no text.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Whether it does not exist.
    pub(crate) missing: bool,
    /// Where in the file.
    pub(crate) place: Place,
    /// The rest of a sentence that begins with the file.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<&'static str>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, hint: &'static str) -> Self {
        Self { missing: false, place: Place::FILE, message: message.into(), hint: Some(hint) }
    }

    pub(crate) fn not_there() -> Self {
        Self::from(io::Error::from(io::ErrorKind::NotFound))
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let missing = error.kind() == io::ErrorKind::NotFound;
        // `fs_err` names the file; the diagnostic does so already.
        let message = if missing { "does not exist".to_owned() } else { format!("cannot be read: {}", error.kind()) };
        Self { missing, place: Place::FILE, message, hint: Some("check the path and the permissions") }
    }
}

/// The text of a regular file of sensible size.
pub(crate) fn read_text(path: &Path) -> Result<String, Fault> {
    // Opening a pipe or a device could wait for ever.
    if !fs_err::metadata(path)?.is_file() {
        return Err(Fault::new("is not a regular file", "remove it, or put a file in its place"));
    }
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    text_of_bytes(bytes)
}

/// The text in bytes of sensible size.
pub(crate) fn text_of_bytes(bytes: Vec<u8>) -> Result<String, Fault> {
    if bytes.len() as u64 > MAX_BYTES {
        let hint = "a persona is a page of text: move data into files that it can read";
        return Err(Fault::new(format!("is larger than {} MiB", MAX_BYTES >> 20), hint));
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = place_of(error.as_bytes(), error.utf8_error().valid_up_to());
        Fault { place, ..Fault::new("is not UTF-8 text", "save it as UTF-8") }
    })
}

fn place_of(bytes: &[u8], offset: usize) -> Place {
    let valid = String::from_utf8_lossy(bytes.get(..offset).unwrap_or_default());
    let line = valid.matches('\n').count() + 1;
    let column = valid.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Place::of(line, column)
}

/// What reading one file gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The persona; absent after an error.
    pub(crate) persona: Option<Persona>,
    /// The name that the file stands for, also when it is broken.
    pub(crate) name: String,
    /// What was noticed.
    pub(crate) notes: Notes,
}

/// Reads a persona file from disk. `skill_places` are where skills that it names are looked for.
pub(crate) fn read(path: &Path, skill_places: Vec<PathBuf>) -> Outcome {
    match read_text(path) {
        Ok(text) => read_as(path, &text, skill_places),
        Err(fault) => {
            let mut notes = Notes::new(path.display().to_string());
            notes.error(fault.place, format!("the file {}", fault.message), fault.hint.unwrap_or("correct it"));
            Outcome { persona: None, name: stem(path), notes }
        }
    }
}

/// Reads a text as if it stood in that file.
pub(crate) fn read_as(path: &Path, text: &str, skill_places: Vec<PathBuf>) -> Outcome {
    let stem = stem(path);
    let directory = path.parent().map(|parent| parent.join(&stem));
    let sibling = Sibling { directory, skill_places, ..Sibling::default() };
    read_persona(&path.display().to_string(), &stem, text, sibling)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads a persona from the text of its file.
pub(crate) fn read_persona(label: &str, stem: &str, text: &str, mut sibling: Sibling) -> Outcome {
    let mut notes = Notes::new(label);
    let persona = parse(stem, text, &mut sibling, &mut notes);
    let name = persona.as_ref().map_or_else(|| stem.to_owned(), |persona| persona.name.clone());
    let persona = persona.filter(|_| !notes.has_errors()).map(|persona| Persona {
        digest: front_matter::digest(stem, text.as_bytes(), &sibling),
        source: label.to_owned(),
        ..persona
    });
    Outcome { persona, name, notes }
}

fn parse(stem: &str, text: &str, sibling: &mut Sibling, notes: &mut Notes) -> Option<Persona> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(parts) = split(text) else {
        let (message, hint) = if text.lines().next().is_some_and(is_fence) {
            ("the front matter has no end", "close it with a line `---` in front of the prompt")
        } else {
            ("the file has no front matter", "begin it with a line `---`, `name:`, `description:` and a line `---`")
        };
        notes.error(Place::START, message, hint);
        return None;
    };
    match parse_front(parts.front, notes) {
        Ok(front) => {
            front_matter::read(front, parts.prompt, parts.prompt_line, &mut Surroundings { stem, sibling }, notes)
        }
        Err(error) => {
            let hint = "check indentation, quotes and brackets at this place";
            notes.error(error.place, format!("the front matter is not YAML: {}", error.message), hint);
            None
        }
    }
}

/// The front matter, as YAML; what people often forget to quote is mended, with a word.
pub(crate) fn parse_front(front: &str, notes: &mut Notes) -> Result<Node, ParseError> {
    parse_yaml(front, LIMITS).or_else(|error| {
        let (mended, place) = repair::quoted_texts(front).ok_or(error.clone())?;
        let node = parse_yaml(&mended, LIMITS).map_err(|_| error)?;
        let hint = "put the whole text in quotes";
        notes.warning(place, "the text holds `: ` and is not quoted; it is read as one text", hint);
        Ok(node)
    })
}

/// A file, cut in two.
pub(crate) struct Parts<'a> {
    /// From the opening fence on, so that the lines count like those of the file.
    pub(crate) front: &'a str,
    pub(crate) prompt: &'a str,
    /// The line that the prompt begins with.
    pub(crate) prompt_line: u32,
}

/// Cuts at the lines `---`; nothing when the file does not begin with one, or there is no second.
pub(crate) fn split(text: &str) -> Option<Parts<'_>> {
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match (index, is_fence(line)) {
            (0, false) => return None,
            (1.., true) => {
                let (front, rest) = text.split_at_checked(offset)?;
                let prompt = rest.get(line.len()..)?;
                let prompt_line = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(2);
                return Some(Parts { front, prompt, prompt_line });
            }
            _ => {}
        }
        offset += line.len();
    }
    None
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}
