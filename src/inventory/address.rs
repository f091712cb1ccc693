//! One host as it is typed: `host`, `host:2222`, `user@host`, `[2001:db8::1]:2222`, each with ranges.

use std::net::Ipv6Addr;

use super::range::{self, Names};
use super::{Complaint, MOST_HOSTS};

/// A host entry, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The login before the `@`.
    pub(super) user: Option<String>,
    /// The names that the entry stands for.
    pub(super) names: Names,
    /// The port behind the colon.
    pub(super) port: Option<u16>,
}

impl Entry {
    /// A host by the name that another program gave it, in which nothing is a login, a range or a port.
    pub(super) fn verbatim(name: &str) -> Result<Self, Complaint> {
        let say = |what: &str| Err(Complaint::new(format!("the name `{name}` {what}")));
        match name {
            "" => Err(Complaint::new("a host has an empty name")),
            "." | ".." => say("is not that of a host"),
            _ if name.contains(['/', '\\']) || name.contains(char::is_control) => say("holds what no host name does"),
            _ if name.len() > LONGEST_NAME => say("is longer than 255 characters"),
            _ => Ok(Self { user: None, names: Names::one(name), port: None }),
        }
    }
}

/// The longest name of a host, in bytes.
const LONGEST_NAME: usize = 255;

/// Takes a host entry apart.
pub(super) fn entry(text: &str) -> Result<Entry, Complaint> {
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(login(user, text)?), place),
        None => (None, text),
    };
    let (pattern, port) = split_port(place)?;
    let port = port.map(|port| port_number(port, text)).transpose()?;
    check_name(pattern, text)?;
    Ok(Entry { user, names: range::parse(pattern)?, port })
}

fn login(user: &str, text: &str) -> Result<String, Complaint> {
    let strange = |character: char| character.is_whitespace() || character.is_control() || ":[]/\\".contains(character);
    match user.is_empty() || user.starts_with('-') || user.contains(strange) {
        true => {
            Err(Complaint::new(format!("`{user}` in `{text}` is not a login name")).hint("write user@host or user@host:port"))
        }
        false => Ok(user.to_owned()),
    }
}

/// The port of a text such as `2222`.
pub(super) fn port_number(port: &str, text: &str) -> Result<u16, Complaint> {
    let number = port.parse::<u16>().ok().filter(|number| *number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()));
    number.ok_or_else(|| match port {
        "" => Complaint::new(format!("`{text}` ends in a colon and names no port"))
            .hint("remove the colon; a file whose names end in colons is YAML and needs the extension .yml"),
        _ => Complaint::new(format!("`{port}` in `{text}` is not a port")).hint("ports are 1 to 65535"),
    })
}

/// The host pattern, and the port where one is named. An IPv6 address needs brackets to carry a port.
fn split_port(place: &str) -> Result<(&str, Option<&str>), Complaint> {
    if let Some((inside, after)) = place.strip_prefix('[').and_then(|rest| rest.rsplit_once(']'))
        && (is_ipv6(inside) || is_hostname(inside))
    {
        return match after.strip_prefix(':') {
            Some(port) => Ok((inside, Some(port))),
            None if after.is_empty() && is_ipv6(inside) => Ok((inside, None)),
            None => Ok((place, None)),
        };
    }
    let mut colons = outside_brackets(place).filter(|(_, character)| *character == ':');
    match (colons.next(), colons.next()) {
        (None, _) => Ok((place, None)),
        (Some((at, _)), None) => Ok((&place[..at], Some(&place[at + 1..]))),
        _ if is_ipv6(place) => Ok((place, None)),
        _ => Err(Complaint::new(format!("`{place}` is neither a host with a port nor an IPv6 address"))
            .hint("write host:port or [IPv6 address]:port")),
    }
}

/// The characters of `text` that stand outside `[...]`.
fn outside_brackets(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut inside = false;
    text.char_indices().filter(move |(_, character)| {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            _ => return !inside,
        }
        false
    })
}

/// Whether this is an IPv6 address, perhaps with ranges, perhaps with a zone (`fe80::1%eth0`).
pub(super) fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    zone.is_none_or(|zone| !zone.is_empty())
        && address.contains(':')
        && without_ranges(address, "1").is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// Whether this is a host name or an IPv4 address, perhaps with ranges, by Ansible's rules: labels of letters, digits, `_` and `-`,
/// none beginning with a hyphen or ending with a hyphen or an underscore.
pub(super) fn is_hostname(text: &str) -> bool {
    without_ranges(text, "a").is_some_and(|name| {
        name.split('.').all(|label| {
            let word = |character: char| character.is_alphanumeric() || character == '_';
            label.chars().all(|character| word(character) || character == '-')
                && label.chars().next().is_some_and(word)
                && !label.ends_with(['-', '_'])
        })
    })
}

/// Whether a pattern of `--limit` is one host, perhaps with ranges and a port, in which a colon separates nothing.
pub(super) fn is_one_host(text: &str) -> bool {
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let place = match text.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:")) {
        Some((inside, port)) if digits(port) => inside,
        _ => match outside_brackets(text).filter(|(_, character)| *character == ':').map(|(at, _)| at).collect::<Vec<_>>()[..] {
            [at] if digits(&text[at + 1..]) => &text[..at],
            _ => text,
        },
    };
    is_hostname(place) || is_ipv6(place)
}

/// `text` with `stand_in` for every well-formed range; `None` where a bracket is not part of one.
fn without_ranges(text: &str, stand_in: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('[') {
        let (inside, after) = tail.split_once(']')?;
        let bounds: Vec<&str> = inside.split(':').collect();
        let bound = |bound: &&str| !bound.is_empty() && bound.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if head.contains(']') || !(2..=3).contains(&bounds.len()) || !bounds.iter().all(bound) {
            return None;
        }
        out.push_str(head);
        out.push_str(stand_in);
        rest = after;
    }
    out.push_str(rest);
    (!rest.contains(']')).then_some(out)
}

/// A host name ends up in paths of recordings, in known_hosts lookups and in reports, so what can't be a name in any of them is refused.
fn check_name(pattern: &str, text: &str) -> Result<(), Complaint> {
    let say = |what: &str| Err(Complaint::new(format!("`{text}` {what}")));
    let strange =
        |character: char| character.is_whitespace() || character.is_control() || "/\\,;\"'`$&|<>(){}=*?!#~^".contains(character);
    if pattern.is_empty() {
        return say("names no host");
    }
    if pattern.contains(',') {
        return say("holds a comma").map_err(|complaint: Complaint| complaint.hint("write one host a line"));
    }
    if let Some(character) = pattern.chars().find(|character| strange(*character)) {
        return say(&format!("holds {character:?}, which no host name does"));
    }
    if pattern == "---" {
        return say("begins a YAML document").map_err(|complaint: Complaint| complaint.hint("give the file the extension .yml"));
    }
    if pattern.starts_with('-') {
        return say("begins with a hyphen, as an option would");
    }
    if pattern == "." || pattern == ".." {
        return say("is not a host name");
    }
    if pattern.contains(':') && !is_ipv6(pattern) && outside_brackets(pattern).any(|(_, character)| character == ':') {
        return say("holds a colon, which no host name does");
    }
    if pattern.len() > LONGEST_NAME {
        return say("is longer than 255 characters");
    }
    Ok(())
}

/// The error of an inventory that outgrows [`MOST_HOSTS`].
pub(super) fn too_many() -> Complaint {
    Complaint::new(format!("the inventory holds more than {MOST_HOSTS} hosts")).hint("look for a range that is too wide")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Option<String>, Vec<String>, Option<u16>) {
        let entry = entry(text).unwrap();
        (entry.user, entry.names.iter().collect(), entry.port)
    }

    fn refused(text: &str) -> String {
        entry(text).unwrap_err().message
    }

    #[test]
    fn users_ports_and_ranges_are_told_apart() {
        assert_eq!(parts("web01"), (None, vec!["web01".into()], None));
        assert_eq!(parts("web01:2222"), (None, vec!["web01".into()], Some(2222)));
        assert_eq!(
            parts("ops@web[1:2].example.com:22"),
            (Some("ops".into()), vec!["web1.example.com".into(), "web2.example.com".into()], Some(22))
        );
        assert_eq!(parts("192.0.2.[1:2]"), (None, vec!["192.0.2.1".into(), "192.0.2.2".into()], None));
        assert_eq!(parts("[a:b]x"), (None, vec!["ax".into(), "bx".into()], None));
        assert_eq!(parts("[a:b]-[1:2]:22").1, ["a-1", "a-2", "b-1", "b-2"]);
    }

    #[test]
    fn an_ipv6_address_carries_a_port_in_brackets_only() {
        assert_eq!(parts("2001:db8::1"), (None, vec!["2001:db8::1".into()], None));
        assert_eq!(parts("[2001:db8::1]:2222"), (None, vec!["2001:db8::1".into()], Some(2222)));
        assert_eq!(parts("[2001:db8::1]"), (None, vec!["2001:db8::1".into()], None));
        assert_eq!(parts("fe80::1%eth0"), (None, vec!["fe80::1%eth0".into()], None));
        assert_eq!(parts("2001:db8::[1:2]").1, ["2001:db8::1", "2001:db8::2"]);
        assert_eq!(parts("[2001:db8::[a:b]]:22"), (None, vec!["2001:db8::a".into(), "2001:db8::b".into()], Some(22)));
        assert!(refused("2001:db8::xyz").contains("neither"));
    }

    #[test]
    fn what_cannot_be_a_host_is_refused() {
        assert!(refused("web:99999").contains("not a port"));
        assert!(refused("web:0").contains("not a port"));
        assert!(refused("web:+22").contains("not a port"));
        assert!(refused("web:ssh").contains("not a port"));
        assert!(refused("web:").contains("names no port"));
        assert!(refused("@web").contains("not a login name"));
        assert!(refused("user:secret@web").contains("not a login name"));
        assert!(refused("a,b").contains("comma"));
        assert!(refused("-oProxyCommand").contains("hyphen"));
        assert!(refused("../etc").contains("which no host name does"));
        assert!(refused("..").contains("not a host name"));
        assert!(refused("---").contains("YAML"));
        assert!(refused("").contains("names no host"));
        assert!(refused("a\u{1b}b").contains("which no host name does"));
    }
}
