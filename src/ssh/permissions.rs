//! Whether a file of secrets is open to others, judged as `ssh` judges a private key.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// The mode of a regular file that is ours and that others may read or write; `None`: it is good.
///
/// As in `sshkey_perm_ok` of OpenSSH, a file of somebody else is not judged: whoever can read it was meant to. Nor is a pipe, which has no readers beside us.
pub fn open_to_others(file: &Metadata) -> Option<u32> {
    let mode = file.mode() & 0o7777;
    let ours = file.uid() == nix::unistd::getuid().as_raw();
    (file.is_file() && ours && mode & 0o077 != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_open_when_anybody_else_may_do_anything_with_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for (mode, open) in [(0o600, false), (0o400, false), (0o700, false), (0o640, true), (0o604, true), (0o610, true)] {
            fs::set_permissions(file.path(), Permissions::from_mode(mode)).expect("a mode");
            let found = open_to_others(&file.as_file().metadata().expect("metadata"));
            assert_eq!(found, open.then_some(mode), "{mode:o}");
        }
        assert_eq!(open_to_others(&fs::metadata("/dev/null").expect("metadata")), None);
    }
}
