//! Lines of a given width: what the terminal report is made of. Pure; knows columns and colours, nothing of reports.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

use crate::model::Severity;
pub(super) use crate::model::{counted, number};

/// The columns that text takes on a terminal: the sum of its characters, as most terminals count.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// `text` in at most `width` columns, an ellipsis in the place of what is cut.
pub(super) fn fit(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut out = prefix(text, width.saturating_sub(1)).to_owned();
    if width > 0 {
        out.push('…');
    }
    out
}

/// The longest beginning of `text` that takes at most `width` columns.
fn prefix(text: &str, width: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, character)| {
        taken += character.width().unwrap_or(0);
        taken > width
    });
    text.get(..end.map_or(text.len(), |(at, _)| at)).unwrap_or(text)
}

/// `text` filled with spaces to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(missing))
}

/// `left` and `right` at the two ends of a line of `width` columns; what has no room is cut from the left one.
pub(super) fn ends(left: &str, right: &str, width: usize) -> String {
    let room = width.saturating_sub(columns(right) + 2);
    format!("{}  {right}", pad(&fit(left, room), room))
}

/// `text` broken at spaces into at most `most` lines of `width` columns; what does not fit ends in an ellipsis.
pub(super) fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines: Vec<String> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if lines.len() + 1 == most {
            lines.push(fit(rest, width));
            break;
        }
        let line = first_line(rest, width);
        lines.push(line.trim_end().to_owned());
        rest = rest.get(line.len()..).unwrap_or_default().trim_start();
    }
    lines
}

/// The part of `text`, which is not empty, that goes on one line: up to the last space that fits, else as much as fits.
fn first_line(text: &str, width: usize) -> &str {
    let fitting = prefix(text, width);
    if fitting.len() == text.len() || text.get(fitting.len()..).is_some_and(|rest| rest.starts_with(' ')) {
        return fitting;
    }
    match fitting.rfind(' ') {
        Some(space) if space > 0 => fitting.get(..space).unwrap_or(fitting),
        _ => fitting,
    }
}

/// `part` of `whole` in per cent, rounded so that only all is 100 and only nothing is 0.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0%".to_owned();
    }
    let rounded = part.saturating_mul(100).saturating_add(whole / 2) / whole;
    match rounded {
        0 if part > 0 => "<1%".to_owned(),
        100 if part < whole => ">99%".to_owned(),
        _ => format!("{rounded}%"),
    }
}

/// The first names and how many more there are: `web01, web02 and 37 more`; as many names as fit into `width` columns, at least one.
pub(super) fn names(first: &[String], all: u64, width: usize) -> String {
    let of = |shown: usize| {
        let named = first.get(..shown).unwrap_or(first).join(", ");
        match all.saturating_sub(shown as u64) {
            0 => named,
            more => format!("{named} and {} more", number(more)),
        }
    };
    (2..=first.len()).rev().map(of).find(|line| columns(line) <= width).unwrap_or_else(|| fit(&of(first.len().min(1)), width))
}

/// Styles for words; each gives the word back unchanged where there is no colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    /// Whether to colour.
    pub(super) colour: bool,
}

impl Paint {
    fn paint(self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A heading.
    pub(super) fn heading(self, text: &str) -> String {
        self.paint(Style::new().bold().underline(), text)
    }

    /// What matters on its line.
    pub(super) fn strong(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// What only supports.
    pub(super) fn faint(self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    /// Something that is missing.
    pub(super) fn warning(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    /// In the colour of a severity.
    pub(super) fn severity(self, severity: Severity, text: &str) -> String {
        let style = match severity {
            Severity::Critical => AnsiColor::Red.on_default().bold(),
            Severity::High => AnsiColor::Red.on_default(),
            Severity::Medium => AnsiColor::Yellow.on_default(),
            Severity::Low => AnsiColor::Cyan.on_default(),
            Severity::Info => Style::new(),
        };
        self.paint(style, text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_read_like_prose() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((counted(1, "host"), counted(5_000, "host")), ("1 host".to_owned(), "5,000 hosts".to_owned()));
    }

    #[test]
    fn almost_all_is_never_all_and_almost_nothing_never_nothing() {
        let shown = [(0, 0), (0, 5), (1, 5_000), (1, 2), (4_999, 5_000), (5, 5)].map(|(part, whole)| percent(part, whole));
        assert_eq!(shown, ["0%", "0%", "<1%", "50%", ">99%", "100%"]);
    }

    #[test]
    fn names_are_as_many_as_fit_and_the_rest_is_counted() {
        let first = ["web01", "web02", "web03"].map(str::to_owned);
        assert_eq!(names(&first, 3, 40), "web01, web02, web03");
        assert_eq!(names(&first, 40, 40), "web01, web02, web03 and 37 more");
        assert_eq!(names(&first, 40, 25), "web01, web02 and 38 more");
        assert_eq!(names(&first, 40, 10), "web01 and…");
        assert_eq!(names(&[], 0, 10), "");
    }

    #[test]
    fn text_is_wrapped_at_spaces_and_says_when_there_is_more() {
        assert_eq!(wrap("one two three four", 9, 9), ["one two", "three", "four"]);
        assert_eq!(wrap("one two three four", 9, 2), ["one two", "three fo…"]);
        assert_eq!(wrap("onetwothreefour", 8, 9), ["onetwoth", "reefour"]);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked(text in "\\PC*", width in 8_usize..60, most in 1_usize..5) {
            prop_assert!(columns(&fit(&text, width)) <= width);
            let lines = wrap(&text, width, most);
            prop_assert!(lines.len() <= most);
            for line in lines {
                prop_assert!(columns(&line) <= width, "{line:?}");
            }
        }
    }
}
