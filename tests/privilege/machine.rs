//! This machine with another /etc, as a host whose login is not root: its own accounts, passwords, rules of sudo and doas, and shell. What the rest of the
//! machine has is not touched: all of it is in a mount namespace, which is gone with its last process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fleetscan::command::{Conversation, Exchange, Reply, Script, Stream};
use fleetscan::model::Secret;
use fleetscan::probe::{FrameReader, OutputLimits, Transcript};
use tempfile::TempDir;

use crate::common::{Port, keygen, output, program, public};

/// The login.
pub(crate) const USER: &str = "auditor";
const ID: u32 = 4242;

/// The password of the login.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Mounts everything and becomes the command. `/bin/sh` is the shell that was chosen; /usr/local/bin has a `docker` of ours.
const SETUP: &str = r#"set -e
mount --make-rprivate /
mount --bind "$1/etc" /etc
mount --bind "$1/lib" /var/lib/sudo
mount --bind "$1/bin" /usr/local/bin
[ -z "$2" ] || mount --bind "$2" "$(readlink -f /bin/sh)"
# Last, for mount itself writes there.
mount --bind "$1/run" /run
shift 2
exec "$@"
"#;

/// Size and time of change of each path.
pub(crate) type State = BTreeMap<PathBuf, (u64, i64, i64)>;

/// A machine with a login that has no rights yet.
pub(crate) struct Machine {
    directory: TempDir,
    shell: Option<PathBuf>,
}

impl Machine {
    /// With the shell that /bin/sh is anyway.
    pub(crate) fn new() -> Self {
        Self::with_shell(None)
    }

    /// With this program as /bin/sh.
    pub(crate) fn with_shell(shell: Option<&str>) -> Self {
        assert_eq!(crate::common::user(), "root", "these tests mount things in a namespace of their own: run them as root");
        for (name, package) in [("sudo", "sudo"), ("visudo", "sudo"), ("doas", "opendoas"), ("unshare", "util-linux")] {
            program(name, package);
        }
        let shell = shell.map(|name| program(name, name));
        let directory = tempfile::tempdir().expect("a directory");
        // The login must be able to look for its key.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let machine = Self { directory, shell };
        output(Command::new("cp").arg("-a").arg("/etc").arg(machine.at("etc")));
        for (name, mode) in [("run", 0o755), ("run/sudo", 0o711), ("run/sshd", 0o755), ("lib", 0o755), ("bin", 0o755)] {
            fs::create_dir(machine.at(name)).expect("a directory");
            fs::set_permissions(machine.at(name), fs::Permissions::from_mode(mode)).expect("permissions");
        }
        for (file, line) in
            [("etc/passwd", format!("{USER}:x:{ID}:{ID}::/:/bin/sh\n")), ("etc/group", format!("{USER}:x:{ID}:\n"))]
        {
            let text = fs::read_to_string(machine.at(file)).expect(file);
            fs::write(machine.at(file), text + &line).expect(file);
        }
        machine.password(PASSWORD);
        machine.rules("");
        machine
    }

    /// A path of its own.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Gives the login this password.
    pub(crate) fn password(&self, password: &str) {
        let hash = hashed(password);
        let path = self.at("etc/shadow");
        let text = fs::read_to_string(&path).expect("shadow");
        let others: String = text.lines().filter(|line| !line.starts_with(USER)).map(|line| format!("{line}\n")).collect();
        fs::write(path, format!("{others}{USER}:{hash}:19000:0:99999:7:::\n")).expect("shadow");
    }

    /// These rules of sudo, and no others.
    pub(crate) fn rules(&self, rules: &str) {
        let path = self.at("etc/sudoers");
        fs::write(&path, format!("Defaults env_reset, !mail_no_user\nroot ALL=(ALL:ALL) ALL\n{rules}\n")).expect("sudoers");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).expect("permissions");
    }

    /// These rules of doas, and no others; `None` for no configuration at all.
    pub(crate) fn doas(&self, rules: Option<&str>) {
        let path = self.at("etc/doas.conf");
        match rules {
            Some(rules) => {
                fs::write(&path, rules).expect("doas.conf");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("permissions");
            }
            None => {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// A command on the machine, as root.
    pub(crate) fn root(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command.args(["-m", "/bin/bash", "-c", SETUP, "setup"]).arg(self.directory.path());
        command.arg(self.shell.as_deref().unwrap_or(Path::new(""))).arg(program);
        command
    }

    /// A command on the machine, as the login.
    pub(crate) fn login(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.root("setpriv");
        let id = ID.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--inh-caps=-all", "env", "-i", "PATH=/usr/bin:/bin"]);
        command.args(["HOME=/", &format!("USER={USER}"), &format!("LOGNAME={USER}")]).arg(program);
        command
    }

    /// Runs a script as the login, and gives the password where it is asked for.
    pub(crate) fn ask(&self, script: &Script, password: Option<&str>) -> Transcript {
        let (transcript, said) = self.hear(script, password);
        assert!(transcript.is_complete(), "{:?}: {}", self.shell, String::from_utf8_lossy(&said));
        transcript
    }

    /// The same, with all that was said, and whether the script came to its end or not.
    pub(crate) fn hear(&self, script: &Script, password: Option<&str>) -> (Transcript, Vec<u8>) {
        let secret = password.map(Secret::new);
        let exchange = Exchange::new(Conversation { script, password: secret.as_ref(), trial: None });
        let mut command = self.login("/bin/sh");
        command.arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a shell");
        let mut stdin = child.stdin.take();
        stdin.as_mut().expect("stdin").write_all(script.text().as_bytes()).expect("taken");
        if !exchange.may_ask() {
            stdin = None;
        }
        let mut errors = child.stderr.take().expect("stderr");
        let errors = thread::spawn(move || {
            let mut bytes = Vec::new();
            errors.read_to_end(&mut bytes).expect("read");
            bytes
        });
        let mut stdout = child.stdout.take().expect("stdout");
        let (mut said, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            let length = stdout.read(&mut buffer).expect("read");
            if length == 0 {
                break;
            }
            said.extend_from_slice(&buffer[..length]);
            if exchange.hears(&buffer[..length])
                && let (Reply::Say(reply), Some(stdin)) = (exchange.reply(), stdin.as_mut())
            {
                stdin.write_all(&reply).expect("taken");
            }
        }
        let errors = errors.join().expect("read");
        let status = child.wait().expect("waited for");
        assert!(status.success(), "{status}: {}{}", String::from_utf8_lossy(&said), String::from_utf8_lossy(&errors));
        let mut reader = FrameReader::new(script, OutputLimits::default());
        assert!(reader.feed(Stream::Stdout, &said) && reader.feed(Stream::Stderr, &errors));
        said.extend_from_slice(&errors);
        (reader.finish(), said)
    }

    /// Fails where something is not as it was.
    pub(crate) fn assert_as(&self, before: &State, case: &str) {
        let after = self.state();
        let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let changed: Vec<_> = paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).collect();
        assert!(changed.is_empty(), "{case}: not as before: {changed:?}");
    }

    /// Everything that a call of sudo or doas could leave behind.
    pub(crate) fn state(&self) -> State {
        let mut state = BTreeMap::new();
        let mut open = vec![self.at("etc"), self.at("run"), self.at("lib")];
        while let Some(path) = open.pop() {
            let metadata = fs::symlink_metadata(&path).expect("there");
            if metadata.is_dir() {
                open.extend(fs::read_dir(&path).expect("readable").map(|entry| entry.expect("an entry").path()));
            }
            state.insert(path, (metadata.size(), metadata.ctime(), metadata.ctime_nsec()));
        }
        state
    }
}

/// A password as /etc/shadow has it.
fn hashed(password: &str) -> String {
    let mut command = Command::new(program("openssl", "openssl"));
    let mut child =
        command.args(["passwd", "-6", "-stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("openssl");
    let mut stdin: ChildStdin = child.stdin.take().expect("stdin");
    stdin.write_all(password.as_bytes()).expect("taken");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// OpenSSH on a machine, one process a connection, all of them gone when it is dropped.
pub(crate) struct Served {
    port: Port,
    host_key: PathBuf,
    pub(crate) user_key: PathBuf,
    children: Arc<Mutex<Vec<Child>>>,
}

impl Served {
    pub(crate) fn on(machine: &Machine) -> Self {
        let keys = machine.at("keys");
        fs::create_dir(&keys).expect("a directory");
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o755)).expect("permissions");
        let host_key = keygen(&keys, "host", "ed25519", "");
        let user_key = keygen(&keys, "user", "ed25519", "");
        let config = keys.join("sshd_config");
        let text = format!(
            "HostKey {}\nAuthorizedKeysFile {}.pub\nStrictModes no\nPidFile none\nPermitRootLogin yes\nUsePAM no\n",
            host_key.display(),
            user_key.display(),
        );
        fs::write(&config, text).expect("sshd_config");
        let mut command = machine.root(program("sshd", "openssh-server"));
        command.arg("-i").arg("-f").arg(config).arg("-E").arg(keys.join("log"));
        let children = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&children);
        let port = Port::serve(move |stream| {
            let input = OwnedFd::from(stream.try_clone().expect("a descriptor"));
            let child = command.stdin(input).stdout(OwnedFd::from(stream)).stderr(Stdio::null()).spawn().expect("a server");
            all.lock().expect("children").push(child);
            // The parent's copies must go, or the connection stays open when the server has closed it.
            command.stdin(Stdio::null()).stdout(Stdio::null());
        });
        Self { port, host_key, user_key, children }
    }

    /// The line of known_hosts for it.
    pub(crate) fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port.number, public(&self.host_key))
    }

    /// What an inventory says of it: a line for a login.
    pub(crate) fn inventory_line(&self, name: &str, user: &str, variables: &str) -> String {
        let key = self.user_key.display();
        let port = self.port.number;
        format!(
            "{name} ansible_host=127.0.0.1 ansible_port={port} ansible_user={user} ansible_ssh_private_key_file={key} {variables}\n"
        )
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(5);
        for child in self.children.lock().expect("children").iter_mut() {
            while child.try_wait().expect("a status").is_none() {
                if Instant::now() > end {
                    let _ = child.kill();
                    let _ = child.wait();
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
