//! The reader of ssh_config against the real `ssh`: what `ssh -G` says of a host, and what we say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use fleetscan::model::Problem;
use fleetscan::ssh_config::{
    AgentSocket, AlgorithmList, Config, ConfigErrors, Family, Files, Here, Hop, HostKeyChecking, MatchExec, Options, Query,
    Resolution, Settings, Sources, Warnings,
};
use tempfile::TempDir;

/// Variables that configurations of these tests name.
const VARIABLES: [(&str, &str); 3] = [("FLEET_KEYS", "/keys/fleet"), ("FLEET_SOCKET", "/run/fleet/agent"), ("SHELL", "/bin/sh")];

/// One configuration: its files, of which the first is the one named by `-F`, and the command lines behind `ssh`, the host last. `$DIR` is the directory.
struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    hosts: &'static [&'static [&'static str]],
}

/// A configuration of one file.
const fn case(
    name: &'static str,
    text: &'static [(&'static str, &'static str)],
    hosts: &'static [&'static [&'static str]],
) -> Case {
    Case { name, files: text, hosts }
}

const CASES: &[Case] = &[
    case("nothing", &[("config", "")], &[&["web"], &["WEB.Example.COM"], &["192.0.2.1"], &["2001:DB8:0::1"], &["fe80::1%lo"]]),
    case(
        "both ways of writing a value, quotes, comments, tabs and case",
        &[(
            "config",
            "# a comment\n\nhost=web\n\tHOSTNAME = web.example.com\n  port\t2222 # not 22\n  uSeR=\"a b\"\n  IdentityFile='/k/a b'\n\
             IdentityFile /k/c\\ d\n  IdentityFile \"/k/e\\\"f\"\nHost other # web2\n  Port=2022\n  \"User\" ops\n  =BindAddress 127.0.0.1\n",
        )],
        &[&["web"], &["other"], &["web2"], &["#"]],
    ),
    case(
        "lines that end as on Windows",
        &[("config", "Host web db\r\n  Port 2222\r\n\r\n  User ops\r\n  ProxyCommand nc a b\r\nHost *\r\n  User all\r\n")],
        &[&["web"], &["db"], &["x"]],
    ),
    case(
        "the first value wins",
        &[(
            "config",
            "Port 1\nHost web\n  Port 2\n  User a\nHost *\n  Port 3\n  User b\n  ConnectTimeout 5\nHost web\n  ConnectTimeout 6\n",
        )],
        &[&["web"], &["db"]],
    ),
    case(
        "patterns and negation",
        &[(
            "config",
            "Host web* !web9 !*.test\n  User a\nHost !db1\n  User never\nHost ?b1 db[1-2]\n  User b\nHost 192.0.2.* *:db8::*\n  User net\n\
             Host *.example.com !bastion.example.com\n  User c\nHost !a a b\n  Port 5\nHost *\n  Port 6\n",
        )],
        &[
            &["web1"],
            &["web9"],
            &["web1.test"],
            &["db1"],
            &["db2"],
            &["WEB1"],
            &["192.0.2.77"],
            &["2001:db8::1"],
            &["bastion.example.com"],
            &["x.example.com"],
            &["a"],
            &["b"],
            &["db[1-2]"],
        ],
    ),
    case(
        "files of identities and certificates add up, each once",
        &[(
            "config",
            "IdentityFile /k/a\nHost web\n  IdentityFile /k/b\n  CertificateFile /c/a\nHost *\n  IdentityFile /k/a\n  IdentityFile ~/k/c\n\
             CertificateFile /c/b\n  CertificateFile /c/a\n  IdentityFile2 ~/.ssh/d\n",
        )],
        &[&["web"], &["db"], &["-i", "/etc/hostname", "web"]],
    ),
    case(
        "no identity file, and one beside it",
        &[("config", "Host a\n  IdentityFile none\nHost b\n  IdentityFile None\n  IdentityFile /k/b\n")],
        &[&["a"], &["b"]],
    ),
    case(
        "HostName with tokens and as an address",
        &[(
            "config",
            "Host w\n  HostName %h%%.Example.com\nHost v6\n  HostName 2001:DB8::0:1\nHost v4\n  HostName 192.0.2.9\nHost *.short\n  \
             HostName %h.example.com\nHost scope\n  HostName fe80::1%%lo\n",
        )],
        &[&["w"], &["v6"], &["v4"], &["A.short"], &["scope"]],
    ),
    case(
        "Match host sees HostName, originalhost does not, and neither sees case",
        &[(
            "config",
            "Host web\n  HostName Web.Example.COM\nMatch host web.example.com\n  User a\nMatch originalhost WEB\n  Port 2222\n\
             Match host web originalhost web\n  BindAddress 127.0.0.9\nMatch !host *.example.com\n  User other\nMatch Host=x,!xx*,x*\n  Port 7\n",
        )],
        &[&["web"], &["Web"], &["x1"], &["xx1"]],
    ),
    case(
        "Match user and localuser",
        &[(
            "config",
            "Host a\n  User deploy\nMatch user deploy\n  Port 1\nMatch user !deploy,*\n  Port 2\nMatch localuser nobody-at-all\n  Port 3\n\
             Match !localuser nobody-at-all user \"root,ops\"\n  BindAddress 127.0.0.3\n",
        )],
        &[&["a"], &["b"], &["-l", "ops", "b"], &["-l", "deploy", "b"]],
    ),
    case(
        "Match all, negated, and beside one other criterion",
        &[("config", "Match all\n  Port 1\nMatch !all\n  User a\nMatch host web all\n  User b\nMatch canonical all\n  User c\n")],
        &[&["web"], &["db"]],
    ),
    case(
        "Match exec sees tokens and is skipped behind what does not match",
        &[(
            "config",
            "Match exec \"test %h = web && test %n = web && test %p = 22\"\n  User a\nMatch !exec \"test -n '%r'\"\n  User b\n\
             Match host db exec \"echo ran > $DIR/ran\"\n  Port 7\nMatch exec=false\n  Port 8\nMatch exec \"test '%L%l%d%u%i' = '%L%l%d%u%i'\"\n  \
             BindAddress 127.0.0.7\n",
        )],
        &[&["web"], &["other"]],
    ),
    case(
        "a final pass sees the name that was found in the first",
        &[(
            "config",
            "Match final host web.example.com\n  User late\n  IdentityFile /k/late\nHost web\n  HostName web.example.com\n  IdentityFile /k/a\n\
             Host web.example.com\n  Port 2222\n  IdentityFile /k/b\nMatch !final\n  BindAddress 127.0.0.2\nHost *\n  User any\n",
        )],
        &[&["web"], &["web.example.com"], &["db"]],
    ),
    case(
        "without a final pass the name that was found is no other host",
        &[("config", "Host web\n  HostName web.example.com\nHost web.example.com\n  Port 2222\n")],
        &[&["web"], &["web.example.com"]],
    ),
    case(
        "a final pass is asked for even where the criteria before it fail",
        &[(
            "config",
            "Match host nobody final\n  User x\nHost web\n  HostName other\nHost other\n  Port 2222\nMatch final all\n  User late\n",
        )],
        &[&["web"], &["other"]],
    ),
    case(
        "included files in the order of their names, a missing one is no error",
        &[
            ("config", "Include $DIR/conf.d/*.conf $DIR/missing $DIR/none*\nHost *\n  User last\n"),
            ("conf.d/20.conf", "Host web\n  User b\n  Port 2\n"),
            ("conf.d/10.conf", "Host web\n  User a\nHost *\n  ConnectTimeout 9\n"),
            ("conf.d/.hidden.conf", "User hidden\n"),
            ("conf.d/30.off", "Port 9\n"),
        ],
        &[&["web"], &["db"]],
    ),
    case(
        "what is included under a condition is under it, and does not end it",
        &[
            (
                "config",
                "Host web db\n  Include $DIR/a\n  Port 5\nHost x\n  Include $DIR/b\nMatch user deploy\n  Include $DIR/b\nHost *\n  User last\n",
            ),
            ("a", "User a\nHost web\n  BindAddress 127.0.0.1\n  Include $DIR/b\nHost nothing\n  Port 99\n"),
            ("b", "ConnectTimeout 3\nMatch host db\n  IdentityFile /k/db\nHost *\n  IdentityFile /k/all\n  Include $DIR/c\n"),
            ("c", "Match final\n  IdentityFile /k/final\n"),
        ],
        &[&["web"], &["db"], &["x"], &["y"], &["-l", "deploy", "db"]],
    ),
    case(
        "ProxyJump before ProxyCommand, and the other way round",
        &[(
            "config",
            "Host jump\n  ProxyJump a\nHost command\n  ProxyCommand nc \"x y\" z # kept\nHost none\n  ProxyCommand none\nHost *\n  ProxyCommand nc b\n  \
             ProxyJump c\n",
        )],
        &[&["jump"], &["command"], &["none"], &["other"], &["-J", "d", "command"], &["-oProxyCommand=e f", "jump"]],
    ),
    case(
        "jumps of every form",
        &[(
            "config",
            "Host a\n  ProxyJump bastion\nHost b\n  ProxyJump u@b1:22,b2,ssh://o%70s@b3:2222\nHost c\n  ProxyJump [2001:db8::1]:22\nHost d\n  \
             ProxyJump a@b@[::1]\nHost e\n  ProxyJump none\nHost f\n  ProxyJump=bastion:\nHost *\n  ProxyJump last\n",
        )],
        &[&["a"], &["b"], &["c"], &["d"], &["e"], &["f"], &["g"], &["-J", "x,y:1", "a"], &["-o", "ProxyJump=z", "a"]],
    ),
    case(
        "known hosts files with tokens, variables and a home",
        &[(
            "config",
            "HostKeyAlias Alias.%h\nHost web\n  UserKnownHostsFile ~/kh_%h /kh/%k/%n/%p/%r/%u ${FLEET_KEYS}/kh%%\n  GlobalKnownHostsFile /g/a /g/b\n\
             Host b\n  UserKnownHostsFile none\n  GlobalKnownHostsFile NONE\nHost c\n  UserKnownHostsFile /dev/null\n  UserKnownHostsFile /x\n",
        )],
        &[&["web"], &["Web"], &["b"], &["c"]],
    ),
    case(
        "the agent's socket",
        &[(
            "config",
            "Host a\n  IdentityAgent none\nHost b\n  IdentityAgent ~/agent_%r_%h\nHost c\n  IdentityAgent SSH_AUTH_SOCK\nHost d\n  \
             IdentityAgent \"${FLEET_SOCKET}\"\nHost e\n  IdentityAgent /run/a\nHost *\n  IdentityAgent /run/all\n",
        )],
        &[&["a"], &["b"], &["c"], &["d"], &["e"], &["f"]],
    ),
    case(
        "lists of algorithms replace, add to, take from and precede the default",
        &[(
            "config",
            "Host exact\n  Ciphers aes256-ctr,aes128-ctr,aes256-ctr\n  MACs hmac-sha2-256\n  KexAlgorithms curve25519-sha256\n  \
             HostKeyAlgorithms ssh-ed25519,rsa-sha2-*\n  PubkeyAcceptedKeyTypes ssh-ed25519\n  CASignatureAlgorithms ssh-ed25519\n\
             Host plus\n  Ciphers +aes128-cbc,aes128-ctr\n  MACs +hmac-md5\n  KexAlgorithms +diffie-hellman-group14-sha1\n  HostKeyAlgorithms +ssh-rsa*\n  \
             PubkeyAcceptedAlgorithms +ssh-rsa\n  CASignatureAlgorithms +ssh-rsa\n\
             Host minus\n  Ciphers -aes*,!aes128-ctr\n  MACs -*-etm@openssh.com,umac-*\n  KexAlgorithms -*sha2*,nothing\n  HostKeyAlgorithms -ssh-rsa*,*cert*\n  \
             PubkeyAcceptedAlgorithms -sk-*\n  CASignatureAlgorithms -ecdsa*\n\
             Host hat\n  Ciphers ^aes256-ctr\n  MACs ^hmac-sha1,hmac-sha2-512\n  KexAlgorithms ^ecdh-sha2-nistp256\n  HostKeyAlgorithms ^rsa-sha2-512\n  \
             PubkeyAcceptedAlgorithms ^rsa-sha2-256\n  CASignatureAlgorithms ^rsa-sha2-256\nHost *\n  Ciphers aes192-ctr\n",
        )],
        &[&["exact"], &["plus"], &["minus"], &["hat"], &["other"], &["-c", "aes128-ctr", "exact"], &["-m", "hmac-sha1", "exact"]],
    ),
    case(
        "times and numbers",
        &[(
            "config",
            "Host a\n  ConnectTimeout 1m30\n  ServerAliveInterval 1H\n  ServerAliveCountMax 0\n  ConnectionAttempts 3\nHost b\n  ConnectTimeout none\n  \
             ConnectTimeout 7\n  ServerAliveInterval 0\nHost c\n  ConnectTimeout 0\nHost *\n  ConnectTimeout 2w\n  ServerAliveInterval 15\n",
        )],
        &[&["a"], &["b"], &["c"], &["d"]],
    ),
    case(
        "yes and no and what is between them",
        &[(
            "config",
            "Host a\n  StrictHostKeyChecking YES\n  IdentitiesOnly true\n  PubkeyAuthentication no\n  PasswordAuthentication false\n  \
             KbdInteractiveAuthentication No\n  AddressFamily inet\nHost b\n  StrictHostKeyChecking off\n  PubkeyAuthentication unbound\n  \
             ChallengeResponseAuthentication no\n  AddressFamily INET6\nHost c\n  StrictHostKeyChecking accept-new\n  PubkeyAuthentication host-bound\n  \
             AddressFamily any\nHost d\n  StrictHostKeyChecking ask\n  SkeyAuthentication yes\nHost *\n  StrictHostKeyChecking no\n  IdentitiesOnly yes\n",
        )],
        &[&["a"], &["b"], &["c"], &["d"], &["e"], &["-4", "b"], &["-6", "a"], &["-o", "AddressFamily=inet6", "-4", "x"]],
    ),
    case(
        "ways to log in, in order",
        &[(
            "config",
            "Host a\n  PreferredAuthentications publickey,password\nHost *\n  PreferredAuthentications keyboard-interactive\n  RequiredRSASize 3072\n",
        )],
        &[&["a"], &["b"]],
    ),
    case(
        "unknown keywords that are to be ignored",
        &[(
            "config",
            "IgnoreUnknown Use*,addme\nUseKeychain yes\nADDME \"x y\" z\nHost a\n  usekeychain no\n  Port 5\nIgnoreUnknown Other\nHost *\n  Port 6\n",
        )],
        &[&["a"], &["b"]],
    ),
    case(
        "keywords that mean nothing to a scan, and old ones",
        &[(
            "config",
            "ForwardAgent yes\nControlMaster auto\nControlPath ~/c-%C\nControlPersist 60s\nSendEnv LANG LC_*\nSetEnv A=b C=d\nLocalForward 8080 localhost:80\n\
             RemoteForward 9090 localhost:90\nDynamicForward 1080\nVisualHostKey no\nCompression yes\nRekeyLimit 1G 1h\nLogLevel VERBOSE\nTCPKeepAlive yes\n\
             HashKnownHosts yes\nCheckHostIP no\nUpdateHostKeys no\nAddKeysToAgent confirm 5m\nBatchMode no\nNumberOfPasswordPrompts 1\nEscapeChar none\n\
             IPQoS lowdelay throughput\nRequestTTY no\nSessionType none\nPermitLocalCommand no\nLocalCommand echo \"%h\"\nTunnel no\nGSSAPIAuthentication no\n\
             Protocol 2\nCipher blowfish\nUseRoaming no\nUsePrivilegedPort no\nRSAAuthentication yes\nCompressionLevel 6\nExitOnForwardFailure yes\n\
             ForwardX11 no\nForwardX11Trusted no\nForwardX11Timeout 5m\nStreamLocalBindUnlink yes\nFingerprintHash sha256\nClearAllForwardings no\nUser ops\n",
        )],
        &[&["web"]],
    ),
    case(
        "options come before the file, and the first of them wins",
        &[(
            "config",
            "Host web\n  User file\n  Port 1\n  HostName h\n  BindAddress 127.0.0.1\n  StrictHostKeyChecking yes\n  ConnectTimeout 1\n",
        )],
        &[
            &["-l", "a", "-p", "2", "web"],
            &["-o", "User=a", "-l", "b", "web"],
            &["-oPort 22", "-p23", "web"],
            &["-o", "HostName other", "web"],
            &["-b", "127.0.0.8", "-o", "BindAddress=127.0.0.9", "web"],
            &["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-qTCx", "web"],
            &["-o", "ConnectTimeout=30", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-tt", "web"],
        ],
    ),
];

/// The files of a case in a directory of their own.
fn write(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text.replace("$DIR", directory.path().to_str().unwrap())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    directory
}

fn ssh(arguments: &[&str], config: &Path, host: &[&str]) -> Output {
    let mut command = Command::new("ssh");
    command.args(arguments).arg("-F").arg(config).args(host).envs(VARIABLES).env_remove("FLEET_NOTHING").stdin(Stdio::null());
    command.output().expect("these tests need `ssh`: install openssh-client")
}

/// What `ssh -G` says: each keyword with its lines.
fn said_by_ssh(config: &Path, host: &[&str]) -> Result<BTreeMap<String, Vec<String>>, String> {
    let output = ssh(&["-G"], config, host);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        said.entry(keyword.to_owned()).or_default().push(value.to_owned());
    }
    Ok(said)
}

/// What `ssh` says where nothing is configured.
static DEFAULTS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| said_by_ssh(Path::new("none"), &["x"]).unwrap());

/// This process as `ssh` sees it: its home is that of the passwd entry, whatever `HOME` says.
fn here() -> Here {
    let known_hosts = &DEFAULTS["userknownhostsfile"][0];
    let home = known_hosts.split(' ').next().unwrap().strip_suffix("/.ssh/known_hosts").unwrap();
    let mut here = Here { home: PathBuf::from(home), ..Here::of_this_process() };
    here.environment.extend(VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned())));
    here
}

fn sources(files: Files) -> Sources {
    Sources { files, match_exec: MatchExec::Allow, here: here(), ..Sources::new(Options::default()) }
}

fn load(config: &Path) -> Result<Config, ConfigErrors> {
    Config::load(sources(Files::Only(config.to_owned())))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn resolve(config: &Config, command_line: &[&str]) -> Result<Resolution, String> {
    let (host, options) = command_line.split_last().unwrap();
    let options = Options::parse(&words(options)).map_err(|errors| errors.to_string())?;
    config.resolve(Query { options: Some(&options), ..Query::host(host) }).map_err(|problem| problem.to_string())
}

/// Everything that is compared, as text.
type Shown = BTreeMap<&'static str, String>;

fn shown_hop(hop: &Hop) -> String {
    let bracketed = hop.host.contains(':') || hop.host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let host = if bracketed { format!("[{}]", hop.host) } else { hop.host.clone() };
    let user = hop.user.as_ref().map_or(String::new(), |user| format!("{user}@"));
    format!("{user}{host}{}", hop.port.map_or(String::new(), |port| format!(":{port}")))
}

fn joined(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
}

/// Our settings with the defaults of `ssh` filled in.
fn ours(settings: &Settings) -> Shown {
    let default = |keyword: &str| DEFAULTS[keyword].join(" ");
    let flag = |flag: Option<bool>, usual: &str| flag.map_or(usual.to_owned(), |flag| if flag { "yes" } else { "no" }.to_owned());
    let files = |files: &Option<Vec<PathBuf>>, keyword: &str| match files.as_deref() {
        None => default(keyword),
        Some([]) => "none".to_owned(),
        Some(files) => joined(files),
    };
    let list = |list: &Option<AlgorithmList>, keyword: &str| {
        let usual = default(keyword);
        let usual: Vec<&str> = usual.split(',').collect();
        list.as_ref().map_or(usual.join(","), |list| list.applied_to(&usual).join(","))
    };
    let seconds = |time: Option<Duration>, usual: &str| time.map_or(usual.to_owned(), |time| time.as_secs().to_string());
    let number = |number: Option<u32>, keyword: &str| number.map_or(default(keyword), |number| number.to_string());
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let identity = match (settings.identity_files.is_empty(), settings.no_identity_files) {
        (true, false) => expand_home(&DEFAULTS["identityfile"]),
        _ => joined(&settings.identity_files),
    };
    assert!(settings.proxy_jump.is_empty() || settings.proxy_command.is_none());
    BTreeMap::from([
        ("hostname", settings.host_name.clone()),
        ("port", settings.port.unwrap_or(22).to_string()),
        ("user", settings.user.clone().unwrap_or(here().user)),
        ("identityfile", identity),
        ("certificatefile", joined(&settings.certificate_files)),
        ("identitiesonly", flag(settings.identities_only, "no")),
        (
            "identityagent",
            match &settings.identity_agent {
                AgentSocket::Environment => "SSH_AUTH_SOCK".to_owned(),
                AgentSocket::None => "none".to_owned(),
                AgentSocket::Path(path) => path.display().to_string(),
            },
        ),
        ("hostkeyalias", text(&settings.host_key_alias)),
        ("userknownhostsfile", files(&settings.user_known_hosts_files, "userknownhostsfile")),
        ("globalknownhostsfile", files(&settings.global_known_hosts_files, "globalknownhostsfile")),
        (
            "stricthostkeychecking",
            match settings.host_key_checking.unwrap_or_default() {
                HostKeyChecking::Yes => "true",
                HostKeyChecking::No => "false",
                HostKeyChecking::Ask => "ask",
                HostKeyChecking::AcceptNew => "accept-new",
            }
            .to_owned(),
        ),
        ("proxyjump", settings.proxy_jump.iter().map(shown_hop).collect::<Vec<_>>().join(",")),
        ("proxycommand", text(&settings.proxy_command)),
        ("connecttimeout", seconds(settings.connect_timeout, "none")),
        ("connectionattempts", number(settings.connection_attempts, "connectionattempts")),
        ("serveraliveinterval", seconds(settings.server_alive_interval, "0")),
        ("serveralivecountmax", number(settings.server_alive_count_max, "serveralivecountmax")),
        (
            "addressfamily",
            match settings.family {
                Family::Any => "any",
                Family::Inet => "inet",
                Family::Inet6 => "inet6",
            }
            .to_owned(),
        ),
        ("bindaddress", text(&settings.bind_address)),
        ("kexalgorithms", list(&settings.kex_algorithms, "kexalgorithms")),
        ("ciphers", list(&settings.ciphers, "ciphers")),
        ("macs", list(&settings.macs, "macs")),
        ("hostkeyalgorithms", list(&settings.host_key_algorithms, "hostkeyalgorithms")),
        ("pubkeyacceptedalgorithms", list(&settings.pubkey_accepted_algorithms, "pubkeyacceptedalgorithms")),
        ("casignaturealgorithms", list(&settings.ca_signature_algorithms, "casignaturealgorithms")),
        ("preferredauthentications", settings.preferred_authentications.as_ref().map_or(String::new(), |names| names.join(","))),
        ("pubkeyauthentication", flag(settings.pubkey_authentication, "yes")),
        ("passwordauthentication", flag(settings.password_authentication, "yes")),
        ("kbdinteractiveauthentication", flag(settings.kbd_interactive_authentication, "yes")),
        ("requiredrsasize", number(settings.required_rsa_size, "requiredrsasize")),
    ])
}

fn expand_home(paths: &[String]) -> String {
    let home = here().home.display().to_string();
    paths
        .iter()
        .map(|path| path.strip_prefix('~').map_or(path.clone(), |rest| format!("{home}{rest}")))
        .collect::<Vec<_>>()
        .join(" ")
}

/// What `ssh` said, in the same words.
fn theirs(said: &BTreeMap<String, Vec<String>>, keywords: &Shown) -> Shown {
    let one = |keyword: &str| said.get(keyword).map(|lines| lines.join(" ")).unwrap_or_default();
    let yes = |text: String| match text.as_str() {
        "true" | "unbound" | "host-bound" => "yes".to_owned(),
        "false" => "no".to_owned(),
        _ => text,
    };
    keywords
        .keys()
        .map(|keyword| {
            let value = match *keyword {
                "identityfile" => {
                    let lines: Vec<String> = said
                        .get(*keyword)
                        .into_iter()
                        .flatten()
                        .filter(|line| !line.eq_ignore_ascii_case("none"))
                        .cloned()
                        .collect();
                    expand_home(&lines)
                }
                "certificatefile" => expand_home(said.get(*keyword).map(Vec::as_slice).unwrap_or_default()),
                "identityagent" if one(keyword).is_empty() => "SSH_AUTH_SOCK".to_owned(),
                "connecttimeout" if one(keyword) == "0" => "none".to_owned(),
                "globalknownhostsfile" => one(keyword).to_lowercase(),
                "pubkeyauthentication" => yes(one(keyword)),
                _ => one(keyword),
            };
            (*keyword, value)
        })
        .collect()
}

#[test]
fn settings_are_those_of_ssh() {
    let mut compared = 0;
    for case in CASES {
        let directory = write(case.files);
        let path = directory.path().join(case.files[0].0);
        let config = load(&path).unwrap_or_else(|errors| panic!("{}: {errors}", case.name));
        for host in case.hosts {
            let said = said_by_ssh(&path, host).unwrap_or_else(|error| panic!("{}: ssh refuses {host:?}: {error}", case.name));
            let resolution = resolve(&config, host).unwrap_or_else(|error| panic!("{}: {host:?}: {error}", case.name));
            let ours = ours(&resolution.settings);
            let theirs = theirs(&said, &ours);
            for (keyword, value) in &ours {
                assert_eq!(value, &theirs[keyword], "{}: {keyword} of {host:?} (ours, then that of ssh)", case.name);
            }
            assert_eq!(resolution.warnings, [], "{}: {host:?}", case.name);
            compared += 1;
        }
        assert!(!directory.path().join("ran").exists(), "{}: a command ran that should not have", case.name);
    }
    assert!(CASES.len() >= 25 && compared > 100, "{} configurations, {compared} hosts", CASES.len());
}

#[test]
fn the_systems_own_file_is_to_us_what_it_is_to_ssh() {
    let path = Path::new("/etc/ssh/ssh_config");
    match (said_by_ssh(path, &["web"]), load(path)) {
        (Ok(said), Ok(config)) => {
            let ours = ours(&resolve(&config, &["web"]).unwrap().settings);
            assert_eq!(ours, theirs(&said, &ours));
        }
        // A machine may have none.
        (said, config) => assert!(said.is_err() && config.is_err(), "{:?} {:?}", said.err(), config.err()),
    }
}

/// What `ssh -v` says before it gives up on a proxy that ends at once: lines that begin with `mark`, without it.
fn said_while_connecting(config: &Path, host: &[&str], mark: &str) -> Vec<String> {
    let output = ssh(&["-v", "-o", "BatchMode=yes"], config, host);
    let text = String::from_utf8(output.stderr).unwrap();
    text.lines().filter_map(|line| line.trim_end().strip_prefix("debug1: ")?.strip_prefix(mark)).map(str::to_owned).collect()
}

#[test]
fn tokens_of_files_and_commands_are_those_of_ssh() {
    let directory = write(&[(
        "config",
        "Host tokens Tokens\n  HostName %h.Example.com\n  Port 2222\n  User ops\n  IdentityFile /k/%h/%n/%k/%p/%r/%u/%i/%l/%L/%d/%%\n  IdentityFile ~/k_%C\n  \
         IdentityFile ${FLEET_KEYS}/$x\n  IdentityFile none\n  CertificateFile ~/c_%h-%n\n  ProxyCommand /bin/false %h %n %p %r %% ${HOME} '%h'\n\
         Host alias\n  HostKeyAlias Known.As\n  IdentityFile /k/%k/%h\n  ProxyCommand /bin/false %h\n\
         Host root\n  IdentityFile ~root/k\n  ProxyCommand false\n",
    )]);
    let path = directory.path().join("config");
    let config = load(&path).unwrap();
    for host in [&["tokens"][..], &["Tokens"], &["-p", "23", "-l", "you", "tokens"], &["alias"], &["root"]] {
        let settings = resolve(&config, host).unwrap().settings;
        let files = |mark: &str| -> Vec<String> {
            let said =
                said_while_connecting(&path, host, mark).into_iter().map(|line| line.rsplit_once(" type ").unwrap().0.to_owned());
            // A certificate beside a key is tried without being named.
            said.filter(|file| !file.ends_with("-cert")).collect()
        };
        let shown = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(shown(&settings.identity_files), files("identity file "), "{host:?}");
        assert_eq!(shown(&settings.certificate_files), files("certificate file "), "{host:?}");
        let command = said_while_connecting(&path, host, "Executing proxy command: exec ");
        assert_eq!(settings.proxy_command.as_deref(), Some(command[0].as_str()), "{host:?}");
    }
}

#[test]
fn the_way_through_jump_hosts_is_that_of_ssh() {
    let directory = write(&[(
        "config",
        "Host target\n  ProxyJump a,u@127.0.0.2:2,127.0.0.%p\n  Port 1\n  User ops\n  IdentityFile /k/target\nHost own\n  ProxyJump middle\n  Port 1\n\
         Host middle\n  HostName 127.0.0.1\n  ProxyJump %r@edge\n  User m\n  IdentityFile /k/middle\nHost edge a\n  HostName 127.0.0.1\n  Port 1\n  \
         IdentityFile /k/edge\n  ProxyCommand false\nHost *\n  User any\n  ConnectTimeout 5\n",
    )]);
    let path = directory.path().join("config");
    let config = load(&path).unwrap();
    for (name, length) in [("target", 4), ("own", 3), ("edge", 1)] {
        let route = config.route(Query::host(name)).unwrap();
        assert_eq!(route.len(), length, "{name}");
        let mut command_line = words(&["-o", "StrictHostKeyChecking=yes", "-o", "IdentityFile=/k/typed", name]);
        let options = Options::parse(&command_line[..4]).unwrap();
        assert_eq!(
            config.route(Query { options: Some(&options), ..Query::host(name) }).unwrap()[1..],
            route[1..],
            "{name}: typed options are not for hops"
        );
        command_line.drain(..4);
        let mut left = route.len();
        for place in &route {
            left -= 1;
            let host: Vec<&str> = command_line.iter().map(String::as_str).collect();
            let mut ours = ours(&place.settings);
            let mut theirs = theirs(&said_by_ssh(&path, &host).unwrap(), &ours);
            // `ssh -G` shows the tokens of jumps as they are, and puts brackets round the last one only.
            let plain =
                |jump: &str| jump.replace("%p", "1").replace("%r", &place.settings.user.clone().unwrap()).replace(['[', ']'], "");
            ours.insert("proxyjump", plain(&ours["proxyjump"]));
            theirs.insert("proxyjump", plain(&theirs["proxyjump"]));
            assert_eq!(ours, theirs, "{name}: {host:?}");
            // The command line of the `ssh` that this one starts for its jump.
            let commands = said_while_connecting(&path, &host, "Executing proxy command: exec ");
            let jump = commands.into_iter().find(|command| command.contains(" -W "));
            assert_eq!(jump.is_some(), left > 0, "{name}: {host:?}");
            let mut next = Vec::new();
            let jump = jump.unwrap_or_default();
            let mut given = jump.split(' ').skip(1);
            while let Some(word) = given.next() {
                match word {
                    "-F" | "-W" => drop(given.next()),
                    "-v" => {}
                    _ => next.push(word.to_owned()),
                }
            }
            command_line = next;
        }
    }
}

/// Configurations that `ssh` refuses, and one word of what we say.
const REFUSED: &[(&str, &str)] = &[
    ("Prot 22\n", "did you mean `Port`?"),
    ("Port\n", "`Port` has no value"),
    ("Port 0\n", "`0` is not a port"),
    ("Port 65536\n", "not a port"),
    ("Port 22 23\n", "`23` is one word too many"),
    ("User == bob\n", "one word too many"),
    ("User \"\"\n", "the value is missing"),
    ("User # nobody\n", "the value is missing"),
    ("User \"bob\n", "a quotation does not end"),
    ("ProxyCommand sh -c it's\n", "a quotation does not end"),
    ("ForwardAgent\n", "`ForwardAgent` has no value"),
    ("ForwardX11 maybe\n", "`maybe` is none of yes, no"),
    ("Whatever\n", "`Whatever` is not a keyword"),
    ("IgnoreUnknown b*\napple 1\n", "`apple` is not a keyword"),
    ("IgnoreUnknown a*\nIgnoreUnknown b*\nbanana 1\n", "`banana` is not a keyword"),
    ("apple 1\nIgnoreUnknown a*\n", "write `IgnoreUnknown apple` above it"),
    ("Host \"\"\n", "a word is empty"),
    ("Host\n", "`Host` has no value"),
    ("Match\n", "`Match` has no value"),
    ("Match # x\n", "`Match` has no criterion"),
    ("Match host\n", "`host` has no value"),
    ("Match hots x\n", "did you mean `host`?"),
    ("Match all host x\n", "write `all` alone"),
    ("Match host a user b all\n", "write `all` alone"),
    ("Match exec test -f x\n", "a value with spaces needs quotes"),
    ("ConnectTimeout soon\n", "`soon` is not a time"),
    ("ConnectTimeout -1\n", "not a time"),
    ("ConnectionAttempts many\n", "not a number"),
    ("ConnectionAttempts 0\n", "`ConnectionAttempts` is 0"),
    ("ServerAliveCountMax -1\n", "not a number"),
    ("StrictHostKeyChecking accept\n", "`accept` is none of"),
    ("AddressFamily ipv6\n", "`ipv6` is none of any, inet, inet6"),
    ("PubkeyAuthentication bound\n", "`bound` is none of"),
    ("UserKnownHostsFile none /a\n", "`none` stands beside other files"),
    ("UserKnownHostsFile ${FLEET_NOTHING}/x\n", "no variable `FLEET_NOTHING`"),
    ("UserKnownHostsFile /%z\n", "`%z` in `/%z` is not a token"),
    ("HostName %n\n", "`%n` in `%n` is not a token"),
    ("IdentityAgent ${FLEET_NOTHING}\n", "no variable `FLEET_NOTHING`"),
    ("IdentityAgent ${FLEET_KEYS\n", "a name and a `}`"),
    ("IdentityAgent $a-b\n", "`$a-b` is not the name of a variable"),
    ("IdentityAgent ~no-such-user-here/x\n", "there is no user for `~no-such-user-here`"),
    ("ProxyJump a,,b\n", "is not a host to jump through"),
    ("ProxyJump ::1\n", "is not a host to jump through"),
    ("ProxyJump a:0\n", "is not a host to jump through"),
    ("ProxyJump ssh://a/b\n", "is not a host to jump through"),
    ("ProxyJump @a\n", "is not a host to jump through"),
    ("ProxyJump web\n", "leads back to `web`"),
    ("Host *\nProxyJump x,root@web:22\nUser root\n", "leads back to `web`"),
    ("Ciphers aes*\n", "`aes*` is a pattern"),
    ("Ciphers +\n", "names no algorithm"),
    ("Ciphers aes128-ctr, aes256-ctr\n", "one word too many"),
    ("Ciphers !aes128-ctr\n", "is not the name of an algorithm"),
    ("HostKeyAlgorithms nope*\n", "`nope*` matches no algorithm"),
    ("HostKeyAlgorithms ssh-*,!ssh-rsa\n", "is not the name of an algorithm"),
    ("Include $DIR/config\n", "more than 16 deep"),
    ("Include $DIR/conf*\n", "more than 16 deep"),
    ("Include $DIR/open\n", "others may write to it"),
    ("Host other\nInclude $DIR/wrong\n", "did you mean `Port`?"),
];

#[test]
fn what_ssh_refuses_is_refused() {
    for (text, reason) in REFUSED {
        let directory = write(&[("config", text), ("open", "Port 22\n"), ("wrong", "Prot 22\n")]);
        fs::set_permissions(directory.path().join("open"), fs::Permissions::from_mode(0o666)).unwrap();
        let path = directory.path().join("config");
        // `ssh` finds a wrong `HostKeyAlgorithms` only when it shows it.
        let theirs = said_by_ssh(&path, &["web"]);
        assert!(theirs.is_err(), "ssh accepts {text:?}");
        let ours = load(&path).map_err(|errors| errors.to_string()).and_then(|config| match resolve(&config, &["web"]) {
            // A variable that is missing is told, and the host is tried without it.
            Ok(resolution) => Err(resolution.warnings.iter().map(|warning| warning.to_string()).collect()),
            Err(problem) => Err::<(), String>(problem),
        });
        let said = ours.unwrap_err();
        assert!(said.contains(reason), "{text:?}: {said:?}");
    }
}

#[test]
fn command_lines_that_ssh_refuses_are_refused() {
    let directory = write(&[("config", "Host web\n  ProxyCommand nc %h %p\n")]);
    let path = directory.path().join("config");
    let config = load(&path).unwrap();
    for command_line in [
        &["-Z", "web"][..],
        &["-p", "0", "web"],
        &["-o", "Port", "web"],
        &["-o", "Nothing=1", "web"],
        &["-o", "Host=web", "web"],
        &["-o", "Match=all", "web"],
        &["-o", "Include=/dev/null", "web"],
        &["-J", "a", "-J", "b", "web"],
        &["-o", "ProxyCommand=x", "-J", "b", "web"],
        &["-J", "a,,b", "web"],
        &["-c", "nonsense*", "web"],
        &["-1", "web"],
        &["$(touch x)"],
        &["a;b"],
        &["-l", "a;b", "web"],
    ] {
        assert!(said_by_ssh(&path, command_line).is_err(), "ssh accepts {command_line:?}");
        assert!(resolve(&config, command_line).is_err(), "{command_line:?}");
    }
}

/// What an old `ssh` refuses and we accept: newer ones know it, or may.
#[test]
fn what_newer_versions_of_ssh_know_is_accepted() {
    let directory = write(&[(
        "config",
        "Host web\n  Tag prod\n  ObscureKeystrokeTiming no\n  ChannelTimeout session=5m\n  EnableEscapeCommandline no\n  WarnWeakCrypto no\n  \
         VersionAddendum x\nMatch tagged prod\n  Port 1\nMatch tagged prod*,!prod sessiontype exec\n  User wrong\nMatch sessiontype exec !command \"\"\n  \
         User %u-%i\nMatch version OpenSSH_9.*\n  BindAddress 127.0.0.9\nMatch localnetwork 127.0.0.0/8\n  ConnectTimeout 4\n\
         Match !localnetwork 127.0.0.0/8,::1/128\n  ConnectionAttempts 9\nMatch exec 'true'\n  IdentityFile /k/%j\nHost refused\n  RefuseConnection \"use web\"\n\
         Host typo\n  Ciphers aes256-ctr,aes256-gmc@openssh.com\n",
    )]);
    let path = directory.path().join("config");
    let config = load(&path).unwrap();
    let Settings { port, user, bind_address, connect_timeout, connection_attempts, identity_files, .. } =
        resolve(&config, &["web"]).unwrap().settings;
    let here = here();
    assert_eq!((port, user, bind_address), (Some(1), Some(format!("{}-{}", here.user, here.uid)), None));
    assert_eq!((connect_timeout, connection_attempts), (Some(Duration::from_secs(4)), None));
    assert_eq!(identity_files, [PathBuf::from("/k/")]);
    assert_eq!(resolve(&config, &["-P", "prod", "other"]).unwrap().settings.port, Some(1));
    let refused = resolve(&config, &["refused"]).unwrap_err();
    assert!(
        refused.ends_with("config:23: `RefuseConnection`: use web (the configuration says not to connect to this host)"),
        "{refused}"
    );
    let typo = resolve(&config, &["typo"]).unwrap();
    assert_eq!(typo.settings.ciphers, Some(AlgorithmList::Exactly(words(&["aes256-ctr", "aes256-gmc@openssh.com"]))));
    assert!(typo.warnings[0].to_string().ends_with("did you mean `aes256-gcm@openssh.com`?)"), "{}", typo.warnings[0]);
}

#[test]
fn every_wrong_line_of_every_file_is_reported_at_once() {
    let directory = write(&[
        (
            "config",
            "Prot 22\nHost web\n  Port x\n  Include $DIR/more\nMatch nonsense\n  # fine\n  User \"a\nInclude ~no-such-user-here/x\n",
        ),
        ("more", "Host a\nStrictHostKeyChecking maybe\n"),
    ]);
    let errors = load(&directory.path().join("config")).unwrap_err();
    let prefix = format!("{}/", directory.path().display());
    let said: Vec<String> = errors.problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect();
    assert_eq!(
        said,
        [
            "config:1: `Prot` is not a keyword of ssh_config (did you mean `Port`?)",
            "config:3: `Port`: `x` is not a port (a number from 1 to 65535)",
            "more:2: `StrictHostKeyChecking`: `maybe` is none of yes, accept-new, ask, no, off",
            "config:5: `Match`: `nonsense` is not a criterion (criteria are all, canonical, final, host, originalhost, user, localuser, exec, localnetwork, \
             tagged, version, sessiontype, command; a value with spaces needs quotes)",
            "config:7: `User`: a quotation does not end (close it on the same line, or write \\\" for a quotation mark itself)",
            "config:8: `Include`: there is no user for `~no-such-user-here/x`",
        ]
    );
    assert!(errors.to_string().starts_with("6 errors in the SSH configuration\n  "));
    let missing = load(Path::new("/no/such/config")).unwrap_err().to_string();
    assert!(missing.starts_with("/no/such/config: the file can't be read: "), "{missing}");
    assert!(load(directory.path()).is_err());
}

#[test]
fn the_users_file_comes_before_the_systems_and_both_may_be_missing() {
    let directory = write(&[
        (
            "home/.ssh/config",
            "Include extra/*.conf ~/.ssh/${FLEET_NOTHING} %h.conf\nHost web\n  User mine\n  IdentityFile /k/same\n",
        ),
        ("home/.ssh/extra/1.conf", "Host web\n  Port 1\n"),
        ("home/.ssh/extra/sub/2.conf", "Port 9\n"),
        ("etc/ssh_config", "Include d/*.conf\nHost *\n  User theirs\n  ConnectTimeout 3\n  IdentityFile /k/same\n"),
        ("etc/d/1.conf", "Port 2\nBindAddress 127.0.0.1\n"),
    ]);
    let mut here = here();
    here.home = directory.path().join("home");
    let system_file = directory.path().join("etc/ssh_config");
    let usual = Sources { here, system_file, ..sources(Files::Usual) };
    let config = Config::load(usual.clone()).unwrap();
    let resolution = config.resolve(Query::host("web")).unwrap();
    let settings = resolution.settings;
    assert_eq!((settings.user.as_deref(), settings.port), (Some("mine"), Some(1)));
    assert_eq!((settings.bind_address.as_deref(), settings.connect_timeout), (Some("127.0.0.1"), Some(Duration::from_secs(3))));
    // OpenSSH keeps one from each file.
    assert_eq!(settings.identity_files, [PathBuf::from("/k/same"), PathBuf::from("/k/same")]);
    assert_eq!(config.resolve(Query::host("db")).unwrap().settings.user.as_deref(), Some("theirs"));
    let said: Vec<String> = resolution.warnings.iter().map(|warning| warning.to_string()).collect();
    assert!(said[0].contains("config:1: `Include`: the environment has no variable `FLEET_NOTHING`"), "{said:?}");
    assert!(said[1].contains("config:1: `Include`: `%h.conf` differs from host to host, and is not read"), "{said:?}");

    // `-F` names one file, and then no other is read.
    let with = |given: &[&str]| {
        let named = Sources::new(Options::parse(&words(given)).unwrap());
        let sources = Sources { options: named.options, files: named.files, ..usual.clone() };
        Config::load(sources).unwrap().resolve(Query::host("web")).unwrap().settings
    };
    let mine = directory.path().join("home/.ssh/extra/1.conf");
    let only = with(&["-F", mine.to_str().unwrap(), "-l", "typed"]);
    assert_eq!((only.user.as_deref(), only.port, only.connect_timeout), (Some("typed"), Some(1), None));
    assert_eq!(with(&["-Fnone"]), Settings { host_name: "web".to_owned(), ..Settings::default() });

    fs::set_permissions(directory.path().join("home/.ssh/config"), fs::Permissions::from_mode(0o622)).unwrap();
    assert!(Config::load(usual.clone()).unwrap_err().to_string().contains("others may write to it"));
    fs::remove_file(directory.path().join("home/.ssh/config")).unwrap();
    fs::remove_file(directory.path().join("etc/ssh_config")).unwrap();
    assert_eq!(Config::load(usual).unwrap().resolve(Query::host("web")).unwrap().settings.port, None);
}

#[test]
fn match_exec_runs_only_where_it_is_allowed_and_once_for_each_command() {
    let directory = write(&[(
        "config",
        "Match host web* exec \"echo x >> $DIR/runs\"\n  Port 2222\nMatch !exec \"false %h\"\n  User ops\nMatch exec \"kill -9 $$\" host db\n  Port 1\n",
    )]);
    let path = directory.path().join("config");
    let denied = Config::load(Sources { match_exec: MatchExec::Deny, ..sources(Files::Only(path.clone())) }).unwrap();
    let mut warnings = Warnings::default();
    for host in ["web1", "web2", "db"] {
        let resolution = denied.resolve(Query::host(host)).unwrap();
        assert_eq!((resolution.settings.port, resolution.settings.user.clone()), (None, None), "{host}");
        warnings.note(host, &resolution.warnings);
    }
    let prefix = format!("{}/", directory.path().display());
    let said: Vec<String> = warnings.problems().map(|problem| problem.to_string().replace(&prefix, "")).collect();
    assert_eq!(
        said[0],
        "config:1: `Match exec` was not run, so its lines don't count: `echo x >> runs`, for `web1` and 1 more (allow it with --match-exec)"
    );
    assert!(said[1].starts_with("config:3: ") && said[1].contains("`false web1`, for `web1` (allow"), "{said:?}");
    assert!(!directory.path().join("runs").exists());

    let text = fs::read_to_string(&path).unwrap().replace("kill -9 $$", "true");
    fs::write(&path, text).unwrap();
    let allowed = load(&path).unwrap();
    for host in ["web1", "web2"] {
        let settings = allowed.resolve(Query::host(host)).unwrap().settings;
        assert_eq!((settings.port, settings.user.as_deref()), (Some(2222), Some("ops")), "{host}");
    }
    assert_eq!(fs::read_to_string(directory.path().join("runs")).unwrap(), "x\n");
}

#[test]
fn what_matters_and_is_not_done_is_said_for_the_hosts_it_is_for() {
    let directory = write(&[(
        "config",
        "Host a\n  KnownHostsCommand /bin/keys %H\n  PKCS11Provider /usr/lib/p.so\nHost b\n  KnownHostsCommand none\n  CanonicalizeHostname no\nHost c\n  \
         CanonicalizeHostname yes\n  CanonicalDomains example.com\n  VerifyHostKeyDNS yes\nHost *\n  KnownHostsCommand /bin/other\n  ProxyUseFdpass no\n  \
         IdentityFile ${FLEET_NOTHING}/id\nMatch canonical\n  Port 7\n",
    )]);
    let config = load(&directory.path().join("config")).unwrap();
    let said = |host: &str| -> Vec<String> {
        let warnings = resolve(&config, &[host]).unwrap().warnings;
        warnings
            .iter()
            .map(|warning| format!("{}:{}", warning.line.unwrap(), warning.message.split('`').nth(1).unwrap()))
            .collect()
    };
    assert_eq!(said("a"), ["2:KnownHostsCommand", "3:PKCS11Provider", "14:IdentityFile"]);
    assert_eq!(said("b"), ["14:IdentityFile"]);
    assert_eq!(said("c"), ["8:CanonicalizeHostname", "10:VerifyHostKeyDNS", "12:KnownHostsCommand", "14:IdentityFile"]);
    // Also without the names being completed, the second pass is made.
    assert_eq!(resolve(&config, &["c"]).unwrap().settings.port, Some(7));
    assert_eq!(resolve(&config, &["d"]).unwrap().settings.port, None);
    let mut warnings = Warnings::default();
    for host in ["a", "b", "c", "d"] {
        warnings.note(host, &resolve(&config, &[host]).unwrap().warnings);
    }
    let lines: Vec<String> = warnings.problems().map(|problem| problem.to_string()).collect();
    assert_eq!(lines.len(), 6, "{lines:#?}");
    assert!(lines[2].ends_with("config:14: `IdentityFile`: the environment has no variable `FLEET_NOTHING`, and `${FLEET_NOTHING}/id` is left out, for `a` and 3 more (set it)"), "{}", lines[2]);
}

#[test]
fn hosts_are_those_that_a_host_line_names_in_full() {
    let directory = write(&[
        (
            "config",
            "Host web1 web2 web* !web9\nInclude $DIR/more\nMatch host other\n  Port 1\nHost db web1 \"a b\" x !x\nHost *\n  User ops\n",
        ),
        ("more", "Host bastion web2\n"),
    ]);
    let config = load(&directory.path().join("config")).unwrap();
    let hosts: Vec<(String, String)> =
        config.hosts().iter().map(|alias| (alias.name.clone(), format!("{}:{}", alias.file, alias.line))).collect();
    let at = |file: &str, line: u32| format!("{}/{file}:{line}", directory.path().display());
    assert_eq!(
        hosts,
        [
            ("web1".to_owned(), at("config", 1)),
            ("web2".to_owned(), at("config", 1)),
            ("bastion".to_owned(), at("more", 1)),
            ("db".to_owned(), at("config", 5)),
            ("a b".to_owned(), at("config", 5)),
        ]
    );
}

#[test]
fn a_way_that_leads_back_to_itself_is_an_error_that_says_how_to_end_it() {
    let directory = write(&[(
        "config",
        "Host bastion\n  HostName 192.0.2.1\nHost a\n  ProxyJump b\nHost b\n  ProxyJump a\nHost grow*\n  ProxyJump grow%h\nHost a b\n  User x\nHost !grow* *\n  ProxyJump bastion\n",
    )]);
    let config = load(&directory.path().join("config")).unwrap();
    let said = |host: &str| config.route(Query::host(host)).unwrap_err().to_string();
    // `ssh` would start itself without end.
    assert!(
        said("web")
            .contains("`ProxyJump` to `bastion` leads back to `bastion` (write `Host bastion` with `ProxyJump none` above it"),
        "{}",
        said("web")
    );
    assert!(said("a").starts_with("a: `ProxyJump` to "), "{}", said("a"));
    assert!(said("grow").contains("leads back to"), "{}", said("grow"));
}

#[test]
fn options_of_a_host_come_before_those_for_all_and_both_before_the_file() {
    let directory = write(&[("config", "User file\nPort 1\nConnectTimeout 1\nIdentityFile /k/file\n")]);
    let common = Options::parse(&words(&["-l", "common", "-o", "Port=2", "-i", "/k/common"])).unwrap();
    let config = Config::load(Sources { options: common, ..sources(Files::Only(directory.path().join("config"))) }).unwrap();
    let own = Options::parse(&words(&["-o", "User=own", "-i", "/k/own"])).unwrap();
    let settings = config.resolve(Query { options: Some(&own), ..Query::host("web") }).unwrap().settings;
    assert_eq!(
        (settings.user.as_deref(), settings.port, settings.connect_timeout),
        (Some("own"), Some(2), Some(Duration::from_secs(1)))
    );
    assert_eq!(settings.identity_files, ["/k/own", "/k/common", "/k/file"].map(PathBuf::from));
    let query = Query { user: Some("inventory"), port: Some(3), options: Some(&own), ..Query::host("web") };
    let settings = config.resolve(query).unwrap().settings;
    assert_eq!((settings.user.as_deref(), settings.port), (Some("inventory"), Some(3)));
}

#[test]
fn ten_thousand_hosts_in_one_file_each_have_their_own_lines() {
    let text: String = (0..10_000)
        .map(|number| format!("Host h{number}\n  Port {}\nHost *-{number}.example.com\n  User u{number}\n", number + 1))
        .collect();
    let directory = write(&[("config", &text)]);
    let config = load(&directory.path().join("config")).unwrap();
    assert_eq!(config.hosts().len(), 10_000);
    assert_eq!(resolve(&config, &["h7777"]).unwrap().settings.port, Some(7778));
    assert_eq!(resolve(&config, &["x-123.example.com"]).unwrap().settings.user.as_deref(), Some("u123"));
}

mod any_text {
    use fleetscan::ssh_config::looks_like_ssh_config;
    use proptest::prelude::*;

    use super::*;

    /// Lines that are mostly right, of few names, so that they meet.
    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            "Host( !?(\\*|a|b|a\\?|\\?b|ab)){1,3}",
            "Match (!?final |!?canonical )?(!?(host|originalhost|user|localuser) !?(\\*|a|b|x,!y|c\\*)|all|!?final)",
            "(HostName|hostname=) ?(a|b|c|%h%h|C|%%)",
            "User (x|y|z)",
            "Port=[1-3]",
            "IdentityFile /(p|q)",
            "CertificateFile /(p|q)",
            "ProxyJump (a|b|none|x@c:1,b)",
            "ProxyCommand (x|none)",
            "ConnectTimeout (none|0|5|1m)",
            "BindAddress (1|2)",
            "UserKnownHostsFile /(p|q) /r",
            "HostKeyAlias (A|b)",
            "Ciphers (\\+3des-cbc|-aes\\*|\\^aes256-ctr)",
            "Include \\$DIR/(one|two|non\\*)",
            "StrictHostKeyChecking (yes|ask)",
            "# .{0,5}",
        ]
    }

    fn file(most: usize) -> impl Strategy<Value = String> {
        proptest::collection::vec(line(), 0..most).prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_configuration_of_any_lines_is_to_us_what_it_is_to_ssh(config in file(14), one in file(5), two in file(3), host in "(a|b|ab|B)") {
            // Deeper includes would only meet the limit on depth, and `ProxyJump none` before `ProxyCommand` differs between versions of `ssh`.
            let two: String = two.lines().filter(|line| !line.starts_with("Include")).map(|line| format!("{line}\n")).collect();
            let one = one.replace("/one", "/two").replace("/non", "/no");
            let [config, one, two] = [config, one, two].map(|text| text.replace("ProxyJump none", "ProxyJump d"));
            let directory = write(&[("config", &config), ("one", &one), ("two", &two)]);
            let path = directory.path().join("config");
            let theirs_said = said_by_ssh(&path, &[&host]);
            let resolved = load(&path).map_err(|errors| errors.to_string()).and_then(|config| resolve(&config, &[&host]));
            match (theirs_said, resolved) {
                (Ok(said), Ok(resolution)) => {
                    let ours = ours(&resolution.settings);
                    prop_assert_eq!(&ours, &theirs(&said, &ours));
                }
                (Err(_), Err(_)) => {}
                (said, resolved) => prop_assert!(false, "ssh: {:?}\nours: {:?}", said.err(), resolved.err()),
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic_and_the_same_question_has_the_same_answer(
            text in "([a-z%$~{}\\[\\]@:,.*?!'\"\\\\#= \t\r\n\u{e9}/-]|Host |Match |Include |Proxy|Jump |exec |IdentityFile |User ){0,60}",
            host in ".{0,12}",
        ) {
            let directory = write(&[("config", &text)]);
            let path = directory.path().join("config");
            let sources = || Sources { match_exec: MatchExec::Deny, ..sources(Files::Only(path.clone())) };
            let _ = looks_like_ssh_config(&text);
            let _ = Options::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
            if let Ok(config) = Config::load(sources()) {
                let again = Config::load(sources()).unwrap();
                for host in [host.as_str(), "web", "2001:db8::1"] {
                    let first = config.resolve(Query::host(host));
                    prop_assert_eq!(&first, &config.resolve(Query::host(host)));
                    prop_assert_eq!(&first, &again.resolve(Query::host(host)));
                    let _ = config.route(Query::host(host));
                }
            }
        }
    }
}

/// A problem reads like a place in a file.
#[test]
fn a_problem_of_options_has_no_line() {
    let errors = Options::parse_from("web01: ansible_ssh_common_args", &words(&["-o", "Prot=22"])).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "web01: ansible_ssh_common_args: `-o`: `Prot` is not a keyword of ssh_config (did you mean `Port`?)"
    );
    let problem: &Problem = &errors.problems[0];
    assert_eq!(problem.line, None);
}
