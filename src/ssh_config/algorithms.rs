//! Lists of algorithms: the names that OpenSSH knows, and what a list makes of the default.

use super::AlgorithmList;
use super::pattern::any_matches;
use super::problem::Complaint;

/// `ssh -Q kex` of OpenSSH 9 and 10.
pub(super) const KEX: &[&str] = &[
    "diffie-hellman-group1-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group-exchange-sha256",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "mlkem768x25519-sha256",
];

/// `ssh -Q cipher`.
pub(super) const CIPHERS: &[&str] = &[
    "3des-cbc",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "rijndael-cbc@lysator.liu.se",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
];

/// `ssh -Q mac`.
pub(super) const MACS: &[&str] = &[
    "hmac-sha1",
    "hmac-sha1-96",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-md5",
    "hmac-md5-96",
    "umac-64@openssh.com",
    "umac-128@openssh.com",
    "hmac-sha1-etm@openssh.com",
    "hmac-sha1-96-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-md5-etm@openssh.com",
    "hmac-md5-96-etm@openssh.com",
    "umac-64-etm@openssh.com",
    "umac-128-etm@openssh.com",
];

/// `ssh -Q key-sig`, in its order: that is the order in which a pattern is replaced by names.
pub(super) const KEYS: &[&str] = &[
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-dss",
    "ssh-dss-cert-v01@openssh.com",
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-256-cert-v01@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-512-cert-v01@openssh.com",
];

/// Reads a list. The complaint beside it is about names that nobody knows: newer versions of OpenSSH may, so it is no error.
pub(super) fn list(text: &str, known: &[&str], patterns_allowed: bool) -> Result<(AlgorithmList, Option<Complaint>), Complaint> {
    let (make, names): (fn(Vec<String>) -> AlgorithmList, &str) = match text.split_at_checked(1) {
        Some(("+", names)) => (AlgorithmList::Append, names),
        Some(("^", names)) => (AlgorithmList::Prepend, names),
        Some(("-", patterns)) => return Ok((AlgorithmList::Remove(parts(patterns).map(str::to_owned).collect()), None)),
        _ => (AlgorithmList::Exactly, text),
    };
    let mut chosen: Vec<String> = Vec::new();
    let mut unknown = Vec::new();
    for name in parts(names) {
        if name.starts_with('!') || name.contains(char::is_whitespace) {
            return Err(Complaint::new(format!("`{name}` is not the name of an algorithm"))
                .hint("separate names with commas without spaces; a list that begins with `-` takes names from the default"));
        }
        if name.contains(['*', '?']) {
            if !patterns_allowed {
                return Err(
                    Complaint::new(format!("`{name}` is a pattern")).hint("patterns stand only in a list that begins with `-`")
                );
            }
            let matching: Vec<&str> = known.iter().copied().filter(|known| any_matches([name], known)).collect();
            if matching.is_empty() {
                return Err(Complaint::new(format!("`{name}` matches no algorithm")));
            }
            chosen.extend(matching.into_iter().map(str::to_owned));
        } else {
            if !known.contains(&name) {
                unknown.push(name);
            }
            chosen.push(name.to_owned());
        }
    }
    if chosen.is_empty() {
        return Err(Complaint::new(format!("`{text}` names no algorithm")));
    }
    let complaint = unknown.first().map(|first| {
        let names = unknown.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let complaint = Complaint::new(format!("no algorithm is known as {names}"));
        match crate::model::nearest(first, known.iter().copied()) {
            Some(near) => complaint.hint(format!("did you mean `{near}`?")),
            None => complaint,
        }
    });
    Ok((make(chosen), complaint))
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|part| !part.is_empty())
}

impl AlgorithmList {
    /// What the list makes of `default`, as OpenSSH assembles it: names that stand twice stand once, where they stood first, and what is
    /// removed may be named by patterns.
    pub fn applied_to(&self, default: &[&str]) -> Vec<String> {
        let named = |names: &'_ [String]| names.to_vec();
        let usual = || default.iter().map(|name| (*name).to_owned());
        let all: Vec<String> = match self {
            Self::Exactly(names) => named(names),
            Self::Append(names) => usual().chain(named(names)).collect(),
            Self::Prepend(names) => named(names).into_iter().chain(usual()).collect(),
            Self::Remove(patterns) => {
                return usual().filter(|name| !any_matches(patterns.iter().map(String::as_str), name)).collect();
            }
        };
        let mut once: Vec<String> = Vec::with_capacity(all.len());
        for name in all {
            if !once.contains(&name) {
                once.push(name);
            }
        }
        once
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str) -> Vec<String> {
        list(text, CIPHERS, false).unwrap().0.applied_to(&["aes128-ctr", "aes192-ctr", "aes128-gcm@openssh.com"])
    }

    #[test]
    fn lists_replace_append_remove_and_prepend() {
        assert_eq!(applied("aes256-ctr,,aes256-ctr,"), ["aes256-ctr"]);
        assert_eq!(applied("+aes128-cbc,aes128-ctr"), ["aes128-ctr", "aes192-ctr", "aes128-gcm@openssh.com", "aes128-cbc"]);
        assert_eq!(applied("-*-ctr,3des-cbc"), ["aes128-gcm@openssh.com"]);
        assert_eq!(applied("-aes*,!*gcm*"), ["aes128-gcm@openssh.com"]);
        assert_eq!(applied("-"), ["aes128-ctr", "aes192-ctr", "aes128-gcm@openssh.com"]);
        assert_eq!(applied("^aes192-ctr"), ["aes192-ctr", "aes128-ctr", "aes128-gcm@openssh.com"]);
    }

    #[test]
    fn a_pattern_of_key_algorithms_stands_for_names() {
        let (list, complaint) = list("+ssh-r*", KEYS, true).unwrap();
        assert_eq!(list, AlgorithmList::Append(vec!["ssh-rsa".to_owned(), "ssh-rsa-cert-v01@openssh.com".to_owned()]));
        assert_eq!(complaint, None);
    }

    #[test]
    fn an_unknown_name_is_kept_and_mentioned_and_a_senseless_one_is_refused() {
        let (kept, complaint) = list("aes128-ctr,aes256-gmc@openssh.com", CIPHERS, false).unwrap();
        assert_eq!(kept, AlgorithmList::Exactly(vec!["aes128-ctr".to_owned(), "aes256-gmc@openssh.com".to_owned()]));
        assert_eq!(complaint.unwrap().hint.as_deref(), Some("did you mean `aes256-gcm@openssh.com`?"));
        for text in ["", "+", "^", ",", "aes*", "!aes128-ctr", "aes128-ctr, aes192-ctr"] {
            assert!(list(text, CIPHERS, false).is_err(), "{text}");
        }
        assert!(list("nope*", KEYS, true).is_err());
    }
}
