//! The conditions that `Host` and `Match` put on the lines below them.

use ipnet::IpNet;

use super::pattern::{any_matches, list_matches};
use super::problem::Complaint;

/// What is asked of the session by `Match sessiontype` and `Match command`: one command, the same for every host.
const SESSION_TYPE: &str = "exec";
const COMMAND: &str = "exec /bin/sh -s";
/// `Match version`: the OpenSSH whose manual this reader follows. Which `ssh` is installed here, if any, does not matter to a scan.
const VERSION: &str = "OpenSSH_10.0";

/// Whether lines count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    /// Its line was wrong.
    Never,
    /// The patterns of `Host`.
    Host(Vec<String>),
    /// All of these.
    Match(Vec<Test>),
}

/// One criterion of `Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) negated: bool,
    pub(super) criterion: Criterion,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Criterion {
    All,
    Canonical,
    Final,
    Host(String),
    OriginalHost(String),
    User(String),
    LocalUser(String),
    Exec(String),
    LocalNetwork(Vec<IpNet>),
    Tagged(String),
    /// Known once and for all: version, session type, command.
    Settled(bool),
}

/// Every word that a criterion may be, for a hint.
const CRITERIA: &[&str] = &[
    "all",
    "canonical",
    "final",
    "host",
    "originalhost",
    "user",
    "localuser",
    "exec",
    "localnetwork",
    "tagged",
    "version",
    "sessiontype",
    "command",
];

impl Condition {
    /// Whether it holds for every host.
    pub(super) fn is_certain(&self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Host(patterns) => patterns.len() == 1 && patterns.first().is_some_and(|pattern| pattern == "*"),
            Self::Match(tests) => matches!(tests.as_slice(), [Test { negated: false, criterion: Criterion::All }]),
        }
    }

    /// The only names that it can hold for, where they are few.
    pub(super) fn names(&self) -> Option<&[String]> {
        match self {
            Self::Host(patterns) if !patterns.iter().any(|pattern| pattern.contains(['*', '?', '!'])) => Some(patterns),
            _ => None,
        }
    }

    /// Whether it asks for the second pass over the configuration.
    pub(super) fn wants_final_pass(&self) -> bool {
        matches!(self, Self::Match(tests) if tests.iter().any(|test| test.criterion == Criterion::Final))
    }

    /// `Host` patterns against the name.
    pub(super) fn host_matches(patterns: &[String], host: &str) -> bool {
        any_matches(patterns.iter().map(String::as_str), host)
    }
}

/// The tests of a `Match` line.
pub(super) fn tests(words: &[String]) -> Result<Vec<Test>, Complaint> {
    let mut tests = Vec::new();
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        let (negated, word) = word.strip_prefix('!').map_or((false, word), |word| (true, word));
        // `host=web*` and `host = web*` are read as `host web*`.
        let (name, assigned) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let criterion = match name.to_ascii_lowercase().as_str() {
            "all" if tests.len() > 1 || rest.next().is_some() => {
                return Err(Complaint::new("`Match`: `all` stands beside other criteria").hint("write `all` alone"));
            }
            "all" => Criterion::All,
            "canonical" => Criterion::Canonical,
            "final" => Criterion::Final,
            lower => {
                let next = assigned.filter(|value| !value.is_empty()).or_else(|| rest.next());
                let value = if next == Some("=") { rest.next() } else { next };
                with_value(name, lower, value)?
            }
        };
        tests.push(Test { negated, criterion });
    }
    if tests.is_empty() {
        return Err(Complaint::new("`Match` has no criterion").hint(format!("criteria are {}", CRITERIA.join(", "))));
    }
    Ok(tests)
}

fn with_value(name: &str, lower: &str, value: Option<&str>) -> Result<Criterion, Complaint> {
    if !CRITERIA.contains(&lower) {
        let complaint = Complaint::new(format!("`Match`: `{name}` is not a criterion"));
        return Err(match crate::model::nearest(lower, CRITERIA.iter().copied()) {
            Some(near) => complaint.hint(format!("did you mean `{near}`? A value with spaces needs quotes")),
            None => complaint.hint(format!("criteria are {}; a value with spaces needs quotes", CRITERIA.join(", "))),
        });
    }
    // Only a tag and a command may be compared with nothing.
    let Some(value) = value.filter(|value| !value.is_empty() || matches!(lower, "tagged" | "command")) else {
        return Err(Complaint::new(format!("`Match`: `{name}` has no value")));
    };
    let settled = |fact: &str| Criterion::Settled(list_matches(value, fact));
    Ok(match lower {
        "host" => Criterion::Host(value.to_lowercase()),
        "originalhost" => Criterion::OriginalHost(value.to_lowercase()),
        "user" => Criterion::User(value.to_owned()),
        "localuser" => Criterion::LocalUser(value.to_owned()),
        "exec" => Criterion::Exec(value.to_owned()),
        "localnetwork" => Criterion::LocalNetwork(networks(value)?),
        "tagged" => Criterion::Tagged(value.to_owned()),
        "version" => settled(VERSION),
        "sessiontype" => settled(SESSION_TYPE),
        _ => settled(COMMAND),
    })
}

fn networks(list: &str) -> Result<Vec<IpNet>, Complaint> {
    let network = |text: &str| {
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse().ok().map(|address: std::net::IpAddr| address.into()));
        // A host part under the mask is a slip that OpenSSH refuses too.
        network.filter(|network| network.addr() == network.network()).ok_or_else(|| {
            Complaint::new(format!("`Match`: `{text}` is not a network")).hint("write networks as 192.0.2.0/24,2001:db8::/32")
        })
    };
    list.split(',').map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Vec<Test>, Complaint> {
        tests(&super::super::lexer::words(line).unwrap())
    }

    #[test]
    fn criteria_have_values_and_may_be_negated() {
        let one = |line: &str| read(line).unwrap().remove(0);
        assert_eq!(one("all"), Test { negated: false, criterion: Criterion::All });
        assert_eq!(one("!FINAL"), Test { negated: true, criterion: Criterion::Final });
        for line in ["host Web*", "host=Web*", "Host = Web*", "host= Web*"] {
            assert_eq!(one(line).criterion, Criterion::Host("web*".to_owned()), "{line}");
        }
        assert_eq!(one("exec \"test -f x\"").criterion, Criterion::Exec("test -f x".to_owned()));
        assert_eq!(one("tagged \"\"").criterion, Criterion::Tagged(String::new()));
        assert_eq!(one("sessiontype exec").criterion, Criterion::Settled(true));
        assert_eq!(one("sessiontype shell,subsystem").criterion, Criterion::Settled(false));
        assert_eq!(one("version OpenSSH_10.*").criterion, Criterion::Settled(true));
        assert_eq!(one("command \"exec *\"").criterion, Criterion::Settled(true));
        assert_eq!(read("canonical all").unwrap().len(), 2);
        let Criterion::LocalNetwork(networks) = one("localnetwork 192.0.2.0/24,2001:db8::1").criterion else { panic!() };
        assert_eq!(networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.0/24", "2001:db8::1/128"]);
    }

    #[test]
    fn wrong_criteria_are_refused() {
        for line in [
            "",
            "all host x",
            "user a host b all",
            "host",
            "host \"\"",
            "nope x",
            "exec test -f x",
            "localnetwork 192.0.2.1/24",
            "localnetwork x",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
        assert_eq!(
            read("orginalhost x").unwrap_err().hint.unwrap(),
            "did you mean `originalhost`? A value with spaces needs quotes"
        );
    }
}
