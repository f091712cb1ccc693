//! Real peers for tests: OpenSSH's sshd and ssh-agent, dropbear, and servers that misbehave. All on loopback, all gone when dropped.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where a program is, or a failure that says which package has it.
pub(crate) fn program(path: &str, package: &str) -> PathBuf {
    let found = ["", "/usr/sbin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/", "/sbin/", "/bin/"]
        .map(|prefix| PathBuf::from(format!("{prefix}{path}")))
        .into_iter()
        .find(|path| path.is_absolute() && path.exists());
    found.unwrap_or_else(|| panic!("these tests need `{path}`: install {package}"))
}

/// What a command prints; a failure if it fails.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The login that runs the tests.
pub(crate) fn user() -> String {
    output(Command::new("id").arg("-un")).trim().to_owned()
}

/// Makes a key pair with ssh-keygen and gives the path of the private key.
pub(crate) fn keygen(directory: &Path, name: &str, kind: &str, passphrase: &str) -> PathBuf {
    let path = directory.join(name);
    let mut command = Command::new(program("ssh-keygen", "openssh-client"));
    command.args(["-q", "-t", kind, "-N", passphrase, "-C", name, "-f"]).arg(&path);
    if kind == "rsa" {
        command.args(["-b", "2048"]);
    }
    output(&mut command);
    path
}

/// The public half of a key pair: `TYPE BASE64`.
pub(crate) fn public(key: &Path) -> String {
    let line = fs::read_to_string(format!("{}.pub", key.display())).expect("a public key");
    line.split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The password of the accounts of [`Server::with_accounts`].
pub(crate) const PASSWORD: &str = "sesame opens";

/// A program of this text. It is written by another process: one that this process holds open, if only in a child that another test starts, can't be run.
pub(crate) fn executable(path: &Path, text: &str) {
    let mut writer = Command::new("sh");
    output(writer.args(["-c", r#"printf '%s' "$2" > "$1" && chmod 700 "$1""#, "sh"]).arg(path).arg(text));
}

/// A port of loopback with something behind it, one thread for all its connections.
pub(crate) struct Port {
    pub(crate) number: u16,
    stopping: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Port {
    /// Gives every connection to `serve`, in the order they come.
    pub(crate) fn serve(mut serve: impl FnMut(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let number = listener.local_addr().expect("an address").port();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                serve(stream.expect("a connection"));
            }
        });
        Self { number, stopping, thread: Some(thread) }
    }

    /// Says these bytes to every connection and then nothing, holding it open.
    pub(crate) fn saying(bytes: &'static [u8]) -> Self {
        let mut held = Vec::new();
        Self::serve(move |mut stream| {
            let _ = stream.write_all(bytes);
            held.push(stream);
        })
    }

    /// A port that nothing listens on.
    pub(crate) fn closed() -> u16 {
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.number));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An SSH server of its own host key, which logs in the current user with `user_key`.
///
/// One process for each connection (`-i`), so that no port must be guessed and nothing outlives a test.
pub(crate) struct Server {
    pub(crate) directory: TempDir,
    pub(crate) host_key: PathBuf,
    pub(crate) user_key: PathBuf,
    port: Port,
    children: Arc<Mutex<Vec<Child>>>,
}

impl Server {
    /// OpenSSH with these lines of sshd_config beside the usual ones, an ed25519 host key and an ed25519 user key.
    pub(crate) fn openssh(lines: &str) -> Self {
        Self::openssh_with("ed25519", "ed25519", lines)
    }

    /// OpenSSH with keys of these kinds.
    pub(crate) fn openssh_with(host: &str, user: &str, lines: &str) -> Self {
        let sshd = program("sshd", "openssh-server");
        if self::user() == "root" {
            fs::create_dir_all("/run/sshd").expect("the directory sshd insists on");
        }
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let host_key = keygen(directory.path(), "host", host, "");
        let user_key = keygen(directory.path(), "user", user, "");
        let config = format!(
            "{lines}\nHostKey {}\nAuthorizedKeysFile {}.pub\nStrictModes no\nPidFile none\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\n",
            host_key.display(),
            user_key.display(),
        );
        fs::write(at("sshd_config"), config).expect("sshd_config");
        let mut command = Command::new(sshd);
        command.arg("-i").arg("-f").arg(at("sshd_config")).arg("-E").arg(at("log"));
        Self::serving(command, directory, host_key, user_key)
    }

    /// OpenSSH with PAM and accounts of its own, in a mount namespace where other files lie over `/etc/passwd`, `/etc/shadow` and `/etc/pam.d/sshd`: nothing of
    /// this machine changes. Their password is [`PASSWORD`], `user_key` logs them in, and of the last two one must change its password and one is no longer let in.
    pub(crate) fn with_accounts(lines: &str) -> Self {
        assert_eq!(user(), "root", "this test gives sshd accounts of its own, and only root can do that: run it as root");
        let sshd = program("sshd", "openssh-server");
        fs::create_dir_all("/run/sshd").expect("the directory sshd insists on");
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        // The accounts read the keys themselves.
        output(Command::new("chmod").arg("755").arg(directory.path()));
        let host_key = keygen(directory.path(), "host", "ed25519", "");
        let user_key = keygen(directory.path(), "user", "ed25519", "");
        let hash = output(Command::new(program("openssl", "openssl")).args(["passwd", "-6", PASSWORD]));
        let hash = hash.trim();
        let (mut passwd, mut shadow) =
            (fs::read_to_string("/etc/passwd").expect("/etc/passwd"), fs::read_to_string("/etc/shadow").expect("/etc/shadow"));
        for (name, uid, changed, closed) in
            [("alice", 64_201, 19_000, ""), ("expired", 64_202, 0, ""), ("closed", 64_203, 19_000, "1")]
        {
            passwd.push_str(&format!("{name}:x:{uid}:{uid}::{}:/bin/sh\n", directory.path().display()));
            shadow.push_str(&format!("{name}:{hash}:{changed}:0:99999:7::{closed}:\n"));
        }
        let pam = "auth required pam_unix.so nodelay\naccount required pam_unix.so\npassword required pam_unix.so\n\
                   session required pam_permit.so\n";
        let config = format!(
            "{lines}\nHostKey {}\nAuthorizedKeysFile {}.pub\nStrictModes no\nPidFile none\nUsePAM yes\nPasswordAuthentication yes\n\
             KbdInteractiveAuthentication yes\nLogLevel VERBOSE\n",
            host_key.display(),
            user_key.display(),
        );
        for (name, text) in [("passwd", passwd.as_str()), ("shadow", &shadow), ("pam", pam), ("sshd_config", &config)] {
            fs::write(at(name), text).expect("written");
        }
        let serve = "cd \"$1\" && mount --bind passwd /etc/passwd && mount --bind shadow /etc/shadow && mount --bind pam /etc/pam.d/sshd \
                     && exec \"$2\" -i -f sshd_config -E log";
        let mut command = Command::new(program("unshare", "util-linux"));
        command.args(["--mount", "sh", "-c", serve, "sh"]).arg(directory.path()).arg(sshd);
        Self::serving(command, directory, host_key, user_key)
    }

    /// Lets in whoever has one of these keys as well.
    pub(crate) fn authorize(&self, public: &str) {
        let path = self.directory.path().join("user.pub");
        let known = fs::read_to_string(&path).expect("keys");
        fs::write(&path, format!("{known}{}\n", public.trim())).expect("keys");
    }

    /// dropbear, which takes its user keys from the home directory: nobody can log in.
    pub(crate) fn dropbear() -> Self {
        let dropbear = program("dropbear", "dropbear-bin");
        let directory = tempfile::tempdir().expect("a directory");
        let host_key = directory.path().join("host");
        let user_key = keygen(directory.path(), "user", "ed25519", "");
        let mut make = Command::new(program("dropbearkey", "dropbear-bin"));
        let made = output(make.args(["-t", "ed25519", "-f"]).arg(&host_key));
        let line = made.lines().find(|line| line.starts_with("ssh-")).expect("a public key");
        fs::write(directory.path().join("host.pub"), line).expect("a public key");
        let mut command = Command::new(dropbear);
        command.args(["-i", "-r"]).arg(&host_key);
        Self::serving(command, directory, host_key, user_key)
    }

    fn serving(mut command: Command, directory: TempDir, host_key: PathBuf, user_key: PathBuf) -> Self {
        let children = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&children);
        let port = Port::serve(move |stream| {
            let input = OwnedFd::from(stream.try_clone().expect("a descriptor"));
            let output = OwnedFd::from(stream);
            let child = command.stdin(input).stdout(output).stderr(Stdio::null()).spawn().expect("a server");
            all.lock().expect("children").push(child);
            // The parent's copies must go, or the connection stays open when the server has closed it.
            command.stdin(Stdio::null()).stdout(Stdio::null());
        });
        Self { directory, host_key, user_key, port, children }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    /// The line of known_hosts for it.
    pub(crate) fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port(), public(&self.host_key))
    }

    /// A known_hosts file with these lines.
    pub(crate) fn known_hosts(&self, lines: &str) -> PathBuf {
        let path = self.directory.path().join("known_hosts");
        fs::write(&path, lines).expect("known_hosts");
        path
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// How many connections it has still open, after it was given some time to notice that they ended.
    pub(crate) fn open_connections(&self) -> usize {
        let mut children = self.children.lock().expect("children");
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            children.retain_mut(|child| child.try_wait().expect("a status").is_none());
            if children.is_empty() || Instant::now() > end {
                return children.len();
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in self.children.lock().expect("children").iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An sshd that listens, for what the listener itself does (`MaxStartups`), with the defaults of OpenSSH beside these lines.
pub(crate) struct Daemon {
    pub(crate) directory: TempDir,
    pub(crate) host_key: PathBuf,
    pub(crate) user_key: PathBuf,
    pub(crate) port: u16,
    child: Child,
}

impl Daemon {
    pub(crate) fn start(lines: &str) -> Self {
        let sshd = program("sshd", "openssh-server");
        if user() == "root" {
            fs::create_dir_all("/run/sshd").expect("the directory sshd insists on");
        }
        let directory = tempfile::tempdir().expect("a directory");
        let host_key = keygen(directory.path(), "host", "ed25519", "");
        let user_key = keygen(directory.path(), "user", "ed25519", "");
        // Another process may take the port between our closing it and sshd's opening it: then sshd ends, and is given another.
        loop {
            let port = Port::closed();
            let config = format!(
                "{lines}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}.pub\nStrictModes no\nPidFile none\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\n",
                host_key.display(),
                user_key.display(),
            );
            let path = directory.path().join("sshd_config");
            fs::write(&path, config).expect("sshd_config");
            let mut command = Command::new(&sshd);
            command.arg("-D").arg("-f").arg(&path).arg("-E").arg(directory.path().join("log"));
            let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sshd");
            loop {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { directory, host_key, user_key, port, child };
                }
                if let Some(status) = child.try_wait().expect("a status") {
                    let log = fs::read_to_string(directory.path().join("log")).unwrap_or_default();
                    assert!(log.contains("Address already in use"), "sshd ended with {status}: {log}");
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// The line of known_hosts for it.
    pub(crate) fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port, public(&self.host_key))
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// The number of its process; those that serve connections are its children.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Its children are in sessions of their own and end with their connections.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A real ssh-agent.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    child: Child,
    _directory: TempDir,
}

impl Agent {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("agent");
        let mut command = Command::new(program("ssh-agent", "openssh-client"));
        // Whoever would have to confirm something says no.
        command.env("SSH_ASKPASS", "/bin/false").env("SSH_ASKPASS_REQUIRE", "force");
        let child =
            command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("an agent");
        let end = Instant::now() + Duration::from_secs(10);
        while !socket.exists() {
            assert!(Instant::now() < end, "the agent has no socket");
            thread::sleep(Duration::from_millis(10));
        }
        Self { socket, child, _directory: directory }
    }

    /// Unlocks a key with its passphrase and adds it.
    pub(crate) fn add(&self, key: &Path, passphrase: &str) {
        let asker = self._directory.path().join("askpass");
        executable(&asker, &format!("#!/bin/sh\necho '{passphrase}'\n"));
        let mut command = Command::new(program("ssh-add", "openssh-client"));
        command.env("SSH_AUTH_SOCK", &self.socket).env("SSH_ASKPASS", &asker).env("SSH_ASKPASS_REQUIRE", "force");
        output(command.arg("-q").arg(key));
    }

    /// Keys of these names, which no host knows.
    pub(crate) fn add_strangers(&self, count: usize) {
        for index in 0..count {
            self.add(&keygen(self._directory.path(), &format!("stranger{index}"), "ed25519", ""), "");
        }
    }

    /// Its process, for a signal.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads and forgets until the peer closes.
pub(crate) fn drain(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}
