//! The value of a variable in an INI inventory: a Python literal where it is one, else text, as `ast.literal_eval` decides in Ansible.

use std::collections::BTreeMap;

use crate::model::Value;

/// How deep lists and maps may be nested before the value is taken as text.
const DEEPEST: usize = 32;

/// `text` as a value: `22` is a number, `True` a truth value, `['a', 'b']` a list, `yes` text. A number with a fraction stays the text
/// that it is.
pub(super) fn value(text: &str) -> Value {
    let mut reader = Reader { rest: text.trim_start_matches([' ', '\t']) };
    reader.top().unwrap_or_else(|| Value::String(text.to_owned()))
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// A literal and nothing behind it but a comment; values with commas between them are a tuple, brackets or not.
    fn top(&mut self) -> Option<Value> {
        let first = self.literal(0)?;
        let mut value = first;
        if self.take(',') {
            let mut items = vec![value];
            while !self.at_end() {
                items.push(self.literal(0)?);
                if !self.take(',') {
                    break;
                }
            }
            value = Value::List(items);
        }
        self.at_end().then_some(value)
    }

    fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn take(&mut self, character: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        self.skip_space();
        match self.rest.chars().next()? {
            '[' => self.items('[', ']', depth).map(|(items, _)| Value::List(items)),
            '(' => self.items('(', ')', depth).map(|(mut items, comma)| match items.len() {
                1 if !comma => items.remove(0),
                _ => Value::List(items),
            }),
            '{' => self.braces(depth),
            '\'' | '"' => self.strings(false),
            '0'..='9' | '.' | '+' | '-' => self.number(),
            _ => self.name(),
        }
    }

    /// What stands between two brackets, and whether a comma stood behind the last item.
    fn items(&mut self, open: char, close: char, depth: usize) -> Option<(Vec<Value>, bool)> {
        self.take(open);
        let mut items = Vec::new();
        let mut comma = false;
        while !self.take(close) {
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.literal(depth + 1)?);
            comma = self.take(',');
        }
        Some((items, comma))
    }

    /// A map, or a set, which becomes a list.
    fn braces(&mut self, depth: usize) -> Option<Value> {
        self.take('{');
        let mut map = BTreeMap::new();
        let mut set = Vec::new();
        let mut comma = true;
        while !self.take('}') {
            if !comma {
                return None;
            }
            let key = self.literal(depth + 1)?;
            match self.take(':') {
                true => drop(map.insert(key_text(&key)?, self.literal(depth + 1)?)),
                false => set.push(key),
            }
            comma = self.take(',');
        }
        match (set.is_empty(), map.is_empty()) {
            (true, _) => Some(Value::Map(map)),
            (false, true) => Some(Value::List(set)),
            (false, false) => None,
        }
    }

    fn name(&mut self) -> Option<Value> {
        let end = self.rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if rest.starts_with(['\'', '"']) {
            self.rest = rest;
            return match name.to_ascii_lowercase().as_str() {
                "u" | "b" => self.strings(false),
                "r" | "br" | "rb" => self.strings(true),
                _ => None,
            };
        }
        self.rest = rest;
        match name {
            "None" => Some(Value::Null),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => None,
        }
    }

    /// One string, or several side by side, which Python joins. A backslash in a raw one is a backslash.
    fn strings(&mut self, raw: bool) -> Option<Value> {
        let mut text = String::new();
        while let Some(quote @ ('\'' | '"')) = self.rest.chars().next() {
            self.rest = self.rest.get(1..)?;
            self.string(quote, raw, &mut text)?;
            self.skip_space();
        }
        Some(Value::String(text))
    }

    fn string(&mut self, quote: char, raw: bool, text: &mut String) -> Option<()> {
        let mut characters = self.rest.chars();
        loop {
            match characters.next()? {
                '\\' if raw => text.extend(['\\', characters.next()?]),
                '\\' => match characters.next()? {
                    'a' => text.push('\u{7}'),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    'v' => text.push('\u{b}'),
                    first @ '0'..='7' => {
                        let more: String = characters.as_str().chars().take(2).take_while(|digit| digit.is_digit(8)).collect();
                        characters.by_ref().take(more.len()).for_each(drop);
                        text.push(char::from_u32(u32::from_str_radix(&format!("{first}{more}"), 8).ok()?)?);
                    }
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    escaped @ ('\\' | '\'' | '"') => text.push(escaped),
                    'x' => text.push(code(&mut characters, 2)?),
                    'u' => text.push(code(&mut characters, 4)?),
                    'U' => text.push(code(&mut characters, 8)?),
                    'N' => return None,
                    other => text.extend(['\\', other]),
                },
                character if character == quote => {
                    self.rest = characters.as_str();
                    return Some(());
                }
                character => text.push(character),
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let sign_end = usize::from(self.rest.starts_with(['+', '-']));
        let word = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.');
        let mut end = self.rest.get(sign_end..)?.find(|character| !word(character)).map_or(self.rest.len(), |at| at + sign_end);
        // The exponent of a fraction may have a sign of its own.
        if !self.rest.contains("0x")
            && self.rest.get(..end)?.ends_with(['e', 'E'])
            && self.rest.get(end..)?.starts_with(['+', '-'])
        {
            end += 1 + self.rest.get(end + 1..)?.find(|character| !word(character)).unwrap_or(self.rest.len() - end - 1);
        }
        let (text, rest) = self.rest.split_at(end);
        let (sign, digits) = text.split_at(sign_end);
        let value = match integer(digits) {
            Some(number) => Value::Int(if sign == "-" { -number } else { number }),
            None if is_fraction(digits) => Value::String(text.to_owned()),
            None => return None,
        };
        self.rest = rest;
        Some(value)
    }
}

fn code(characters: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let text: String = characters.take(digits).collect();
    let hexadecimal = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    char::from_u32(u32::from_str_radix(&text, 16).ok().filter(|_| hexadecimal)?)
}

fn key_text(key: &Value) -> Option<String> {
    match key {
        Value::List(_) | Value::Map(_) => None,
        Value::Null => Some("None".to_owned()),
        other => Some(other.to_string()),
    }
}

/// A whole number as Python writes it: `1_000`, `0x1f`, `0o17`, `0b1`; a leading zero is allowed for zero only.
fn integer(text: &str) -> Option<i64> {
    let (digits, radix) = match text.get(..2) {
        Some("0x" | "0X") => (text.get(2..)?, 16),
        Some("0o" | "0O") => (text.get(2..)?, 8),
        Some("0b" | "0B") => (text.get(2..)?, 2),
        _ => (text, 10),
    };
    let grouped = radix == 10 && (digits.starts_with('_') || digits.is_empty()) || digits.ends_with('_') || digits.contains("__");
    let plain = digits.replace('_', "");
    let padded = radix == 10 && plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|byte| byte != b'0');
    match grouped || padded || plain.starts_with(['+', '-']) {
        true => None,
        false => i64::from_str_radix(&plain, radix).ok(),
    }
}

fn is_fraction(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && text.contains(['.', 'e', 'E'])
        && !text.contains('_')
        && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_literals_have_their_type_and_the_rest_is_text() {
        // Expected values: ast.literal_eval, text where it refuses.
        let table = [
            ("22", Value::Int(22)),
            ("-3", Value::Int(-3)),
            ("1_000", Value::Int(1000)),
            ("0x1f", Value::Int(31)),
            ("0o17", Value::Int(15)),
            ("00", Value::Int(0)),
            ("022", "022".into()),
            ("True", true.into()),
            ("None", Value::Null),
            ("true", "true".into()),
            ("yes", "yes".into()),
            ("", "".into()),
            ("'22'", "22".into()),
            ("\"a b\"", "a b".into()),
            ("'a' 'b'", "ab".into()),
            ("'it\\'s'", "it's".into()),
            ("'\\x41\\u00e9'", "A\u{e9}".into()),
            ("'\\101\\0\\7z\\1234'", "A\0\u{7}zS4".into()),
            ("r'\\n' 'x'", "\\nx".into()),
            ("rb'\\\\'", "\\\\".into()),
            ("f'x'", "f'x'".into()),
            ("'open", "'open".into()),
            ("22 # note", Value::Int(22)),
            ("text # note", "text # note".into()),
            ("192.0.2.1", "192.0.2.1".into()),
            ("1.5", "1.5".into()),
            ("1-2", "1-2".into()),
            ("1e5x", "1e5x".into()),
            ("['a', 'b',]", vec!["a", "b"].into()),
            ("[a, b]", "[a, b]".into()),
            ("['a' 1]", "['a' 1]".into()),
            ("(1)", Value::Int(1)),
            ("(1,)", vec![1_i64].into()),
            ("1, 2", vec![1_i64, 2].into()),
            ("{}", Value::Map(BTreeMap::new())),
            ("{'a': 1}", Value::record([("a", Value::Int(1))])),
            (
                "{'a': [1, {'b': None}]}",
                Value::record([("a", Value::List(vec![Value::Int(1), Value::record([("b", Value::Null)])]))]),
            ),
            ("{1, 2}", vec![1_i64, 2].into()),
            ("{{ template }}", "{{ template }}".into()),
            ("-o 'a b'", "-o 'a b'".into()),
            ("é", "é".into()),
        ];
        for (text, expected) in table {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn deep_nesting_and_odd_bytes_end_in_text() {
        let deep = "[".repeat(100_000);
        assert_eq!(value(&deep), Value::String(deep.clone()));
        for odd in ["'\\", "0x", "+", "-é", "b'", "1e", "1e+", "{", "{'a':", "9999999999999999999999", "0é", "(,)", "[,]", "{,}"]
        {
            assert_eq!(value(odd), Value::String(odd.to_owned()), "{odd}");
        }
    }
}
