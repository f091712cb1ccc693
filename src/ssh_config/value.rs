//! What stands behind a keyword: words, numbers, times, lists.

use std::time::Duration;

use super::problem::Complaint;
use super::{AlgorithmList, Family, Hop, HostKeyChecking, algorithms, hop, lexer};

/// How the words behind a keyword are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// One word.
    Text,
    /// File names, or `none` alone.
    Files,
    /// Everything to the end of the line, for a shell.
    Command,
    Port,
    Number,
    /// Seconds, or numbers with units: `1h30m`.
    Time,
    Flag,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A flag with two more ways of saying yes.
    Pubkey,
    Checking,
    Family,
    Agent,
    Jump,
    /// Of these names.
    Algorithms(&'static [&'static str]),
    /// Of keys and signatures, where patterns stand for names.
    KeyAlgorithms,
    /// At least one word.
    Anything,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Texts(Vec<String>),
    Port(u16),
    Number(u32),
    /// `None` is `none`.
    Time(Option<Duration>),
    Flag(bool),
    Checking(HostKeyChecking),
    Family(Family),
    Hops(Vec<Hop>),
    Algorithms(AlgorithmList),
    Nothing,
}

/// Reads what stands behind a keyword. The complaint beside the value is a warning.
pub(super) fn read(kind: Kind, rest: &str) -> Result<(Value, Option<Complaint>), Complaint> {
    // Quotes must be closed also where the words don't count.
    let words = lexer::words(rest)?;
    let value = match kind {
        Kind::Command => command(rest)?,
        Kind::Jump => Value::Hops(hop::jump(unassigned(rest))?),
        Kind::Files => files(words)?,
        Kind::Anything => match words.first() {
            Some(_) => Value::Nothing,
            None => return Err(missing()),
        },
        Kind::Algorithms(known) => return algorithm_list(&one(&words)?, known, false),
        Kind::KeyAlgorithms => return algorithm_list(&one(&words)?, algorithms::KEYS, true),
        _ => single(kind, one(&words)?)?,
    };
    Ok((value, None))
}

fn algorithm_list(text: &str, known: &[&str], patterns: bool) -> Result<(Value, Option<Complaint>), Complaint> {
    algorithms::list(text, known, patterns).map(|(list, complaint)| (Value::Algorithms(list), complaint))
}

/// A value that is one word.
fn single(kind: Kind, word: String) -> Result<Value, Complaint> {
    let lower = word.to_ascii_lowercase();
    let among = |words: &[&str]| Complaint::new(format!("`{word}` is none of {}", words.join(", ")));
    Ok(match kind {
        Kind::Port => Value::Port(
            hop::port(&word).ok_or_else(|| Complaint::new(format!("`{word}` is not a port")).hint("a number from 1 to 65535"))?,
        ),
        Kind::Number => Value::Number(number(&word).ok_or_else(|| Complaint::new(format!("`{word}` is not a number")))?),
        Kind::Time if word == "none" => Value::Time(None),
        Kind::Time => {
            let wrong =
                || Complaint::new(format!("`{word}` is not a time")).hint("seconds, or numbers with units: 30, 90s, 1h30m");
            Value::Time(Some(Duration::from_secs(seconds(&word).ok_or_else(wrong)?)))
        }
        Kind::Flag => Value::Flag(flag(&lower).ok_or_else(|| among(&["yes", "no"]))?),
        Kind::Pubkey => match lower.as_str() {
            "unbound" | "host-bound" => Value::Flag(true),
            _ => Value::Flag(flag(&lower).ok_or_else(|| among(&["yes", "no", "unbound", "host-bound"]))?),
        },
        Kind::Words(words) if words.contains(&lower.as_str()) => Value::Text(lower),
        Kind::Words(words) => return Err(among(words)),
        Kind::Checking => Value::Checking(match lower.as_str() {
            "yes" | "true" => HostKeyChecking::Yes,
            "no" | "false" | "off" => HostKeyChecking::No,
            "ask" => HostKeyChecking::Ask,
            "accept-new" => HostKeyChecking::AcceptNew,
            _ => return Err(among(&["yes", "accept-new", "ask", "no", "off"])),
        }),
        Kind::Family => Value::Family(match lower.as_str() {
            "any" => Family::Any,
            "inet" => Family::Inet,
            "inet6" => Family::Inet6,
            _ => return Err(among(&["any", "inet", "inet6"])),
        }),
        Kind::Agent => {
            let variable = word.strip_prefix('$').filter(|name| !name.starts_with('{'));
            if variable
                .is_some_and(|name| name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
            {
                return Err(Complaint::new(format!("`{word}` is not the name of a variable")));
            }
            Value::Text(word)
        }
        _ => Value::Text(word),
    })
}

fn one(words: &[String]) -> Result<String, Complaint> {
    match words {
        [] => Err(missing()),
        [word] if word.is_empty() => Err(missing()),
        [word] => Ok(word.clone()),
        [_, second, ..] => {
            Err(Complaint::new(format!("`{second}` is one word too many")).hint("put a value with spaces in double quotes"))
        }
    }
}

fn missing() -> Complaint {
    Complaint::new("the value is missing")
}

/// The rest of the line without the `=` that may stand before it.
fn unassigned(rest: &str) -> &str {
    rest.trim_start_matches([' ', '\t', '\r', '\n', '='])
}

fn command(rest: &str) -> Result<Value, Complaint> {
    match unassigned(rest) {
        "" => Err(missing()),
        command => Ok(Value::Text(command.to_owned())),
    }
}

fn files(words: Vec<String>) -> Result<Value, Complaint> {
    if words.is_empty() || words.iter().any(String::is_empty) {
        return Err(missing());
    }
    if words.iter().any(|word| word.eq_ignore_ascii_case("none")) {
        return match words.len() {
            1 => Ok(Value::Texts(Vec::new())),
            _ => Err(Complaint::new("`none` stands beside other files").hint("write `none` alone, or the files alone")),
        };
    }
    Ok(Value::Texts(words))
}

/// `yes` and `no` as every flag has them.
fn flag(lower: &str) -> Option<bool> {
    match lower {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<u32> {
    text.trim_start().parse().ok().filter(|number| i32::try_from(*number).is_ok())
}

/// The time format of sshd_config(5): numbers, each with a unit or without, added up.
fn seconds(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, behind) = rest.split_at(end);
        let mut behind = behind.chars();
        let unit = match behind.next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 3600,
            Some('d' | 'D') => 86400,
            Some('w' | 'W') => 604_800,
            Some(_) => return None,
        };
        total = digits.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(total)?;
        rest = behind.as_str();
    }
    // OpenSSH keeps it in an `int`.
    (!text.is_empty() && i32::try_from(total).is_ok()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_sums_of_numbers_with_units() {
        for (text, expected) in
            [("0", 0), ("30", 30), ("90s", 90), ("1m30", 90), ("1H30m", 5400), ("1d", 86400), ("2w", 1_209_600)]
        {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "x", "-1", "1x", "m", "1 m", "99999999999999999999", "2147483648"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_says_what_would_be_right() {
        let said = |kind, rest: &str| read(kind, rest).unwrap_err().message;
        assert_eq!(said(Kind::Port, "0"), "`0` is not a port");
        assert_eq!(said(Kind::Flag, "maybe"), "`maybe` is none of yes, no");
        assert_eq!(said(Kind::Checking, "accept"), "`accept` is none of yes, accept-new, ask, no, off");
        assert_eq!(said(Kind::Text, "a b"), "`b` is one word too many");
        assert_eq!(said(Kind::Text, "\"\""), "the value is missing");
        assert_eq!(said(Kind::Files, "none a"), "`none` stands beside other files");
        assert_eq!(said(Kind::Command, "= "), "the value is missing");
        assert_eq!(said(Kind::Number, "-1"), "`-1` is not a number");
        assert_eq!(said(Kind::Agent, "$a-b"), "`$a-b` is not the name of a variable");
    }
}
