//! Files that several scans may write at once: each change is made to what is there, and is there as a whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long another scan may hold a file: it writes some kilobytes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The directory that a file is in.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where a file really is: a link to it stays a link.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes the directories above a file, for their owner alone.
///
/// # Errors
/// What keeps them from being made.
pub(super) fn make_directories(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory(path))
}

/// Finds out whether a file can be rewritten, and leaves it empty where there was none.
///
/// # Errors
/// What keeps it from being written.
pub(super) fn prepare(path: &Path) -> io::Result<()> {
    let path = &real(path);
    drop(open(path)?);
    // The new content is made beside the old.
    tempfile::Builder::new().prefix(".fleetscan-").tempfile_in(directory(path)).map(drop)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Rewrites a file: `change` gets what is there and gives what is to be there. The file is readable by its owner alone.
///
/// # Errors
/// What the system says; the file is then as it was.
pub(super) fn rewrite(path: &Path, change: impl FnOnce(&[u8]) -> Vec<u8>) -> io::Result<()> {
    let path = &real(path);
    let mut file = locked(path)?;
    let mut there = Vec::new();
    file.read_to_end(&mut there)?;
    let new = change(&there);
    if new == there {
        return Ok(());
    }
    replace(path, &new)
}

/// Puts a file in the place of another.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = tempfile::Builder::new().prefix(".fleetscan-").tempfile_in(directory(path))?;
    beside.write_all(bytes)?;
    beside.as_file().sync_all()?;
    beside.persist(path).map_err(|error| error.error)?;
    // So that the new name survives a power failure too, where directories can be told so.
    let _ = File::open(directory(path)).and_then(|directory| directory.sync_all());
    Ok(())
}

/// The file, held so that no other scan changes it. The lock goes with the handle.
fn locked(path: &Path) -> io::Result<File> {
    let began = Instant::now();
    loop {
        let file = open(path)?;
        match file.try_lock() {
            // What was locked must still be what the name stands for: whoever held it before has put another file in its place.
            Ok(()) => {
                if fs::metadata(path)
                    .is_ok_and(|now| file.metadata().is_ok_and(|held| now.ino() == held.ino() && now.dev() == held.dev()))
                {
                    return Ok(file);
                }
            }
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds it for too long"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_its_owners_alone_and_as_it_was_where_nothing_changes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a/b/file");
        assert!(prepare(&path).is_err(), "no directory");
        make_directories(&path).expect("directories");
        prepare(&path).expect("prepared");
        rewrite(&path, |there| [there, b"one\n"].concat()).expect("written");
        rewrite(&path, |there| [there, b"two\n"].concat()).expect("written");
        assert_eq!(fs::read(&path).expect("a file"), b"one\ntwo\n");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        let before = fs::metadata(&path).expect("a file").ino();
        rewrite(&path, <[u8]>::to_vec).expect("nothing to write");
        assert_eq!(fs::metadata(&path).expect("a file").ino(), before);
    }

    #[test]
    fn a_file_that_somebody_holds_is_waited_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let held = locked(&path).expect("held");
        let writing = std::thread::spawn({
            let path = path.clone();
            move || rewrite(&path, |_| b"new".to_vec())
        });
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(fs::read(&path).expect("a file"), b"");
        drop(held);
        writing.join().expect("no panic").expect("written");
        assert_eq!(fs::read(&path).expect("a file"), b"new");
    }
}
