//! Which personas can be called over an address, in a fixed order, and how they look.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use masque_app::{App, host::Host, personas};
use masque_types::{digest::Digest, persona::Persona};
use rmcp::model::Icon;

use super::digest_of;

/// Those that each client gets a tool for, in the order of the lists.
const CORE: [&str; 6] = ["architect", "engineer", "data", "qa", "security", "sre"];
/// How many others get a tool of their own unless `mcp.tools` says all: every tool costs a model attention.
const OTHERS: usize = 12;
/// The longest name that becomes part of a tool's name: clients put a prefix before it and allow 64 characters.
const LONGEST_NAME: usize = 40;
/// How long a look at the files of personas counts for calls. Whether one may be called is checked again when its job is
/// made.
const FRESH: Duration = Duration::from_secs(2);
/// Side of an icon in pixels.
const ICON_PIXELS: u32 = 48;

/// A persona that can be called.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Its name.
    pub(crate) name: String,
    /// Its name for people.
    pub(crate) title: String,
    /// What it does and when to use it.
    pub(crate) description: String,
    /// Whether it has a tool of its own.
    pub(crate) has_tool: bool,
    /// Its icon.
    pub(crate) icons: Vec<Icon>,
}

/// The personas of one address.
pub(crate) struct People {
    host: Host,
    project: PathBuf,
    /// The only one that can be called here.
    only: Option<String>,
    /// Whether every one gets a tool.
    all: bool,
    /// Icons that were drawn, by the digest of the persona: drawing costs more than everything else of a list.
    pictures: Mutex<BTreeMap<Digest, Vec<Icon>>>,
    /// Who could be called a moment ago: reading all files for each call would cost more than the call.
    recent: Mutex<Option<(Instant, Vec<Name>)>>,
}

/// The name of a callable persona.
#[derive(Debug, Clone)]
struct Name {
    name: String,
    has_tool: bool,
}

impl People {
    /// All callable personas of a project, or one of them.
    pub(crate) fn new(app: &App, project: PathBuf, only: Option<String>) -> Self {
        let all = app.settings.text("mcp.tools") == "all";
        Self { host: app.host.clone(), project, only, all, pictures: Mutex::default(), recent: Mutex::default() }
    }

    /// The project that they are read from.
    pub(crate) fn project(&self) -> &Path {
        &self.project
    }

    /// The only persona that can be called here.
    pub(crate) fn only(&self) -> Option<&str> {
        self.only.as_deref()
    }

    /// Those that can be called, core first, then by name; without their icons.
    pub(crate) fn callable(&self) -> Vec<Person> {
        self.each(|_| Vec::new())
    }

    /// The same, with their icons, as lists show them.
    pub(crate) fn drawn(&self) -> Vec<Person> {
        self.each(|persona| self.icons(persona))
    }

    fn each(&self, icons: impl Fn(&Persona) -> Vec<Icon>) -> Vec<Person> {
        let catalog = personas::catalog(&self.host, &self.project);
        let mut found: Vec<&Persona> = catalog
            .personas
            .iter()
            .filter(|loaded| !loaded.shadowed && loaded.persona.callable)
            .map(|loaded| &loaded.persona)
            .filter(|persona| self.only.as_ref().is_none_or(|only| *only == persona.name))
            .collect();
        found.sort_by_key(|persona| (place(&persona.name), persona.name.clone()));
        let mut others = 0;
        let person = |persona: &&Persona| {
            let core = CORE.contains(&persona.name.as_str());
            others += usize::from(!core);
            let offered = core || self.all || self.only.is_some() || others <= OTHERS;
            Person {
                name: persona.name.clone(),
                title: persona.display.title.clone().unwrap_or_else(|| persona.name.clone()),
                description: persona.description.clone(),
                has_tool: offered && persona.name.len() <= LONGEST_NAME,
                icons: icons(persona),
            }
        };
        found.iter().map(person).collect()
    }

    /// The persona whose tool is `invoke_<name>`.
    pub(crate) fn of_tool(&self, name: &str) -> Option<String> {
        self.recently(name).filter(|found| found.has_tool).map(|found| found.name)
    }

    /// Whether the persona can be called here.
    pub(crate) fn can_be_called(&self, name: &str) -> bool {
        self.recently(name).is_some()
    }

    /// Names of those that can be called, in the order of the lists.
    pub(crate) fn names(&self) -> Vec<String> {
        self.callable().into_iter().map(|person| person.name).collect()
    }

    fn recently(&self, name: &str) -> Option<Name> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recent.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
        if let Some(found) = known.and_then(|(_, names)| names.iter().find(|known| known.name == name)) {
            return Some(found.clone());
        }
        let people = self.callable().into_iter();
        let names: Vec<Name> = people.map(|Person { name, has_tool, .. }| Name { name, has_tool }).collect();
        let found = names.iter().find(|known| known.name == name).cloned();
        *recent = Some((Instant::now(), names));
        found
    }

    /// Changes whenever a list that shows personas changes.
    pub(crate) fn fingerprint(&self) -> Digest {
        let catalog = personas::catalog(&self.host, &self.project);
        let callable = catalog.personas.iter().filter(|loaded| !loaded.shadowed && loaded.persona.callable);
        let parts: Vec<String> = callable
            .flat_map(|loaded| {
                let persona = &loaded.persona;
                [persona.name.clone(), persona.description.clone(), format!("{:?}", persona.display)]
            })
            .collect();
        digest_of(parts.iter().map(String::as_str))
    }

    /// The icon of the server itself: that of the persona which is there without asking for one.
    pub(crate) fn server_icons(&self) -> Vec<Icon> {
        let catalog = personas::catalog(&self.host, &self.project);
        let name = self.only.as_deref().unwrap_or("default");
        catalog.find(name).map(|loaded| self.icons(&loaded.persona)).unwrap_or_default()
    }

    /// A persona's icon as a picture that every client can show; none when it cannot be drawn.
    fn icons(&self, persona: &Persona) -> Vec<Icon> {
        if let Some(icons) = self.pictures.lock().unwrap_or_else(PoisonError::into_inner).get(&persona.digest) {
            return icons.clone();
        }
        let icons: Vec<Icon> = draw(&self.host, persona).into_iter().collect();
        self.pictures.lock().unwrap_or_else(PoisonError::into_inner).insert(persona.digest, icons.clone());
        icons
    }
}

fn place(name: &str) -> usize {
    CORE.iter().position(|core| *core == name).unwrap_or(CORE.len())
}

fn draw(host: &Host, persona: &Persona) -> Option<Icon> {
    let icon = masque_app::home::icon(host, persona).ok()??;
    let png = icon.draw(ICON_PIXELS).ok()?.png().ok()?;
    let icon = Icon::new(format!("data:image/png;base64,{}", STANDARD.encode(png)));
    Some(icon.with_mime_type("image/png").with_sizes(vec![format!("{ICON_PIXELS}x{ICON_PIXELS}")]))
}
