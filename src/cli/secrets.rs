//! Passwords: asked of a person, or read from a file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::Error;
use crate::model::Secret;

/// The longest file of secrets, in bytes.
const LONGEST_FILE: u64 = 64 << 10;

/// Asks for a password, once, without showing what is typed.
///
/// # Errors
/// When there is nobody to ask, and when the answer is empty.
pub(super) fn ask(prompt: &str) -> Result<Secret, Error> {
    let what = prompt.trim_end_matches([':', ' ']);
    let secret = rpassword::prompt_password(prompt)
        .map(Secret::new)
        .map_err(|error| Error::because(format!("nobody could be asked for the {what}"), error).hint("name a file with it"))?;
    if secret.reveal().is_empty() { Err(Error::new(format!("the {what} that was given is empty"))) } else { Ok(secret) }
}

/// The first line of a file, without its end.
///
/// # Errors
/// When the file can't be read, when others can read it as well, and when there is nothing in it.
pub(super) fn from_file(path: &Path) -> Result<Secret, Error> {
    let shown = path.display();
    let unreadable = |error: io::Error| Error::because(format!("`{shown}` cannot be read"), error);
    // Before it is opened: to open a directory or a device may do something.
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Err(Error::new(format!("`{shown}` is a directory, not a file with a secret")));
    }
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_file() && mode & 0o077 != 0 {
        let error = Error::new(format!("`{shown}` holds a secret and is open to others (mode {mode:04o})"));
        return Err(error.hint(format!("`chmod 600 {shown}`")));
    }
    let mut text = String::new();
    file.take(LONGEST_FILE).read_to_string(&mut text).map_err(unreadable)?;
    let text = Secret::new(text);
    match text.reveal().lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(Error::new(format!("the first line of `{shown}` is empty"))),
    }
}
