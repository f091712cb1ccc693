//! `ProxyJump`: the hosts on the way.

use super::Hop;
use super::problem::Complaint;

/// The hops of a `ProxyJump`, the first one first; none for `none`.
pub(super) fn jump(text: &str) -> Result<Vec<Hop>, Complaint> {
    let text = text.split('#').next().unwrap_or_default().trim();
    // OpenSSH hands the value to a shell, which takes the quotes away.
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let text = quoted('"').or_else(|| quoted('\'')).unwrap_or(text);
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    text.split(',').map(hop).collect()
}

fn hop(text: &str) -> Result<Hop, Complaint> {
    let wrong = || {
        Complaint::new(format!("`{text}` is not a host to jump through"))
            .hint("write [user@]host[:port], with an IPv6 address in brackets; several are separated by commas without spaces")
    };
    if text.contains(char::is_whitespace) {
        return Err(wrong());
    }
    match text.strip_prefix("ssh://") {
        Some(uri) => of_uri(uri).ok_or_else(wrong),
        None => of_words(text).ok_or_else(wrong),
    }
}

/// `[user@]host[:port]`.
fn of_words(text: &str) -> Option<Hop> {
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, text),
    };
    let (host, port, delimiter) = host_and_port(place)?;
    if user == Some("") || (delimiter == Some('/') && !port.is_empty()) {
        return None;
    }
    Some(Hop { user: user.map(str::to_owned), host: host.to_owned(), port: some_port(port)? })
}

/// `[user[;parameters]@]host[:port][/]` of an `ssh://` URI. The user may be percent-encoded.
fn of_uri(uri: &str) -> Option<Hop> {
    let (user, place) = match uri.split_once('@') {
        Some((user, place)) => (Some(user.split(';').next().unwrap_or_default()), place),
        None => (None, uri),
    };
    let user = user.map(|user| decoded(user).filter(|user| !user.is_empty()).ok_or(())).transpose().ok()?;
    let (host, rest, delimiter) = host_and_port(place)?;
    let domain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'.' | b'-' | b'_');
    if !host.starts_with(|first: char| first.is_ascii_alphanumeric()) || !host.bytes().all(domain) || host.contains("..") {
        return None;
    }
    let (port, path) = match delimiter {
        Some('/') => ("", rest),
        _ => rest.split_once('/').unwrap_or((rest, "")),
    };
    path.is_empty().then_some(())?;
    Some(Hop { user, host: host.strip_suffix('.').unwrap_or(host).to_owned(), port: some_port(port)? })
}

/// The host without its brackets, what is behind it, and what stood between them.
fn host_and_port(text: &str) -> Option<(&str, &str, Option<char>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => text.split_at(text.find([':', '/']).unwrap_or(text.len())),
    };
    if host.is_empty() {
        return None;
    }
    let mut rest = rest.chars();
    match rest.next() {
        None => Some((host, "", None)),
        Some(delimiter @ (':' | '/')) => Some((host, rest.as_str(), Some(delimiter))),
        Some(_) => None,
    }
}

fn some_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() { Some(None) } else { port(text).map(Some) }
}

/// A port: a number, or the name that SSH itself has among services. Other names of services are not looked up.
pub(super) fn port(text: &str) -> Option<u16> {
    if text == "ssh" {
        return Some(22);
    }
    text.trim_start().parse().ok().filter(|port| *port > 0)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let value = u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
                (value != 0).then_some(value)?
            }
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Refuses a host that came from outside the configuration and could end up in a command line of a shell, as `ssh` does it.
pub(super) fn check_host(host: &str) -> Result<(), Complaint> {
    let odd = |letter: char| "'`\"$\\;&<>|(){}".contains(letter) || letter.is_whitespace() || letter.is_control();
    if host.is_empty() || host.starts_with('-') || host.contains(odd) {
        return Err(Complaint::new(format!("{host:?} is not the name of a host"))
            .hint("a name may not begin with `-` and holds no spaces, quotes or characters that mean something to a shell"));
    }
    Ok(())
}

/// The same for a login.
pub(super) fn check_user(user: &str) -> Result<(), Complaint> {
    let odd = |letter: char| "'`\";&<>|(){}".contains(letter) || letter.is_control();
    let option = user.split(char::is_whitespace).skip(1).any(|word| word.starts_with('-'));
    if user.is_empty() || user.starts_with('-') || option || user.ends_with('\\') || user.contains(odd) {
        return Err(Complaint::new(format!("{user:?} is not the name of a user"))
            .hint("a name may not begin with `-` and holds no quotes or characters that mean something to a shell"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(user: Option<&str>, host: &str, port: Option<u16>) -> Option<Vec<Hop>> {
        Some(vec![Hop { user: user.map(str::to_owned), host: host.to_owned(), port }])
    }

    fn shown(text: &str) -> Option<Vec<Hop>> {
        jump(text).ok()
    }

    #[test]
    fn hops_have_users_ports_brackets_and_uris() {
        assert_eq!(shown("bastion"), one(None, "bastion", None));
        assert_eq!(shown("ops@bastion:2222 # comment"), one(Some("ops"), "bastion", Some(2222)));
        assert_eq!(shown("a@b@[2001:db8::1]:22"), one(Some("a@b"), "2001:db8::1", Some(22)));
        assert_eq!(shown("bastion:ssh"), one(None, "bastion", Some(22)));
        assert_eq!(shown("bastion:"), one(None, "bastion", None));
        assert_eq!(shown("ssh://o%70s;x=y@bastion.example.com:2222/"), one(Some("ops"), "bastion.example.com", Some(2222)));
        assert_eq!(shown("ssh://bastion/"), one(None, "bastion", None));
        assert_eq!(shown("\"bastion\""), one(None, "bastion", None));
        assert_eq!(shown("a,b:1,c@d").unwrap().len(), 3);
        assert_eq!(shown("None"), Some(vec![]));
    }

    #[test]
    fn what_is_not_a_hop_is_refused() {
        let wrong = [
            "",
            "a,,b",
            "@a",
            "a:0",
            "a:x",
            "a:70000",
            "::1",
            "[::1",
            "[::1]x",
            "a b",
            "a, b",
            "a/b",
            "ssh://",
            "ssh://[::1]:22",
        ];
        for text in wrong.iter().chain(&["ssh://a/b", "ssh://%zz@a", "ssh://@a", "ssh://a..b", "ssh://-a", "ssh://%00@a"]) {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn names_that_a_shell_would_read_are_refused() {
        for host in ["-oProxyCommand=x", "a b", "$(id)", "a;b", "", "a\u{7}", "`x`"] {
            assert!(check_host(host).is_err(), "{host}");
        }
        for user in ["-l", "a;b", "a -b", "a\\", "", "x\n", "'a"] {
            assert!(check_user(user).is_err(), "{user}");
        }
        for name in ["web01", "2001:db8::1", "fe80::1%eth0", "web_1.example.com"] {
            check_host(name).unwrap();
        }
        for name in ["ops", "EXAMPLE\\ops", "a b", "ops@example.com"] {
            check_user(name).unwrap();
        }
    }
}
