//! A track: documents, questions with their right answers, and which questions are for tuning. Leaves out where they come
//! from.

use clap::ValueEnum;
use masque_types::{digest::Digest, memory::DocumentKind};

/// Documents and questions to them.
#[derive(Debug, Default)]
pub(crate) struct Track {
    pub(crate) documents: Vec<Document>,
    pub(crate) questions: Vec<Question>,
}

/// One document.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// What questions name it by; it is not indexed.
    pub(crate) name: String,
    pub(crate) title: String,
    /// Markdown.
    pub(crate) text: String,
    pub(crate) kind: DocumentKind,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) text: String,
    /// Places of the documents that answer it; none when nothing does.
    pub(crate) answers: Vec<usize>,
}

/// Which questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Split {
    /// The 30 % that settings are tuned on
    Dev,
    /// The 70 % that figures are published of
    #[default]
    Test,
}

impl Split {
    /// Where a question belongs: decided by its text alone, so that other questions do not move it.
    fn of(question: &Question) -> Self {
        let digest = Digest::of(&question.text);
        let share = digest.as_bytes().first().map_or(0, |byte| u32::from(*byte) * 10 / 256);
        if share < 3 { Self::Dev } else { Self::Test }
    }
}

impl Track {
    /// The questions of a part.
    pub(crate) fn of(&self, split: Split) -> Vec<&Question> {
        self.questions.iter().filter(|question| Split::of(question) == split).collect()
    }

    /// Says which documents and questions these are: equal digests, equal tracks.
    pub(crate) fn digest(&self) -> Digest {
        let documents = self.documents.iter().flat_map(|document| [&document.title, &document.text]);
        let questions = self.questions.iter().map(|question| &question.text);
        Digest::of_parts(documents.chain(questions).map(String::as_bytes))
    }

    /// The place of the document with a name.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.documents.iter().position(|document| document.name == name)
    }
}

/// Keeps the candidates whose text occurs once, whatever its case: a question that several documents gave has no one answer.
pub(crate) fn unique(candidates: Vec<Question>) -> Vec<Question> {
    let mut counts = std::collections::HashMap::<String, usize>::new();
    for candidate in &candidates {
        *counts.entry(candidate.text.to_lowercase()).or_default() += 1;
    }
    candidates.into_iter().filter(|candidate| counts.get(&candidate.text.to_lowercase()) == Some(&1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_a_third_of_the_questions_is_for_tuning_and_stays_there() {
        let question = |number: usize| Question { text: format!("question {number}"), answers: vec![number] };
        let track = Track { documents: Vec::new(), questions: (0..1_000).map(question).collect() };
        let (dev, test) = (track.of(Split::Dev), track.of(Split::Test));
        assert_eq!(dev.len() + test.len(), 1_000);
        assert!((250..350).contains(&dev.len()), "{}", dev.len());
        assert!(dev.iter().all(|question| !test.contains(question)));
    }

    #[test]
    fn questions_of_several_documents_are_not_asked() {
        let question = |text: &str, answer| Question { text: text.to_owned(), answers: vec![answer] };
        let kept = unique(vec![question("List files", 0), question("list files", 1), question("Copy files", 2)]);
        assert_eq!(kept, [question("Copy files", 2)]);
    }
}
