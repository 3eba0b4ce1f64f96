//! Manual pages: what they say, without their typesetting. Reads `man` and `mdoc` pages; leaves out where pages are.

/// What a page says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// What its NAME line says behind the dash.
    pub(crate) description: String,
    /// Everything but the NAME section, as Markdown.
    pub(crate) text: String,
}

/// Requests and macros whose lines say nothing to a reader.
const SILENT: [&str; 34] = [
    "TH", "Dd", "Dt", "Os", "de", "ds", "nr", "if", "ie", "el", "tr", "hy", "ad", "na", "nh", "ne", "ft", "fi", "nf",
    "in", "ti", "sp", "br", "ta", "rm", "rr", "so", "mso", "ll", "PD", "UE", "IX", "Bl", "El",
];

/// Reads a page. None when it stands for another page, or has no NAME line with a description.
pub(crate) fn read(source: &str) -> Option<Page> {
    let mut reader = Reader::default();
    for line in source.lines() {
        match (reader.skipped_to, request(line)) {
            (Some(end), _) if line.trim_end() != end => {}
            (Some(_), _) => reader.skipped_to = None,
            (None, Some(("so", _))) if reader.text.is_empty() => return None,
            (None, Some((request, rest))) => reader.request(request, rest),
            (None, None) => reader.text(line),
        }
    }
    Some(Page { description: description(&reader.name)?, text: reader.text })
}

#[derive(Default)]
struct Reader {
    text: String,
    name: String,
    in_name: bool,
    /// The line that ends what is being left out.
    skipped_to: Option<&'static str>,
}

impl Reader {
    fn text(&mut self, line: &str) {
        let (target, end) = if self.in_name { (&mut self.name, ' ') } else { (&mut self.text, '\n') };
        target.push_str(&unescaped(line));
        target.push(end);
    }

    fn request(&mut self, request: &str, rest: &str) {
        match request {
            "de" | "ig" | "de1" | "am" => self.skipped_to = Some(".."),
            "TS" => self.skipped_to = Some(".TE"),
            "SH" | "Sh" => self.section(&arguments(rest)),
            "SS" | "Ss" => self.text.push_str(&format!("\n### {}\n\n", arguments(rest))),
            "Nd" => self.name.push_str(&format!(" - {} ", arguments(rest))),
            "PP" | "P" | "LP" | "Pp" | "TP" | "IP" | "It" => {
                self.text.push_str(&format!("\n{}\n", arguments(rest)));
            }
            _ if SILENT.contains(&request) || request.starts_with(['\\', '"']) => {}
            _ if self.in_name => self.name.push_str(&format!("{} ", arguments(rest))),
            _ => self.text.push_str(&format!("{}\n", arguments(rest))),
        }
    }

    fn section(&mut self, heading: &str) {
        self.in_name = heading.eq_ignore_ascii_case("name");
        if !self.in_name {
            self.text.push_str(&format!("\n## {heading}\n\n"));
        }
    }
}

/// The request of a line and what follows it.
fn request(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix('.').or_else(|| line.strip_prefix('\''))?.trim_start();
    Some(line.split_once([' ', '\t']).unwrap_or((line, "")))
}

fn description(name: &str) -> Option<String> {
    let dashes = [" - ", " -- ", " — ", " – "];
    let (_, said) = dashes.iter().find_map(|dash| name.split_once(dash))?;
    let said = said.trim().trim_start_matches(['-', ' ']).trim_end_matches('.');
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    (!said.is_empty()).then_some(said)
}

/// The arguments of a macro as text: quotes removed, the names of macros that are called in a line left out.
fn arguments(text: &str) -> String {
    let text = text.split("\\\"").next().unwrap_or_default();
    let is_macro = |word: &str| {
        let mut letters = word.chars();
        word.len() == 2
            && letters.next().is_some_and(|c| c.is_ascii_uppercase())
            && letters.next().is_some_and(|c| c.is_ascii_lowercase())
    };
    let words = text.split_whitespace().filter(|word| !is_macro(word));
    unescaped(&words.collect::<Vec<_>>().join(" ")).replace('"', "")
}

/// A text without the escapes of the typesetter.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('-') => out.push('-'),
            Some('e') => out.push('\\'),
            Some(' ' | '~' | '0') => out.push(' '),
            Some('f' | '*' | 'n' | 'g' | 'm') => drop_name(&mut rest),
            Some('s') => drop_size(&mut rest),
            Some('(') => out.push_str(glyph(&[rest.next(), rest.next()].into_iter().flatten().collect::<String>())),
            Some('[') => out.push_str(glyph(&rest.by_ref().take_while(|c| *c != ']').collect::<String>())),
            Some('"') => break,
            Some('\'') => out.push('\''),
            _ => {}
        }
    }
    out
}

/// Reads over a name: one character, `(` and two, or in brackets.
fn drop_name(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('(') => drop(rest.nth(1)),
        Some('[') => drop(rest.find(|c| *c == ']')),
        _ => {}
    }
}

/// Reads over a change of size: an optional sign and a digit.
fn drop_size(rest: &mut std::str::Chars<'_>) {
    if matches!(rest.next(), Some('+' | '-')) {
        rest.next();
    }
}

fn glyph(name: &str) -> &'static str {
    match name {
        "em" | "en" | "hy" | "mi" => "-",
        "aq" | "cq" | "oq" | "ga" | "aa" => "'",
        "lq" | "rq" | "dq" => "\"",
        "bu" => "•",
        "rs" => "\\",
        "ti" => "~",
        "ha" => "^",
        "at" => "@",
        "co" => "©",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gives_its_description_and_loses_its_name_section() {
        let source = ".\\\" comment\n.TH LS 1 \"May 2026\"\n.SH NAME\nls \\- list \\fIdirectory\\fR contents\n.SH \"SYNOPSIS\"\n.B ls\n[\\fI\\,OPTION\\/\\fR]\n.de XX\nhidden\n..\n.TP\n\\fB\\-a\\fR, \\fB\\-\\-all\\fR\ndo not ignore \\(lqdots\\(rq\n";
        let page = read(source).unwrap();
        assert_eq!(page.description, "list directory contents");
        assert!(page.text.contains("## SYNOPSIS\n\nls\n[OPTION]"), "{}", page.text);
        assert!(page.text.contains("-a, --all\ndo not ignore \"dots\""), "{}", page.text);
        assert!(!page.text.contains("hidden") && !page.text.contains("directory contents"), "{}", page.text);
    }

    #[test]
    fn mdoc_pages_describe_themselves_in_a_macro() {
        let source =
            ".Dd May 1\n.Sh NAME\n.Nm ssh\n.Nd OpenSSH remote login client\n.Sh SYNOPSIS\n.Nm ssh\n.Op Fl 46\n";
        let page = read(source).unwrap();
        assert_eq!(page.description, "OpenSSH remote login client");
        assert!(page.text.ends_with("ssh\n46\n"), "{}", page.text);
    }

    #[test]
    fn a_page_that_stands_for_another_is_none() {
        assert_eq!(read(".so man1/other.1\n"), None);
        assert_eq!(read(".SH NAME\nnothing\n.SH X\n"), None);
    }
}
