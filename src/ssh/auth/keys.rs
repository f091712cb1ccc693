//! Private keys: which file holds one, of what kind, and what opens one that is locked.

use std::error::Error as StdError;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PrivateKey, PublicKey, decode_secret_key};

use super::agent::Held;
use super::pem::{self, Shut};
use crate::model::Secret;
use crate::ssh::permissions::open_to_others;

/// The longest key file, in bytes: an RSA key of 16384 bits has less.
const LONGEST_FILE: u64 = 1 << 20;

/// A private key that was named and can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// It can't be read.
    #[error("could not read the private key `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may read it: `ssh` doesn't use it either.
    #[error("the private key `{}` is open to others (mode {mode:04o})", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is no private key, or of a kind that is not supported.
    #[error("`{}` is not a private key that can be used", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// It needs a passphrase that nobody gave, and the agent doesn't hold it.
    #[error("the private key `{}` is encrypted, and no ssh-agent holds it", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// None of the passphrases opens it, and the agent doesn't hold it.
    #[error("the private key `{}` is encrypted, and no passphrase that was given opens it", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// It is a public key, and the agent doesn't hold the private one.
    #[error("`{}` is a public key, and no ssh-agent holds its private key", path.display())]
    PublicOnly {
        /// The file.
        path: PathBuf,
    },
    /// Its other half is in a hardware token, and the agent doesn't hold it.
    #[error("the private key `{}` is inside of a hardware token ({algorithm}), and no ssh-agent holds it", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// The kind of key.
        algorithm: String,
    },
}

impl CredentialError {
    /// What to do about it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OpenToOthers { path, .. } => Some(format!("`chmod 600 {}`", path.display())),
            Self::Encrypted { path } | Self::WrongPassphrase { path } => Some(format!(
                "unlock it first: `ssh-add {}`, or give its passphrase with `--passphrase-file FILE`",
                path.display()
            )),
            Self::PublicOnly { path } => Some(match path.to_string_lossy().strip_suffix(".pub") {
                Some(private) => format!("`ssh-add {private}`, or name `{private}` itself"),
                None => "add its private key with `ssh-add`".to_owned(),
            }),
            Self::Token { path, .. } => Some(format!("`ssh-add {}`: only an agent can ask the token", path.display())),
            Self::Unreadable { .. } | Self::NotAKey { .. } => None,
        }
    }

    /// The error in one line, with what is behind it and what to do.
    pub(super) fn line(&self) -> String {
        let hint = self.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{}{hint}", crate::model::with_causes(self))
    }
}

/// A key that can sign, with what to call it.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) public: PublicKey,
    pub(super) hand: Hand,
    pub(super) label: String,
    /// Whether the agent knows it by its certificate only.
    pub(super) is_certificate: bool,
}

/// What signs.
#[derive(Debug, Clone)]
pub(super) enum Hand {
    /// We do.
    File(Arc<PrivateKey>),
    /// An agent does.
    Agent(Arc<super::agent::Agent>),
}

/// A key file, read once.
#[derive(Debug)]
pub(super) struct KeyFile {
    path: PathBuf,
    /// Its public half: in the file, or beside it.
    public: Option<PublicKey>,
    content: Content,
}

/// What a key file holds.
#[derive(Debug)]
enum Content {
    /// A private key in clear.
    Open(Arc<PrivateKey>),
    /// A private key under a passphrase; whether one was tried.
    Locked { text: Secret, tried: bool },
    /// A public key, which stands for its private half in the agent.
    Public,
    /// What a hardware token needs to find its key again.
    Token(Algorithm),
}

impl KeyFile {
    /// Reads a file. A passphrase is not asked for.
    pub(super) fn read(path: &Path) -> Result<Self, CredentialError> {
        let (text, mode) = read(path).map_err(|source| CredentialError::Unreadable { path: path.to_owned(), source })?;
        let text = text.reveal();
        let not_a_key = |source: Box<dyn StdError + Send + Sync>| CredentialError::NotAKey { path: path.to_owned(), source };
        let file = |public, content| Self { path: path.to_owned(), public, content };
        if let Ok(public) = PublicKey::from_openssh(text) {
            return Ok(file(Some(public), Content::Public));
        }
        if text.split_whitespace().next().is_some_and(|word| word.ends_with("-cert-v01@openssh.com")) {
            return Err(not_a_key("it is a certificate: name its key, which finds it, or name it with `CertificateFile`".into()));
        }
        // Judged after the public ones, which everybody may read.
        if let Some(mode) = mode {
            return Err(CredentialError::OpenToOthers { path: path.to_owned(), mode });
        }
        match PrivateKey::from_openssh(text) {
            Ok(key) if matches!(key.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256) => {
                return Ok(file(Some(key.public_key().clone()), Content::Token(key.algorithm())));
            }
            Ok(key) if key.is_encrypted() => {
                let content = Content::Locked { text: Secret::new(text), tried: false };
                return Ok(file(Some(key.public_key().clone()), content));
            }
            _ => {}
        }
        if pem::is_encrypted(text) || text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            let beside = fs::read_to_string(with_suffix(path, ".pub")).ok();
            let public = beside.and_then(|text| PublicKey::from_openssh(&text).ok());
            return Ok(file(public, Content::Locked { text: Secret::new(text), tried: false }));
        }
        let key = decode_secret_key(text, None).map_err(|source| not_a_key(source.into()))?;
        Ok(file(Some(key.public_key().clone()), Content::Open(Arc::new(key))))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it could be used if only its passphrase were known.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self.content, Content::Locked { .. })
    }

    /// Whether it can be used as it is.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.content, Content::Open(_))
    }

    /// Its public half, where that is known.
    pub(super) fn public(&self) -> Option<&KeyData> {
        self.public.as_ref().map(PublicKey::key_data)
    }

    /// Tries a passphrase on a locked key; whether it is open now.
    ///
    /// # Errors
    /// [`CredentialError::NotAKey`] when no passphrase can open it.
    pub(super) fn unlock(&mut self, passphrase: &Secret) -> Result<bool, CredentialError> {
        let Content::Locked { text, tried } = &mut self.content else { return Ok(self.is_open()) };
        *tried = true;
        match opened(text.reveal(), passphrase.reveal()) {
            Ok(key) => {
                self.public = Some(key.public_key().clone());
                self.content = Content::Open(Arc::new(key));
                Ok(true)
            }
            Err(Shut::WrongPassphrase) => Ok(false),
            Err(Shut::Unsupported(what)) => Err(CredentialError::NotAKey { path: self.path.clone(), source: what.into() }),
        }
    }

    /// The key to offer: this one, or the same one of the agent.
    pub(super) fn key(&self, held: Option<&Held>) -> Result<Key, CredentialError> {
        let path = self.path.clone();
        if let (Content::Open(key), Some(public)) = (&self.content, &self.public) {
            let label = format!("`{}` ({})", path.display(), public.algorithm());
            return Ok(Key { public: public.clone(), hand: Hand::File(Arc::clone(key)), label, is_certificate: false });
        }
        if let Some(key) = self.public().and_then(|public| held?.key(public)) {
            return Ok(key);
        }
        Err(match &self.content {
            Content::Public => CredentialError::PublicOnly { path },
            Content::Token(algorithm) => CredentialError::Token { path, algorithm: algorithm.to_string() },
            Content::Locked { tried: true, .. } => CredentialError::WrongPassphrase { path },
            Content::Locked { .. } | Content::Open(_) => CredentialError::Encrypted { path },
        })
    }
}

/// The path with something more at its end.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A file's text, and its mode where that is too open for a secret.
fn read(path: &Path) -> io::Result<(Secret, Option<u32>)> {
    // Before it is opened: to open a pipe is to wait for whoever writes into it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    let mode = open_to_others(&file.metadata()?);
    let mut text = String::new();
    file.take(LONGEST_FILE).read_to_string(&mut text)?;
    Ok((Secret::new(text), mode))
}

/// A locked key, opened.
fn opened(text: &str, passphrase: &str) -> Result<PrivateKey, Shut> {
    use russh::keys::Error;
    if pem::is_encrypted(text) {
        let plain = pem::open(text, passphrase)?;
        // What comes out under a wrong passphrase is seldom a key, but may look like one at first.
        return decode_secret_key(plain.reveal(), None).map_err(|_| Shut::WrongPassphrase);
    }
    let unsupported = |inner: &str| {
        Shut::Unsupported(format!("its encryption is not supported ({inner}): `ssh-keygen -p -f FILE` writes it anew"))
    };
    decode_secret_key(text, Some(passphrase)).map_err(|error| match &error {
        Error::UnsupportedKeyType { .. } | Error::UnknownAlgorithm(_) => Shut::Unsupported(error.to_string()),
        // The crates that know more are not ours to name; their words are. What is wrong in the outer structure is seen before any passphrase is used.
        Error::Pkcs8(inner) if inner.to_string().contains("unsupported") => unsupported(&inner.to_string()),
        Error::Der(inner) => unsupported(&inner.to_string()),
        _ => Shut::WrongPassphrase,
    })
}
