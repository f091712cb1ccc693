//! `fleetscan doctor` against real servers: one line a host, where it stops, and the mend.

use std::fs;
use std::process::Command;

use crate::common::{Port, Server, public, user};

#[test]
fn every_host_has_one_line_that_says_where_it_stops_and_what_to_do() {
    let good = Server::openssh("");
    let forced = Server::openssh("ForceCommand echo Backups only.");
    let unknown = Server::openssh("");
    let locked = Server::openssh("AllowUsers nobody-at-all");
    let old = Server::openssh("KexAlgorithms diffie-hellman-group14-sha1");
    let silent = Port::saying(b"");
    let web = Port::serve(|mut stream| {
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let mut inventory = String::new();
    let mut known = String::new();
    let mut host = |name: &str, port: u16, server: Option<&Server>| {
        let key = server.map_or_else(|| good.user_key.display().to_string(), |server| server.user_key.display().to_string());
        inventory.push_str(&format!(
            "{name} ansible_host=127.0.0.1 ansible_port={port} ansible_user={} ansible_ssh_private_key_file={key}\n",
            user()
        ));
        if let Some(server) = server.filter(|_| name != "unknown") {
            known.push_str(&format!("[127.0.0.1]:{port} {}\n", public(&server.host_key)));
        }
    };
    host("good", good.port(), Some(&good));
    host("forced", forced.port(), Some(&forced));
    host("unknown", unknown.port(), Some(&unknown));
    host("locked", locked.port(), Some(&locked));
    host("old", old.port(), Some(&old));
    host("silent", silent.number, None);
    host("web", web.number, None);
    host("closed", Port::closed(), None);
    inventory.push_str("nameless ansible_host=no-such-host.invalid ansible_user=root\n");
    fs::write(path.join("inventory"), inventory).expect("written");
    fs::write(path.join("known_hosts"), known).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_fleetscan"))
        .args(["doctor", "-i", "inventory", "--known-hosts", "known_hosts", "-F", "none", "-T", "3", "-f", "9"])
        .args(["--private-key"])
        .arg(&good.user_key)
        .env("HOME", path)
        .env_remove("SSH_AUTH_SOCK")
        .current_dir(path)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let stage = |name: &str| {
        let mut lines = said.lines().filter(|line| line.split_whitespace().next() == Some(name));
        let line = lines.next().unwrap_or_else(|| panic!("no line for {name}: {said}"));
        assert_eq!(lines.next(), None, "{name}");
        assert!(line.contains(" -> ") || line.split_whitespace().nth(1) == Some("ok"), "without a mend: {line}");
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    // The login of the tests may be root or not; either is told.
    assert!(["ok", "privilege"].contains(&stage("good").as_str()), "{said}");
    for (name, expected) in [
        ("forced", "shell"),
        ("unknown", "host-key"),
        ("locked", "login"),
        ("old", "key-exchange"),
        ("silent", "banner"),
        ("web", "banner"),
        ("closed", "tcp"),
        ("nameless", "name"),
    ] {
        assert_eq!(stage(name), expected, "{name}: {said}");
    }
}
