//! What is offered to log in, beside keys: the arguments, and what they are made of before the first host is contacted.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::error::Error;
use super::secrets;
use crate::ssh::{CredentialSources, Credentials, Login, Passwords};

/// Passwords and passphrases.
#[derive(Debug, Args, Default)]
pub(super) struct LoginArgs {
    /// Passphrases of encrypted keys, one a line; without it they are asked for, once for all hosts
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Ask for the password of the login, once for all hosts, where the inventory names none
    #[arg(short = 'k', long, conflicts_with_all = ["password_file", "password_command"])]
    ask_pass: bool,
    /// File with the password of the login in its first line, where the inventory names none
    #[arg(long, value_name = "FILE", conflicts_with = "password_command")]
    password_file: Option<PathBuf>,
    /// Shell command that prints the password of FLEETSCAN_USER on FLEETSCAN_HOST (also FLEETSCAN_ADDRESS, FLEETSCAN_PORT)
    #[arg(long, value_name = "COMMAND")]
    password_command: Option<String>,
}

impl LoginArgs {
    /// Whether they say where the password of a host comes from.
    pub(super) fn names_password(&self) -> bool {
        self.ask_pass || self.password_file.is_some() || self.password_command.is_some()
    }

    /// Reads keys and asks for what is locked. `private_key` is the one that was named for all hosts, `logins` are those of the scan.
    pub(super) async fn load(&self, private_key: Option<&Path>, logins: &HashSet<Login>) -> Result<Credentials, Error> {
        let passwords = match (&self.password_command, &self.password_file, self.ask_pass) {
            (Some(command), _, _) => Passwords::by_command(command),
            (None, Some(path), _) => Passwords::all(secrets::from_file(path)?),
            (None, None, true) => Passwords::all(secrets::ask("SSH password: ")?),
            (None, None, false) => Passwords::none(),
        };
        let sources = CredentialSources {
            named: private_key.map(Path::to_owned),
            passphrases: self.passphrase_file.as_deref().map(secrets::lines_of).transpose()?.unwrap_or_default(),
            ask: secrets::asker(),
            passwords,
            ..CredentialSources::of_environment()
        };
        Credentials::load(&sources, logins).await.map_err(|error| {
            let hint = error.hint();
            let error = Error::because("the private key cannot be used", error);
            hint.into_iter().fold(error, Error::hint)
        })
    }
}
