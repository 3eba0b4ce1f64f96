//! What happens becomes a changed [`Model`] and [`Effect`]s. Pure.

use masque_app::fleet::{
    LogLine, Target,
    model::ServiceId,
    status::{Change, FleetStatus},
};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Logs, Mode, Model, Spot, Step, Verb};

/// Rows that a page has for moving.
const PAGE: usize = 10;

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// The supervisor told where everything stands.
    Status(Box<FleetStatus>),
    /// A service changed.
    Change(Change),
    /// The supervisor does not answer.
    Away(String),
    /// The lines of that service are told from now on, the last ones first.
    Listening(ServiceId),
    /// A service printed a line.
    Line(LogLine),
    /// Lines of that service were left out.
    Missed(ServiceId, u64),
    /// The lines of that service cannot be had, and why.
    Mute(ServiceId, String),
    /// What was asked for was done, or why it was not.
    Said(String),
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The screen ends.
    Quit,
    /// The lines of that service are wanted from now on, or of none.
    Follow(Option<ServiceId>),
    /// Something is to be done with services.
    Do(Step),
}

/// Takes an event.
pub(crate) fn update(model: &mut Model, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    match event {
        Event::Key(key) => effects.extend(press(model, key)),
        Event::Status(status) => {
            model.away = None;
            model.status = Some(*status);
        }
        Event::Change(change) => apply(model, &change),
        Event::Away(why) => model.away = Some(why),
        Event::Listening(id) if model.logs.of.as_ref() == Some(&id) => model.logs.begin(),
        Event::Line(line) if model.logs.of.as_ref() == Some(&line.id) => model.logs.push(line),
        Event::Missed(id, count) if model.logs.of.as_ref() == Some(&id) => model.logs.missed += count,
        Event::Mute(id, why) if model.logs.of.as_ref() == Some(&id) => model.logs.trouble = Some(why),
        Event::Listening(_) | Event::Line(_) | Event::Missed(..) | Event::Mute(..) => {}
        Event::Said(what) => model.message = Some(what),
    }
    keep_selection(model);
    effects.extend(follow(model));
    effects
}

fn apply(model: &mut Model, change: &Change) {
    let Some(status) = &mut model.status else { return };
    status.at = status.at.max(change.at);
    let services = status.hosts.iter_mut().flat_map(|host| &mut host.services);
    for service in services.filter(|service| service.id == change.id) {
        service.state = change.to;
        service.since = change.at;
        service.why = if change.why.is_empty() { Vec::new() } else { vec![change.why.clone()] };
    }
}

/// Something is selected as long as there is anything.
fn keep_selection(model: &mut Model) {
    let rows = model.rows();
    if model.place(&rows).is_some() {
        return;
    }
    // What is folded now, or went away, hands on to what it was in.
    let parents = match &model.selected {
        Some(Spot::Service(id)) => {
            let hosts = model.status.iter().flat_map(|status| &status.hosts);
            let group = hosts.flat_map(|host| &host.services).find(|it| it.id == *id).and_then(|it| it.group.clone());
            let group = group.map(|group| Spot::Group(id.host.clone(), group));
            group.into_iter().chain([Spot::Host(id.host.clone())]).collect()
        }
        Some(Spot::Group(host, _)) => vec![Spot::Host(host.clone())],
        Some(Spot::Host(_)) | None => Vec::new(),
    };
    let spots: Vec<Spot> = rows.iter().map(super::model::Row::spot).collect();
    let first_service = spots.iter().find(|spot| matches!(spot, Spot::Service(_))).or(spots.first());
    let kept = match model.filter.is_empty() {
        true => parents.into_iter().find(|parent| spots.contains(parent)),
        false => None,
    };
    model.selected = kept.or_else(|| first_service.cloned());
}

/// The logs are those of the selected service.
fn follow(model: &mut Model) -> Option<Effect> {
    let wanted = model.service().map(|service| service.id.clone());
    if model.logs.of == wanted {
        return None;
    }
    model.logs = Logs { of: wanted.clone(), ..Logs::default() };
    if wanted.is_none() && model.mode == Mode::Logs {
        model.mode = Mode::Tree;
    }
    Some(Effect::Follow(wanted))
}

fn press(model: &mut Model, key: KeyEvent) -> Option<Effect> {
    if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
        return Some(Effect::Quit);
    }
    match model.mode.clone() {
        Mode::Tree => in_tree(model, key),
        Mode::Filter => {
            in_filter(model, key);
            None
        }
        Mode::Confirm(step) => {
            model.mode = Mode::Tree;
            matches!(key.code, KeyCode::Char('y' | 'Y')).then_some(Effect::Do(step))
        }
        Mode::Help => {
            model.mode = Mode::Tree;
            None
        }
        Mode::Logs => {
            in_logs(model, key);
            None
        }
    }
}

fn in_tree(model: &mut Model, key: KeyEvent) -> Option<Effect> {
    model.message = None;
    match key.code {
        KeyCode::Char('q') => return Some(Effect::Quit),
        KeyCode::Esc => model.filter.clear(),
        KeyCode::Up | KeyCode::Char('k') => select(model, |place, _| place.saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => select(model, |place, _| place + 1),
        KeyCode::PageUp => select(model, |place, _| place.saturating_sub(PAGE)),
        KeyCode::PageDown => select(model, |place, _| place + PAGE),
        KeyCode::Home => select(model, |_, _| 0),
        KeyCode::End => select(model, |_, count| count),
        KeyCode::Char('g' | ' ') | KeyCode::Enter => fold(model),
        KeyCode::Char('/') => model.mode = Mode::Filter,
        KeyCode::Char('?') => model.mode = Mode::Help,
        KeyCode::Char('l') if model.logs.of.is_some() => model.mode = Mode::Logs,
        KeyCode::Char('r') => ask(model, Verb::Restart),
        KeyCode::Char('s') => ask(model, Verb::Stop),
        // Starting harms nothing, so it needs no second key.
        KeyCode::Char('u') => return step(model, Verb::Start).map(Effect::Do),
        _ => {}
    }
    None
}

fn select(model: &mut Model, to: impl Fn(usize, usize) -> usize) {
    let rows = model.rows();
    let last = rows.len().saturating_sub(1);
    let place = to(model.place(&rows).unwrap_or(0), last).min(last);
    model.selected = rows.get(place).map(super::model::Row::spot);
}

/// Folds or unfolds the selected host or group; of a service, its group.
fn fold(model: &mut Model) {
    let spot = match &model.selected {
        Some(Spot::Service(id)) => {
            let group = model.service().and_then(|service| service.group.clone());
            group.map_or_else(|| Spot::Host(id.host.clone()), |group| Spot::Group(id.host.clone(), group))
        }
        Some(spot) => spot.clone(),
        None => return,
    };
    if !model.folded.remove(&spot) {
        model.folded.insert(spot.clone());
    }
    model.selected = Some(spot);
}

fn ask(model: &mut Model, verb: Verb) {
    if let Some(step) = step(model, verb) {
        model.mode = Mode::Confirm(step);
    }
}

/// What that verb means for what is selected. Supervisors do only what is theirs.
fn step(model: &mut Model, verb: Verb) -> Option<Step> {
    let here = model.status.as_ref().and_then(|status| status.hosts.first()).map(|host| host.host.clone());
    let (host, target, name) = match model.selected.clone()? {
        Spot::Service(id) => (id.host.clone(), Target::Services(vec![id.to_string()]), id.to_string()),
        Spot::Group(host, group) => {
            let name = format!("the group {group} of {host}");
            (host, Target::Group(group), name)
        }
        Spot::Host(_) => {
            model.message = Some(format!("select a service or a group to {}", verb.word()));
            return None;
        }
    };
    if here.as_ref() != Some(&host) {
        model.message = Some(format!("{name} is of {host}: {} it there", verb.word()));
        return None;
    }
    Some(Step { verb, target, name })
}

fn in_filter(model: &mut Model, key: KeyEvent) {
    match key.code {
        KeyCode::Enter => model.mode = Mode::Tree,
        KeyCode::Esc => {
            model.filter.clear();
            model.mode = Mode::Tree;
        }
        KeyCode::Backspace => {
            model.filter.pop();
        }
        KeyCode::Up => select(model, |place, _| place.saturating_sub(1)),
        KeyCode::Down => select(model, |place, _| place + 1),
        KeyCode::Char(letter) if !letter.is_control() => model.filter.push(letter),
        _ => {}
    }
}

fn in_logs(model: &mut Model, key: KeyEvent) {
    let most = model.logs.lines.len().saturating_sub(1);
    let back = model.logs.back;
    let back = match key.code {
        KeyCode::Char('l' | 'q') | KeyCode::Esc => {
            model.mode = Mode::Tree;
            0
        }
        KeyCode::Up | KeyCode::Char('k') => back + 1,
        KeyCode::Down | KeyCode::Char('j') => back.saturating_sub(1),
        KeyCode::PageUp => back + PAGE,
        KeyCode::PageDown => back.saturating_sub(PAGE),
        KeyCode::Home => most,
        KeyCode::End => 0,
        _ => back,
    };
    model.logs.back = back.min(most);
}
