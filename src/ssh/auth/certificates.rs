//! OpenSSH user certificates (PROTOCOL.certkeys): where they are, and whether they hold.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use russh::keys::Certificate;
use russh::keys::ssh_key::certificate::CertType;

/// The longest file of a certificate, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// Reads a certificate; what is wrong with one that can't be used.
pub(super) fn read(path: &Path) -> Result<Arc<Certificate>, String> {
    let shown = path.display();
    let unreadable = |error| format!("could not read the certificate `{shown}`: {error}");
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > LONGEST_FILE {
        return Err(format!("`{shown}` is not a certificate"));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Certificate::from_openssh(text.trim()).map(Arc::new).map_err(|error| format!("`{shown}` is not a certificate: {error}"))
}

/// Why a certificate is not offered at this time; `None`: it is good.
///
/// Its authority and its names are for the server to judge: what they are worth is said there.
pub(super) fn fault(certificate: &Certificate, label: &str, now: Timestamp) -> Option<String> {
    if certificate.cert_type() != CertType::User {
        return Some(format!("not offered: {label} is the certificate of a host"));
    }
    let now = u64::try_from(now.as_second()).unwrap_or(0);
    if now < certificate.valid_after() {
        return Some(format!("not offered: the certificate {label} is not valid before {}", date(certificate.valid_after())));
    }
    // The last second is not in it, as in OpenSSH.
    if now >= certificate.valid_before() {
        return Some(format!("not offered: the certificate {label} expired {}", date(certificate.valid_before())));
    }
    None
}

/// What to say of a refused certificate that names others than the login. A server may map names, so it proves nothing.
pub(super) fn names_others(certificate: &Certificate, user: &str) -> Option<String> {
    let names = certificate.valid_principals();
    let others = !names.is_empty() && names.iter().all(|name| name != user);
    others.then(|| {
        format!("its principals are {}", names.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
    })
}

/// A time in seconds as a person reads it, in UTC.
fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("at second {seconds}"), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
