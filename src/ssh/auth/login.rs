//! The conversation that logs in on one host: what is tried, and what is made of the answers.
//!
//! A server counts what fails and hangs up, so little is tried: a few keys, then the password once, by one method. russh asks whether a key would do before
//! it is signed with, so an agent is bothered only for keys that the host takes.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt};
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use tokio::time::timeout;

use super::agent::{Agent, Unsigned};
use super::certificates::names_others;
use super::clock::Clock;
use super::keys::Hand;
use super::offers::{Offer, Offers};
use super::prompts::{Wants, shown, wants};
use super::{Credentials, password_expired};
use crate::model::{Failure, Reason, Secret};
use crate::ssh::gatekeeper::{Gatekeeper, Lost};
use crate::ssh::{Limits, Method, Target};

/// Rounds of questions that a host may put: PAM says every message in one of its own.
const ROUNDS: usize = 8;

/// How long the answer to a password may take before it is asked for: PAM waits two seconds after a wrong one, a directory service longer.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long the answer to a request may take that needs no thought.
const AT_ONCE: Duration = Duration::from_secs(2);

impl Credentials {
    /// Logs in on a host that is connected.
    ///
    /// # Errors
    /// [`Reason::AuthRefused`], [`Reason::PasswordExpired`], [`Reason::SecondFactor`], [`Reason::AuthTimeout`] or [`Reason::ConnectionReset`], with what was
    /// tried and what the host said.
    pub(in crate::ssh) async fn login(
        &self,
        link: &mut Handle<Gatekeeper>,
        lost: &Lost,
        target: &Target,
        limits: &Limits,
    ) -> Result<(), Failure> {
        let clock = Clock::new(limits.auth);
        let Offers { mut list, notes } = Offers::of(self, target);
        list.reverse();
        let attempt = Attempt {
            credentials: self,
            target,
            link,
            lost,
            clock: &clock,
            limits,
            keys: list,
            notes,
            password: if self.has_password(&target.login) { Password::Unknown } else { Password::None },
            tried: Vec::new(),
            remarks: Vec::new(),
            accepts: None,
            accepted: None,
            asked: false,
            unsigned: false,
            silent: false,
        };
        clock.bound(attempt.run()).await.unwrap_or_else(|| {
            let detail = format!("no answer to the login as `{}` in {} s", target.user, limits.auth.as_secs_f32());
            Err(Failure::new(Reason::AuthTimeout, detail))
        })
    }
}

/// The password of a login, as far as it is known.
enum Password {
    /// There is none.
    None,
    /// There may be one; it is fetched when the host wants it.
    Unknown,
    /// This one.
    Known(Secret),
    /// It was sent: once is enough.
    Spent,
}

/// One login, as far as it has come.
struct Attempt<'a> {
    credentials: &'a Credentials,
    target: &'a Target,
    link: &'a mut Handle<Gatekeeper>,
    lost: &'a Lost,
    clock: &'a Clock,
    limits: &'a Limits,
    /// The keys that were not offered yet, the next one last.
    keys: Vec<Offer>,
    /// Why there are no more keys.
    notes: Vec<String>,
    password: Password,
    tried: Vec<String>,
    remarks: Vec<String>,
    /// The methods that the host takes, once it has said so.
    accepts: Option<MethodSet>,
    /// What the host took as one of several proofs.
    accepted: Option<String>,
    /// Whether the questions of the host were heard.
    asked: bool,
    /// Whether an agent did not sign for a key that the host takes.
    unsigned: bool,
    /// Whether that was because it gave no answer.
    silent: bool,
}

impl Attempt<'_> {
    async fn run(mut self) -> Result<(), Failure> {
        while let Some(method) = self.next() {
            // What a host takes is asked for free, and a method that it doesn't take counts as a failure. A key is offered at once: all take keys.
            if self.accepts.is_none() && method != Method::PublicKey {
                let result = self.link.authenticate_none(&self.target.user).await.map_err(|error| error.to_string());
                if self.heard(result, "no proof")? {
                    return Ok(());
                }
                continue;
            }
            let logged_in = match method {
                Method::PublicKey => self.offer_key().await?,
                Method::KeyboardInteractive => self.answer_questions().await?,
                Method::Password => self.send_password().await?,
            };
            if logged_in {
                return Ok(());
            }
        }
        Err(self.refused())
    }

    /// What is tried next: the first method of the host's configuration that it takes and that we have something for.
    fn next(&mut self) -> Option<Method> {
        let takes = |method: Method| {
            let kind = match method {
                Method::PublicKey => MethodKind::PublicKey,
                Method::KeyboardInteractive => MethodKind::KeyboardInteractive,
                Method::Password => MethodKind::Password,
            };
            self.accepts.as_ref().is_none_or(|accepts| accepts.contains(&kind))
        };
        let password = matches!(self.password, Password::Unknown | Password::Known(_));
        let has = |method: Method| match method {
            Method::PublicKey => !self.keys.is_empty(),
            // As a second proof the questions are heard even without an answer: they tell what is missing.
            Method::KeyboardInteractive => !self.asked && (password || self.accepted.is_some()),
            Method::Password => password,
        };
        self.target.login.methods.iter().copied().find(|method| takes(*method) && has(*method))
    }

    /// Takes in an answer: `true` is the login.
    fn heard(&mut self, result: Result<AuthResult, String>, what: &str) -> Result<bool, Failure> {
        match result {
            Ok(AuthResult::Success) => return Ok(true),
            _ if self.link.is_closed() => return Err(self.cut_off()),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if partial_success {
                    self.remarks.push(format!("{what} was accepted, but the host wants a second proof"));
                    self.accepted = Some(what.to_owned());
                }
                self.accepts = Some(remaining_methods);
            }
            Err(remark) => self.remarks.push(remark),
        }
        Ok(false)
    }

    /// Offers the next key.
    async fn offer_key(&mut self) -> Result<bool, Failure> {
        let Some(offer) = self.keys.pop() else { return Ok(false) };
        if offer.by_agent() && self.silent {
            return Ok(false);
        }
        let hash = match offer.key.public.algorithm() {
            Algorithm::Rsa { .. } => {
                let best = self.link.best_supported_rsa_hash().await.ok().flatten();
                let ours = self.target.algorithms.rsa_hashes(offer.certificate.is_some());
                match rsa_hash(best, &ours) {
                    Ok(hash) => hash,
                    Err(what) => {
                        self.remarks.push(format!("{} was not offered: {what}", offer.label));
                        return Ok(false);
                    }
                }
            }
            _ => None,
        };
        if !self.tried.contains(&offer.label) {
            self.tried.push(offer.label.clone());
        }
        let user = self.target.user.as_str();
        let mut signer = Signer { offer: &offer, clock: self.clock, limit: self.limits.agent };
        let result = match (&offer.certificate, &offer.key.hand) {
            (Some(certificate), _) => {
                self.link.authenticate_certificate_with(user, certificate.as_ref().clone(), hash, &mut signer).await
            }
            (None, Hand::File(key)) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                self.link.authenticate_publickey(user, key).await.map_err(|error| NoSignature::Other(error.to_string()))
            }
            (None, Hand::Agent(_)) => {
                self.link.authenticate_publickey_with(user, offer.key.public.clone(), hash, &mut signer).await
            }
        };
        let result = result.map_err(|error| match error {
            NoSignature::Other(what) => what,
            NoSignature::Agent(Unsigned::Refused(what)) => {
                self.unsigned = true;
                format!("the ssh-agent did not sign with {}: {what}", offer.label)
            }
            NoSignature::Agent(Unsigned::Silent(what)) => {
                (self.unsigned, self.silent) = (true, true);
                what
            }
        });
        let refused = matches!(result, Ok(AuthResult::Failure { partial_success: false, .. }));
        if let (true, Some(certificate)) = (refused, &offer.certificate) {
            self.remarks.extend(names_others(certificate, user).map(|names| format!("{}: {names}", offer.label)));
        }
        let logged_in = self.heard(result, &offer.label)?;
        // It was not the key that the host refused: keys may have their turn after the password.
        if refused && self.accepts.as_ref().is_some_and(|accepts| !accepts.contains(&MethodKind::PublicKey)) {
            self.keys.push(offer);
        }
        Ok(logged_in)
    }

    /// The password, fetched when it is wanted first.
    async fn password(&mut self) -> Option<Secret> {
        if let Password::Unknown = self.password {
            let pause = self.clock.pause();
            let fetched = self.credentials.passwords.of(self.target).await;
            drop(pause);
            self.password = match fetched {
                Some(Ok(password)) => Password::Known(password),
                Some(Err(what)) => {
                    self.remarks.push(what);
                    Password::None
                }
                None => Password::None,
            };
        }
        match &self.password {
            Password::Known(password) => Some(password.clone()),
            _ => None,
        }
    }

    /// `password`: sends it, once.
    async fn send_password(&mut self) -> Result<bool, Failure> {
        const WHAT: &str = "the password";
        let Some(password) = self.password().await else { return Ok(false) };
        self.password = Password::Spent;
        self.tried.push(WHAT.to_owned());
        let user = self.target.user.as_str();
        let patience = PATIENCE.min(self.limits.auth / 2);
        let result = match timeout(patience, self.link.authenticate_password(user, password.reveal())).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => self.ask_after_password().await?,
        };
        self.heard(result, WHAT)
    }

    /// What became of a password that has not been answered.
    ///
    /// A host that wants another one says so with a message (SSH_MSG_USERAUTH_PASSWD_CHANGEREQ, RFC 4252 section 8) that russh doesn't pass on. It has then
    /// answered, and answers the next request at once and with one reply, while a host that is still busy with the password answers both, one after the other.
    async fn ask_after_password(&mut self) -> Result<Result<AuthResult, String>, Failure> {
        let user = self.target.user.as_str();
        let at_once = AT_ONCE.min(self.limits.auth / 6);
        match timeout(at_once, self.link.authenticate_none(user)).await {
            Err(_) => Ok(reply(self.link).await),
            Ok(Ok(AuthResult::Failure { .. })) if !self.link.is_closed() && timeout(at_once, reply(self.link)).await.is_err() => {
                Err(self.failure(Reason::PasswordExpired, "the host asked for a new password in place of an answer".to_owned()))
            }
            Ok(result) => Ok(result.map_err(|error| error.to_string())),
        }
    }

    /// `keyboard-interactive`: hears the host's questions, and answers the one for the password, once.
    async fn answer_questions(&mut self) -> Result<bool, Failure> {
        use KeyboardInteractiveAuthResponse as Said;
        self.asked = true;
        let user = self.target.user.clone();
        let mut said = self.link.authenticate_keyboard_interactive_start(user, None).await;
        for _ in 0..ROUNDS {
            let answers = match said {
                Ok(Said::Success) => return Ok(true),
                Ok(Said::Failure { remaining_methods, partial_success }) => {
                    return self.heard(Ok(AuthResult::Failure { remaining_methods, partial_success }), "the password");
                }
                Ok(Said::InfoRequest { name, instructions, prompts }) => {
                    self.answer(&format!("{name}\n{instructions}"), &prompts).await?
                }
                Err(error) => return self.heard(Err(error.to_string()), "the password"),
            };
            said = self.link.authenticate_keyboard_interactive_respond(answers).await;
        }
        Err(self.failure(Reason::AuthRefused, "the host did not come to an end with its questions".to_owned()))
    }

    /// The answers to one round of questions.
    async fn answer(&mut self, instructions: &str, prompts: &[Prompt]) -> Result<Vec<String>, Failure> {
        let [prompt] = prompts else {
            if let Some(line) = password_expired(instructions) {
                return Err(self.failure(Reason::PasswordExpired, format!("the host says `{}`", shown(line))));
            }
            if prompts.is_empty() {
                // A message.
                return Ok(Vec::new());
            }
            let all: Vec<String> = prompts.iter().map(|prompt| format!("`{}`", shown(&prompt.prompt))).collect();
            let factor = prompts.iter().any(|prompt| wants(&prompt.prompt, prompt.echo, instructions) == Wants::SecondFactor);
            let reason = if factor { Reason::SecondFactor } else { Reason::AuthRefused };
            return Err(self.failure(reason, format!("the host asks several things at once: {}", all.join(", "))));
        };
        let question = shown(&prompt.prompt);
        match wants(&prompt.prompt, prompt.echo, instructions) {
            Wants::NewPassword => {
                let line = password_expired(instructions).or_else(|| password_expired(&prompt.prompt)).map_or(question, shown);
                Err(self.failure(Reason::PasswordExpired, format!("the host says `{line}`")))
            }
            Wants::SecondFactor => Err(self.failure(Reason::SecondFactor, format!("the host asks `{question}`"))),
            Wants::Password => match self.password().await {
                Some(password) => {
                    self.password = Password::Spent;
                    self.tried.push("the password (keyboard-interactive)".to_owned());
                    Ok(vec![password.reveal().to_owned()])
                }
                None if matches!(self.password, Password::Spent) => {
                    Err(self.failure(Reason::AuthRefused, format!("the host asks again: `{question}`")))
                }
                None => Err(self.refused_for_want_of_password(&question)),
            },
            // After the password was right, whatever else is asked is a second proof.
            Wants::Other if matches!(self.password, Password::Spent) => {
                Err(self.failure(Reason::SecondFactor, format!("after the password the host asks `{question}`")))
            }
            Wants::Other => {
                Err(self.failure(Reason::AuthRefused, format!("the host asks `{question}`, which a scan has no answer to")))
            }
        }
    }

    fn refused_for_want_of_password(&self, question: &str) -> Failure {
        let what = format!("the host asks `{question}`; give a password with `-k` or `--password-file`");
        self.failure(Reason::AuthRefused, what)
    }

    /// A login that ends with what the host said.
    fn failure(&self, reason: Reason, said: String) -> Failure {
        let mut parts = vec![self.summary()];
        parts.extend(self.remarks.iter().cloned());
        parts.push(said);
        Failure::new(reason, parts.join("; "))
    }

    /// What was tried.
    fn summary(&self) -> String {
        let user = &self.target.user;
        match (self.tried.as_slice(), self.unsigned) {
            ([], _) => format!("no key could be offered for `{user}`"),
            (tried, true) => format!("login as `{user}` not completed; offered: {}", tried.join(", ")),
            (tried, false) => format!("login as `{user}` refused; offered: {}", tried.join(", ")),
        }
    }

    /// Everything that we had was not enough.
    fn refused(&self) -> Failure {
        let mut parts = vec![self.summary()];
        if let Some(methods) = &self.accepts {
            let names: Vec<&str> = methods.iter().map(<&str>::from).collect();
            parts.push(if names.is_empty() {
                "the host takes nothing else".to_owned()
            } else {
                format!("the host takes: {}", names.join(", "))
            });
            let wants_password =
                [MethodKind::Password, MethodKind::KeyboardInteractive].iter().any(|kind| methods.contains(kind));
            if wants_password && matches!(self.password, Password::None) && !methods.contains(&MethodKind::PublicKey) {
                parts.push("give a password with `-k` or `--password-file`".to_owned());
            }
        }
        parts.extend(self.remarks.iter().chain(&self.notes).cloned());
        let reason = if self.silent { Reason::AuthTimeout } else { Reason::AuthRefused };
        Failure::new(reason, parts.join("; "))
    }

    /// The connection is gone: refused if the host said so while leaving, else merely lost.
    fn cut_off(&self) -> Failure {
        let cause = self.lost.cause();
        let banner = self.lost.banner();
        if let Some(line) = password_expired(&banner) {
            return self.failure(Reason::PasswordExpired, format!("the host says `{}`", shown(line)));
        }
        if self.lost.is_refusal() {
            let mut detail = format!("{}; {cause}", self.refused().detail);
            if cause.contains("Too many") && self.tried.len() > 1 {
                detail.push_str(
                    "; name the one key that it takes with `--private-key`, or with `IdentityFile` and `IdentitiesOnly yes`",
                );
            }
            return Failure::new(Reason::AuthRefused, detail);
        }
        // PAM says in a banner why an account is not let in (expired, locked, `/etc/nologin`), and sshd hangs up without a word.
        if let Some(words) = turned_away(&banner) {
            return self.failure(Reason::AuthRefused, format!("the host says `{}`", shown(words)));
        }
        Failure::new(Reason::ConnectionReset, format!("the connection ended during the login: {cause}"))
    }
}

/// The hash that an RSA key signs with: of `ours`, which are best first and never none, the one that suits the best that a host says it takes; `None` is SHA-1.
///
/// A host that does not say what it takes is older than OpenSSH 7.2 (2016) and takes SHA-1 only, or is of another make; where SHA-1 is allowed, it was for the
/// sake of the former.
fn rsa_hash(best: Option<Option<HashAlg>>, ours: &[Option<HashAlg>]) -> Result<Option<HashAlg>, &'static str> {
    match best {
        Some(hash) if ours.contains(&hash) => Ok(hash),
        None if ours.contains(&None) => Ok(None),
        Some(None) => Err("the host takes RSA with SHA-1 only; `--legacy-algorithms` allows it"),
        Some(Some(HashAlg::Sha256)) => {
            Err("the host takes no better than rsa-sha2-256, which `PubkeyAcceptedAlgorithms` leaves out")
        }
        // Whoever takes SHA-512 takes the others as well, or refuses the key.
        Some(Some(_)) | None => ours.first().copied().ok_or("`PubkeyAcceptedAlgorithms` leaves no RSA"),
    }
}

/// The line of a banner that says that an account is not let in.
fn turned_away(banner: &str) -> Option<&str> {
    const WORDS: &[&str] = &[
        "account has expired",
        "account is locked",
        "account has been locked",
        "account is disabled",
        "access denied",
        "denied",
        "not permitted",
        "not allowed",
        "nologin",
        "administrator",
    ];
    banner.lines().map(str::trim).find(|line| WORDS.iter().any(|word| line.to_lowercase().contains(word)))
}

/// The next reply of the host to whatever was asked. Sends nothing: russh passes on an answer to questions only where there were questions.
async fn reply(link: &mut Handle<Gatekeeper>) -> Result<AuthResult, String> {
    match link.authenticate_keyboard_interactive_respond(Vec::new()).await {
        Ok(KeyboardInteractiveAuthResponse::Success) => Ok(AuthResult::Success),
        Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success }) => {
            Ok(AuthResult::Failure { remaining_methods, partial_success })
        }
        Ok(KeyboardInteractiveAuthResponse::InfoRequest { .. }) => Err("the host answered a password with questions".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Signs for one offer: a short conversation with the agent, or our own work where russh would choose SHA-1 for the certificate of an RSA key.
struct Signer<'a> {
    offer: &'a Offer,
    clock: &'a Clock,
    limit: Duration,
}

/// Why nothing was signed.
#[derive(Debug)]
enum NoSignature {
    Agent(Unsigned),
    Other(String),
}

impl From<russh::SendError> for NoSignature {
    fn from(error: russh::SendError) -> Self {
        Self::Other(error.to_string())
    }
}

impl russh::Signer for Signer<'_> {
    type Error = NoSignature;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        match &self.offer.key.hand {
            Hand::File(key) => sign(key, hash, data).map_err(NoSignature::Other),
            Hand::Agent(agent) => {
                let _pause = self.clock.pause();
                self.ask(agent, identity, hash, data).await.map_err(NoSignature::Agent)
            }
        }
    }
}

impl Signer<'_> {
    /// A certificate of ours may be about a key that the agent holds without it.
    async fn ask(
        &self,
        agent: &Agent,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        let plain = AgentIdentity::from(self.offer.key.public.clone());
        let identity = if self.offer.key.is_certificate { identity } else { &plain };
        agent.sign(identity, hash, data, self.limit).await
    }
}

/// The data with a signature behind it, as SSH_MSG_USERAUTH_REQUEST wants it (RFC 4252, section 7).
fn sign(key: &PrivateKey, hash: Option<HashAlg>, mut data: Vec<u8>) -> Result<Vec<u8>, String> {
    let signature = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(&data),
        pair => pair.try_sign(&data),
    };
    let signature = signature.map_err(|error| error.to_string())?;
    signature.encode_prefixed(&mut data).map_err(|error| error.to_string())?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rsa_key_signs_with_the_best_hash_that_is_allowed_and_that_the_host_takes() {
        const SHA512: Option<HashAlg> = Some(HashAlg::Sha512);
        const SHA256: Option<HashAlg> = Some(HashAlg::Sha256);
        const SHA1: Option<HashAlg> = None;
        for (best, ours, hash) in [
            (Some(SHA512), &[SHA512, SHA256][..], Some(SHA512)),
            (Some(SHA512), &[SHA256], Some(SHA256)),
            (Some(SHA512), &[SHA1], Some(SHA1)),
            (Some(SHA512), &[SHA512, SHA256, SHA1], Some(SHA512)),
            (Some(SHA256), &[SHA512, SHA256], Some(SHA256)),
            (Some(SHA256), &[SHA512], None),
            (Some(SHA1), &[SHA512, SHA256], None),
            (Some(SHA1), &[SHA512, SHA256, SHA1], Some(SHA1)),
            // A host that doesn't say.
            (None, &[SHA512, SHA256], Some(SHA512)),
            (None, &[SHA256], Some(SHA256)),
            (None, &[SHA512, SHA256, SHA1], Some(SHA1)),
        ] {
            assert_eq!(rsa_hash(best, ours).ok(), hash, "{best:?} {ours:?}");
        }
    }
}
