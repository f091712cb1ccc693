//! Remote text made safe to print, once.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest line of evidence kept, in characters; what is cut is said.
const LONGEST: usize = 1_000;

/// A line of what decided a verdict, safe for every report: no control characters, no escape sequences, no bidirectional overrides.
///
/// The only way to make one escapes its text, so no report needs to think of it again; each format still applies its own quoting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    #[serde(deserialize_with = "escaped")]
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_escaped")]
    source: Option<String>,
}

impl Evidence {
    /// Evidence from any text, hostile or not.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: escape(text.as_ref(), LONGEST), source: None }
    }

    /// The same with the command that it was read from.
    pub fn from_source(text: impl AsRef<str>, source: impl AsRef<str>) -> Self {
        Self { source: Some(escape(source.as_ref(), LONGEST)), ..Self::new(text) }
    }

    /// The line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The command that the line was read from, where there was one.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }
}

/// What is read back from a file is escaped again, which changes nothing of what a scan wrote, so that a forged file is as harmless.
fn escaped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| escape(&text, text.len()))
}

fn optional_escaped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(|text| escape(&text, text.len())))
}

/// Evidence without a source as plain text: `#[serde(with = "as_text")]`.
pub(super) mod as_text {
    use super::{Deserializer, Evidence, Serializer, escaped};

    pub(in crate::model) fn serialize<S: Serializer>(evidence: &Evidence, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(evidence.text())
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Evidence, D::Error> {
        Ok(Evidence { text: escaped(deserializer)?, source: None })
    }
}

/// The same for evidence that may be absent.
pub(super) mod as_optional_text {
    use super::{Deserializer, Evidence, Serialize, Serializer, optional_escaped};

    pub(in crate::model) fn serialize<S: Serializer>(evidence: &Option<Evidence>, serializer: S) -> Result<S::Ok, S::Error> {
        evidence.as_ref().map(Evidence::text).serialize(serializer)
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Evidence>, D::Error> {
        Ok(optional_escaped(deserializer)?.map(|text| Evidence { text, source: None }))
    }
}

/// `text` with control characters, bidirectional controls and invisible characters written as `\n`, `\u{202e}` and the like, cut at
/// `longest` characters.
pub fn escape(text: &str, longest: usize) -> String {
    // Nearly every text: then characters are bytes, and none needs a look of its own.
    if text.len() <= longest && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len().min(longest + 16));
    for (at, character) in text.chars().enumerate() {
        if at == longest {
            out.push_str(" [cut]");
            break;
        }
        match character {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if character.is_control() || is_deceptive(character) => {
                out.extend(character.escape_unicode());
            }
            _ => out.push(character),
        }
    }
    out
}

/// Characters that print nothing or reorder what is around them (Unicode TR 36, TR 9), and noncharacters that XML 1.0 forbids.
fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_bidi_overrides_are_written_out() {
        let evidence = Evidence::new("a\x1b[31mred\u{202e}x\ny");
        assert_eq!(evidence.text(), "a\\u{1b}[31mred\\u{202e}x\\ny");
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let evidence = Evidence::new("x".repeat(5_000));
        assert_eq!(evidence.text().len(), LONGEST + " [cut]".len());
        assert!(evidence.text().ends_with(" [cut]"));
    }

    #[test]
    fn evidence_read_back_is_what_was_written_and_never_raw() {
        let long = Evidence::from_source("\n".repeat(5_000), "stat -c %n");
        let json = serde_json::to_string(&long).unwrap();
        assert_eq!(serde_json::from_str::<Evidence>(&json).unwrap(), long);
        let forged: Evidence = serde_json::from_str(r#"{"text": "\u001b[2J", "source": "\u202e"}"#).unwrap();
        assert_eq!((forged.text(), forged.source()), ("\\u{1b}[2J", Some("\\u{202e}")));
    }
}
