//! Where the person types: lines with history, completion and pasted blocks; questions with an answer on one line.
//!
//! A terminal that can move its cursor gets a line editor; any other one is read line by line. Leaves out what lines
//! mean.

use std::{
    borrow::Cow,
    io::{BufRead as _, Write as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use masque_app::Error;
use reedline::{
    Color, ColumnarMenu, Completer, DefaultHinter, EditCommand, Emacs, FileBackedHistory, Highlighter, KeyCode,
    KeyModifiers, MenuBuilder as _, Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline,
    ReedlineEvent, ReedlineMenu, Signal, StyledText, ValidationResult, Validator, default_emacs_keybindings,
};

use super::status::Status;
use crate::chat::screen::{self, Abilities};

/// Lines that the history keeps.
const HISTORY: usize = 2_000;
/// How often the editor looks whether somebody else ended its question.
const PACE: Duration = Duration::from_millis(50);
/// Letters before the history is hinted at.
const HINT_FROM: usize = 3;
const MENU: &str = "completion";
/// What the key for the last call does, as a line.
pub(crate) const EXPAND: &str = "/expand";

/// What came of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A line, or several that were pasted or continued.
    Line(String),
    /// Ctrl-C, with a line that was cleared by it.
    Cleared,
    /// Ctrl-C on an empty line.
    Interrupt,
    /// Ctrl-D, or the end of the input.
    End,
    /// Somebody else ended the reading.
    Broken,
}

/// What stands before the line.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// The prompt of the session, with its status above.
    Words(Box<Status>),
    /// A question.
    Question(String),
}

/// Reads from the terminal.
pub(crate) struct Editor {
    kind: Kind,
    stop: Arc<AtomicBool>,
}

enum Kind {
    /// One for words and one for answers: answers are neither kept nor completed.
    Lines {
        words: Box<Reedline>,
        answers: Box<Reedline>,
        typed: Arc<AtomicBool>,
    },
    Plain,
}

impl Editor {
    /// An editor with a history in this file.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub(crate) fn new(
        abilities: Abilities,
        history: PathBuf,
        completer: Box<dyn Completer + Send>,
    ) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        if !abilities.moves {
            return Ok(Self { kind: Kind::Plain, stop });
        }
        let typed = Arc::new(AtomicBool::new(false));
        let history = FileBackedHistory::with_file(HISTORY, history)
            .map_err(|error| Error::environment(format!("the history of what was typed cannot be read: {error:?}")))?;
        let words = base(abilities, &stop, &typed)
            .with_history(Box::new(history))
            .with_history_exclusion_prefix(Some(" ".to_owned()))
            .with_hinter(Box::new(DefaultHinter::default().with_min_chars(HINT_FROM)))
            .with_completer(completer)
            .with_partial_completions(true)
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(
                ColumnarMenu::default().with_name(MENU).with_columns(1),
            )));
        let answers = base(abilities, &stop, &typed).disable_hints();
        Ok(Self { kind: Kind::Lines { words: Box::new(words), answers: Box::new(answers), typed }, stop })
    }

    /// Whether a reading can be ended by somebody else.
    pub(crate) const fn can_stop(&self) -> bool {
        matches!(self.kind, Kind::Lines { .. })
    }

    /// Ends a reading that is under way when it is set.
    pub(crate) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Reads; blocks the thread.
    pub(crate) fn read(&mut self, ask: &Ask) -> Typed {
        self.stop.store(false, Ordering::Relaxed);
        let Kind::Lines { words, answers, typed } = &mut self.kind else { return read_plain(ask) };
        typed.store(false, Ordering::Relaxed);
        let (editor, prompt) = match ask {
            Ask::Words(status) => (words, Shown::Words(status)),
            Ask::Question(question) => (answers, Shown::Question(question.clone())),
        };
        let result = editor.read_line(&prompt);
        // A history that is only written at the end would be lost by a crash.
        let _ = editor.sync_history();
        match result {
            Ok(Signal::Success(line)) => Typed::Line(line),
            Ok(Signal::CtrlC) if typed.load(Ordering::Relaxed) => Typed::Cleared,
            Ok(Signal::CtrlC) => Typed::Interrupt,
            Ok(Signal::HostCommand(command)) => Typed::Line(command),
            Ok(Signal::ExternalBreak(_)) => Typed::Broken,
            Ok(_) | Err(_) => Typed::End,
        }
    }
}

fn base(abilities: Abilities, stop: &Arc<AtomicBool>, typed: &Arc<AtomicBool>) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let newline = || ReedlineEvent::Edit(vec![EditCommand::InsertNewline]);
    keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, newline());
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::Enter, newline());
    keys.add_binding(KeyModifiers::CONTROL, KeyCode::Char('j'), newline());
    keys.add_binding(KeyModifiers::CONTROL, KeyCode::Char('o'), ReedlineEvent::ExecuteHostCommand(EXPAND.to_owned()));
    let complete = ReedlineEvent::UntilFound(vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    Reedline::create()
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_ansi_colors(abilities.colour)
        .use_bracketed_paste(true)
        .with_quick_completions(true)
        .with_validator(Box::new(Continued))
        .with_highlighter(Box::new(Watched(Arc::clone(typed))))
        .with_break_signal(Arc::clone(stop))
        .with_poll_interval(PACE)
}

/// Without a line editor: one line, as the terminal gives it.
fn read_plain(ask: &Ask) -> Typed {
    let prompt = match ask {
        Ask::Words(status) => format!("{}\n> ", status.line(screen::size().columns)),
        Ask::Question(question) => format!("{question} "),
    };
    let mut out = std::io::stdout();
    let _ = write!(out, "{prompt}");
    let _ = out.flush();
    match std::io::stdin().lock().lines().next() {
        Some(Ok(line)) => Typed::Line(line),
        Some(Err(_)) | None => Typed::End,
    }
}

/// A line that ends with a backslash goes on.
struct Continued;

impl Validator for Continued {
    fn validate(&self, line: &str) -> ValidationResult {
        if line.ends_with('\\') { ValidationResult::Incomplete } else { ValidationResult::Complete }
    }
}

/// Takes down whether there was something to clear.
struct Watched(Arc<AtomicBool>);

impl Highlighter for Watched {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        if !line.is_empty() {
            self.0.store(true, Ordering::Relaxed);
        }
        let mut text = StyledText::new();
        text.push((Default::default(), line.to_owned()));
        text
    }
}

/// A prompt that is laid out anew for each drawing, so that it fits a terminal whose size changes.
enum Shown<'a> {
    Words(&'a Status),
    Question(String),
}

impl Prompt for Shown<'_> {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        match self {
            // The last column stays free: some terminals would break the line there.
            Self::Words(status) => format!("{}\n", status.line(screen::size().columns.saturating_sub(1))).into(),
            Self::Question(question) => question.into(),
        }
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        match self {
            Self::Words(_) => "❯ ".into(),
            Self::Question(_) => " ".into(),
        }
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "  ".into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let mark = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing found: ",
        };
        format!("({mark}history: {}) ", search.term).into()
    }

    fn get_prompt_color(&self) -> Color {
        match self {
            Self::Words(_) => Color::DarkGray,
            Self::Question(_) => Color::Yellow,
        }
    }

    fn get_indicator_color(&self) -> Color {
        Color::Cyan
    }

    fn get_prompt_multiline_color(&self) -> Color {
        Color::Cyan
    }
}
