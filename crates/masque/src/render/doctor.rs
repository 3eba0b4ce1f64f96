//! The findings of an examination, by section.

use masque_app::doctor::{Finding, Health};

use super::{
    heading, line,
    style::{DIM, ERROR, GOOD},
};

/// Prints findings; a new section gets a heading.
pub(crate) fn findings(findings: &[Finding]) {
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0).min(28);
    let mut section = "";
    for finding in findings {
        if finding.section != section {
            section = finding.section;
            heading(section);
        }
        let mark = match finding.state {
            Health::Good => format!("{GOOD}ok{GOOD:#}     "),
            Health::Absent => format!("{DIM}absent{DIM:#} "),
            Health::Bad => format!("{ERROR}bad{ERROR:#}    "),
        };
        let detail = finding.detail.replace('\n', &format!("\n{:1$}", "", width + 9));
        line(&format!("  {mark}{:<width$}  {detail}", finding.name));
    }
}
