//! The running fleet, as the container engine's command line shows it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The fleet that `tests/run` brought up.
pub(crate) struct Fleet {
    /// Where the key is, and where everything is written.
    pub(crate) directory: PathBuf,
    project: String,
}

impl Fleet {
    /// The fleet that FLEETSCAN_FLEET points at.
    pub(crate) fn from_environment() -> Self {
        let directory = std::env::var_os("FLEETSCAN_FLEET")
            .expect("this test needs the running container fleet: call tests/run, which starts it");
        let directory = PathBuf::from(directory);
        let project = std::fs::read_to_string(directory.join("project")).expect("FLEETSCAN_FLEET has a file `project`");
        Self { directory, project: project.trim().to_owned() }
    }

    /// The id of the container of a service.
    pub(crate) fn container(&self, service: &str) -> String {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let service = format!("label=com.docker.compose.service={service}");
        let ids = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &project, "--filter", &service], "");
        assert_eq!(ids.lines().count(), 1, "one container of {service} in {project}");
        ids.trim().to_owned()
    }

    /// The network of the fleet.
    pub(crate) fn network(&self) -> String {
        format!("{}_fleet", self.project)
    }

    /// The address of a service, which it had when the test began.
    pub(crate) fn address(&self, service: &str) -> String {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        docker(&["inspect", "--format", format, &self.container(service)], "").trim().to_owned()
    }

    /// What snapshot.sh says of a host. Its writable layer is read from outside where that is allowed: each path is there as it is stored, and nothing but
    /// what was written. Elsewhere the host's own view of its whole root serves.
    pub(crate) fn listing(&self, service: &str, script: &str) -> String {
        let container = self.container(service);
        let inside = |what| docker(&["exec", "--interactive", "--user", "0", &container, "/bin/sh", "-s", what], script);
        let inspected: Value = serde_json::from_str(&docker(&["inspect", &container], "")).expect("docker inspect prints JSON");
        // Absent where the engine's storage knows no such directory.
        let layer = inspected[0]["GraphDriver"]["Data"]["UpperDir"].as_str().unwrap_or_default();
        if std::fs::read_dir(layer).is_ok() {
            let mounts = inside("mounts");
            mounts + &run(Command::new("sh").args(["-s", "layer", layer]), script)
        } else {
            inside("all")
        }
    }

    /// Waits until the host says that it speaks SSH, which it does when it is all set up.
    pub(crate) fn wait_for(&self, service: &str, until: Instant) {
        let container = self.container(service);
        while !speaks_ssh(&self.address(service)) {
            let running = docker(&["inspect", "--format", "{{.State.Running}}", &container], "");
            if running.trim() != "true" || Instant::now() > until {
                let logs = Command::new("docker").args(["logs", "--tail", "30", &container]).output().expect("docker runs");
                let logs = [logs.stdout, logs.stderr].concat();
                panic!("the host {service} did not come up; its last words:\n{}", String::from_utf8_lossy(&logs));
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

fn speaks_ssh(address: &str) -> bool {
    let Ok(address) = format!("{address}:22").parse::<SocketAddr>() else { return false };
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) else { return false };
    let mut banner = [0; 4];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok() && stream.read_exact(&mut banner).is_ok() && banner == *b"SSH-"
}

/// Runs docker and gives its standard output; a failure ends the test.
pub(crate) fn docker(arguments: &[&str], input: &str) -> String {
    run(Command::new("docker").args(arguments), input)
}

fn run(command: &mut Command, input: &str) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program is installed");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads its input");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a command with exactly these words runs in the container.
pub(crate) fn runs(container: &str, words: &str) -> bool {
    let status = Command::new("docker").args(["exec", container, "pgrep", "-fx", words]).stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Undoes something when the test ends, also when it fails.
pub(crate) struct Afterwards(pub(crate) Vec<String>);

impl Drop for Afterwards {
    fn drop(&mut self) {
        // The test may be failing already, and tests/run takes everything down in any case: a failure here is nobody's news.
        let _ = Command::new("docker").args(&self.0).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
