//! `%h`, `${NAME}` and the like: ssh_config(5), sections TOKENS and ENVIRONMENT VARIABLES.

use std::borrow::Cow;
use std::collections::HashMap;

use data_encoding::HEXLOWER;
use ring::digest;

use super::Here;
use super::problem::Complaint;

/// The tokens of file names and of `Match exec`.
pub(super) const ALL: &str = "CdhijkLlnpru";
/// Those of `User`, which can't be made of itself.
pub(super) const OF_USER: &str = "dhijkLlnpu";
/// Those of `ProxyCommand` and `ProxyJump`.
pub(super) const OF_PROXY: &str = "hnpr";
/// Those of `HostName`.
pub(super) const OF_HOST_NAME: &str = "h";

/// What the tokens of one host stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens<'a> {
    pub(super) here: &'a Here,
    /// `%h`: the name or address that is dialled.
    pub(super) host: &'a str,
    /// `%n`: as it was asked for.
    pub(super) original: &'a str,
    pub(super) port: u16,
    /// `%r`.
    pub(super) user: &'a str,
    /// `%k`: what the host keys are looked up by, or the name that was asked for.
    pub(super) alias: &'a str,
    /// `%j`: the host of the last jump, empty without one.
    pub(super) jump: &'a str,
}

impl Tokens<'_> {
    fn value(&self, letter: char) -> Cow<'_, str> {
        match letter {
            'C' => Cow::Owned(self.hash()),
            'd' => Cow::Owned(self.here.home.display().to_string()),
            'h' => Cow::Borrowed(self.host),
            'i' => Cow::Owned(self.here.uid.to_string()),
            'j' => Cow::Borrowed(self.jump),
            'k' => Cow::Borrowed(self.alias),
            'L' => Cow::Borrowed(self.here.short_name()),
            'l' => Cow::Borrowed(&self.here.host_name),
            'n' => Cow::Borrowed(self.original),
            'p' => Cow::Owned(self.port.to_string()),
            'r' => Cow::Borrowed(self.user),
            'u' => Cow::Borrowed(&self.here.user),
            _ => Cow::Borrowed(""),
        }
    }

    /// `%C`: the hash of %l%h%p%r%j, with which OpenSSH names sockets. SHA-1 is no weakness there.
    fn hash(&self) -> String {
        let text = format!("{}{}{}{}{}", self.here.host_name, self.host, self.port, self.user, self.jump);
        HEXLOWER.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
    }
}

/// Why a text can't be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It has no meaning.
    Wrong(Complaint),
    /// It names a variable of the environment that isn't there: OpenSSH then goes on without the line.
    NoVariable(String),
}

/// The text with every token of `letters` replaced, and with `environment` every `${NAME}` too.
pub(super) fn expand(
    text: &str,
    letters: &str,
    tokens: &Tokens<'_>,
    environment: Option<&HashMap<String, String>>,
) -> Result<String, Failure> {
    let mut expanded = String::with_capacity(text.len() + 16);
    let mut missing = None;
    let mut rest = text;
    while let Some(at) = rest.find(['%', '$']) {
        let (before, from) = rest.split_at(at);
        expanded.push_str(before);
        let (sign, behind) = from.split_at(1);
        let variable = environment.filter(|_| sign == "$").zip(behind.strip_prefix('{'));
        rest = match (sign, variable) {
            (_, Some((environment, inside))) => {
                let (name, after) = inside.split_once('}').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                    Failure::Wrong(
                        Complaint::new(format!("`{text}` has a `${{` without a name and a `}}`")).hint("write ${NAME}"),
                    )
                })?;
                match environment.get(name) {
                    Some(value) => expanded.push_str(value),
                    None => missing = Some(name.to_owned()),
                }
                after
            }
            ("%", None) => {
                let letter = behind.chars().next();
                match letter {
                    Some('%') => expanded.push('%'),
                    Some(letter) if letters.contains(letter) => expanded.push_str(&tokens.value(letter)),
                    _ => return Err(Failure::Wrong(unknown(text, letter, letters))),
                }
                behind.split_at(letter.map_or(0, char::len_utf8)).1
            }
            _ => {
                expanded.push_str(sign);
                behind
            }
        };
    }
    expanded.push_str(rest);
    missing.map_or(Ok(expanded), |name| Err(Failure::NoVariable(name)))
}

fn unknown(text: &str, letter: Option<char>, letters: &str) -> Complaint {
    let known = letters.chars().map(|letter| format!("%{letter}")).collect::<Vec<_>>().join(" ");
    let token = letter.map_or_else(|| "%".to_owned(), |letter| format!("%{letter}"));
    Complaint::new(format!("`{token}` in `{text}` is not a token that can stand there"))
        .hint(format!("known are {known} and %% for `%` itself"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Here {
        Here {
            user: "me".to_owned(),
            uid: 1000,
            home: "/home/me".into(),
            host_name: "desk.example.com".to_owned(),
            environment: HashMap::from([("DIR".to_owned(), "/keys".to_owned())]),
            ..Here::default()
        }
    }

    fn expanded(text: &str, letters: &str) -> Result<String, Failure> {
        let here = here();
        let tokens =
            Tokens { here: &here, host: "192.0.2.1", original: "web", port: 2222, user: "ops", alias: "alias", jump: "bastion" };
        expand(text, letters, &tokens, Some(&here.environment))
    }

    #[test]
    fn every_token_has_its_value() {
        let text = "%% %d %h %i %j %k %L %l %n %p %r %u";
        let values = "% /home/me 192.0.2.1 1000 bastion alias desk desk.example.com web 2222 ops me";
        assert_eq!(expanded(text, ALL).as_deref(), Ok(values));
        // printf desk.example.com192.0.2.12222opsbastion | sha1sum
        assert_eq!(expanded("%C", ALL).as_deref(), Ok("b4e7df2385cdd4806be1bee5e7a02abf1094c79b"));
        assert_eq!(expanded("${DIR}/$x/%%h$", ALL).as_deref(), Ok("/keys/$x/%h$"));
    }

    #[test]
    fn unknown_tokens_and_missing_variables_are_told_apart() {
        assert!(matches!(expanded("%z", ALL), Err(Failure::Wrong(complaint)) if complaint.message.contains("`%z` in `%z`")));
        assert!(matches!(expanded("x%", ALL), Err(Failure::Wrong(_))));
        assert!(matches!(expanded("%n", OF_HOST_NAME), Err(Failure::Wrong(_))));
        assert!(matches!(expanded("${DIR", ALL), Err(Failure::Wrong(_))));
        assert!(matches!(expanded("${}", ALL), Err(Failure::Wrong(_))));
        assert_eq!(expanded("${NOPE}/x", ALL), Err(Failure::NoVariable("NOPE".to_owned())));
    }
}
