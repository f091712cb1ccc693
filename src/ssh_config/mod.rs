//! What `ssh` would do for a host: configuration files as ssh_config(5) describes them, and options as ssh(1) takes them.
//!
//! Pure but for reading files. Nothing is run unless `Match exec` was allowed.
//!
//! Written here because none of the crates that read ssh_config (ssh2-config, russh-config, ssh_cfg) knows `Match`, the tokens or the second pass.
//!
//! ```text
//! options.rs    words of a command line -> lines
//! reader.rs     files and their includes -> blocks of lines, read once
//! lexer.rs      a line -> keyword and words
//! keywords.rs   every keyword and what it is to us
//! line.rs, value.rs, hop.rs, algorithms.rs   keyword and words -> a value
//! matching.rs   what `Host` and `Match` ask for
//! pattern.rs    `*`, `?` and `!`
//! resolve.rs, state.rs   a host -> the lines that count -> settings
//! tokens.rs     `%h` and `${NAME}`
//! exec.rs       `Match exec`
//! route.rs      the way through `ProxyJump`
//! here.rs       this machine and its user
//! ```

pub mod pattern;

mod algorithms;
mod detect;
mod exec;
mod here;
mod hop;
mod keywords;
mod lexer;
mod line;
mod matching;
mod options;
mod problem;
mod reader;
mod resolve;
mod route;
mod settings;
mod state;
mod tokens;
mod value;
mod warnings;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::Problem;
pub use detect::looks_like_ssh_config;
pub use here::Here;
pub use options::{Files, Options};
pub use problem::ConfigErrors;
pub use settings::{AgentSocket, AlgorithmList, Family, Hop, HostKeyChecking, Settings};
pub use warnings::Warnings;

use reader::{Document, Reader};

/// Whether the commands of `Match exec` may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatchExec {
    /// They run in the user's shell, each once. The host that asks first waits for it, in the thread it asks from.
    Allow,
    /// A block with one does not count, and a warning says so.
    #[default]
    Deny,
}

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Options for every host.
    pub options: Options,
    /// The files. Where the options of a host name another one, that host needs a configuration of its own: see [`Options::config_file`].
    pub files: Files,
    /// The system's file, among [`Files::Usual`].
    pub system_file: PathBuf,
    /// Whether `Match exec` may run.
    pub match_exec: MatchExec,
    /// Who asks, and where.
    pub here: Here,
}

impl Sources {
    /// These options, the files that they name with `-F`, else the usual ones, and who runs this process. `Match exec` is denied.
    pub fn new(options: Options) -> Self {
        Self {
            files: options.config_file().cloned().unwrap_or_default(),
            options,
            system_file: PathBuf::from("/etc/ssh/ssh_config"),
            match_exec: MatchExec::Deny,
            here: Here::of_this_process(),
        }
    }
}

/// A name that a `Host` line says in full: a host that the configuration knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAlias {
    /// The name.
    pub name: String,
    /// The file.
    pub file: Arc<str>,
    /// The line of `Host`, from 1.
    pub line: u32,
}

/// What is asked for one host. Its options are those of that host alone and come before those of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The host as it would be typed behind `ssh`, without a user or port.
    pub host: &'a str,
    /// The login, before anything that options or files say.
    pub user: Option<&'a str>,
    /// The port, likewise.
    pub port: Option<u16>,
    /// Options of this host. Their `-F` is for the caller to follow: see [`Options::config_file`].
    pub options: Option<&'a Options>,
}

impl<'a> Query<'a> {
    /// A host of which nothing more is said.
    pub fn host(host: &'a str) -> Self {
        Self { host, user: None, port: None, options: None }
    }
}

/// The settings of one host, and what its user should know about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What the configuration says.
    pub settings: Settings,
    /// What it says that is not done here. The same line gives the same warning to every host: see [`Warnings`].
    pub warnings: Vec<Arc<Problem>>,
}

/// A configuration: read once, asked for any number of hosts, also from several threads.
#[derive(Debug)]
pub struct Config {
    here: Here,
    homes: here::Homes,
    options: Options,
    match_exec: MatchExec,
    commands: exec::Commands,
    document: Document,
    wants_final_pass: bool,
    /// Segments that are for few hosts, by their names: a file may have thousands.
    by_name: HashMap<String, Vec<usize>>,
    /// All other segments.
    unnamed: Vec<usize>,
}

impl Config {
    /// Reads the files and everything that they include.
    ///
    /// # Errors
    /// Every line that `ssh` would refuse, and a named file that can't be read.
    pub fn load(sources: Sources) -> Result<Self, ConfigErrors> {
        let Sources { options, files, system_file, match_exec, here } = sources;
        let directory = system_file.parent().unwrap_or(Path::new("/"));
        let mut reader = Reader::new(&here, directory, options.ignored.as_deref());
        match &files {
            Files::None => {}
            Files::Only(path) => reader.named(path),
            Files::Usual => {
                reader.usual(&here.ssh_directory().join("config"), true);
                reader.usual(&system_file, false);
            }
        }
        let document = reader.finish().map_err(|problems| ConfigErrors { problems })?;
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        let mut unnamed = Vec::new();
        for (place, segment) in document.segments.iter().enumerate() {
            match document.blocks.get(segment.block).and_then(|block| block.condition.names()) {
                Some(names) => {
                    for name in names {
                        let places = by_name.entry(name.clone()).or_default();
                        // A name may stand twice on its line.
                        if places.last() != Some(&place) {
                            places.push(place);
                        }
                    }
                }
                None => unnamed.push(place),
            }
        }
        let wants_final_pass = document.blocks.iter().any(|block| block.condition.wants_final_pass());
        let (homes, commands) = (here::Homes::default(), exec::Commands::default());
        Ok(Self { here, homes, options, match_exec, commands, document, wants_final_pass, by_name, unnamed })
    }

    /// What the configuration says of one host. Takes microseconds and reads nothing.
    ///
    /// # Errors
    /// Where `ssh` would stop for this host: a token that doesn't exist, a user that doesn't, a jump to itself, `RefuseConnection`, or a
    /// name that a shell would read as more than a name.
    pub fn resolve(&self, query: Query<'_>) -> Result<Resolution, Problem> {
        resolve::resolve(self, query, Some(&self.options))
    }

    /// The host, and then every host on the way to it: the one that it is reached through, the one that this is reached through, and so
    /// on to the one that is dialled from here. Each has the settings of its own place in the configuration: as with `ssh`, the options
    /// of the host and of the whole configuration are not for the hosts on the way.
    ///
    /// # Errors
    /// As [`Config::resolve`] for any of them, and for a way that leads back to itself.
    pub fn route(&self, query: Query<'_>) -> Result<Vec<Resolution>, Problem> {
        route::follow(self, query)
    }

    /// The hosts that the configuration names in full, each where it is named first, in the order of the files.
    pub fn hosts(&self) -> Vec<&HostAlias> {
        let mut seen = std::collections::HashSet::new();
        self.document.aliases.iter().filter(|alias| seen.insert(alias.name.as_str())).collect()
    }
}
