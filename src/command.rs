//! Everything that can ever run on a host. An auditor reads this file, and `command/script.rs` for the shell around it, to know it.
//!
//! A [`Script`] is the only thing a session runs; a script is made of [`Step`]s; a step holds a [`ReadOnlyCommand`]; and that can only be
//! made here, from a [`Program`] with arguments which that program's entry permits, or from a [`Fragment`]: a short piece of POSIX sh whose
//! text stands below, for what no single command can ask. None of them writes, and none takes a shell, a pager, an editor or
//! another program as an argument.

mod script;

use std::fmt;

pub use script::{
    Become, Conversation, Exchange, PASSWORD_LIMIT, PASSWORD_PAUSE, PRIVILEGE, Reply, STEP_LIMIT, Script, Step, Stream, Trial,
};

/// With which rights a command must run to be answered in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// Any user's.
    Any,
    /// Access to the Docker socket: root or the group that owns the socket.
    Docker,
    /// Root.
    Root,
}

impl Rights {
    /// The word in `facts list` and in the script.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Docker => "docker",
            Self::Root => "root",
        }
    }
}

/// A command was asked for that is not on the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{command}` is not a read-only command that fleetscan may run: {because}")]
pub struct Refused {
    command: String,
    because: String,
}

/// A program that may run, each with its own narrow set of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// `auditctl -s` and `auditctl -l`: the state and the rules of the kernel's audit.
    Auditctl,
    /// `cat PATH...`: absolute paths only.
    Cat,
    /// `date +%s`.
    Date,
    /// `df -Pk PATH...` and `df -Pi PATH...`.
    Df,
    /// `docker` with the subcommands that only read, always against the local socket. `info` starts the client's plugins that are installed for the whole host
    /// (`/usr/libexec/docker/cli-plugins` and the like), each to say what it is.
    Docker,
    /// `dpkg-query -W -f=FORMAT`.
    DpkgQuery,
    /// `getent DATABASE [KEY...]`.
    Getent,
    /// `grep` in its reading forms, on absolute paths: `-sH`, `-rsH`, `-E` and the like, with a pattern.
    Grep,
    /// `id -u`, `id -Gn` and the like.
    Id,
    /// `ls -ln`, `ls -lnd` and the like on absolute paths.
    Ls,
    /// `readlink -f PATH...`.
    Readlink,
    /// `rpm -qa --qf FORMAT`.
    Rpm,
    /// `sshd -T` and `sshd -V`.
    Sshd,
    /// `stat [-L] -c FORMAT PATH...`.
    Stat,
    /// `systemctl show|list-unit-files|list-units` and nothing that changes a unit.
    Systemctl,
    /// `uname` with flags.
    Uname,
    /// `containerd --version`.
    Containerd,
    /// `dockerd --version`.
    Dockerd,
    /// `runc --version`.
    Runc,
    /// `apt-get -s dist-upgrade`: a simulation, without locks, caches or the log of its planner, which it writes otherwise.
    AptGet,
    /// `apt-config dump`.
    AptConfig,
    /// `apk info -v` and `apk version -l <`.
    Apk,
    /// `rc-status -c`: services that crashed under OpenRC. Any other question makes it write the cache of dependencies anew when it is asked as root.
    RcStatus,
    /// `lastlog -t 90`: who logged in in the last 90 days.
    Lastlog,
    /// `lastlog2 -t 90`, where it has replaced lastlog.
    Lastlog2,
}

impl Program {
    /// Every program, for the documentation and the tests.
    pub const ALL: &[Self] = &[
        Self::Auditctl,
        Self::Cat,
        Self::Date,
        Self::Df,
        Self::Docker,
        Self::DpkgQuery,
        Self::Getent,
        Self::Grep,
        Self::Id,
        Self::Ls,
        Self::Readlink,
        Self::Rpm,
        Self::Sshd,
        Self::Stat,
        Self::Systemctl,
        Self::Uname,
        Self::Containerd,
        Self::Dockerd,
        Self::Runc,
        Self::AptGet,
        Self::AptConfig,
        Self::Apk,
        Self::RcStatus,
        Self::Lastlog,
        Self::Lastlog2,
    ];

    /// The name it is called by; the script finds it in a fixed PATH of system directories.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auditctl => "auditctl",
            Self::Cat => "cat",
            Self::Date => "date",
            Self::Df => "df",
            Self::Docker => "docker",
            Self::DpkgQuery => "dpkg-query",
            Self::Getent => "getent",
            Self::Grep => "grep",
            Self::Id => "id",
            Self::Ls => "ls",
            Self::Readlink => "readlink",
            Self::Rpm => "rpm",
            Self::Sshd => "sshd",
            Self::Stat => "stat",
            Self::Systemctl => "systemctl",
            Self::Uname => "uname",
            Self::Containerd => "containerd",
            Self::Dockerd => "dockerd",
            Self::Runc => "runc",
            Self::AptGet => "apt-get",
            Self::AptConfig => "apt-config",
            Self::Apk => "apk",
            Self::RcStatus => "rc-status",
            Self::Lastlog => "lastlog",
            Self::Lastlog2 => "lastlog2",
        }
    }

    /// Whether these arguments only read. `Err` says what was wrong.
    fn permits(self, arguments: &[&str]) -> Result<(), String> {
        let exactly = |allowed: &[&[&str]]| {
            if allowed.contains(&arguments) {
                Ok(())
            } else {
                let forms: Vec<String> = allowed.iter().map(|form| format!("`{} {}`", self.name(), form.join(" "))).collect();
                Err(format!("only {} may be asked", forms.join(", ")))
            }
        };
        match self {
            Self::Auditctl => exactly(&[&["-s"], &["-l"]]),
            Self::Date => exactly(&[&["+%s"]]),
            Self::Containerd | Self::Dockerd | Self::Runc => exactly(&[&["--version"]]),
            Self::RcStatus => exactly(&[&["-c"]]),
            Self::Lastlog | Self::Lastlog2 => exactly(&[&["-t", "90"]]),
            Self::Id | Self::Uname => only_flags(arguments),
            Self::AptGet => exactly(&[APT_SIMULATION]),
            Self::AptConfig => exactly(&[&["dump"]]),
            Self::Apk => exactly(&[&["info", "-v"], &["version", "-l", "<"]]),
            Self::Sshd => match arguments {
                ["-T"] | ["-V"] => Ok(()),
                _ => Err("only `sshd -V` and `sshd -T` may be asked".to_owned()),
            },
            Self::Cat => absolute_paths(arguments),
            Self::Readlink => match arguments {
                ["-f", paths @ ..] if !paths.is_empty() => absolute_paths(paths),
                _ => Err("only `readlink -f PATH...` may be asked".to_owned()),
            },
            Self::Df => match arguments {
                ["-Pk" | "-Pi", paths @ ..] => absolute_paths(paths),
                _ => Err("only `df -Pk PATH...` and `df -Pi PATH...` may be asked".to_owned()),
            },
            Self::Stat => match arguments {
                ["-L", "-c", _, paths @ ..] | ["-c", _, paths @ ..] if !paths.is_empty() => absolute_paths(paths),
                _ => Err("only `stat [-L] -c FORMAT PATH...` may be asked".to_owned()),
            },
            Self::Ls => match arguments {
                ["-ln" | "-lnL" | "-1", paths @ ..] if !paths.is_empty() => absolute_paths(paths),
                _ => Err("only `ls -ln|-lnL|-1 PATH...` may be asked".to_owned()),
            },
            Self::Grep => match arguments {
                // A pattern after the flags, then paths: `-f FILE` and `--include` forms are not needed and not had.
                [flags, pattern, paths @ ..] if !paths.is_empty() => {
                    let letters = flags.strip_prefix('-').unwrap_or("!");
                    if letters.is_empty() || !letters.chars().all(|letter| "sHrRhEi".contains(letter)) {
                        return Err("only the flags -s -H -h -r -R -E -i may be given to grep".to_owned());
                    }
                    if pattern.starts_with('-') {
                        return Err("a pattern may not begin with `-`".to_owned());
                    }
                    absolute_paths(paths)
                }
                _ => Err("only `grep FLAGS PATTERN PATH...` may be asked".to_owned()),
            },
            Self::Getent => match arguments {
                ["passwd" | "group", keys @ ..] if keys.iter().all(|key| !key.starts_with('-')) => Ok(()),
                _ => Err("only `getent passwd|group [KEY...]` may be asked".to_owned()),
            },
            Self::DpkgQuery => match arguments {
                ["-W", format] if format.starts_with("-f=") => Ok(()),
                _ => Err("only `dpkg-query -W -f=FORMAT` may be asked".to_owned()),
            },
            Self::Rpm => match arguments {
                ["-qa", "--qf", format] if !format.contains("%(") && !format.contains("%{lua") => Ok(()),
                _ => Err("only `rpm -qa --qf FORMAT` without macros may be asked".to_owned()),
            },
            Self::Systemctl => match arguments {
                ["show" | "list-unit-files" | "list-units", rest @ ..] if rest.contains(&"--no-pager") => {
                    let known = |argument: &&str| {
                        !argument.starts_with('-')
                            || matches!(*argument, "--no-pager" | "--no-legend" | "--plain" | "--all" | "-p" | "--failed")
                            || argument.starts_with("--type=")
                            || argument.starts_with("--property=")
                            || argument.starts_with("--state=")
                    };
                    match rest.iter().find(|argument| !known(argument)) {
                        None => Ok(()),
                        Some(argument) => Err(format!("the option `{argument}` is not on the list")),
                    }
                }
                _ => Err("only `systemctl show|list-unit-files|list-units --no-pager ...` may be asked".to_owned()),
            },
            Self::Docker => match arguments {
                ["-H", "unix:///run/docker.sock", rest @ ..] => match rest {
                    ["version" | "info", "--format", _] => Ok(()),
                    _ => Err("only version and info may be asked".to_owned()),
                },
                _ => {
                    Err("docker must be called with `-H unix:///run/docker.sock`, so that no context leads elsewhere".to_owned())
                }
            },
        }
    }
}

/// The only way `apt-get` may be asked. As root it would write its caches and `/var/log/apt/eipp.log.xz` even when it simulates.
pub const APT_SIMULATION: &[&str] = &[
    "-s",
    "-o",
    "Debug::NoLocking=true",
    "-o",
    "Dir::Cache::pkgcache=",
    "-o",
    "Dir::Cache::srcpkgcache=",
    "-o",
    "Dir::Log::Planner=",
    "-o",
    "Dir::Log::Solver=",
    "dist-upgrade",
];

fn only_flags(arguments: &[&str]) -> Result<(), String> {
    let plain = |argument: &&&str| {
        argument.len() > 1 && argument.starts_with('-') && argument[1..].chars().all(|letter| letter.is_ascii_alphabetic())
    };
    if arguments.iter().all(|argument| plain(&argument)) { Ok(()) } else { Err("only short flags may be given".to_owned()) }
}

fn absolute_paths(paths: &[&str]) -> Result<(), String> {
    match paths.iter().find(|path| !path.starts_with('/') || path.contains('\0') || path.contains('\n')) {
        None => Ok(()),
        Some(path) => Err(format!("`{path}` is not an absolute path")),
    }
}

/// A short piece of POSIX sh for what no single program can ask.
///
/// It runs as `/bin/sh -c TEXT fragment ARGUMENT...`, so its arguments are data, never code. In it, `$ROOT` stands before a command that needs
/// more rights: empty where the shell has them, else what makes one command root's. What stands behind it is listed in [`ReadOnlyCommand::as_root`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fragment {
    /// Which of the named programs exist, and where: `NAME=PATH` a line.
    Tools,
    /// `grep -sH '' PATTERN...` with shell patterns expanded: values of /proc/sys and /sys nodes, and files by pattern.
    ReadMatching,
    /// `grep -H '' PATTERN...` with shell patterns expanded: like [`Self::ReadMatching`], but says which files could not be read.
    ReadOrComplain,
    /// `stat -L -c FORMAT PATTERN...` with shell patterns expanded.
    StatMatching,
    /// Which of the paths exist (patterns expanded), what they are and where symbolic links lead: `directory|socket|file|hidden`, path, real path.
    RealPaths,
    /// `stat -L` of every home directory that /etc/passwd names.
    Homes,
    /// The command line, user and executable of every process whose name is among the arguments.
    Processes,
    /// The names of all running processes, one a line.
    ProcessNames,
    /// `docker inspect` of all containers, running or not, fifty at a time.
    DockerContainers,
    /// `docker network inspect` of all networks.
    DockerNetworks,
    /// `readlink -f`, mode and owner of the directory that Docker stores its data in, as the daemon names it.
    DockerRoot,
    /// `nft -j list ruleset`, only where the kernel has nf_tables already: asking would load it. Else one word that says why not.
    NftRuleset,
    /// `iptables-save` or `ip6tables-save` (argument `4` or `6`), only where asking loads no module. Else one word that says why not.
    XtablesRuleset,
}

impl Fragment {
    /// Every fragment, for the documentation and the tests.
    pub const ALL: &[Self] = &[
        Self::Tools,
        Self::ReadMatching,
        Self::ReadOrComplain,
        Self::StatMatching,
        Self::RealPaths,
        Self::Homes,
        Self::Processes,
        Self::ProcessNames,
        Self::DockerContainers,
        Self::DockerNetworks,
        Self::DockerRoot,
        Self::NftRuleset,
        Self::XtablesRuleset,
    ];

    /// What stands for it in documentation and evidence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tools => "command -v",
            Self::ReadMatching => "grep -sH ''",
            Self::ReadOrComplain => "grep -H ''",
            Self::StatMatching => "stat -L",
            Self::RealPaths => "readlink -f",
            Self::Homes => "stat -L of the homes in /etc/passwd",
            Self::Processes => "cat /proc/PID/{cmdline,status,exe}",
            Self::ProcessNames => "cat /proc/PID/comm",
            Self::DockerContainers => "docker inspect",
            Self::DockerNetworks => "docker network inspect",
            Self::DockerRoot => "stat of the Docker data root",
            Self::NftRuleset => "nft -j list ruleset",
            Self::XtablesRuleset => "iptables-save, ip6tables-save",
        }
    }

    /// The audited text.
    pub fn text(self) -> &'static str {
        match self {
            Self::Tools => r#"for t in "$@"; do p=$(command -v "$t" 2>/dev/null) && printf '%s=%s\n' "$t" "$p"; done; :"#,
            // Unquoted on purpose: the shell expands the pattern, with no word splitting. A pattern without a match stays as it is, and -s is
            // silent about it. Status 1 is "no line", which is an answer.
            Self::ReadMatching => r#"IFS=; grep -sH '' $@ /dev/null; [ $? -le 2 ]"#,
            // Status 2 where a pattern matches nothing or a file cannot be read: standard error says which.
            Self::ReadOrComplain => r#"IFS=; exec grep -H '' $@ /dev/null"#,
            // What a pattern stands for cannot be known where the login may not list the directory, or not search one above it: said on standard error.
            Self::StatMatching => {
                r#"f=$1; shift; IFS=; stat -L -c "$f" $@; for p in $@; do [ -e "$p" ] || [ -L "$p" ] || {
d=${p%/*}; while [ -n "$d" ] && ! [ -e "$d" ]; do d=${d%/*}; done; d=${d:-/}
[ -r "$d" ] && [ -x "$d" ] || printf '%s: Permission denied\n' "$p" >&2; }; done; :"#
            }
            Self::Homes => {
                r#"set --; while IFS=: read -r n p u g c h s; do case $h in /*) set -- "$@" "$h";; esac; done </etc/passwd
stat -L -c '%a|%u|%g|%U|%G|%F|%n' "$@"; :"#
            }
            // A path that cannot be seen is hidden, not absent, where a directory above it may not be searched.
            Self::RealPaths => {
                r#"IFS=; for p in $@; do
if [ -d "$p" ]; then t=directory; elif [ -S "$p" ]; then t=socket; elif [ -e "$p" ]; then t=file
else d=${p%/*}; while [ -n "$d" ] && ! [ -d "$d" ]; do d=${d%/*}; done; [ -z "$d" ] || [ -x "$d" ] || printf 'hidden|%s|\n' "$p"; continue; fi
r=$(readlink -f "$p") || r=; printf '%s|%s|%s\n' "$t" "$p" "$r"; done; :"#
            }
            Self::Processes => {
                r#"for d in /proc/[0-9]*; do read -r n 2>/dev/null <"$d/comm" || continue; for w in "$@"; do if [ "$n" = "$w" ]; then
printf 'pid %s\nname %s\n' "${d#/proc/}" "$n"; grep -E '^(Uid|NSpid):' "$d/status" 2>/dev/null
e=$(readlink "$d/exe" 2>/dev/null) && { printf 'exe '; printf %s "$e" | tr '\n' '?'; echo; }
tr '\0' '\n' <"$d/cmdline" 2>/dev/null | while IFS= read -r a || [ -n "$a" ]; do printf 'arg %s\n' "$a"; done; fi; done; done; :"#
            }
            Self::ProcessNames => r#"for d in /proc/[0-9]*; do read -r n 2>/dev/null <"$d/comm" && printf '%s\n' "$n"; done; :"#,
            Self::DockerContainers => {
                r#"d=$(command -v docker) || exit 127; s=unix:///run/docker.sock; i=$($ROOT "$d" -H $s ps -aq --no-trunc) || exit $?
printf "%s\n" $i; set -- $i; while [ $# -gt 0 ]; do b=; n=0; while [ $# -gt 0 ] && [ $n -lt 50 ]; do b="$b $1"; n=$((n+1)); shift; done
$ROOT "$d" -H $s inspect --type container $b; done; :"#
            }
            Self::DockerNetworks => {
                r#"d=$(command -v docker) || exit 127; s=unix:///run/docker.sock; i=$($ROOT "$d" -H $s network ls -q --no-trunc) || exit $?
[ -z "$i" ] || $ROOT "$d" -H $s network inspect $i"#
            }
            Self::DockerRoot => {
                r#"d=$(command -v docker) || exit 127; r=$($ROOT "$d" -H unix:///run/docker.sock info --format "{{.DockerRootDir}}") || exit $?
[ -n "$r" ] || exit 1; p=$(readlink -f "$r") || p=$r; printf "root %s\npath %s\n" "$r" "$p"; stat -L -c "stat %a|%u|%g|%U|%G|%F" "$p""#
            }
            // nf_tables may be built in, and then it is in no list of modules: its symbols tell.
            Self::NftRuleset => {
                r#"grep -qs "^nf_tables " /proc/modules || grep -qs " nft_do_chain" /proc/kallsyms || { echo absent; exit 0; }
c=$(command -v nft) || { echo no-tool; exit 0; }
$ROOT "$c" -j list ruleset"#
            }
            // The old tables are seen by one program, those that iptables keeps in nf_tables by another; nft prints the latter without what only
            // iptables understands.
            Self::XtablesRuleset => {
                r##"case $1 in 4) n=/proc/net/ip_tables_names p=iptables ;; *) n=/proc/net/ip6_tables_names p=ip6tables ;; esac
e=0 k=
if [ -e "$n" ]; then k=1
if c=$(command -v "$p-legacy-save") || c=$(command -v "$p-save"); then echo "#legacy"; $ROOT "$c" || e=$?; else echo no-tool; fi; fi
if grep -qs "^nf_tables " /proc/modules || grep -qs " nft_do_chain" /proc/kallsyms; then k=1
if c=$(command -v "$p-nft-save"); then echo "#nft"; $ROOT "$c" || e=$?; else echo no-nft-tool; fi; fi
[ -n "$k" ] || echo absent
exit $e"##
            }
        }
    }

    /// The commands that it runs as root, for these arguments.
    fn as_root(self, arguments: &[String]) -> Vec<RootCommand> {
        let exactly =
            |program: &'static str, words: &[&str]| RootCommand { program, arguments: Arguments::Exactly(owned(words)) };
        let ids = |before: &[&str]| RootCommand { program: "docker", arguments: Arguments::ThenIds(owned(before)) };
        match self {
            Self::DockerContainers => vec![
                exactly("docker", &["-H", "unix:///run/docker.sock", "ps", "-aq", "--no-trunc"]),
                ids(&["-H", "unix:///run/docker.sock", "inspect", "--type", "container"]),
            ],
            Self::DockerNetworks => vec![
                exactly("docker", &["-H", "unix:///run/docker.sock", "network", "ls", "-q", "--no-trunc"]),
                ids(&["-H", "unix:///run/docker.sock", "network", "inspect"]),
            ],
            Self::DockerRoot => {
                vec![exactly("docker", &["-H", "unix:///run/docker.sock", "info", "--format", "{{.DockerRootDir}}"])]
            }
            Self::NftRuleset => vec![exactly("nft", &["-j", "list", "ruleset"])],
            Self::XtablesRuleset => {
                let programs = match arguments {
                    [version] if version == "4" => ["iptables-legacy-save", "iptables-save", "iptables-nft-save"],
                    _ => ["ip6tables-legacy-save", "ip6tables-save", "ip6tables-nft-save"],
                };
                programs.map(|program| exactly(program, &[])).into()
            }
            Self::Tools
            | Self::ReadMatching
            | Self::ReadOrComplain
            | Self::StatMatching
            | Self::RealPaths
            | Self::Homes
            | Self::Processes
            | Self::ProcessNames => Vec::new(),
        }
    }

    /// Whether these arguments are of the kind the fragment takes.
    fn permits(self, arguments: &[&str]) -> Result<(), String> {
        let safe_pattern = |pattern: &&str| {
            pattern.starts_with('/')
                && !pattern.contains("..")
                && pattern.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-*?+@:[]".contains(letter))
        };
        match self {
            Self::Tools | Self::Processes => {
                let word = |argument: &&str| {
                    !argument.is_empty()
                        && argument.chars().all(|letter| letter.is_ascii_alphanumeric() || "._+-".contains(letter))
                };
                if arguments.iter().all(word) { Ok(()) } else { Err("only program names may be given".to_owned()) }
            }
            Self::RealPaths | Self::ReadMatching | Self::ReadOrComplain if arguments.iter().all(&safe_pattern) => Ok(()),
            Self::StatMatching if arguments.len() > 1 && arguments[1..].iter().all(safe_pattern) => Ok(()),
            Self::RealPaths | Self::ReadMatching | Self::ReadOrComplain | Self::StatMatching => {
                Err("only absolute paths with plain patterns may be given".to_owned())
            }
            Self::XtablesRuleset if matches!(arguments, ["4" | "6"]) => Ok(()),
            Self::XtablesRuleset => Err("only `4` or `6` may be given".to_owned()),
            Self::Homes
            | Self::ProcessNames
            | Self::DockerContainers
            | Self::DockerNetworks
            | Self::DockerRoot
            | Self::NftRuleset => {
                if arguments.is_empty() {
                    Ok(())
                } else {
                    Err("it takes no arguments".to_owned())
                }
            }
        }
    }
}

/// What follows the program of a [`RootCommand`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arguments {
    /// These, and no other.
    Exactly(Vec<String>),
    /// These, and then one or more ids of 64 hexadecimal digits, which are the host's own.
    ThenIds(Vec<String>),
}

/// A command as it runs when a login becomes root for it: the program by its absolute path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootCommand {
    /// The name of the program.
    pub program: &'static str,
    /// What follows it.
    pub arguments: Arguments,
}

/// What a command is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Program(Program),
    Fragment(Fragment),
}

/// A command that only reads. There is no other way to make one than [`ReadOnlyCommand::new`] and [`ReadOnlyCommand::fragment`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOnlyCommand {
    what: What,
    arguments: Vec<String>,
    rights: Rights,
}

impl ReadOnlyCommand {
    /// A program with arguments.
    ///
    /// # Errors
    /// [`Refused`] when the program's entry does not permit the arguments.
    pub fn new<S: AsRef<str>>(program: Program, arguments: &[S], rights: Rights) -> Result<Self, Refused> {
        let words: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        program
            .permits(&words)
            .map_err(|because| Refused { command: format!("{} {}", program.name(), words.join(" ")), because })?;
        Ok(Self { what: What::Program(program), arguments: owned(&words), rights })
    }

    /// A fragment with arguments.
    ///
    /// # Errors
    /// [`Refused`] when the fragment does not take such arguments.
    pub fn fragment<S: AsRef<str>>(fragment: Fragment, arguments: &[S], rights: Rights) -> Result<Self, Refused> {
        let words: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        fragment
            .permits(&words)
            .map_err(|because| Refused { command: format!("{} {}", fragment.name(), words.join(" ")), because })?;
        Ok(Self { what: What::Fragment(fragment), arguments: owned(&words), rights })
    }

    /// The rights it needs.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// The program whose absence means the question cannot be asked.
    pub fn program(&self) -> &'static str {
        match &self.what {
            What::Program(program) => program.name(),
            What::Fragment(Fragment::DockerContainers | Fragment::DockerNetworks | Fragment::DockerRoot) => "docker",
            What::Fragment(_) => "sh",
        }
    }

    /// The commands that run as root where the login is not, each of which a rule of sudo or doas may name.
    pub fn as_root(&self) -> Vec<RootCommand> {
        match &self.what {
            _ if self.rights == Rights::Any => Vec::new(),
            What::Program(program) => {
                vec![RootCommand { program: program.name(), arguments: Arguments::Exactly(self.arguments.clone()) }]
            }
            What::Fragment(fragment) => fragment.as_root(&self.arguments),
        }
    }

    /// Whether it cannot be answered at all without its rights: a fragment may find that there is nothing to ask.
    pub fn always_needs_its_rights(&self) -> bool {
        self.rights != Rights::Any && matches!(self.what, What::Program(_))
    }

    /// Whether the login itself is what it asks about, so that root would give another answer.
    fn is_about_the_login(&self) -> bool {
        self.what == What::Program(Program::Id)
    }

    /// How the script gives it its rights: before the program; inside the fragment; or, for a fragment that asks for none, not at all.
    fn kind(&self) -> &'static str {
        match &self.what {
            What::Program(_) => "program",
            What::Fragment(fragment) if fragment.text().contains("$ROOT ") => "rooted",
            What::Fragment(_) => "plain",
        }
    }

    /// What runs, word for word, without the rights.
    fn words(&self) -> Vec<&str> {
        let mut words = match &self.what {
            What::Program(program) => vec![program.name()],
            What::Fragment(fragment) => vec!["/bin/sh", "-c", fragment.text(), "fragment"],
        };
        words.extend(self.arguments.iter().map(String::as_str));
        words
    }
}

/// What a person reads as the source of a fact: the program with its arguments, or the short name of a fragment.
impl fmt::Display for ReadOnlyCommand {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.what {
            What::Program(program) => program.name(),
            What::Fragment(fragment) => fragment.name(),
        };
        out.write_str(name)?;
        for argument in &self.arguments {
            write!(out, " {}", quote(argument))?;
        }
        Ok(())
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A word in POSIX shell quoting: left alone where nothing in it means anything to a shell, else in single quotes.
pub fn quote(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=:,@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_survives_the_shell_whatever_is_in_it() {
        assert_eq!(quote("/etc/passwd"), "/etc/passwd");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a b;$(c)"), "'a b;$(c)'");
    }

    #[test]
    fn commands_that_would_change_something_are_refused_by_name() {
        for (program, arguments) in [
            (Program::Systemctl, vec!["stop", "sshd"]),
            (Program::Systemctl, vec!["show", "--no-pager", "--force"]),
            (Program::Auditctl, vec!["-D"]),
            (Program::Docker, vec!["-H", "unix:///run/docker.sock", "run", "x"]),
            (Program::Docker, vec!["info", "--format", "{{json .}}"]),
            (Program::Cat, vec!["etc/passwd"]),
            (Program::Sshd, vec!["-f", "/tmp/x"]),
            (Program::DpkgQuery, vec!["-W", "--admindir=/tmp"]),
            (Program::Grep, vec!["-f", "/etc/shadow", "/etc/passwd"]),
            (Program::Rpm, vec!["-qa", "--qf", "%(id)"]),
        ] {
            let refused = ReadOnlyCommand::new(program, &arguments, Rights::Root).expect_err("refused");
            assert!(refused.to_string().contains(program.name()), "{refused}");
        }
    }

    #[test]
    fn a_fragment_takes_no_code_as_an_argument() {
        assert!(ReadOnlyCommand::fragment(Fragment::ReadMatching, &["/etc/$(id)"], Rights::Any).is_err());
        assert!(ReadOnlyCommand::fragment(Fragment::Processes, &["a b"], Rights::Any).is_err());
        assert!(ReadOnlyCommand::fragment(Fragment::DockerNetworks, &["x"], Rights::Docker).is_err());
    }
}
