//! What is known of one host, and what the key that it shows is worth.

use std::sync::Arc;

use russh::keys::Certificate;

use super::algorithms::Algorithms;
use super::host_certificate;
use super::known_hosts::{Entry, KnownHosts, KnownKey, Lines, Marker};
use super::revoked_keys::RevokedKeys;

/// The names that a host is looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// What known_hosts lists it under: an alias, else `name`, or `[name]:port` where the port is not 22.
    pub(super) listed: String,
    /// The name without the port, where there is one: a key listed for it is good enough if it matches.
    pub(super) bare: Option<String>,
    /// What a certificate must be for.
    pub(super) host: String,
}

impl Names {
    /// The names of a host that is dialled, as `ssh` makes them.
    pub(super) fn new(address: &str, port: u16, alias: Option<&str>) -> Self {
        if let Some(alias) = alias {
            let alias = alias.to_ascii_lowercase();
            return Self { listed: alias.clone(), bare: None, host: alias };
        }
        let host = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address).to_ascii_lowercase();
        match port {
            22 => Self { listed: host.clone(), bare: None, host },
            port => Self { listed: format!("[{host}]:{port}"), bare: Some(host.clone()), host },
        }
    }
}

/// What the known_hosts files say of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Its names.
    pub(super) names: Names,
    /// Its keys, in the order of the files.
    keys: Vec<Arc<KnownKey>>,
    /// Keys listed for it as `@revoked`.
    revoked: Vec<Arc<KnownKey>>,
    /// Keys that sign its certificates.
    authorities: Vec<Arc<KnownKey>>,
    /// Keys of the name without the port: where nothing is listed for the port, one that matches is accepted, as `ssh` does it; when none matches, the
    /// host is unknown, not changed.
    of_bare_name: Vec<Arc<KnownKey>>,
}

/// A key that a host shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    /// What it calls itself, which for RSA says nothing of hashes.
    pub(super) algorithm: &'a str,
    /// The key in wire format.
    pub(super) blob: &'a [u8],
    /// The certificate that it came in.
    pub(super) certificate: Option<&'a Certificate>,
}

/// What a host key is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is one of the known keys.
    Known(Arc<KnownKey>),
    /// It came in a certificate that this authority signed, and that holds.
    Certified(Arc<KnownKey>),
    /// Nothing is known of the host.
    Unknown,
    /// The host has known keys, and this is none of them: the one of the same algorithm, else the first; and what was wrong with the certificate that it came
    /// in.
    Changed(Arc<KnownKey>, Option<String>),
    /// It, or the authority that signed its certificate, is listed as revoked, there.
    Revoked(String),
    /// It is an RSA key with too few bits, as this says.
    TooShort(String),
    /// It came in a certificate that does not hold, for this reason.
    Uncertified {
        /// What is wrong.
        fault: String,
        /// Whether the authority is one that is known for this host. If it isn't, the certificate says nothing at all.
        authority_known: bool,
    },
}

impl Known {
    /// Looks a host up. Costs a hash for each hashed name of the files, so it is done once for each connection.
    pub(super) fn lookup(files: &[Arc<KnownHosts>], names: Names) -> Self {
        let mut known = Self { names, keys: Vec::new(), revoked: Vec::new(), authorities: Vec::new(), of_bare_name: Vec::new() };
        let listed: Vec<&Entry> = files.iter().flat_map(|file| file.of(&known.names.listed, Lines::All)).collect();
        for entry in listed {
            match entry.marker {
                Marker::None => known.keys.push(Arc::clone(&entry.key)),
                Marker::Revoked => known.revoked.push(Arc::clone(&entry.key)),
                Marker::Authority => known.authorities.push(Arc::clone(&entry.key)),
            }
        }
        if let Some(bare) = &known.names.bare {
            let lines = if known.keys.is_empty() { Lines::All } else { Lines::Authorities };
            for entry in files.iter().flat_map(|file| file.of(bare, lines)) {
                match entry.marker {
                    Marker::None => known.of_bare_name.push(Arc::clone(&entry.key)),
                    Marker::Revoked => known.revoked.push(Arc::clone(&entry.key)),
                    Marker::Authority => known.authorities.push(Arc::clone(&entry.key)),
                }
            }
        }
        known
    }

    /// Judges the key that the host shows, by what it must be and by what else is revoked; `now` counts in seconds from 1970.
    pub(super) fn judge(&self, shown: Shown<'_>, algorithms: &Algorithms, revoked: Option<&RevokedKeys>, now: u64) -> Standing {
        let authority = shown.certificate.map(|certificate| wire_format(certificate.signature_key()));
        let is_shown = |key: &&Arc<KnownKey>| key.blob == shown.blob;
        let is_revoked = |key: &&Arc<KnownKey>| is_shown(key) || authority.as_ref() == Some(&key.blob);
        if let Some(key) = self.revoked.iter().find(is_revoked) {
            return Standing::Revoked(key.place());
        }
        let place = revoked.and_then(|revoked| {
            revoked.place_of(shown.blob).or_else(|| authority.as_ref().and_then(|authority| revoked.place_of(authority)))
        });
        if let Some(place) = place {
            return Standing::Revoked(place);
        }
        let mut fault = None;
        if let (Some(certificate), Some(blob)) = (shown.certificate, authority) {
            let known = self.authorities.iter().find(|key| key.blob == blob);
            fault = match known {
                Some(key) => match host_certificate::fault(certificate, algorithms, &self.names.host, now) {
                    None => return Standing::Certified(Arc::clone(key)),
                    Some(fault) => Some((fault, true)),
                },
                None => {
                    let fingerprint = super::known_hosts::fingerprint(&blob);
                    Some((format!("its authority {fingerprint} is none of those that known_hosts names for this host"), false))
                }
            };
        }
        // A certificate that does not hold is still a key, and may be known as one.
        if let Some(key) = self.keys.iter().chain(&self.of_bare_name).find(is_shown) {
            return Standing::Known(Arc::clone(key));
        }
        let alike = self.keys.iter().find(|key| key.algorithm == shown.algorithm);
        match (alike.or(self.keys.first()), fault) {
            (Some(key), fault) => Standing::Changed(Arc::clone(key), fault.map(|(fault, _)| fault)),
            (None, Some((fault, authority_known))) => Standing::Uncertified { fault, authority_known },
            (None, None) => Standing::Unknown,
        }
    }

    /// The known key of an algorithm, where the host has one of its own.
    pub(super) fn key_of(&self, algorithm: &str) -> Option<&Arc<KnownKey>> {
        self.keys.iter().find(|key| key.algorithm == algorithm)
    }

    /// Whether the host has keys of its own.
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The algorithms of the known keys, each once: what the server must be asked for, or it shows a key that nobody knows. A key that is revoked by now is not
    /// asked for, since the host may have others.
    pub(super) fn algorithms(&self) -> Vec<&'static str> {
        let mut algorithms: Vec<&str> = Vec::new();
        let is_revoked = |key: &Arc<KnownKey>| self.revoked.iter().any(|revoked| revoked.blob == key.blob);
        for key in self.keys.iter().chain(&self.of_bare_name).filter(|key| !is_revoked(key)) {
            if !algorithms.contains(&key.algorithm) {
                algorithms.push(key.algorithm);
            }
        }
        algorithms
    }

    /// Whether certificates are of use: some authority signs those of this host.
    pub(super) fn has_authorities(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// Whether keys are listed that the host must not have, nor the authority that signed its certificate.
    pub(super) fn has_revoked(&self) -> bool {
        !self.revoked.is_empty()
    }

    /// Adds keys that were accepted while the scan was running.
    pub(super) fn add(&mut self, keys: impl IntoIterator<Item = Arc<KnownKey>>) {
        self.keys.extend(keys);
    }
}

/// A key in wire format. A key that was parsed can be written.
fn wire_format(key: &russh::keys::ssh_key::public::KeyData) -> Vec<u8> {
    russh::keys::PublicKey::from(key.clone()).to_bytes().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use data_encoding::BASE64;

    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILNXOnCMg+dW19+LD81LGvuvdJoWuokwr8IuzCg1dgef";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICv2dB3tV+Ro9+d7a3GjyhEygNrJEjY+OAbD129WTy2i";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBI5zEMHZI9cpoffUcMVjWNA2ZtB0KbIsBgKjeM0SWPyumkljP7Ypkl5g+EgdEcvcYTZW9sEMSt2R48tCgBqoHgg=";
    /// `ssh-keygen -H` of Debian 12 (OpenSSH 9.2) wrote these for `web1.example.com` and `[10.0.0.5]:2222`.
    const HASHED: &str = "|1|MqKDOrJPR9APoW6j2TMpSN1oBx8=|+mSkmc7XEqG9QH3NDjQZaNhUroQ=";
    const HASHED_PORT: &str = "|1|/7S24oIt/s2oQMY8cFE7A7ZQq3M=|PvdETkjCPcltOBAfWegtNLmXWiw=";

    fn files(text: &str) -> Vec<Arc<KnownHosts>> {
        vec![Arc::new(KnownHosts::parse(Path::new("known_hosts"), text.as_bytes()))]
    }

    fn lookup(files: &[Arc<KnownHosts>], host: &str, port: u16) -> Known {
        Known::lookup(files, Names::new(host, port, None))
    }

    fn judged(known: &Known, line: &str) -> Standing {
        let (algorithm, base64) = line.split_once(' ').expect("a key");
        let blob = BASE64.decode(base64.as_bytes()).expect("base64");
        known.judge(Shown { algorithm, blob: &blob, certificate: None }, &Algorithms::default(), None, 0)
    }

    fn is_known(files: &[Arc<KnownHosts>], host: &str, port: u16) -> bool {
        matches!(judged(&lookup(files, host, port), ED25519), Standing::Known(_))
    }

    fn is_changed(standing: &Standing, line: usize) -> bool {
        matches!(standing, Standing::Changed(key, None) if key.line == line)
    }

    #[test]
    fn a_host_is_known_by_each_of_its_names_whatever_their_case() {
        let files = files(&format!("web1,Web1.Example.com,10.0.0.5 {ED25519} a comment\n"));
        for name in ["web1", "web1.example.com", "WEB1", "10.0.0.5"] {
            assert!(is_known(&files, name, 22), "{name}");
        }
        assert!(!is_known(&files, "web2", 22));
        assert!(!is_known(&files, "web1.example", 22));
    }

    #[test]
    fn a_port_has_its_own_keys_and_falls_back_to_a_key_of_the_bare_name_that_matches() {
        let files = files(&format!("[web1]:2222 {ED25519}\nweb1 {OTHER}\nweb2 {ED25519}\n[::1]:2222 {ED25519}\n::1 {OTHER}\n"));
        assert!(is_known(&files, "web1", 2222));
        assert!(is_known(&files, "::1", 2222));
        assert!(is_known(&files, "[::1]", 2222), "brackets are how an address is written, not what it is");
        assert!(is_changed(&judged(&lookup(&files, "web1", 22), ED25519), 2));
        assert!(is_changed(&judged(&lookup(&files, "web1", 2222), OTHER), 1));
        assert!(is_known(&files, "web2", 2222));
        assert_eq!(judged(&lookup(&files, "web2", 2222), OTHER), Standing::Unknown);
    }

    #[test]
    fn an_alias_stands_in_place_of_name_and_port() {
        let files = files(&format!("cluster {ED25519}\nweb1 {OTHER}\n"));
        let known = Known::lookup(&files, Names::new("web1", 2222, Some("Cluster")));
        assert!(matches!(judged(&known, ED25519), Standing::Known(_)));
        assert!(is_changed(&judged(&known, OTHER), 1), "the name itself is not looked up");
    }

    #[test]
    fn hashed_names_are_found() {
        let files = files(&format!("{HASHED} {ED25519}\n{HASHED_PORT} {OTHER}\n"));
        assert!(is_known(&files, "web1.example.com", 22));
        assert!(is_known(&files, "WEB1.example.com", 22));
        assert!(!is_known(&files, "web1", 22));
        assert!(is_changed(&judged(&lookup(&files, "10.0.0.5", 2222), ED25519), 2));
        assert_eq!(judged(&lookup(&files, "10.0.0.5", 22), ED25519), Standing::Unknown);
    }

    #[test]
    fn patterns_match_as_in_ssh_config() {
        let files = files(&format!("*.example.com,!db*.example.com {ED25519}\n10.0.?.5 {ED25519}\n[*.internal]:* {ED25519}\n"));
        for (host, port, expected) in [
            ("web1.example.com", 22, true),
            ("a.b.example.com", 22, true),
            ("db1.example.com", 22, false),
            ("example.com", 22, false),
            ("10.0.7.5", 22, true),
            ("10.0.77.5", 22, false),
            ("x.internal", 2222, true),
            ("x.internal", 22, false),
        ] {
            assert_eq!(is_known(&files, host, port), expected, "{host}");
        }
    }

    #[test]
    fn a_revoked_key_is_revoked_even_where_it_is_known() {
        let files = files(&format!("web1 {ED25519}\nweb1 {OTHER}\n@revoked * {ED25519}\n"));
        assert_eq!(judged(&lookup(&files, "web1", 22), ED25519), Standing::Revoked("known_hosts:3".to_owned()));
        assert!(matches!(judged(&lookup(&files, "web9", 2222), ED25519), Standing::Revoked(_)));
        assert!(matches!(judged(&lookup(&files, "web1", 22), OTHER), Standing::Known(_)));
        assert_eq!(lookup(&files, "web9", 22).algorithms(), [""; 0], "a revoked key is not asked for");
        let files = self::files(&format!("@revoked * {ED25519}\nweb1 {ED25519}\nweb1 {ECDSA}\n"));
        assert_eq!(lookup(&files, "web1", 22).algorithms(), ["ecdsa-sha2-nistp256"], "not even where it is known");
    }

    #[test]
    fn an_authority_is_no_key_of_the_host_and_serves_every_port() {
        let files = files(&format!("@cert-authority *.example.com {ED25519}\n[web1.example.com]:2222 {OTHER}\n"));
        for port in [22, 2222, 2022] {
            let found = lookup(&files, "web1.example.com", port);
            assert!(found.has_authorities(), "{port}");
            assert!(!matches!(judged(&found, ED25519), Standing::Known(_)));
        }
        assert!(!lookup(&files, "example.com", 22).has_authorities());
    }

    #[test]
    fn a_host_has_several_keys_and_a_changed_one_is_held_against_its_like() {
        let files = files(&format!("web1 {ECDSA}\nweb1 {OTHER}\n"));
        let found = lookup(&files, "web1", 22);
        assert_eq!(found.algorithms(), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
        assert!(matches!(judged(&found, ECDSA), Standing::Known(_)));
        assert!(is_changed(&judged(&found, ED25519), 2));
    }

    #[test]
    fn a_key_of_another_kind_than_the_known_ones_is_a_changed_key() {
        assert!(is_changed(&judged(&lookup(&files(&format!("web1 {ECDSA}\n")), "web1", 22), ED25519), 1));
    }

    #[test]
    fn several_files_are_one() {
        let mut all = files(&format!("web1 {ECDSA}\n"));
        all.push(Arc::new(KnownHosts::parse(Path::new("other"), format!("\nweb1 {ED25519}\n").as_bytes())));
        let found = lookup(&all, "web1", 22);
        assert!(matches!(judged(&found, ED25519), Standing::Known(key) if key.place() == "other:2"));
        assert!(is_changed(&judged(&found, OTHER), 2), "its like, wherever it stands");
    }
}
