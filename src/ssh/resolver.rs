//! From a host of the inventory, the command line and the configuration of `ssh` to a [`Target`].
//!
//! What counts, first to last: the inventory's variables and the options of the command line, as Ansible gives them to `ssh` as options; then the
//! configuration files; then defaults. A jump host is resolved by its own place in the configuration, as `ssh` does it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::algorithms::Algorithms;
use super::target::{HostIdentity, HostKeyPolicy, Login, Method, Route, Target};
use crate::model::{Host, Problem};
use crate::ssh_config::{Config, ConfigErrors, Files, HostKeyChecking, Options, Query, Resolution, Settings, Sources};

/// What the command line says for all hosts.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// `-u`.
    pub user: Option<String>,
    /// `--private-key`.
    pub private_key: Option<PathBuf>,
    /// Whether algorithms are allowed that are no longer safe.
    pub legacy_algorithms: bool,
    /// `-T`, where it was given.
    pub connect_timeout: Option<Duration>,
}

/// A host can't be reached as the inventory and the configuration have it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// A line of a configuration is wrong, or `ssh` would stop there for this host.
    #[error("{0}")]
    Problem(Problem),
    /// The options that the inventory has for the host are wrong.
    #[error("{0}")]
    Options(ConfigErrors),
    /// What the configuration asks for can't be had.
    #[error("{0}")]
    Unsupported(String),
}

/// Address, port and login.
type Place = (String, u16, String);

/// Turns hosts into targets. Files are read once, whatever the number of hosts.
#[derive(Debug)]
pub struct Resolver {
    defaults: Defaults,
    sources: Sources,
    algorithms: Arc<Algorithms>,
    /// Configurations by the file that options name; `None` is that of the whole scan.
    configs: Mutex<HashMap<Option<Files>, Arc<Config>>>,
    /// Options by their words: a group of ten thousand hosts has them in common.
    options: Mutex<HashMap<Vec<String>, Arc<Options>>>,
    /// Jump hosts that are the same are one.
    jumps: Mutex<HashMap<Place, Vec<Arc<Target>>>>,
}

impl Resolver {
    /// Reads the configuration.
    ///
    /// # Errors
    /// Every line of it that is wrong.
    pub fn new(defaults: Defaults, sources: Sources) -> Result<Self, ConfigErrors> {
        let config = Arc::new(Config::load(sources.clone())?);
        Ok(Self {
            algorithms: Arc::new(Algorithms::new(defaults.legacy_algorithms)),
            defaults,
            sources,
            configs: Mutex::new(HashMap::from([(None, config)])),
            options: Mutex::default(),
            jumps: Mutex::default(),
        })
    }

    /// How a host is reached, and what its configuration says that is not done here.
    ///
    /// # Errors
    /// [`Unresolved`], for the same host always the same.
    pub fn target(&self, host: &Host) -> Result<(Target, Vec<Arc<Problem>>), Unresolved> {
        let options = self.options_of(&host.ssh_args)?;
        let config = self.config_of(&options)?;
        let user = host.user.as_deref().or(self.defaults.user.as_deref());
        let query = Query { host: &host.address, user, port: host.port, options: Some(&options) };
        let way = config.route(query).map_err(Unresolved::Problem)?;
        let warnings = way.iter().flat_map(|resolution| resolution.warnings.iter().cloned()).collect();
        let mut hops = way.into_iter();
        let Some(Resolution { settings, .. }) = hops.next() else {
            return Err(Unresolved::Unsupported(format!("`{}` has no way to it", host.address)));
        };
        let mut target = self.of_settings(host, &settings)?;
        target.route = self.route(hops, &settings, &target)?;
        Ok((target, warnings))
    }

    fn options_of(&self, words: &[String]) -> Result<Arc<Options>, Unresolved> {
        let mut known = self.options.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(options) = known.get(words) {
            return Ok(Arc::clone(options));
        }
        let options = Options::parse_from("the options for ssh in the inventory", words).map_err(Unresolved::Options)?;
        let options = Arc::new(options);
        known.insert(words.to_vec(), Arc::clone(&options));
        Ok(options)
    }

    fn config_of(&self, options: &Options) -> Result<Arc<Config>, Unresolved> {
        let files = options.config_file().cloned();
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(&files) {
            return Ok(Arc::clone(config));
        }
        let sources = Sources { files: files.clone().unwrap_or_default(), ..self.sources.clone() };
        let config = Arc::new(Config::load(sources).map_err(Unresolved::Options)?);
        configs.insert(files, Arc::clone(&config));
        Ok(config)
    }

    /// The way to a host: the hop before it, which has the rest of the way in it.
    fn route(
        &self,
        hops: impl DoubleEndedIterator<Item = Resolution>,
        settings: &Settings,
        to: &Target,
    ) -> Result<Route, Unresolved> {
        let mut before: Option<Arc<Target>> = None;
        // From the host that is dialled from here to the one before the target.
        for hop in hops.rev() {
            let mut jump = self.jump(&hop.settings)?;
            jump.route = match before.take() {
                Some(before) => Route::Jump(before),
                None => self.direct_or_command(&hop.settings, &jump)?,
            };
            before = Some(self.shared(jump));
        }
        match before {
            Some(before) => Ok(Route::Jump(before)),
            None => self.direct_or_command(settings, to),
        }
    }

    /// How the first host of a way is reached. `ssh -W` in a ProxyCommand is a jump, and then its hosts share connections, as they do with `ProxyJump`.
    fn direct_or_command(&self, settings: &Settings, to: &Target) -> Result<Route, Unresolved> {
        let Some(command) = &settings.proxy_command else { return Ok(Route::Direct) };
        let Some(Forward { options, user, host }) = ssh_forward(command, to) else { return Ok(Route::Command(command.clone())) };
        let config = self.config_of(&options)?;
        let query = Query { host: &host, user: user.as_deref(), port: None, options: Some(&options) };
        let mut way = config.route(query).map_err(Unresolved::Problem)?.into_iter();
        let Some(first) = way.next() else { return Ok(Route::Command(command.clone())) };
        let mut jump = self.jump(&first.settings)?;
        jump.route = self.route(way, &first.settings, &jump)?;
        Ok(Route::Jump(self.shared(jump)))
    }

    /// A jump host, by its own settings. What was said of the hosts behind it is not for it, but for the key that the command line names: with no key of its
    /// own it would hardly be meant otherwise.
    fn jump(&self, settings: &Settings) -> Result<Target, Unresolved> {
        let private_key = self.defaults.private_key.clone().filter(|_| settings.identity_files.is_empty());
        self.of_settings(&Host { private_key, ..Host::named(&settings.host_name) }, settings).map(|mut target| {
            if !settings.identity_files.is_empty() {
                target.login.key_files.clone_from(&settings.identity_files);
                target.login.identities_only = settings.identities_only.unwrap_or(false);
            }
            target
        })
    }

    fn shared(&self, jump: Target) -> Arc<Target> {
        let mut jumps = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = jumps.entry((jump.address.clone(), jump.port, jump.user.clone())).or_default();
        match alike.iter().find(|known| ***known == jump) {
            Some(known) => Arc::clone(known),
            None => {
                let jump = Arc::new(jump);
                alike.push(Arc::clone(&jump));
                jump
            }
        }
    }

    /// All but the way.
    fn of_settings(&self, host: &Host, settings: &Settings) -> Result<Target, Unresolved> {
        let lists = [
            &settings.kex_algorithms,
            &settings.ciphers,
            &settings.macs,
            &settings.host_key_algorithms,
            &settings.pubkey_accepted_algorithms,
            &settings.ca_signature_algorithms,
        ];
        let algorithms = match settings.required_rsa_size.is_none() && lists.into_iter().all(Option::is_none) {
            true => Arc::clone(&self.algorithms),
            false => Arc::new(self.algorithms.configured(settings).map_err(Unresolved::Unsupported)?),
        };
        let user = settings.user.clone().unwrap_or_else(|| self.sources.here.user.clone());
        Ok(Target {
            login: login(host, &self.defaults, settings),
            identity: identity(host, settings),
            algorithms,
            family: settings.family,
            bind_address: settings.bind_address.clone(),
            connect_timeout: self.defaults.connect_timeout.or(host.connect_timeout).or(settings.connect_timeout),
            attempts: settings.connection_attempts.unwrap_or(1),
            alive_interval: settings.server_alive_interval,
            alive_count: settings.server_alive_count_max,
            ..Target::new(&settings.host_name, settings.port.unwrap_or(22), user)
        })
    }
}

/// `ssh [OPTIONS] -W HOST:PORT [USER@]BASTION`.
struct Forward {
    options: Options,
    user: Option<String>,
    host: String,
}

/// What a ProxyCommand says, if it is nothing but `ssh -W` to the target; `None` where it is anything else, or anything about it is in doubt.
fn ssh_forward(command: &str, target: &Target) -> Option<Forward> {
    // Whatever a shell would make something of but words.
    if command.contains(['|', '&', ';', '<', '>', '(', ')', '$', '`', '\\', '"', '\'', '*', '?', '[', '#', '\n', '{']) {
        return None;
    }
    let mut words = command.split_ascii_whitespace();
    let program = words.next()?;
    let program = if program == "exec" { words.next()? } else { program };
    if Path::new(program).file_name()? != "ssh" {
        return None;
    }
    let mut kept: Vec<String> = Vec::new();
    let mut forward = None;
    let mut place = None;
    while let Some(word) = words.next() {
        if let Some(glued) = word.strip_prefix("-W") {
            forward = Some(if glued.is_empty() { words.next()? } else { glued });
        } else if let Some(letters) = word.strip_prefix('-') {
            kept.push(expand_home(word)?);
            // The options of ssh(1) that take a word of their own.
            if letters.chars().count() == 1 && "BbcDEeFIiJLlmOoPpQRSwZ".contains(letters) {
                kept.push(expand_home(words.next()?)?);
            }
        } else if place.replace(word).is_some() {
            // A command for the bastion.
            return None;
        }
    }
    let Target { address, port, .. } = target;
    if forward? != format!("{address}:{port}") {
        return None;
    }
    let (user, host) = match place?.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host.to_owned()),
        None => (None, place?.to_owned()),
    };
    Some(Forward { options: Options::parse_from("ProxyCommand", &kept).ok()?, user, host })
}

/// A `~` at the beginning of a word is the shell's to expand.
fn expand_home(word: &str) -> Option<String> {
    match word.strip_prefix("~/") {
        Some(rest) => Some(format!("{}/{rest}", std::env::var("HOME").ok()?)),
        None if word.starts_with('~') => None,
        None => Some(word.to_owned()),
    }
}

/// What a host is offered to log in by.
fn login(host: &Host, defaults: &Defaults, settings: &Settings) -> Login {
    let mut methods: Vec<Method> = match &settings.preferred_authentications {
        Some(names) => names.iter().filter_map(|name| method(name)).collect(),
        None => Login::default().methods,
    };
    methods.retain(|method| match method {
        Method::PublicKey => settings.pubkey_authentication,
        Method::KeyboardInteractive => settings.kbd_interactive_authentication,
        Method::Password => settings.password_authentication,
    } != Some(false));
    let named = host.private_key.as_ref().or(defaults.private_key.as_ref());
    Login {
        key_files: named.map_or_else(|| settings.identity_files.clone(), |named| vec![named.clone()]),
        no_key_files: settings.no_identity_files && named.is_none(),
        identities_only: named.is_some() || settings.identities_only.unwrap_or(false),
        certificate_files: settings.certificate_files.clone(),
        agent: settings.identity_agent.clone(),
        methods,
        password: host.password.clone(),
        host: Some(host.name.clone()),
    }
}

fn method(name: &str) -> Option<Method> {
    match name {
        "publickey" => Some(Method::PublicKey),
        "keyboard-interactive" => Some(Method::KeyboardInteractive),
        "password" => Some(Method::Password),
        _ => None,
    }
}

fn identity(host: &Host, settings: &Settings) -> HostIdentity {
    let policy = match (host.host_key_checking, settings.host_key_checking) {
        (Some(true), _) => Some(HostKeyPolicy::Strict),
        // What Ansible makes of `no` is OpenSSH's `no`. A key that differs from the known one is still refused here.
        (Some(false), _) | (None, Some(HostKeyChecking::AcceptNew | HostKeyChecking::No)) => Some(HostKeyPolicy::AcceptNew),
        (None, Some(HostKeyChecking::Yes | HostKeyChecking::Ask)) => Some(HostKeyPolicy::Strict),
        (None, None) => None,
    };
    HostIdentity {
        alias: settings.host_key_alias.clone(),
        user_files: settings.user_known_hosts_files.clone(),
        global_files: settings.global_known_hosts_files.clone(),
        revoked_file: settings.revoked_host_keys.clone(),
        policy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(config: &str, defaults: Defaults) -> Resolver {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("config");
        std::fs::write(&path, config).expect("written");
        Resolver::new(defaults, Sources { files: Files::Only(path), ..Sources::new(Options::default()) })
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn target(resolver: &Resolver, host: &Host) -> Target {
        resolver.target(host).unwrap_or_else(|error| panic!("{error}")).0
    }

    fn jump(target: &Target) -> &Arc<Target> {
        match &target.route {
            Route::Jump(jump) => jump,
            other => panic!("no jump: {other:?}"),
        }
    }

    fn words(text: &str) -> Vec<String> {
        text.split('|').map(str::to_owned).collect()
    }

    #[test]
    fn the_inventory_counts_before_the_command_line_and_that_before_the_configuration() {
        let config =
            "Host web\n  HostName web.example.com\n  User config\n  Port 2222\n  IdentityFile /keys/config\n  ConnectTimeout 7\n";
        let plain = target(&resolver(config, Defaults::default()), &Host::named("web"));
        assert_eq!((plain.address.as_str(), plain.port, plain.user.as_str()), ("web.example.com", 2222, "config"));
        assert_eq!(plain.login.key_files, [PathBuf::from("/keys/config")]);
        assert!(!plain.login.identities_only, "the agent's keys are offered as well, as ssh does it");
        assert_eq!(plain.connect_timeout, Some(Duration::from_secs(7)));

        let defaults = Defaults {
            user: Some("line".to_owned()),
            private_key: Some("/keys/line".into()),
            connect_timeout: Some(Duration::from_secs(3)),
            ..Defaults::default()
        };
        let by_line = target(&resolver(config, defaults.clone()), &Host::named("web"));
        assert_eq!((by_line.port, by_line.user.as_str()), (2222, "line"));
        assert_eq!(by_line.login.key_files, [PathBuf::from("/keys/line")]);
        assert!(by_line.login.identities_only);
        assert_eq!(by_line.connect_timeout, Some(Duration::from_secs(3)));

        let host = Host {
            user: Some("inventory".to_owned()),
            port: Some(22),
            private_key: Some("/keys/inventory".into()),
            ..Host::named("web")
        };
        let by_host = target(&resolver(config, defaults), &host);
        assert_eq!((by_host.port, by_host.user.as_str()), (22, "inventory"));
        assert_eq!(by_host.login.key_files, [PathBuf::from("/keys/inventory")]);
    }

    #[test]
    fn jump_hosts_have_their_own_settings_and_are_shared() {
        let config = "Host web*\n  ProxyJump outer,ops@inner:2200\n  User app\nHost outer\n  User gate\n  HostName 192.0.2.1\nHost inner\n  HostName 192.0.2.2\n";
        let resolver = resolver(config, Defaults { user: Some("line".to_owned()), ..Defaults::default() });
        let (first, second) = (target(&resolver, &Host::named("web1")), target(&resolver, &Host::named("web2")));
        let inner = jump(&first);
        assert_eq!((inner.address.as_str(), inner.port, inner.user.as_str()), ("192.0.2.2", 2200, "ops"));
        let outer = jump(inner);
        assert_eq!((outer.address.as_str(), outer.port, outer.user.as_str()), ("192.0.2.1", 22, "gate"));
        assert_eq!(outer.route, Route::Direct);
        assert!(Arc::ptr_eq(inner, jump(&second)), "one target for all hosts behind it");
    }

    #[test]
    fn options_of_the_inventory_are_those_of_ssh() {
        let resolver = resolver("Host bastion\n  User gate\n", Defaults::default());
        for args in ["-J|bastion", "-o|ProxyJump=bastion", "-oProxyJump=bastion|-C|-o|ControlMaster=auto"] {
            let host = Host { ssh_args: words(args), ..Host::named("192.0.2.9") };
            let target = target(&resolver, &host);
            assert_eq!(jump(&target).user, "gate", "{args}");
        }
        let host = Host { ssh_args: words("--jump|bastion"), ..Host::named("192.0.2.9") };
        assert!(matches!(resolver.target(&host), Err(Unresolved::Options(_))));
    }

    #[test]
    fn ssh_w_in_a_proxy_command_is_a_jump_and_anything_else_is_run() {
        let resolver = resolver("Host bastion\n  HostName 192.0.2.1\n", Defaults::default());
        let route = |command: &str| {
            let host = Host { ssh_args: vec!["-o".to_owned(), format!("ProxyCommand={command}")], ..Host::named("192.0.2.9") };
            target(&resolver, &host).route
        };
        for command in
            ["ssh -W %h:%p gate@bastion", "ssh -q gate@bastion -W %h:%p", "/usr/bin/ssh -o User=gate -p 22 -W %h:%p bastion"]
        {
            match route(command) {
                Route::Jump(jump) => assert_eq!((jump.address.as_str(), jump.user.as_str()), ("192.0.2.1", "gate"), "{command}"),
                other => panic!("{command}: {other:?}"),
            }
        }
        for command in [
            "nc %h %p",
            "ssh bastion nc %h %p",
            "ssh -W localhost:22 bastion",
            "ssh -W %h:%p bastion | tee log",
            "tsh proxy ssh %r@%h:%p",
        ] {
            assert!(matches!(route(command), Route::Command(_)), "{command}");
        }
    }

    #[test]
    fn host_key_checking_as_the_configuration_and_the_inventory_have_it() {
        let policy = |config: &str, checking| {
            let resolver = resolver(config, Defaults::default());
            target(&resolver, &Host { host_key_checking: checking, ..Host::named("web") }).identity.policy
        };
        assert_eq!(policy("", None), None);
        assert_eq!(policy("StrictHostKeyChecking accept-new\n", None), Some(HostKeyPolicy::AcceptNew));
        assert_eq!(policy("StrictHostKeyChecking no\n", None), Some(HostKeyPolicy::AcceptNew), "never anything at all");
        assert_eq!(policy("StrictHostKeyChecking ask\n", Some(false)), Some(HostKeyPolicy::AcceptNew));
        assert_eq!(policy("StrictHostKeyChecking no\n", Some(true)), Some(HostKeyPolicy::Strict));
    }
}
