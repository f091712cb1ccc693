//! Patterns of ssh_config(5), section PATTERNS.

/// Whether `pattern` matches all of `text`: `*` is any run of characters, `?` is one. Case counts.
///
/// Goes back to the last `*` only, so it never takes more than length times length.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == b'?' || text.get(seen) == Some(letter) => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((back, taken)) = star else { return false };
                star = Some((back, taken + 1));
                at = back + 1;
                seen = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|letter| *letter == b'*')
}

/// Whether a list of patterns, separated by commas, has one that matches `text` and none with `!` that does.
pub fn list_matches(patterns: &str, text: &str) -> bool {
    any_matches(patterns.split(','), text)
}

/// The same for patterns that are separated already.
pub fn any_matches<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut matched = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, text) => return false,
            Some(_) => {}
            None => matched = matched || matches(pattern, text),
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_as_in_ssh_config() {
        for (pattern, text) in
            [("*", ""), ("*", "web"), ("web?", "web1"), ("w*b*1", "web01"), ("a*?b", "axxb"), ("", ""), ("**", "x")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("web?", "web"), ("web", "Web"), ("*.b", "b"), ("", "x"), ("a*b", "abc"), ("?", "")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_negated_pattern_wins_and_never_matches_by_itself() {
        assert!(list_matches("!web2,web*", "web1"));
        assert!(!list_matches("web*,!web2", "web2"));
        assert!(!list_matches("!web2", "web1"));
        assert!(!list_matches("", "web1"));
    }
}
