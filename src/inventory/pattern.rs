//! `--limit`: which hosts a pattern selects, as `ansible --limit` does.
//!
//! Hosts and groups by name, shell patterns and `~regular expressions`, joined by commas (or colons); what begins with `&` narrows,
//! what begins with `!` excludes, whatever the order in which they are typed. Unlike Ansible there is no implicit localhost: a host
//! that is not in the inventory is not scanned.

use std::collections::HashSet;
use std::path::Path;

use regex::Regex;

use super::graph::hosts_under;
use super::{Complaint, Inventory, Matched, address};

/// How many similar names an error offers.
const NAMES_OFFERED: usize = 3;

/// The places of the hosts that `limit` selects.
pub(super) fn matching(inventory: &Inventory, limit: &str) -> Result<Matched, Complaint> {
    let mut patterns = Vec::new();
    for pattern in split(limit) {
        match pattern.strip_prefix('@') {
            Some(file) => patterns.extend(lines_of(Path::new(file))?),
            None => patterns.push(pattern),
        }
    }
    let kind = |pattern: &String| pattern.chars().next().filter(|first| matches!(first, '!' | '&'));
    let of_kind = |wanted: Option<char>| patterns.iter().filter(move |pattern| kind(pattern) == wanted);
    let everything = "all".to_owned();
    let mut plain: Vec<&String> = of_kind(None).collect();
    if plain.is_empty() {
        plain.push(&everything);
    }

    let mut warnings = Vec::new();
    let mut selected = vec![false; inventory.hosts.len()];
    for pattern in plain {
        mark(&mut selected, &one(inventory, pattern, true, &mut warnings)?);
    }
    for pattern in of_kind(Some('&')) {
        let mut both = vec![false; selected.len()];
        mark(&mut both, &one(inventory, &pattern[1..], false, &mut warnings)?);
        selected.iter_mut().zip(both).for_each(|(slot, also)| *slot &= also);
    }
    for pattern in of_kind(Some('!')) {
        for place in one(inventory, &pattern[1..], false, &mut warnings)? {
            selected.get_mut(place).into_iter().for_each(|slot| *slot = false);
        }
    }
    let places: Vec<usize> = selected.iter().enumerate().filter(|(_, slot)| **slot).map(|(place, _)| place).collect();
    if places.is_empty() {
        return Err(nothing_selected(inventory, limit, &warnings));
    }
    let warnings = warnings.iter().map(|pattern| format!("could not match supplied host pattern, ignoring: {pattern}")).collect();
    Ok(Matched { places, warnings })
}

fn mark(selected: &mut [bool], places: &[usize]) {
    for place in places {
        selected.get_mut(*place).into_iter().for_each(|slot| *slot = true);
    }
}

/// The single patterns of a limit. A comma always separates; without one a colon does, unless the whole is one host: an IPv6 address,
/// a host with a port, a range.
fn split(limit: &str) -> Vec<String> {
    let patterns = if limit.contains(',') {
        limit.split(',').map(str::to_owned).collect()
    } else if address::is_one_host(limit) {
        vec![limit.to_owned()]
    } else {
        split_at_colons(limit)
    };
    patterns.into_iter().map(|pattern| pattern.trim().to_owned()).filter(|pattern| !pattern.is_empty()).collect()
}

/// Splits at colons and spaces that are not inside `[...]`; a bracket that is never closed is dropped, as in Ansible.
fn split_at_colons(limit: &str) -> Vec<String> {
    let mut patterns = vec![String::new()];
    let mut rest = limit;
    while let Some(character) = rest.chars().next() {
        let (piece, separates) = match character {
            '[' => match rest.find(']') {
                Some(end) => (&rest[..=end], false),
                None => ("[", true),
            },
            ':' | ']' => (&rest[..1], true),
            _ => (&rest[..character.len_utf8()], character.is_whitespace()),
        };
        match patterns.last_mut() {
            Some(last) if !separates => last.push_str(piece),
            _ => patterns.push(String::new()),
        }
        rest = &rest[piece.len()..];
    }
    patterns
}

/// The patterns of `@file`, one a line, as Ansible's retry files have them.
fn lines_of(file: &Path) -> Result<Vec<String>, Complaint> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Complaint::new(format!("the limit file `{}` can't be read: {error}", file.display())))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// The hosts of one pattern without its `&` or `!`, in its own order and perhaps twice.
fn one(inventory: &Inventory, pattern: &str, plain: bool, unmatched: &mut Vec<String>) -> Result<Vec<usize>, Complaint> {
    // A host's own name is that host, even where it could be read as a pattern or is the name of a group as well.
    if plain && let Some(place) = inventory.host_places.get(pattern) {
        return Ok(vec![*place]);
    }
    let (expression, subscript) = split_subscript(pattern);
    let names = Names::parse(expression)?;
    let groups = groups_named(inventory, &names);
    let mut places: Vec<usize> = groups.iter().flat_map(|group| hosts_of(inventory, *group)).collect();
    if groups.is_empty() || expression.starts_with('~') || expression.contains(['.', '?', '*', '[']) {
        match &names {
            // Looked up: a file of a hundred thousand names must not look at every host for each of them.
            Names::Literal(name) => places.extend(inventory.host_places.get(name.as_str())),
            Names::Glob(_) | Names::Regex(_) => places.extend(hosts_named(inventory, &names)),
        }
    }
    if places.is_empty() && groups.is_empty() && expression != "all" {
        unmatched.push(expression.to_owned());
    }
    match subscript {
        Some(subscript) if !places.is_empty() => subscript
            .apply(&places)
            .ok_or_else(|| Complaint::new(format!("no host has the place that `{pattern}` asks for, of {}", places.len()))),
        _ => Ok(places),
    }
}

fn groups_named(inventory: &Inventory, names: &Names) -> Vec<usize> {
    inventory.groups.iter().enumerate().filter(|(_, group)| names.matches(&group.name)).map(|(place, _)| place).collect()
}

/// In the order in which the hosts were first named, which is what a subscript counts by.
fn hosts_named<'a>(inventory: &'a Inventory, names: &'a Names) -> impl Iterator<Item = usize> + 'a {
    let matches = |place: &usize| inventory.hosts.get(*place).is_some_and(|host| names.matches(&host.name));
    inventory.by_appearance.iter().copied().filter(matches)
}

fn hosts_of(inventory: &Inventory, group: usize) -> Vec<usize> {
    hosts_under(group, inventory.groups.len(), inventory.hosts.len(), |place| {
        inventory.groups.get(place).map_or((&[], &[]), |group| (group.hosts.as_slice(), group.children.as_slice()))
    })
}

/// `[0]`, `[-1]`, `[0:2]` (both ends belong), `[1:]` behind a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subscript {
    One(i64),
    From(usize, Option<usize>),
}

impl Subscript {
    fn apply(self, places: &[usize]) -> Option<Vec<usize>> {
        match self {
            Self::One(at) => {
                let from_end = usize::try_from(at.unsigned_abs()).ok()?;
                let at = if at < 0 { places.len().checked_sub(from_end)? } else { from_end };
                places.get(at).map(|place| vec![*place])
            }
            // Ansible takes an end of 0 for none, so `[2:0]` is `[2]`.
            Self::From(start, Some(0)) => places.get(start).map(|place| vec![*place]),
            Self::From(start, end) => {
                let end = end.map_or(places.len(), |end| end.saturating_add(1).min(places.len()));
                Some(places.get(start..end).unwrap_or_default().to_vec())
            }
        }
    }
}

/// A pattern without its subscript, and the subscript. Regular expressions have none.
fn split_subscript(pattern: &str) -> (&str, Option<Subscript>) {
    let none = (pattern, None);
    let Some((expression, inside)) = pattern.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) else { return none };
    if pattern.starts_with('~') || expression.is_empty() {
        return none;
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| match text.is_empty() || !digits(text) {
        true => None,
        false => text.parse::<usize>().ok(),
    };
    let (sign, bare) = inside.strip_prefix('-').map_or((1, inside), |bare| (-1, bare));
    if let Some(at) = number(bare) {
        return i64::try_from(at).map_or(none, |at| (expression, Some(Subscript::One(sign * at))));
    }
    match inside.split_once([':', '-']) {
        Some((start, "")) => number(start).map_or(none, |start| (expression, Some(Subscript::From(start, None)))),
        Some((start, end)) => match number(start).zip(number(end)) {
            Some((start, end)) => (expression, Some(Subscript::From(start, Some(end)))),
            None => none,
        },
        None => none,
    }
}

/// What a name has to look like.
enum Names {
    Literal(String),
    Glob(Vec<Token>),
    Regex(Regex),
}

/// A piece of a shell pattern.
enum Token {
    Any,
    One,
    Character(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Names {
    /// A shell pattern; `None` where the text is none.
    fn glob(text: &str) -> Option<Self> {
        text.contains(['*', '?', '[']).then(|| Self::Glob(tokens(text)))
    }

    fn parse(pattern: &str) -> Result<Self, Complaint> {
        if let Some(expression) = pattern.strip_prefix('~') {
            if expression.is_empty() {
                return Err(Complaint::new("`~` is followed by no regular expression"));
            }
            let anchored = format!(r"\A(?:{})", as_python_reads_it(expression));
            return Regex::new(&anchored).map(Self::Regex).map_err(|error| {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Complaint::new(format!("`~{expression}` is not a regular expression: {reason}"))
                    .hint("lookaround and backreferences are not supported")
            });
        }
        Ok(Self::glob(pattern).unwrap_or_else(|| Self::Literal(pattern.to_owned())))
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Literal(text) => text == name,
            Self::Glob(tokens) => glob(tokens, &name.chars().collect::<Vec<_>>()),
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

/// A regular expression with everything escaped that means more inside `[...]` here than in Python: `[`, `&&`, `--` and `~~`.
fn as_python_reads_it(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    // How many characters of a set were read; a bracket that comes first belongs to it.
    let mut inside: Option<usize> = None;
    let mut before = None;
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        let first = matches!((inside, character), (Some(0), '^'));
        match (inside, character) {
            (Some(_), '[') | (Some(0), ']') => out.push('\\'),
            (Some(_), '&' | '~' | '-') if before == Some(character) => out.push('\\'),
            _ => {}
        }
        out.push(character);
        inside = match (inside, character) {
            (None, '[') => Some(0),
            (Some(read), ']') if read > 0 => None,
            (Some(read), _) => Some(if first { read } else { read + 1 }),
            (None, _) => None,
        };
        before = Some(character);
        if character == '\\' {
            out.extend(characters.next());
        }
    }
    out
}

/// Python's fnmatch: `*`, `?`, `[seq]`, `[!seq]`; a bracket that is never closed is itself.
fn tokens(pattern: &str) -> Vec<Token> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(character) = characters.get(at) {
        at += 1;
        tokens.push(match character {
            '*' => Token::Any,
            '?' => Token::One,
            '[' => match set(characters.get(at..).unwrap_or_default()) {
                Some((token, length)) => {
                    at += length;
                    token
                }
                None => Token::Character('['),
            },
            _ => Token::Character(*character),
        });
    }
    tokens
}

/// The set whose opening bracket was just read, and how many characters it takes with its closing one.
fn set(rest: &[char]) -> Option<(Token, usize)> {
    let negated = rest.first() == Some(&'!');
    let start = usize::from(negated);
    // A closing bracket that comes first belongs to the set.
    let length = rest.iter().skip(start + 1).position(|character| *character == ']')? + start + 1;
    let inside = rest.get(start..length)?;
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(first) = inside.get(at) {
        match (inside.get(at + 1), inside.get(at + 2)) {
            (Some('-'), Some(last)) => {
                ranges.push((*first, *last));
                at += 3;
            }
            _ => {
                ranges.push((*first, *first));
                at += 1;
            }
        }
    }
    Some((Token::Set { negated, ranges }, length + 1))
}

impl Token {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Character(own) => *own == character,
            Self::Set { negated, ranges } => *negated != ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)),
        }
    }
}

/// Matches without recursion: after a failure only the last `*` has to take one more.
fn glob(tokens: &[Token], name: &[char]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(token), name.get(at)) {
            (Some(Token::Any), _) => {
                star = Some((token, at));
                token += 1;
            }
            (None, None) => return true,
            (Some(wanted), Some(character)) if wanted.takes(*character) => {
                token += 1;
                at += 1;
            }
            _ => match star {
                Some((place, taken)) if taken < name.len() => {
                    star = Some((place, taken + 1));
                    token = place + 1;
                    at = taken + 1;
                }
                _ => return false,
            },
        }
    }
}

fn nothing_selected(inventory: &Inventory, limit: &str, unmatched: &[String]) -> Complaint {
    let complaint = Complaint::new(format!("no host is left by `{limit}`"));
    let few = unmatched.iter().take(NAMES_OFFERED);
    let near: Vec<String> = few.flat_map(|pattern| nearest(inventory, pattern)).take(NAMES_OFFERED).collect();
    if near.is_empty() {
        let groups: Vec<&str> = inventory.groups.iter().skip(2).map(|group| group.name.as_str()).take(8).collect();
        return match groups.is_empty() {
            true => complaint.hint("`fleetscan inventory --hosts` lists the hosts"),
            false => complaint.hint(format!("groups of the inventory: {}", groups.join(", "))),
        };
    }
    complaint.hint(format!("did you mean {}?", near.join(", ")))
}

/// Names of groups and hosts that are a few typing errors away from a pattern.
fn nearest(inventory: &Inventory, pattern: &str) -> Vec<String> {
    let wanted: Vec<char> = pattern.chars().filter(|character| !matches!(character, '*' | '?' | '~')).take(64).collect();
    let names =
        inventory.groups.iter().map(|group| group.name.as_str()).chain(inventory.hosts.iter().map(|host| host.name.as_str()));
    let mut near: Vec<(usize, &str)> = names
        .filter(|name| name.len().abs_diff(wanted.len()) <= wanted.len())
        .map(|name| (distance(&wanted, name), name))
        .filter(|(distance, _)| *distance <= (wanted.len() / 3).max(1))
        .collect();
    near.sort_unstable();
    let mut seen = HashSet::new();
    near.into_iter().map(|(_, name)| format!("`{name}`")).filter(|name| seen.insert(name.clone())).take(NAMES_OFFERED).collect()
}

/// How many characters have to be added, removed or replaced.
fn distance(wanted: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=wanted.len()).collect();
    for (line, character) in name.chars().take(256).enumerate() {
        let mut diagonal = row.first().copied().unwrap_or(0);
        let mut left = line + 1;
        row.first_mut().into_iter().for_each(|first| *first = left);
        for (slot, own) in row.iter_mut().skip(1).zip(wanted) {
            let replaced = diagonal + usize::from(*own != character);
            diagonal = *slot;
            left = replaced.min(*slot + 1).min(left + 1);
            *slot = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_and_commas_separate_unless_they_belong_to_a_host() {
        // Expected values: ansible.inventory.manager.split_host_pattern
        let table: [(&str, &[&str]); 11] = [
            ("web:&prod:!web03", &["web", "&prod", "!web03"]),
            ("web, &prod ,!web03", &["web", "&prod", "!web03"]),
            ("2001:db8::1", &["2001:db8::1"]),
            ("2001:db8::1,web", &["2001:db8::1", "web"]),
            ("web[0:2]", &["web[0:2]"]),
            ("web[0:2]:db[1:]", &["web[0:2]", "db[1:]"]),
            ("web:22", &["web:22"]),
            ("[2001:db8::1]:22", &["[2001:db8::1]:22"]),
            ("~web[0-9]+:prod", &["~web[0-9]+", "prod"]),
            ("a[b:c", &["a", "b", "c"]),
            (" : , ", &[":"]),
        ];
        for (limit, expected) in table {
            assert_eq!(split(limit), expected, "{limit}");
        }
    }

    #[test]
    fn shell_patterns_match_as_fnmatch_does() {
        let table = [
            ("web*", "web01", true),
            ("*01", "web01", true),
            ("w*b*1", "webb01", true),
            ("web?", "web01", false),
            ("web0[12]", "web02", true),
            ("web0[!12]", "web02", false),
            ("web0[!12]", "web03", true),
            ("web[0-9]", "web5", true),
            ("[]a]b", "]b", true),
            ("a[", "a[", true),
            ("*", "", true),
            ("a**b", "ab", true),
            ("a", "ab", false),
            ("[z-a]", "m", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(glob(&tokens(pattern), &name.chars().collect::<Vec<_>>()), expected, "{pattern} {name}");
        }
        assert!(!glob(&tokens(&"*a".repeat(200)), &vec!['a'; 150]));
    }

    #[test]
    fn sets_of_regular_expressions_are_those_of_python() {
        // Expected values: bool(re.match(pattern, name))
        let table = [
            ("~[[0]x", "[x", true),
            ("~[]a]+$", "]a", true),
            ("~[^]a]", "]", false),
            ("~[^[a]", "b", true),
            ("~[a&&b]{3}", "a&b", true),
            ("~[+--]", ",", true),
            ("~[\\]x]+$", "]x", true),
            ("~\\[[a]", "[a", true),
            ("~(?i)WEB", "web01", true),
            ("~[[:alpha:]]", "a]", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(Names::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn subscripts_are_split_off() {
        assert_eq!(split_subscript("web[0]"), ("web", Some(Subscript::One(0))));
        assert_eq!(split_subscript("web[-1]"), ("web", Some(Subscript::One(-1))));
        assert_eq!(split_subscript("web[1:]"), ("web", Some(Subscript::From(1, None))));
        assert_eq!(split_subscript("web[0:2]"), ("web", Some(Subscript::From(0, Some(2)))));
        assert_eq!(split_subscript("web[0-2]"), ("web", Some(Subscript::From(0, Some(2)))));
        assert_eq!(split_subscript("web[abc]"), ("web[abc]", None));
        assert_eq!(split_subscript("~web[0]"), ("~web[0]", None));
        assert_eq!(split_subscript("[0]"), ("[0]", None));
    }

    #[test]
    fn a_subscript_counts_from_either_end_and_includes_both() {
        let places = [10, 11, 12, 13];
        assert_eq!(Subscript::One(0).apply(&places), Some(vec![10]));
        assert_eq!(Subscript::One(-1).apply(&places), Some(vec![13]));
        assert_eq!(Subscript::One(-4).apply(&places), Some(vec![10]));
        assert_eq!(Subscript::One(-5).apply(&places), None);
        assert_eq!(Subscript::One(4).apply(&places), None);
        assert_eq!(Subscript::From(1, Some(2)).apply(&places), Some(vec![11, 12]));
        assert_eq!(Subscript::From(2, None).apply(&places), Some(vec![12, 13]));
        assert_eq!(Subscript::From(3, Some(1)).apply(&places), Some(vec![]));
        assert_eq!(Subscript::From(9, Some(usize::MAX)).apply(&places), Some(vec![]));
    }

    #[test]
    fn the_distance_of_names_counts_typing_errors() {
        let distance = |wanted: &str, name: &str| distance(&wanted.chars().collect::<Vec<_>>(), name);
        assert_eq!(distance("web", "web"), 0);
        assert_eq!(distance("webb", "web"), 1);
        assert_eq!(distance("wbe", "web"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
