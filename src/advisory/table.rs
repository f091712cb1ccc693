//! The embedded table of advisories and maintained lines.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{Line, Match, NotJudged, Version};

/// Read once, at its first use.
static EMBEDDED: LazyLock<Result<Table, String>> = LazyLock::new(|| Table::load(include_str!("advisories.toml")));

/// The table as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    date: String,
    advisory: Vec<Entry>,
    line: Vec<LineEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    product: String,
    ranges: Vec<RangeEntry>,
    severity: String,
    #[serde(default)]
    condition: String,
    summary: String,
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeEntry {
    introduced: String,
    fixed: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineEntry {
    name: String,
    maintained: bool,
    #[serde(default)]
    ends: Option<String>,
}

/// Versions from `from` (`None`: the beginning) to before `fixed` (`None`: never fixed).
struct Range {
    from: Option<Version>,
    fixed: Option<(Version, String)>,
}

impl Range {
    fn contains(&self, version: Version) -> bool {
        self.from.is_none_or(|from| from <= version) && self.fixed.as_ref().is_none_or(|(fixed, _)| version < *fixed)
    }
}

struct Advisory {
    entry: Entry,
    ranges: Vec<Range>,
}

pub(super) struct Table {
    date: String,
    advisories: Vec<Advisory>,
    lines: Vec<LineEntry>,
}

impl Table {
    pub(super) fn embedded() -> Result<&'static Self, NotJudged> {
        EMBEDDED.as_ref().map_err(|fault| NotJudged::Table(fault.clone()))
    }

    fn load(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let version = |text: &str, id: &str| Version::parse(text).ok_or_else(|| format!("{id}: `{text}` is no version"));
        let mut advisories = Vec::with_capacity(file.advisory.len());
        for entry in file.advisory {
            let mut ranges = Vec::with_capacity(entry.ranges.len());
            for range in &entry.ranges {
                let from = if range.introduced == "0" { None } else { Some(version(&range.introduced, &entry.id)?) };
                let fixed = match &range.fixed {
                    None => None,
                    Some(text) => Some((version(text, &entry.id)?, text.clone())),
                };
                ranges.push(Range { from, fixed });
            }
            advisories.push(Advisory { entry, ranges });
        }
        Ok(Self { date: file.date, advisories, lines: file.line })
    }

    pub(super) fn date(&self) -> &str {
        &self.date
    }

    pub(super) fn affecting(&self, product: &str, text: &str) -> Result<Vec<Match>, NotJudged> {
        let mut of_product = self.advisories.iter().filter(|advisory| advisory.entry.product == product).peekable();
        if of_product.peek().is_none() {
            return Err(NotJudged::Product(product.to_owned()));
        }
        let version = Version::parse(text).ok_or_else(|| NotJudged::Version(text.to_owned()))?;
        let affected = of_product.filter(|advisory| advisory.ranges.iter().any(|range| range.contains(version)));
        Ok(affected.map(|advisory| advisory.of(version)).collect())
    }

    pub(super) fn engine_line(&self, text: &str) -> Result<Option<Line>, NotJudged> {
        let version = Version::parse(text).ok_or_else(|| NotJudged::Version(text.to_owned()))?;
        let (major, minor) = version.major_minor();
        // A line is named by its major number alone (29) or by both (20.10, 19.03).
        let numbers = |name: &str| match name.split_once('.') {
            None => (name.parse().ok(), None),
            Some((major, minor)) => (major.parse().ok(), minor.parse::<u64>().ok()),
        };
        let line = self.lines.iter().find(|line| {
            let (line_major, line_minor) = numbers(&line.name);
            line_major == Some(major) && line_minor.is_none_or(|line_minor| line_minor == minor)
        });
        if let Some(line) = line {
            return Ok(Some(Line { name: line.name.clone(), maintained: line.maintained, ends: line.ends.clone() }));
        }
        let newest = self.lines.iter().filter_map(|line| numbers(&line.name).0).max().unwrap_or(0);
        Ok((major <= newest).then(|| Line { name: format!("{major}.{minor}"), maintained: false, ends: None }))
    }
}

impl Advisory {
    fn of(&self, version: Version) -> Match {
        let mut fixed: Vec<&(Version, String)> =
            self.ranges.iter().filter_map(|range| range.fixed.as_ref()).filter(|(fixed, _)| *fixed > version).collect();
        fixed.sort_unstable();
        Match {
            id: self.entry.id.clone(),
            severity: self.entry.severity.clone(),
            summary: self.entry.summary.clone(),
            fixed: fixed.into_iter().map(|(_, text)| text.clone()).collect(),
            url: self.entry.url.clone(),
            condition: self.entry.condition.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_table_is_whole() {
        let table = Table::embedded().expect("readable");
        assert_eq!(table.advisories.len(), 89);
        for advisory in &table.advisories {
            let Entry { id, severity, condition, url, .. } = &advisory.entry;
            assert!(["critical", "high", "medium", "low", "unknown"].contains(&severity.as_str()), "{id}: {severity}");
            assert!(
                ["", "authorization-plugin", "swarm", "firewalld", "other-client"].contains(&condition.as_str()),
                "{id}: {condition}"
            );
            assert!(url.starts_with("https://"), "{id}: {url}");
            for range in &advisory.ranges {
                let (fixed, _) = range.fixed.as_ref().expect("each is fixed somewhere");
                assert!(range.from.is_none_or(|from| from < *fixed), "{id}: an empty range");
            }
        }
    }

    #[test]
    fn a_fault_of_the_table_names_the_advisory() {
        let text = "date = \"2026-01-01\"\nline = []\n[[advisory]]\nid = \"X-1\"\nproduct = \"runc\"\nranges = [{ introduced = \"one\" }]\nseverity = \"low\"\nsummary = \"s\"\nurl = \"https://x\"\n";
        assert_eq!(Table::load(text).err().as_deref(), Some("X-1: `one` is no version"));
    }
}
