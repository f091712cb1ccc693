//! One line of a configuration: its keyword and the words behind it, split as OpenSSH splits them.

use super::problem::Complaint;

/// What separates words.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    /// As it was written, without its quotes.
    pub(super) keyword: String,
    /// Everything behind it, without white space at either end. Empty where nothing is.
    pub(super) rest: &'a str,
}

/// The statement of a line; `None` for an empty line and for a comment.
pub(super) fn statement(line: &str) -> Result<Option<Statement<'_>>, Complaint> {
    // A form feed may end a line, and nothing else.
    let line = line.trim_end_matches([' ', '\t', '\r', '\n', '\u{c}']);
    let (mut keyword, mut rest) = word(line)?;
    // Leading white space makes an empty first word; so does a leading `=`, which OpenSSH lets pass.
    if keyword.is_empty() {
        (keyword, rest) = word(rest)?;
    }
    if keyword.is_empty() || keyword.starts_with('#') {
        return Ok(None);
    }
    Ok(Some(Statement { keyword, rest: rest.trim_start_matches(SPACE) }))
}

/// The next word, which white space, a quotation or one `=` ends, and what is behind it.
fn word(text: &str) -> Result<(String, &str), Complaint> {
    let Some(end) = text.find([' ', '\t', '\r', '\n', '"', '=']) else { return Ok((text.to_owned(), "")) };
    let (head, tail) = text.split_at(end);
    if let Some(quoted) = tail.strip_prefix('"') {
        let (inside, after) = quoted.split_once('"').ok_or_else(unclosed)?;
        return Ok((format!("{head}{inside}"), after.trim_start_matches(SPACE)));
    }
    let (separator, rest) = tail.split_at(1);
    let rest = rest.trim_start_matches(SPACE);
    let rest = match rest.strip_prefix('=') {
        Some(after) if separator != "=" => after.trim_start_matches(SPACE),
        _ => rest,
    };
    Ok((head.to_owned(), rest))
}

/// The words of what stands behind a keyword, without quotes, escapes and the comment.
pub(super) fn words(text: &str) -> Result<Vec<String>, Complaint> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, quote) {
            (' ' | '\t', None) => words.extend(word.take()),
            ('#', None) if word.is_none() => break,
            ('\\', _) => {
                let escaped = rest.next_if(|next| matches!(next, '\'' | '"' | '\\') || (quote.is_none() && *next == ' '));
                word.get_or_insert_default().push(escaped.unwrap_or('\\'));
            }
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (end, Some(begin)) if end == begin => quote = None,
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err(unclosed());
    }
    words.extend(word);
    Ok(words)
}

fn unclosed() -> Complaint {
    Complaint::new("a quotation does not end").hint("close it on the same line, or write \\\" for a quotation mark itself")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, Vec<String>)> {
        statement(line).unwrap().map(|found| (found.keyword, words(found.rest).unwrap()))
    }

    #[test]
    fn a_keyword_ends_at_white_space_or_at_one_equals_sign() {
        for line in
            ["Port 22", "Port=22", "Port = 22", "Port\t=\t22", "  Port  22\r\n", "\"Port\" 22", "Port 22 # comment", "=Port 22"]
        {
            assert_eq!(read(line), Some(("Port".to_owned(), vec!["22".to_owned()])), "{line}");
        }
        assert_eq!(read("Port == 22").unwrap().1, ["=", "22"]);
        assert_eq!(read("Port").unwrap().1, Vec::<String>::new());
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        for line in ["", " ", "\t\r\n", "# Host x", "   #Host x"] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn words_lose_quotes_and_escapes() {
        assert_eq!(
            words(r#"a "b c" 'd "e"' f\ g "h\"i" j\k "" l"m n"o"#).unwrap(),
            ["a", "b c", "d \"e\"", "f g", "h\"i", "j\\k", "", "lm no"]
        );
        assert_eq!(words("a#b # c").unwrap(), ["a#b"]);
        assert!(words("a \"b").is_err());
        assert!(words("it's").is_err());
        assert!(statement("\"Host x").is_err());
    }
}
