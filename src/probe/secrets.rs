//! Secrets in what a host prints, taken out before anything is kept.

use serde_json::Value as Json;

/// What stands where a secret was.
pub(super) const REDACTED: &str = "redacted";

/// Whether a name is one that secrets go by. Names of files that hold a key are no secrets.
pub(super) fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let plain = name.ends_with("_file") || name.ends_with("-file") || matches!(name.as_str(), "tlskey" | "tlscert" | "tlscacert");
    !plain
        && ["token", "secret", "passw", "passphrase", "credential", "apikey", "api_key", "api-key", "private", "auth-"]
            .iter()
            .any(|word| name.contains(word))
}

/// A text without `user:password@` in its URLs.
pub(super) fn without_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|letter: char| "/?#, \"'".contains(letter)).unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        match authority.rfind('@') {
            Some(at) => {
                out.push_str(REDACTED);
                out.push_str(authority.get(at..).unwrap_or_default());
            }
            None => out.push_str(authority),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// A word of a command line without the secrets in it: `--splunk-token=x` and URLs with a password.
pub(super) fn without_secret_value(word: &str) -> String {
    match word.rsplit_once('=') {
        Some((name, value)) if !value.is_empty() && names_a_secret(name) => format!("{name}={REDACTED}"),
        _ => without_userinfo(word),
    }
}

/// Takes the values of secret names, and passwords in URLs, out of a document.
pub(super) fn redact_json(document: &mut Json) {
    match document {
        Json::String(text) if text.contains('@') => *text = without_userinfo(text),
        Json::Array(items) => items.iter_mut().for_each(redact_json),
        Json::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Json::String(text) if names_a_secret(name) => {
                        if !text.is_empty() {
                            REDACTED.clone_into(text);
                        }
                    }
                    value => redact_json(value),
                }
            }
        }
        _ => {}
    }
}

/// One JSON document without its secrets. What is not JSON becomes a sentence that says where it stops being so, with nothing of its text.
pub(super) fn redacted_document(text: &[u8]) -> String {
    match serde_json::from_slice::<Json>(text) {
        Ok(mut document) => {
            redact_json(&mut document);
            document.to_string()
        }
        Err(error) => format!("not JSON: line {}, column {}", error.line(), error.column()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_and_values_of_secret_names_are_gone_and_the_rest_stays() {
        assert_eq!(
            without_userinfo("http://u:p@proxy:3128/ https://mirror/x@y"),
            "http://redacted@proxy:3128/ https://mirror/x@y"
        );
        assert_eq!(without_secret_value("splunk-token=abc"), "splunk-token=redacted");
        assert_eq!(without_secret_value("--tlskey=/etc/docker/key.pem"), "--tlskey=/etc/docker/key.pem");
        assert_eq!(without_secret_value("max-size=10m"), "max-size=10m");
        let text =
            r#"{"log-opts":{"splunk-token":"s3","max-size":"1m"},"proxies":{"http-proxy":"http://u:p@h:1"},"tlskey":"/k"}"#;
        assert_eq!(
            redacted_document(text.as_bytes()),
            r#"{"log-opts":{"max-size":"1m","splunk-token":"redacted"},"proxies":{"http-proxy":"http://redacted@h:1"},"tlskey":"/k"}"#
        );
    }

    #[test]
    fn what_is_not_json_is_described_without_its_text() {
        assert_eq!(redacted_document(b"{\n \"token\": \"x\",\n}"), "not JSON: line 3, column 1");
    }
}
