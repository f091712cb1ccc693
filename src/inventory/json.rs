//! JSON as a tree of nodes that know their line, read as Python's `json` module reads it.
//!
//! Not by `serde_json`, which tells no lines of what it read; and not as YAML, to which a tab is an error.

use super::Complaint;
use super::node::{Document, Kind, Node};

/// How deep lists and maps may be nested.
const DEEPEST: usize = 64;

/// Reads one document.
///
/// # Errors
/// What is wrong with the syntax, and on which line.
pub(super) fn parse(text: &str) -> Result<Document, (u32, Complaint)> {
    let mut reader = Reader { rest: text, line: 1 };
    let read = reader.value(0).and_then(|root| {
        reader.skip_space();
        match reader.rest.is_empty() {
            true => Ok(root),
            false => Err(reader.unexpected("the end")),
        }
    });
    read.map(Document::new).map_err(|message| {
        let complaint = Complaint::new(format!("the JSON is not well-formed: {message}"));
        (reader.line, complaint.hint("look at the commas, the quotes and the brackets of this line and the one before"))
    })
}

struct Reader<'a> {
    rest: &'a str,
    line: u32,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        let rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let (space, rest) = self.rest.split_at(self.rest.len() - rest.len());
        self.line = self.line.saturating_add(u32::try_from(space.matches('\n').count()).unwrap_or(u32::MAX));
        self.rest = rest;
    }

    fn take(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.rest.chars().next() {
            Some(found) => format!("{found:?} stands where {wanted} belongs"),
            None => format!("the text ends where {wanted} belongs"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, String> {
        if depth > DEEPEST {
            return Err(format!("values are nested more than {DEEPEST} deep"));
        }
        self.skip_space();
        let line = self.line;
        let kind = match self.rest.chars().next() {
            Some('{') => return self.map(depth),
            Some('[') => self.list(depth)?,
            Some('"') => Kind::Text(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            _ if self.take("true") => Kind::Bool(true),
            _ if self.take("false") => Kind::Bool(false),
            _ if self.take("null") => Kind::Null,
            _ if self.take("NaN") => Kind::Text("NaN".to_owned()),
            _ if self.take("Infinity") => Kind::Text("Infinity".to_owned()),
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node::new(kind, line))
    }

    fn list(&mut self, depth: usize) -> Result<Kind, String> {
        self.take("[");
        let mut items = Vec::new();
        self.skip_space();
        if self.take("]") {
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            match () {
                () if self.take(",") => {}
                () if self.take("]") => return Ok(Kind::List(items)),
                () => return Err(self.unexpected("`,` or `]`")),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, String> {
        let line = self.line;
        self.take("{");
        let mut entries = Vec::new();
        self.skip_space();
        if self.take("}") {
            return Ok(Node::new(Kind::Map(entries), line));
        }
        loop {
            self.skip_space();
            let key_line = self.line;
            if !self.rest.starts_with('"') {
                return Err(self.unexpected("a name in double quotes"));
            }
            let key = Node::new(Kind::Text(self.string()?), key_line);
            self.skip_space();
            if !self.take(":") {
                return Err(self.unexpected("`:`"));
            }
            entries.push((key, self.value(depth + 1)?));
            self.skip_space();
            match () {
                () if self.take(",") => {}
                () if self.take("}") => return Ok(marked(entries, line)),
                () => return Err(self.unexpected("`,` or `}`")),
            }
        }
    }

    fn number(&mut self) -> Result<Kind, String> {
        if self.take("-Infinity") {
            return Ok(Kind::Text("-Infinity".to_owned()));
        }
        let part = |character: char| character.is_ascii_digit() || matches!(character, '+' | '-' | '.' | 'e' | 'E');
        let end = self.rest.find(|character| !part(character)).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        // The grammar of numbers is narrower than that of Rust, and serde_json knows it.
        if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
            return Err(format!("`{text}` is not a number"));
        }
        self.rest = rest;
        Ok(text.parse().map_or_else(|_| Kind::Text(text.to_owned()), Kind::Int))
    }

    fn string(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut rest = self.rest.get(1..).unwrap_or_default();
        loop {
            let end = rest.find(|character: char| matches!(character, '"' | '\\') || character < ' ').unwrap_or(rest.len());
            text.push_str(rest.get(..end).unwrap_or_default());
            rest = rest.get(end..).unwrap_or_default();
            let mut characters = rest.chars();
            match characters.next() {
                Some('"') => {
                    self.rest = characters.as_str();
                    return Ok(text);
                }
                Some('\\') => rest = escape(characters.as_str(), &mut text)?,
                Some('\n') => return Err("a string does not end on its line".to_owned()),
                Some(control) => return Err(format!("a string holds {control:?}, which has to be written as an escape")),
                None => return Err("a string does not end".to_owned()),
            }
        }
    }
}

/// Reads what stands behind a backslash and gives the rest.
fn escape<'a>(rest: &'a str, text: &mut String) -> Result<&'a str, String> {
    let mut characters = rest.chars();
    text.push(match characters.next() {
        Some(plain @ ('"' | '\\' | '/')) => plain,
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let (unit, rest) = code_unit(characters.as_str()).ok_or("`\\u` is not followed by four digits")?;
            let low = rest.strip_prefix("\\u").and_then(code_unit).filter(|(low, _)| (0xdc00..0xe000).contains(low));
            let (character, rest) = match low.filter(|_| (0xd800..0xdc00).contains(&unit)) {
                Some((low, rest)) => (char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)), rest),
                None => (char::from_u32(unit), rest),
            };
            text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
            return Ok(rest);
        }
        Some(other) => return Err(format!("`\\{other}` is not an escape")),
        None => return Err("a string does not end".to_owned()),
    });
    Ok(characters.as_str())
}

fn code_unit(rest: &str) -> Option<(u32, &str)> {
    let (digits, rest) = rest.split_at_checked(4)?;
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// A map, or what Ansible writes as one: `{"__ansible_unsafe": "text"}`.
fn marked(mut entries: Vec<(Node, Node)>, line: u32) -> Node {
    match entries.as_slice() {
        [(key, value)] if key.text() == Some("__ansible_unsafe") && value.text().is_some() => {
            entries.pop().map_or_else(|| Node::nothing(line), |(_, value)| value.marked_unsafe())
        }
        _ => Node::new(Kind::Map(entries), line),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Value;

    fn value(text: &str) -> Value {
        parse(text).ok().unwrap().root.value()
    }

    fn refused(text: &str) -> (u32, String) {
        let (line, complaint) = parse(text).err().unwrap();
        (line, complaint.message.trim_start_matches("the JSON is not well-formed: ").to_owned())
    }

    #[test]
    fn values_are_what_python_makes_of_them() {
        let table = [
            ("22", Value::Int(22)),
            ("-3", Value::Int(-3)),
            ("1.50", "1.50".into()),
            ("1e3", "1e3".into()),
            ("99999999999999999999", "99999999999999999999".into()),
            ("NaN", "NaN".into()),
            ("-Infinity", "-Infinity".into()),
            ("true", true.into()),
            ("null", Value::Null),
            ("\"a\\n\\u00e9\\ud83d\\ude00\\/\"", "a\n\u{e9}\u{1f600}/".into()),
            ("\"\\ud83d x\"", "\u{fffd} x".into()),
            ("[1, [], {}]", Value::List(vec![Value::Int(1), Value::List(vec![]), Value::Map(Default::default())])),
            ("{\"__ansible_unsafe\": \"{{ x }}\"}", "{{ x }}".into()),
        ];
        for (text, expected) in table {
            assert_eq!(value(&format!(" {{\t\"key\":\n{text}\r\n}} ")), Value::record([("key", expected)]), "{text}");
        }
    }

    #[test]
    fn every_node_knows_its_line() {
        let Kind::Map(entries) = parse("{\n\"a\": [1,\n2],\n\n\"b\": {\"c\":\n\"x\"}}").ok().unwrap().root.kind else { panic!() };
        assert_eq!((entries[0].0.line, entries[0].1.line, entries[1].0.line), (2, 2, 5));
        let Kind::Map(inner) = &entries[1].1.kind else { panic!() };
        assert_eq!((inner[0].0.line, inner[0].1.line), (5, 6));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        assert_eq!(refused("{\"a\": 1\n\"b\": 2}"), (2, "'\"' stands where `,` or `}` belongs".to_owned()));
        assert_eq!(refused("[1,\n]"), (2, "']' stands where a value belongs".to_owned()));
        assert_eq!(refused("{\"a\": \"x\ny\"}"), (1, "a string does not end on its line".to_owned()));
        assert_eq!(refused("[01]").1, "`01` is not a number");
        assert_eq!(refused("{a: 1}").1, "'a' stands where a name in double quotes belongs");
        assert_eq!(refused("[1").1, "the text ends where `,` or `]` belongs");
        assert_eq!(refused("[1] x").1, "'x' stands where the end belongs");
        assert_eq!(refused("\"\\x\"").1, "`\\x` is not an escape");
        assert!(refused(&"[".repeat(100_000)).1.contains("nested more than 64 deep"));
    }

    #[test]
    fn a_key_that_stands_twice_is_found() {
        assert_eq!(parse("{\"a\": 1,\n\"a\": 2}").ok().unwrap().duplicates[0].0, 2);
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_is_read_and_no_text_makes_the_reader_panic(text in "[\\[\\]{}\",:0-9eE.\\\\untrfalse \n-]{0,40}") {
            let ours = parse(&text).ok().map(|document| document.root.value());
            if let Ok(theirs) = serde_json::from_str::<Value>(&text) {
                prop_assert!(ours.is_some(), "{text}: {theirs:?}");
            }
        }
    }
}
