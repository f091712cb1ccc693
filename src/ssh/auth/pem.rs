//! The encryption of PEM files as OpenSSL wrote them first and `ssh-keygen -m PEM` still does (RFC 1421 headers, `EVP_BytesToKey`).
//!
//! russh opens RSA keys under AES-128 of this kind; the elliptic ones and the other ciphers are opened here.

use std::fmt::Write as _;

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use data_encoding::{BASE64_MIME, HEXUPPER_PERMISSIVE};
use des::TdesEde3;

use crate::model::Secret;

/// Why a PEM file was not opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shut {
    /// The passphrase is another one.
    WrongPassphrase,
    /// With a cipher that is not known here, or not in the way it should be.
    Unsupported(String),
}

/// Whether the key is encrypted in this way.
pub(super) fn is_encrypted(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"))
}

/// The same file without its encryption.
pub(super) fn open(text: &str, passphrase: &str) -> Result<Secret, Shut> {
    let broken = |what: &str| Shut::Unsupported(what.to_owned());
    let mut lines = text.lines().map(str::trim_end).skip_while(|line| !line.starts_with("-----BEGIN "));
    let begin = lines.next().ok_or_else(|| broken("it has no beginning"))?;
    let (mut cipher, mut body) = (None, String::new());
    for line in lines {
        match line.split_once(": ") {
            Some(("DEK-Info", value)) => cipher = value.split_once(','),
            Some(_) => {}
            None if line.starts_with("-----END ") => break,
            None => body.push_str(line),
        }
    }
    let (name, salt) = cipher.ok_or_else(|| broken("it doesn't say its cipher"))?;
    let salt = HEXUPPER_PERMISSIVE.decode(salt.as_bytes()).map_err(|_| broken("its salt is broken"))?;
    let mut bytes = BASE64_MIME.decode(body.as_bytes()).map_err(|_| broken("its text is broken"))?;
    let key = |length| derive(passphrase, &salt, length);
    let plain = match name {
        "AES-128-CBC" => decrypt::<Decryptor<Aes128>>(&key(16), &salt, &mut bytes),
        "AES-192-CBC" => decrypt::<Decryptor<Aes192>>(&key(24), &salt, &mut bytes),
        "AES-256-CBC" => decrypt::<Decryptor<Aes256>>(&key(32), &salt, &mut bytes),
        "DES-EDE3-CBC" => decrypt::<Decryptor<TdesEde3>>(&key(24), &salt, &mut bytes),
        other => return Err(Shut::Unsupported(format!("it is encrypted with {other}, which is not supported"))),
    }?;
    let mut opened = format!("{begin}\n");
    for chunk in data_encoding::BASE64.encode(plain).as_bytes().chunks(64) {
        // Writing to a String cannot fail.
        let _ = writeln!(opened, "{}", String::from_utf8_lossy(chunk));
    }
    opened.push_str(&begin.replacen("BEGIN", "END", 1));
    opened.push('\n');
    Ok(Secret::new(opened))
}

/// A wrong passphrase shows in the padding, or, one time in 256, in what comes out not being a key.
fn decrypt<'a, D: BlockModeDecrypt + KeyIvInit>(key: &[u8], iv: &[u8], bytes: &'a mut [u8]) -> Result<&'a [u8], Shut> {
    let decryptor = D::new_from_slices(key, iv).map_err(|_| Shut::Unsupported("its salt has the wrong length".to_owned()))?;
    let plain = decryptor.decrypt_padded::<Pkcs7>(bytes).map_err(|_| Shut::WrongPassphrase)?;
    // All of these formats are one ASN.1 sequence.
    if plain.first() == Some(&0x30) { Ok(plain) } else { Err(Shut::WrongPassphrase) }
}

/// `EVP_BytesToKey` with MD5 and one round, which is what these files use whatever their cipher.
fn derive(passphrase: &str, salt: &[u8], length: usize) -> Vec<u8> {
    let salt = salt.get(..8).unwrap_or(salt);
    let (mut key, mut last) = (Vec::new(), Vec::new());
    while key.len() < length {
        let mut hash = md5::Context::new();
        hash.consume(&last);
        hash.consume(passphrase.as_bytes());
        hash.consume(salt);
        last = hash.finalize().0.to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(length);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_encrypted_in_this_way_is_told_apart() {
        assert!(!is_encrypted("-----BEGIN EC PRIVATE KEY-----\nMAMCAQE=\n-----END EC PRIVATE KEY-----\n"));
        assert!(!is_encrypted("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert!(is_encrypted("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n"));
    }

    #[test]
    fn a_broken_file_is_an_error_in_words() {
        for (text, said) in [
            ("", "no beginning"),
            ("-----BEGIN X-----\nAAAA\n", "its cipher"),
            ("-----BEGIN X-----\nDEK-Info: AES-128-CBC,zz\n", "salt"),
            ("-----BEGIN X-----\nDEK-Info: AES-128-CBC,00\n\nAAAA\n", "wrong length"),
            ("-----BEGIN X-----\nDEK-Info: RC2-CBC,0011223344556677\n\nAAAA\n", "RC2-CBC"),
            ("-----BEGIN X-----\nDEK-Info: DES-EDE3-CBC,0011223344556677\n\n!!\n", "text"),
        ] {
            match open(text, "sesame") {
                Err(Shut::Unsupported(what)) => assert!(what.contains(said), "{said}: {what}"),
                other => panic!("{said}: {:?}", other.is_ok()),
            }
        }
        let short = "-----BEGIN X-----\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n";
        assert_eq!(open(short, "sesame").err(), Some(Shut::WrongPassphrase));
    }
}
