//! Text split into words as Python's `shlex.split` does: host lines of an INI inventory, and the arguments of `ssh`.
//!
//! The `shlex` crate follows the shell instead, and the two differ where inventories do: `#` ends a line even inside a word here,
//! and inside double quotes a backslash escapes only itself and the quote.

use super::Complaint;

/// The words of a line without its comment: `shlex.split(line, comments=True)`.
pub(super) fn split(line: &str) -> Result<Vec<String>, Complaint> {
    words(line, true)
}

/// The arguments for `ssh` that a variable holds, as Ansible takes them apart: `#` is a character like any other, and what is empty is left out.
pub(super) fn arguments(text: &str) -> Result<Vec<String>, Complaint> {
    let words = words(text, false)?;
    Ok(words.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
}

fn words(line: &str, comments: bool) -> Result<Vec<String>, Complaint> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match character {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if comments => break,
            '\\' => {
                let next =
                    rest.next().ok_or_else(|| Complaint::new("the line ends in a backslash").hint("remove it or double it"))?;
                word.get_or_insert_default().push(next);
            }
            '\'' | '"' => quoted(character, &mut rest, word.get_or_insert_default())?,
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(quote: char, rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), Complaint> {
    while let Some(character) = rest.next() {
        match character {
            '\\' if quote == '"' => match rest.next() {
                Some(next @ ('"' | '\\')) => word.push(next),
                Some(next) => word.extend(['\\', next]),
                None => break,
            },
            _ if character == quote => return Ok(()),
            _ => word.push(character),
        }
    }
    Err(Complaint::new(format!("a quotation that begins with {quote} does not end")).hint("close it on the same line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_python_splits_them() {
        // Expected values: python3 -c 'import shlex; print(shlex.split(line, comments=True))'
        assert_eq!(split("web01 a=1 b='x y' # note").unwrap(), ["web01", "a=1", "b=x y"]);
        assert_eq!(split(r#"h a="x \"y\" \z" b='p\q' c=r\ s"#).unwrap(), ["h", r#"a=x "y" \z"#, r"b=p\q", "c=r s"]);
        assert_eq!(split("h a=1#b c=2").unwrap(), ["h", "a=1"]);
        assert_eq!(split("h a='' ''").unwrap(), ["h", "a=", ""]);
        assert_eq!(split("# only a comment").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn arguments_for_ssh_keep_what_would_be_a_comment() {
        let text = "-o ProxyCommand=\"ssh -W %h:%p 'jump #1'\"  -F ~/x#y '' -o 'A = b'\n";
        assert_eq!(arguments(text).unwrap(), ["-o", "ProxyCommand=ssh -W %h:%p 'jump #1'", "-F", "~/x#y", "-o", "A = b"]);
    }

    #[test]
    fn an_open_quotation_is_an_error() {
        assert!(split("h a='x").is_err());
        assert!(split("h a=\"x\\").is_err());
        assert!(split("h a=x\\").is_err());
    }
}
