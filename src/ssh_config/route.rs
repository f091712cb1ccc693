//! The way to a host: through which others, each by its own place in the configuration.

use super::problem::{Complaint, Origin, Problem};
use super::{Config, Hop, Options, Query, Resolution, resolve};

/// The most hosts on a way. Whoever needs more has made a loop of names that grow.
const MOST_HOPS: usize = 16;

/// Follows `ProxyJump` from the host outwards, as `ssh` does it: the last hop is reached through the hops before it, and the first one by
/// its own configuration. The options of the host are not for the hops.
pub(super) fn follow<'a>(config: &'a Config, query: Query<'a>) -> Result<Vec<Resolution>, Problem> {
    let target = resolve::resolve(config, query, Some(&config.options))?;
    let mut hops = target.settings.proxy_jump.clone();
    let mut seen: Vec<Vec<Hop>> = Vec::new();
    let mut route = vec![target];
    while let Some(hop) = hops.last().cloned() {
        if seen.contains(&hops) || route.len() > MOST_HOPS {
            let origin = Origin { file: query.host.into(), line: None, of_user: true };
            return Err(origin.problem(jumps_to_itself(&hop.host)));
        }
        seen.push(hops.clone());
        hops.pop();
        let before = Options::jumping(&hops);
        let options = Some(&before);
        let next = resolve::resolve(config, Query { host: &hop.host, user: hop.user.as_deref(), port: hop.port, options }, None)?;
        hops.clone_from(&next.settings.proxy_jump);
        route.push(next);
    }
    Ok(route)
}

pub(super) fn jumps_to_itself(host: &str) -> Complaint {
    Complaint::new(format!("`ProxyJump` to `{host}` leads back to `{host}`"))
        .hint(format!("write `Host {host}` with `ProxyJump none` above it, or `!{host}` on the `Host` line of the jump"))
}
