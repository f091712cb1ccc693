//! YAML as a tree of nodes that know their line, read as Ansible's YAML 1.1 reader would.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{AliasLimits, DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Options, Spanned, Tagged};

use super::Complaint;
use crate::model::Value;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// From 1.
    pub(super) line: u32,
    tag: Option<String>,
}

/// The tag of text that is no template, whatever stands in it.
const UNSAFE: &str = "!unsafe";

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the document.
    Map(Vec<(Node, Node)>),
}

impl Kind {
    /// In words, for "expected, but found".
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    /// A node without a tag.
    pub(super) fn new(kind: Kind, line: u32) -> Self {
        Self { kind, line, tag: None }
    }

    /// An absent value.
    pub(super) fn nothing(line: u32) -> Self {
        Self::new(Kind::Null, line)
    }

    /// The same, said to hold no template.
    pub(super) fn marked_unsafe(self) -> Self {
        Self { tag: Some(UNSAFE.to_owned()), ..self }
    }

    /// Whether this was said to hold no template.
    pub(super) fn is_unsafe(&self) -> bool {
        self.tag.as_deref() == Some(UNSAFE)
    }

    /// The text of a node that is text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a variable. An encrypted value is what `ansible-inventory` prints for it: a map with the key `__ansible_vault`.
    pub(super) fn value(&self) -> Value {
        match (&self.kind, self.tag.as_deref()) {
            (Kind::Text(text), Some("!vault" | "!vault-encrypted")) => Value::record([("__ansible_vault", text.as_str().into())]),
            (Kind::Null, _) => Value::Null,
            (Kind::Bool(value), _) => Value::Bool(*value),
            (Kind::Int(value), _) => Value::Int(*value),
            (Kind::Text(text), _) => Value::String(text.clone()),
            (Kind::List(items), _) => Value::List(items.iter().map(Self::value).collect()),
            (Kind::Map(entries), _) => Value::Map(
                entries.iter().map(|(key, value)| (key.value().to_string(), value.value())).collect::<BTreeMap<_, _>>(),
            ),
        }
    }
}

/// A document that was read.
pub(super) struct Document {
    pub(super) root: Node,
    /// The keys that stand twice in the same map, each with its line.
    pub(super) duplicates: Vec<(u32, Complaint)>,
}

impl Document {
    /// A document, searched for keys that stand twice.
    pub(super) fn new(root: Node) -> Self {
        let mut duplicates = Vec::new();
        find_duplicates(&root, &mut duplicates);
        Self { root, duplicates }
    }
}

/// Reads one document of YAML.
///
/// # Errors
/// What is wrong with the syntax, and on which line (0: unknown).
pub(super) fn parse(text: &str) -> Result<Document, (u32, Complaint)> {
    let raw: Raw = serde_saphyr::from_str_with_options(text, options()).map_err(|error| syntax_error(&error))?;
    Ok(Document::new(raw.into_node(text)))
}

/// The limits are those of a fleet: the defaults of the crate end at 80,000 hosts, and take a shared anchor for an attack.
fn options() -> Options {
    let mut aliases = AliasLimits::default();
    aliases.max_total_replayed_events = 5_000_000;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 100_000_000,
            max_nodes: 50_000_000,
            max_total_scalar_bytes: 1 << 30,
            max_aliases: 2_000_000,
            max_anchors: 2_000_000,
            max_merge_keys: 2_000_000,
            enforce_alias_anchor_ratio: false,
        },
        emit_comments: false,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        legacy_octal_numbers: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        alias_limits: aliases,
    }
}

fn syntax_error(error: &serde_saphyr::Error) -> (u32, Complaint) {
    let line = error.location().map_or(0, |location| u32::try_from(location.line()).unwrap_or(u32::MAX));
    let message = error.without_snippet().to_string();
    let place = [" at line ", " (defined at "].iter().filter_map(|place| message.find(place)).min();
    let message = place.and_then(|place| message.get(..place)).unwrap_or(&message);
    let complaint = Complaint::new(format!("the YAML is not well-formed: {message}"));
    let hint = if message.contains("tab") {
        "indent with spaces, never with tabs"
    } else if message.contains("multiple YAML documents") {
        "one document a file: remove the second `---`"
    } else {
        "look at the indentation, the colons and the quotes of this line and the one before"
    };
    (line, complaint.hint(hint))
}

fn find_duplicates(node: &Node, found: &mut Vec<(u32, Complaint)>) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| find_duplicates(item, found)),
        Kind::Map(entries) => {
            let mut lines: HashMap<Cow<'_, str>, u32> = HashMap::with_capacity(entries.len());
            for (key, value) in entries {
                let name = key.text().map_or_else(|| Cow::Owned(key.value().to_string()), Cow::Borrowed);
                match lines.get(&name) {
                    Some(first) => found.push((
                        key.line,
                        Complaint::new(format!("key `{name}` stands here for the second time, first on line {first}"))
                            .hint("YAML keeps only one of them: join the two"),
                    )),
                    None => drop(lines.insert(name, key.line)),
                }
                find_duplicates(value, found);
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Text(_) => {}
    }
}

/// A node as the crate reads it: by the rules of YAML 1.2 mostly, with the place of its text.
struct Raw {
    kind: RawKind,
    line: u32,
    bytes: Option<std::ops::Range<usize>>,
    tag: Option<String>,
}

enum RawKind {
    Null,
    Bool(bool),
    Int(i64),
    Fraction,
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl Raw {
    fn into_node(self, text: &str) -> Node {
        let written = self.bytes.and_then(|bytes| text.get(bytes)).unwrap_or("");
        let kind = match self.kind {
            RawKind::Null => Kind::Null,
            // To Ansible these two letters are text (a login, a host), and 0o17 as well.
            RawKind::Bool(_) if matches!(written, "y" | "Y" | "n" | "N") => Kind::Text(written.to_owned()),
            RawKind::Int(_) if written.starts_with(['0', '+', '-']) && written.contains(['o', 'O']) => {
                Kind::Text(written.to_owned())
            }
            RawKind::Bool(value) => Kind::Bool(value),
            RawKind::Int(value) => Kind::Int(value),
            RawKind::Fraction => Kind::Text(written.to_owned()),
            // What was quoted is longer than what it says.
            RawKind::Text(text) if text.as_str() == written && self.tag.is_none() => {
                base_sixty(&text).map_or(Kind::Text(text), Kind::Int)
            }
            RawKind::Text(text) => Kind::Text(text),
            RawKind::List(items) => Kind::List(items.into_iter().map(|item| item.into_node(text)).collect()),
            RawKind::Map(entries) => {
                Kind::Map(entries.into_iter().map(|(key, value)| (key.into_node(text), value.into_node(text))).collect())
            }
        };
        Node { kind, line: self.line, tag: self.tag }
    }
}

/// `12:30` is 750 to YAML 1.1, the digits being those of base 60.
fn base_sixty(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (first, rest) = digits.split_once(':')?;
    let first = first.replace('_', "");
    if !first.starts_with(|first: char| matches!(first, '1'..='9')) {
        return None;
    }
    let number = rest.split(':').try_fold(whole(&first)?, |sum, part| {
        let part = whole(part).filter(|number| *number < 60 && part.len() <= 2)?;
        sum.checked_mul(60)?.checked_add(part)
    })?;
    Some(if text.starts_with('-') { -number } else { number })
}

fn whole(digits: &str) -> Option<i64> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(spanned, tag) = Tagged::<Spanned<RawKind>>::deserialize(deserializer)?;
        let span = spanned.defined.span();
        let start = span.byte_offset().and_then(|start| usize::try_from(start).ok());
        let length = span.byte_len().and_then(|length| usize::try_from(length).ok());
        let bytes = start.zip(length).map(|(start, length)| start..start.saturating_add(length));
        Ok(Self { kind: spanned.value, line: u32::try_from(spanned.referenced.line()).unwrap_or(u32::MAX), bytes, tag })
    }
}

/// How deep nodes may be nested. The crate counts what is written, but an alias to a node with aliases nests without being written so.
const DEEPEST: usize = 32;

thread_local! {
    /// The nodes that are being read on this thread, one inside the other: neither `Tagged` nor `Spanned` hands a seed on that could count.
    static OPEN: Cell<usize> = const { Cell::new(0) };
}

/// One more node is open for as long as this lives.
struct Opened;

impl Opened {
    fn new() -> Option<Self> {
        OPEN.set(OPEN.get() + 1);
        let opened = Self;
        (OPEN.get() <= DEEPEST).then_some(opened)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        OPEN.set(OPEN.get() - 1);
    }
}

impl<'de> Deserialize<'de> for RawKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(_opened) = Opened::new() else {
            return Err(serde::de::Error::custom(format_args!("nodes are nested more than {DEEPEST} deep")));
        };
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = RawKind;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Null)
    }

    fn visit_none<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawKind, D::Error> {
        RawKind::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawKind, E> {
        Ok(RawKind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawKind, E> {
        Ok(RawKind::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawKind, E> {
        Ok(i64::try_from(value).map_or_else(|_| RawKind::Text(value.to_string()), RawKind::Int))
    }

    fn visit_i128<E>(self, value: i128) -> Result<RawKind, E> {
        Ok(RawKind::Text(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<RawKind, E> {
        Ok(RawKind::Text(value.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<RawKind, E> {
        Ok(RawKind::Fraction)
    }

    fn visit_str<E>(self, text: &str) -> Result<RawKind, E> {
        Ok(RawKind::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<RawKind, E> {
        Ok(RawKind::Text(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<RawKind, E> {
        Ok(RawKind::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawKind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawKind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawKind, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(RawKind::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        parse(text).ok().unwrap().root.value()
    }

    #[test]
    fn scalars_are_what_ansible_makes_of_them() {
        // Expected values: yaml.safe_load of PyYAML; a fraction stays the text that it is.
        let table = [
            ("22", Value::Int(22)),
            ("\"22\"", "22".into()),
            ("010", Value::Int(8)),
            ("0o17", "0o17".into()),
            ("0x1f", Value::Int(31)),
            ("1_000", Value::Int(1000)),
            ("yes", true.into()),
            ("Off", false.into()),
            ("'yes'", "yes".into()),
            ("y", "y".into()),
            ("N", "N".into()),
            ("~", Value::Null),
            ("", Value::Null),
            ("1.50", "1.50".into()),
            (".nan", ".nan".into()),
            ("2024-01-01", "2024-01-01".into()),
            ("12:30", Value::Int(750)),
            ("-1:00:00", Value::Int(-3600)),
            ("'12:30'", "12:30".into()),
            ("12:60", "12:60".into()),
            ("2001:db8::1", "2001:db8::1".into()),
            ("52:54:00:12:34:56", Value::Int(41_135_085_296)),
            ("0b101", Value::Int(5)),
            ("+12", Value::Int(12)),
            ("1e3", "1e3".into()),
            ("99999999999999999999", "99999999999999999999".into()),
            ("!unsafe '{{ x }}'", "{{ x }}".into()),
            ("!!str 22", "22".into()),
        ];
        for (text, expected) in table {
            assert_eq!(value(&format!("key: {text}\n")), Value::record([("key", expected)]), "{text}");
        }
        assert_eq!(value("a: &n y\nb: *n\n"), Value::record([("a", "y".into()), ("b", "y".into())]));
    }

    #[test]
    fn anchors_and_merge_keys_work_for_any_number_of_hosts() {
        let mut text = String::from("base: &base {a: 1, b: 2}\n");
        (0..500).for_each(|at| text.push_str(&format!("h{at}: {{<<: *base, b: 3}}\n")));
        assert_eq!(value(&text).field("h499"), Some(&Value::record([("a", 1_i64.into()), ("b", 3_i64.into())])));
    }

    #[test]
    fn an_encrypted_value_is_marked_as_such() {
        let sealed = value("key: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3031\n");
        assert_eq!(sealed.field("key").unwrap().field("__ansible_vault").unwrap(), &"$ANSIBLE_VAULT;1.1;AES256\n3031\n".into());
    }

    #[test]
    fn aliases_inside_aliases_end_in_an_error_and_not_in_the_stack_or_the_memory() {
        let mut deep = String::from("a0: &a0 [x]\n");
        (1..5_000).for_each(|at| deep.push_str(&format!("a{at}: &a{at} [*a{}]\n", at - 1)));
        assert!(parse(&deep).is_err());
        let mut wide = String::from("a0: &a0 [x]\n");
        (1..40).for_each(|at| wide.push_str(&format!("a{at}: &a{at} [*a{0}, *a{0}, *a{0}]\n", at - 1)));
        assert!(parse(&wide).is_err());
        assert!(parse("a: &a [*a]\n").is_err());
    }

    #[test]
    fn every_key_that_stands_twice_is_found_with_its_line() {
        let duplicates = parse("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n").ok().unwrap().duplicates;
        assert_eq!(duplicates.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 5]);
        assert!(duplicates[0].1.message.contains("`c`") && duplicates[0].1.message.contains("line 3"));
    }

    #[test]
    fn broken_yaml_names_its_line_and_what_to_do() {
        let (line, complaint) = parse("a: 1\n\tb: 2\n").err().unwrap();
        assert_eq!((line, complaint.hint.as_deref()), (1, Some("indent with spaces, never with tabs")));
        assert_eq!(parse("a: 1\n---\nb: 2\n").err().unwrap().0, 3);
        assert!(parse(&format!("a: {}", "[".repeat(5000))).is_err());
    }
}
