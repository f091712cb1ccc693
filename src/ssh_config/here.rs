//! This machine and the user who runs us, as a configuration may ask for them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::unistd::{Uid, User, gethostname};

/// What `~`, `%u`, `%l`, `${NAME}` and `Match localuser` mean: taken once, so that the same question has the same answer for every host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Here {
    /// The login.
    pub user: String,
    /// Its number.
    pub uid: u32,
    /// Its home directory: `HOME`, as everywhere in this program, else the one of its passwd entry, which is the only one OpenSSH asks for.
    pub home: PathBuf,
    /// The name of this machine, perhaps with its domain.
    pub host_name: String,
    /// The addresses of the interfaces that are up.
    pub addresses: Vec<IpAddr>,
    /// The variables of the environment that are text.
    pub environment: HashMap<String, String>,
}

impl Here {
    /// What is true of this process.
    pub fn of_this_process() -> Self {
        let environment: HashMap<String, String> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        let uid = Uid::current();
        let entry = User::from_uid(uid).ok().flatten();
        // In a container, the user may be a number that no entry is for.
        let named = || environment.get("USER").or_else(|| environment.get("LOGNAME")).cloned();
        let user = entry.as_ref().map(|entry| entry.name.clone()).or_else(named).unwrap_or_else(|| uid.to_string());
        let home = environment.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = home.or_else(|| entry.map(|entry| entry.dir)).unwrap_or_else(|| PathBuf::from("/"));
        let host_name = gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        Self { user, uid: uid.as_raw(), home, host_name, addresses: addresses(), environment }
    }

    /// The name of this machine without its domain.
    pub(super) fn short_name(&self) -> &str {
        self.host_name.split('.').next().unwrap_or_default()
    }

    /// `~`, `~/path` and `~user/path`, as far as it begins with `~`; `None` for a user whom nobody knows.
    pub(super) fn expand_tilde(&self, text: &str, homes: &Homes) -> Option<String> {
        let Some(rest) = text.strip_prefix('~') else { return Some(text.to_owned()) };
        let (user, path) = rest.split_once('/').unwrap_or((rest, ""));
        let home = if user.is_empty() { self.home.display().to_string() } else { homes.of(user)? };
        Some(format!("{}/{}", home.trim_end_matches('/'), path.trim_start_matches('/')))
    }

    /// The user's own directory of OpenSSH.
    pub(super) fn ssh_directory(&self) -> PathBuf {
        self.home.join(".ssh")
    }
}

/// The home directories of other users, each asked for once.
#[derive(Debug, Default)]
pub(super) struct Homes(std::sync::Mutex<HashMap<String, Option<String>>>);

impl Homes {
    fn of(&self, user: &str) -> Option<String> {
        let ask = || User::from_name(user).ok().flatten().map(|entry| path_text(&entry.dir));
        match self.0.lock() {
            Ok(mut known) => known.entry(user.to_owned()).or_insert_with(ask).clone(),
            Err(_) => ask(),
        }
    }
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

fn addresses() -> Vec<IpAddr> {
    let up = getifaddrs().into_iter().flatten().filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP));
    up.filter_map(|interface| {
        let address = interface.address?;
        let four = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_directory_of_the_user_it_names() {
        let here = Here { home: PathBuf::from("/home/ops"), ..Here::default() };
        let homes = Homes::default();
        let expand = |text| here.expand_tilde(text, &homes);
        assert_eq!(expand("~/.ssh/id").as_deref(), Some("/home/ops/.ssh/id"));
        assert_eq!(expand("~//x").as_deref(), Some("/home/ops/x"));
        assert_eq!(expand("/a/~").as_deref(), Some("/a/~"));
        assert_eq!(
            expand("~root/x").as_deref(),
            User::from_name("root").unwrap().map(|root| format!("{}/x", root.dir.display())).as_deref()
        );
        assert_eq!(expand("~no-such-user-here/x"), None);
    }

    #[test]
    fn this_process_has_a_user_a_home_and_a_loopback_address() {
        let here = Here::of_this_process();
        assert!(!here.user.is_empty() && here.home.is_absolute());
        assert!(here.addresses.iter().any(IpAddr::is_loopback), "{:?}", here.addresses);
        assert!(here.environment.contains_key("PATH"));
    }
}
