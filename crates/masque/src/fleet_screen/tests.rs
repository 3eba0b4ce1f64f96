//! Pictures of the screen in several sizes, what keys do, and that no order of events breaks it.

use std::time::Duration;

use masque_app::fleet::{
    LogLine, Target,
    model::ServiceId,
    status::{Change, CheckStatus, FleetStatus, HostStatus, Reach, ServiceStatus, State},
};
use masque_types::time::Timestamp;
use proptest::prelude::*;
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};

use super::{
    model::{Mode, Model, Spot, Step, Verb},
    update::{Effect, Event, update},
    view,
};

const NOW: i64 = 1_700_000_000_000;

fn service(host: &str, group: Option<&str>, name: &str, state: State) -> ServiceStatus {
    ServiceStatus {
        id: ServiceId::new(host, name),
        group: group.map(str::to_owned),
        state,
        why: Vec::new(),
        blocked_on: Vec::new(),
        substituted_by: None,
        pid: state.is_usable().then_some(4711),
        port: Some(5570),
        since: Timestamp(NOW - 65_000),
        started_at: None,
        ready_after: None,
        restarts: 0,
        last_end: None,
        last_check: None,
        memory_bytes: None,
        dropped_bytes: 0,
    }
}

fn status() -> FleetStatus {
    let mut router = service("mainpc", Some("core"), "TaskRouter", State::Ready);
    router.memory_bytes = Some(48 << 20);
    router.restarts = 2;
    router.ready_after = Some(Duration::from_millis(1_250));
    let took = Duration::from_micros(310);
    router.last_check = Some(CheckStatus { healthy: true, detail: "{\"status\":\"ok\"}".to_owned(), took });
    let mut twin = service("mainpc", Some("core"), "SystemDigitalTwin", State::Blocked);
    twin.why = vec!["it waits for pc2/UnifiedMemoryReasoningAgent, which is starting".to_owned()];
    twin.blocked_on = vec![ServiceId::new("pc2", "UnifiedMemoryReasoningAgent")];
    let mut speech = service("mainpc", Some("audio"), "StreamingSpeechRecognition", State::Failed);
    speech.why = vec!["it ended 5 times in 60 s: exit code 1\u{1b}[31m".to_owned()];
    speech.last_end = Some("exit code 1".to_owned());
    let mut translation = service("mainpc", Some("audio"), "PhiTranslationService", State::Substituted);
    translation.substituted_by = Some(ServiceId::new("mainpc", "fixed_streaming_translation"));
    let monitor = service("mainpc", None, "monitor", State::Degraded);
    let memory = service("pc2", Some("memory"), "UnifiedMemoryReasoningAgent", State::Starting);
    let cache = service("pc2", Some("memory"), "CacheManager", State::Completed);
    let here = HostStatus {
        host: "mainpc".to_owned(),
        reach: Reach::Here,
        supervisor: Some(1),
        age: Duration::ZERO,
        services: vec![monitor, speech, translation, router, twin],
    };
    let there = HostStatus {
        host: "pc2".to_owned(),
        reach: Reach::Connected,
        supervisor: Some(1),
        age: Duration::from_millis(400),
        services: vec![memory, cache],
    };
    FleetStatus { fleet: "ai-system".to_owned(), at: Timestamp(NOW), hosts: vec![here, there] }
}

fn line(id: &str, text: &str) -> Event {
    let id = ServiceId::try_from(id.to_owned()).unwrap();
    Event::Line(LogLine { id, at: Timestamp(NOW), text: text.to_owned() })
}

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn typed(model: &mut Model, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|letter| update(model, key(KeyCode::Char(letter)))).collect()
}

/// A model that shows the fleet, with that service selected and some of its lines.
fn showing(name: &str) -> Model {
    let mut model = Model { is_coloured: true, ..Model::default() };
    update(&mut model, Event::Status(Box::new(status())));
    model.selected = Some(Spot::Service(ServiceId::new("mainpc", name)));
    update(&mut model, Event::Status(Box::new(status())));
    let id = format!("mainpc/{name}");
    for number in 1..=4 {
        update(&mut model, line(&id, &format!("\u{1b}[32mINFO\u{1b}[0m request {number}\tserved 你好 in 3 ms")));
    }
    update(&mut model, line(&id, &"a long line without an end ".repeat(6)));
    model
}

fn picture(model: &Model, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| view::draw(frame, model)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn a_wide_window_shows_tree_details_and_logs_beside_each_other() {
    insta::assert_snapshot!(picture(&showing("TaskRouter"), 120, 24));
}

#[test]
fn sixty_columns_are_enough() {
    insta::assert_snapshot!(picture(&showing("StreamingSpeechRecognition"), 60, 28));
}

#[test]
fn what_waits_and_who_stands_in_is_told() {
    insta::assert_snapshot!(picture(&showing("SystemDigitalTwin"), 80, 24));
}

#[test]
fn a_group_tells_what_is_wrong_in_it() {
    let mut model = showing("StreamingSpeechRecognition");
    typed(&mut model, "g");
    insta::assert_snapshot!(picture(&model, 100, 16));
}

#[test]
fn help_logs_a_question_and_a_filter() {
    let mut model = showing("TaskRouter");
    typed(&mut model, "?");
    insta::assert_snapshot!("help", picture(&model, 80, 26));
    typed(&mut model, "?l");
    update(&mut model, key(KeyCode::Up));
    insta::assert_snapshot!("logs", picture(&model, 60, 12));
    typed(&mut model, "lr");
    insta::assert_snapshot!("question", picture(&model, 70, 14));
    typed(&mut model, "n/speech");
    insta::assert_snapshot!("filter", picture(&model, 70, 14));
}

#[test]
fn a_supervisor_that_is_away_and_a_tiny_window_are_told() {
    let mut model = Model::default();
    assert!(picture(&model, 60, 10).contains("asking the supervisor"));
    update(&mut model, Event::Away("no supervisor runs for ai-system".to_owned()));
    assert!(picture(&model, 80, 10).contains("no supervisor runs for ai-system"));
    assert!(picture(&model, 20, 3).contains("too small"));
    let mut model = showing("TaskRouter");
    update(&mut model, Event::Away("it went away".to_owned()));
    let shown = picture(&model, 120, 10);
    assert!(shown.contains("it went away") && shown.contains("TaskRouter"), "what was known stays:\n{shown}");
}

#[test]
fn every_state_has_a_symbol_and_a_word_of_its_own_beside_its_colour() {
    let mut all = status();
    all.hosts.truncate(1);
    all.hosts[0].services = State::ALL.map(|state| service("mainpc", None, state.word(), state)).to_vec();
    let mut model = Model::default();
    update(&mut model, Event::Status(Box::new(all)));
    let shown = picture(&model, 120, 20);
    for state in State::ALL {
        let expected = format!("{} {}", crate::render::fleet::symbol(state), state.word());
        assert!(shown.contains(&expected), "no {expected}:\n{shown}");
    }
}

#[test]
fn restarting_and_stopping_ask_first_and_starting_does_not() {
    let of_service = Step {
        verb: Verb::Restart,
        target: Target::Services(vec!["mainpc/TaskRouter".to_owned()]),
        name: "mainpc/TaskRouter".to_owned(),
    };
    let mut model = showing("TaskRouter");
    assert_eq!(typed(&mut model, "rn"), []);
    assert_eq!(typed(&mut model, "ry"), [Effect::Do(of_service.clone())]);
    assert_eq!(typed(&mut model, "sy"), [Effect::Do(Step { verb: Verb::Stop, ..of_service.clone() })]);
    assert_eq!(typed(&mut model, "u"), [Effect::Do(Step { verb: Verb::Start, ..of_service })]);
    typed(&mut model, "g");
    assert_eq!(model.selected, Some(Spot::Group("mainpc".to_owned(), "core".to_owned())));
    let done = typed(&mut model, "ry");
    assert!(matches!(done.as_slice(), [Effect::Do(Step { target: Target::Group(group), .. })] if group == "core"));
    update(&mut model, key(KeyCode::Home));
    assert_eq!(typed(&mut model, "r"), []);
    assert!(model.message.as_ref().unwrap().contains("select a service or a group"));
    update(&mut model, key(KeyCode::End));
    assert_eq!(typed(&mut model, "s"), []);
    assert_eq!(model.mode, Mode::Tree, "what is of another host is not stopped from here");
    assert!(model.message.as_ref().unwrap().contains("is of pc2"), "{:?}", model.message);
}

#[test]
fn the_logs_follow_the_selection_and_looking_back_stays() {
    let mut model = showing("TaskRouter");
    let before = model.logs.lines.len();
    update(&mut model, line("mainpc/monitor", "of another one"));
    assert_eq!(model.logs.lines.len(), before);
    typed(&mut model, "lkk");
    assert_eq!(model.logs.back, 2);
    update(&mut model, line("mainpc/TaskRouter", "more"));
    assert_eq!(model.logs.back, 3, "the view stays where it is");
    update(&mut model, key(KeyCode::End));
    assert_eq!(model.logs.back, 0);
    typed(&mut model, "l");
    let followed = update(&mut model, key(KeyCode::Down));
    assert_eq!(followed, [Effect::Follow(Some(ServiceId::new("mainpc", "SystemDigitalTwin")))]);
    assert!(model.logs.lines.is_empty());
}

#[test]
fn a_change_is_seen_before_the_next_status() {
    let mut model = showing("TaskRouter");
    let change = Change {
        number: 9,
        id: ServiceId::new("mainpc", "TaskRouter"),
        from: State::Ready,
        to: State::Waiting,
        why: "it ended: signal KILL".to_owned(),
        offset: Duration::from_secs(9),
        at: Timestamp(NOW + 1_000),
    };
    update(&mut model, Event::Change(change));
    let shown = picture(&model, 120, 20);
    assert!(shown.contains("↻ TaskRouter") && shown.contains("it ended: signal KILL"), "{shown}");
}

#[test]
fn the_next_supervisor_tells_the_lines_anew() {
    let id = ServiceId::new("mainpc", "TaskRouter");
    let mut model = showing("TaskRouter");
    update(&mut model, Event::Mute(id.clone(), "it is gone".to_owned()));
    assert!(model.logs.trouble.is_some());
    update(&mut model, Event::Listening(id));
    assert!(model.logs.trouble.is_none() && model.logs.lines.is_empty());
}

fn any_event() -> impl Strategy<Value = Event> {
    let code = prop_oneof![
        "[a-z/? ]".prop_map(|text| KeyCode::Char(text.chars().next().unwrap_or(' '))),
        Just(KeyCode::Up),
        Just(KeyCode::Down),
        Just(KeyCode::PageUp),
        Just(KeyCode::PageDown),
        Just(KeyCode::Home),
        Just(KeyCode::End),
        Just(KeyCode::Enter),
        Just(KeyCode::Esc),
        Just(KeyCode::Backspace),
    ];
    prop_oneof![
        8 => code.prop_map(key),
        2 => (0..8_usize).prop_map(|keep| {
            let mut status = status();
            status.hosts.iter_mut().for_each(|host| host.services.truncate(keep));
            if keep == 7 { status.hosts.clear(); }
            Event::Status(Box::new(status))
        }),
        2 => ".*".prop_map(|text| line("mainpc/TaskRouter", &text)),
        1 => ".*".prop_map(Event::Away),
        1 => ".*".prop_map(Event::Said),
        1 => Just(Event::Listening(ServiceId::new("mainpc", "TaskRouter"))),
        1 => Just(Event::Missed(ServiceId::new("mainpc", "TaskRouter"), 3)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens in whatever window, there is a picture, and something is selected while there is anything.
    #[test]
    fn no_order_of_events_breaks_the_screen(
        events in proptest::collection::vec(any_event(), 0..40),
        (columns, rows) in (1..200_u16, 1..60_u16),
    ) {
        let mut model = Model::default();
        for event in events {
            let effects = update(&mut model, event);
            let is_steered = effects.iter().any(|effect| matches!(effect, Effect::Do(_)));
            prop_assert!(!is_steered || model.status.is_some());
            let rows_now = model.rows();
            prop_assert_eq!(model.place(&rows_now).is_some(), !rows_now.is_empty());
            picture(&model, columns, rows);
        }
    }
}
