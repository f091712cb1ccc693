//! What the configuration amounts to for one host: the lines that count, in two passes where the configuration asks for them.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use super::keywords::Setting;
use super::line::Line;
use super::matching::{Condition, Criterion, Test};
use super::pattern::list_matches;
use super::problem::{Complaint, Problem};
use super::state::State;
use super::tokens::{self, Failure, Tokens, expand};
use super::value::Value;
use super::{AgentSocket, Config, Hop, MatchExec, Options, Query, Resolution, Settings, hop};

/// The port where nothing says another.
const PORT: u16 = 22;

/// One host on its way through the configuration.
struct Resolver<'a> {
    config: &'a Config,
    /// The host as it was asked for.
    original: &'a str,
    state: State<'a>,
    /// The name that is dialled, from the second pass on.
    settled: Option<String>,
}

/// Resolves one host. `common` are the options that come behind those of the query.
pub(super) fn resolve<'a>(config: &'a Config, query: Query<'a>, common: Option<&'a Options>) -> Result<Resolution, Problem> {
    let outside = |complaint: Complaint| complaint.at(query.host, None);
    hop::check_host(query.host).map_err(outside)?;
    query.user.map_or(Ok(()), hop::check_user).map_err(outside)?;
    let state = State::new(query.user, query.port);
    let mut resolver = Resolver { config, original: query.host, state, settled: None };
    for line in query.options.into_iter().chain(common).flat_map(|options| &options.lines) {
        resolver.state.apply(line);
    }
    resolver.pass(query.host)?;
    let host = dialled(&resolver.host()?);
    let canonical = resolver.state.text(Setting::CanonicalizeHostname).is_some_and(|(text, _)| !matches!(text, "no" | "false"));
    resolver.settled = Some(host.clone());
    if config.wants_final_pass || canonical {
        resolver.pass(&host)?;
    }
    resolver.finish(host)
}

/// A name as it is dialled: an address in its usual form, anything else in lower case.
fn dialled(host: &str) -> String {
    let (address, scope) = host.split_once('%').map_or((host, None), |(address, scope)| (address, Some(scope)));
    match (address.parse::<std::net::IpAddr>(), scope) {
        (Ok(address), None) => address.to_string(),
        (Ok(address), Some(scope)) => format!("{address}%{scope}"),
        // Only an address has a colon or a scope.
        (Err(_), _) if host.contains([':', '%']) => host.to_owned(),
        (Err(_), _) => host.to_lowercase(),
    }
}

impl<'a> Resolver<'a> {
    /// Goes through all lines once. `host` is what `Host` patterns are for.
    fn pass(&mut self, host: &str) -> Result<(), Problem> {
        let config = self.config;
        let mut verdicts = vec![None; config.document.blocks.len()];
        let named = config.by_name.get(host).map(Vec::as_slice).unwrap_or_default();
        let mut named = named.iter().copied().peekable();
        let mut always = config.unnamed.iter().copied().peekable();
        loop {
            let next = match (named.peek(), always.peek()) {
                (Some(a), Some(b)) if a < b => named.next(),
                (Some(_), None) => named.next(),
                _ => always.next(),
            };
            let Some(segment) = next.and_then(|place| config.document.segments.get(place)) else { break };
            if self.holds(segment.block, host, &mut verdicts)? {
                segment.lines.iter().for_each(|line| self.state.apply(line));
            }
        }
        Ok(())
    }

    /// Whether the lines of a block count. Asked once in a pass, when its first line is reached: later lines must not change it.
    fn holds(&mut self, place: usize, host: &str, verdicts: &mut [Option<bool>]) -> Result<bool, Problem> {
        if let Some(verdict) = verdicts.get(place).copied().flatten() {
            return Ok(verdict);
        }
        let config = self.config;
        let Some(block) = config.document.blocks.get(place) else { return Ok(false) };
        let parent = match block.parent {
            Some(parent) => self.holds(parent, host, verdicts)?,
            None => true,
        };
        let verdict = parent
            && match &block.condition {
                Condition::Always => true,
                Condition::Never => false,
                Condition::Host(patterns) => Condition::host_matches(patterns, host),
                Condition::Match(tests) => self.all(tests, place)?,
            };
        if let Some(slot) = verdicts.get_mut(place) {
            *slot = Some(verdict);
        }
        Ok(verdict)
    }

    fn all(&mut self, tests: &'a [Test], block: usize) -> Result<bool, Problem> {
        for test in tests {
            let met = match &test.criterion {
                Criterion::All => true,
                Criterion::Canonical | Criterion::Final => self.settled.is_some(),
                Criterion::Host(patterns) => list_matches(patterns, &self.host()?.to_lowercase()),
                Criterion::OriginalHost(patterns) => list_matches(patterns, &self.original.to_lowercase()),
                Criterion::User(patterns) => list_matches(patterns, self.user()),
                Criterion::LocalUser(patterns) => list_matches(patterns, &self.config.here.user),
                Criterion::LocalNetwork(networks) => {
                    self.config.here.addresses.iter().any(|address| networks.iter().any(|network| network.contains(address)))
                }
                Criterion::Tagged(patterns) => list_matches(patterns, self.state.text(Setting::Tag).map_or("", |(tag, _)| tag)),
                Criterion::Settled(met) => *met,
                Criterion::Exec(command) => match self.exec(command, block)? {
                    Some(met) => met,
                    None => return Ok(false),
                },
            };
            if met == test.negated {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a command of `Match exec` ends well; `None` where it may not be run.
    fn exec(&mut self, command: &str, block: usize) -> Result<Option<bool>, Problem> {
        let Some(origin) = self.config.document.blocks.get(block).map(|block| &block.origin) else { return Ok(None) };
        let host = self.host()?;
        let alias = self.state.text(Setting::HostKeyAlias).map_or(host.as_ref(), |(alias, _)| alias);
        let command = self.expand(command, tokens::ALL, false, &host, alias, self.user());
        let command = command.map_err(|failure| origin.problem(in_keyword("Match exec", wrong(failure))))?;
        if self.config.match_exec == MatchExec::Deny {
            let complaint = Complaint::new(format!("`Match exec` was not run, so its lines don't count: `{command}`"));
            let warning = Arc::new(origin.problem(complaint.hint("allow it with --match-exec")));
            if !self.state.warnings.contains(&warning) {
                self.state.warnings.push(warning);
            }
            return Ok(None);
        }
        let ended = self.config.commands.run(&command, &self.config.here);
        ended.map(Some).map_err(|complaint| origin.problem(in_keyword("Match exec", complaint)))
    }

    /// The host as far as it is known: what `Match host` and `%h` are about.
    fn host(&self) -> Result<Cow<'a, str>, Problem> {
        if let Some(settled) = &self.settled {
            return Ok(Cow::Owned(settled.clone()));
        }
        let Some((text, line)) = self.state.text(Setting::HostName) else { return Ok(Cow::Borrowed(self.original)) };
        if !text.contains('%') {
            return Ok(Cow::Borrowed(text));
        }
        let expanded = self.expand(text, tokens::OF_HOST_NAME, false, self.original, self.original, "");
        expanded.map(Cow::Owned).map_err(|failure| line.origin.problem(in_keyword("HostName", wrong(failure))))
    }

    /// The login as far as it is known.
    fn user(&self) -> &'a str {
        self.state.user.or_else(|| self.state.text(Setting::User).map(|(user, _)| user)).unwrap_or(&self.config.here.user)
    }

    fn expand(&self, text: &str, letters: &str, variables: bool, host: &str, alias: &str, user: &str) -> Result<String, Failure> {
        let here = &self.config.here;
        let jump = self.state.hops().last().map_or("", |hop| hop.host.as_str());
        let port = self.state.port().unwrap_or(PORT);
        let tokens = Tokens { here, host, original: self.original, port, user, alias, jump };
        expand(text, letters, &tokens, variables.then_some(&here.environment))
    }

    /// Turns what decided into settings.
    fn finish(mut self, host: String) -> Result<Resolution, Problem> {
        if let Some((text, line)) = self.state.text(Setting::RefuseConnection) {
            let complaint = Complaint::new(format!("`RefuseConnection`: {text}"));
            return Err(line.origin.problem(complaint.hint("the configuration says not to connect to this host")));
        }
        let alias = self.state.text(Setting::HostKeyAlias).map(|(alias, _)| alias.to_lowercase());
        let key_name = alias.clone().unwrap_or_else(|| self.original.to_owned());
        let given = self.given_user(&host, &key_name)?;
        let user = given.clone().unwrap_or_else(|| self.config.here.user.clone());
        let places = Places { host: &host, alias: &key_name, user: &user };

        let identities = std::mem::take(&mut self.state.identities);
        let mut identity_files = Vec::with_capacity(identities.len());
        let mut none = false;
        for line in identities {
            match &line.value {
                Value::Text(text) if text.eq_ignore_ascii_case("none") => none = true,
                Value::Text(text) => identity_files.extend(self.path("IdentityFile", text, line, &places)?),
                _ => {}
            }
        }
        let certificates = std::mem::take(&mut self.state.certificates);
        let mut certificate_files = Vec::with_capacity(certificates.len());
        for line in certificates {
            if let Value::Text(text) = &line.value {
                certificate_files.extend(self.path("CertificateFile", text, line, &places)?);
            }
        }
        let user_known_hosts_files = match self.state.texts(Setting::UserKnownHostsFile) {
            None => None,
            Some((texts, line)) => {
                let mut files = Vec::with_capacity(texts.len());
                for text in texts {
                    files.extend(self.path("UserKnownHostsFile", text, line, &places)?);
                }
                Some(files)
            }
        };
        let global_known_hosts_files = match self.state.texts(Setting::GlobalKnownHostsFile) {
            None => None,
            Some((texts, line)) => Some(
                texts
                    .iter()
                    .map(|text| self.tilde("GlobalKnownHostsFile", text, line).map(PathBuf::from))
                    .collect::<Result<_, _>>()?,
            ),
        };
        let revoked_host_keys = match self.state.text(Setting::RevokedHostKeys) {
            Some((text, line)) if !text.eq_ignore_ascii_case("none") => self.path("RevokedHostKeys", text, line, &places)?,
            _ => None,
        };
        let identity_agent = self.agent(&places)?;
        let proxy_jump = self.jump(&places)?;
        let proxy_command = match self.state.text(Setting::ProxyCommand) {
            Some((text, line)) if !text.eq_ignore_ascii_case("none") => Some(
                self.expand(text, tokens::OF_PROXY, false, places.host, places.alias, places.user)
                    .map_err(|failure| line.origin.problem(in_keyword("ProxyCommand", wrong(failure))))?,
            ),
            _ => None,
        };
        let connection_attempts = self.state.number(Setting::ConnectionAttempts);
        if let Some(line) = self.state.line(Setting::ConnectionAttempts).filter(|_| connection_attempts == Some(0)) {
            return Err(line.origin.problem(Complaint::new("`ConnectionAttempts` is 0").hint("a connection takes at least one")));
        }
        let state = &self.state;
        let methods = state.text(Setting::PreferredAuthentications);
        let settings = Settings {
            port: state.port(),
            user: given,
            no_identity_files: none && identity_files.is_empty(),
            identity_files,
            certificate_files,
            identities_only: state.flag(Setting::IdentitiesOnly),
            identity_agent,
            host_key_alias: alias,
            user_known_hosts_files,
            global_known_hosts_files,
            revoked_host_keys,
            host_key_checking: state.line(Setting::StrictHostKeyChecking).and_then(|line| match line.value {
                Value::Checking(checking) => Some(checking),
                _ => None,
            }),
            proxy_jump,
            proxy_command,
            // Zero leaves the time to the system.
            connect_timeout: state.time(Setting::ConnectTimeout).filter(|time| !time.is_zero()),
            connection_attempts,
            server_alive_interval: state.time(Setting::ServerAliveInterval),
            server_alive_count_max: state.number(Setting::ServerAliveCountMax),
            family: state.line(Setting::AddressFamily).map_or_else(Default::default, |line| match line.value {
                Value::Family(family) => family,
                _ => Default::default(),
            }),
            bind_address: state.text(Setting::BindAddress).map(|(address, _)| address.to_owned()),
            kex_algorithms: state.algorithms(Setting::KexAlgorithms),
            ciphers: state.algorithms(Setting::Ciphers),
            macs: state.algorithms(Setting::Macs),
            host_key_algorithms: state.algorithms(Setting::HostKeyAlgorithms),
            pubkey_accepted_algorithms: state.algorithms(Setting::PubkeyAcceptedAlgorithms),
            ca_signature_algorithms: state.algorithms(Setting::CaSignatureAlgorithms),
            preferred_authentications: methods
                .map(|(list, _)| list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()),
            pubkey_authentication: state.flag(Setting::PubkeyAuthentication),
            password_authentication: state.flag(Setting::PasswordAuthentication),
            kbd_interactive_authentication: state.flag(Setting::KbdInteractiveAuthentication),
            required_rsa_size: state.number(Setting::RequiredRsaSize),
            host_name: host,
        };
        Ok(Resolution { settings, warnings: self.state.warnings })
    }

    /// The login that was given, or that a line names: only a line may hold tokens.
    fn given_user(&self, host: &str, alias: &str) -> Result<Option<String>, Problem> {
        if let Some(user) = self.state.user {
            return Ok(Some(user.to_owned()));
        }
        let Some((text, line)) = self.state.text(Setting::User) else { return Ok(None) };
        let expanded = self.expand(text, tokens::OF_USER, true, host, alias, "");
        expanded.map(Some).map_err(|failure| line.origin.problem(in_keyword("User", wrong(failure))))
    }

    fn tilde(&self, keyword: &str, text: &str, line: &Line) -> Result<String, Problem> {
        self.config.here.expand_tilde(text, &self.config.homes).ok_or_else(|| {
            let user = text.split('/').next().unwrap_or_default();
            line.origin.problem(in_keyword(keyword, Complaint::new(format!("there is no user for `{user}`"))))
        })
    }

    /// A file name with everything in it replaced; `None`, with a warning, where a variable is missing.
    fn path(&mut self, keyword: &str, text: &str, line: &Line, places: &Places<'_>) -> Result<Option<PathBuf>, Problem> {
        let text = self.tilde(keyword, text, line)?;
        match self.expand(&text, tokens::ALL, true, places.host, places.alias, places.user) {
            Ok(path) => Ok(Some(PathBuf::from(path))),
            Err(Failure::NoVariable(name)) => {
                let complaint = Complaint::new(format!("the environment has no variable `{name}`, and `{text}` is left out"));
                self.state.warnings.push(Arc::new(line.origin.problem(in_keyword(keyword, complaint.hint("set it")))));
                Ok(None)
            }
            Err(Failure::Wrong(complaint)) => Err(line.origin.problem(in_keyword(keyword, complaint))),
        }
    }

    fn agent(&mut self, places: &Places<'_>) -> Result<AgentSocket, Problem> {
        let Some((text, line)) = self.state.text(Setting::IdentityAgent) else { return Ok(AgentSocket::Environment) };
        Ok(match text {
            "SSH_AUTH_SOCK" => AgentSocket::Environment,
            text if text.eq_ignore_ascii_case("none") => AgentSocket::None,
            text => match self.path("IdentityAgent", text, line, places)? {
                None => AgentSocket::None,
                Some(path) => match path.to_str().and_then(|path| path.strip_prefix('$')) {
                    // As in OpenSSH, a variable that is not set means no agent.
                    Some(variable) => self
                        .config
                        .here
                        .environment
                        .get(variable)
                        .map_or(AgentSocket::None, |path| AgentSocket::Path(PathBuf::from(path))),
                    None => AgentSocket::Path(path),
                },
            },
        })
    }

    fn jump(&self, places: &Places<'_>) -> Result<Vec<Hop>, Problem> {
        let Some(line) = self.state.line(Setting::ProxyJump) else { return Ok(Vec::new()) };
        let expand = |text: &str| {
            let expanded = self.expand(text, tokens::OF_PROXY, false, places.host, places.alias, places.user);
            expanded.map_err(|failure| line.origin.problem(in_keyword("ProxyJump", wrong(failure))))
        };
        let hops =
            self.state.hops().iter().map(|hop| {
                Ok(Hop { user: hop.user.as_deref().map(expand).transpose()?, host: expand(&hop.host)?, port: hop.port })
            });
        let hops: Vec<Hop> = hops.collect::<Result<_, Problem>>()?;
        // The same check as in OpenSSH; longer ways round are found when the route is followed.
        let loops = hops.last().filter(|hop| {
            let user = hop.user.as_deref().unwrap_or(places.user);
            hop.host == places.host && hop.port.unwrap_or(PORT) == self.state.port().unwrap_or(PORT) && user == places.user
        });
        match loops {
            Some(hop) => Err(line.origin.problem(super::route::jumps_to_itself(&hop.host))),
            None => Ok(hops),
        }
    }
}

/// What the tokens of file names are made of, once it is known.
struct Places<'a> {
    host: &'a str,
    alias: &'a str,
    user: &'a str,
}

fn wrong(failure: Failure) -> Complaint {
    match failure {
        Failure::Wrong(complaint) => complaint,
        Failure::NoVariable(name) => Complaint::new(format!("the environment has no variable `{name}`")).hint("set it"),
    }
}

fn in_keyword(keyword: &str, complaint: Complaint) -> Complaint {
    Complaint { message: format!("`{keyword}`: {}", complaint.message), ..complaint }
}
