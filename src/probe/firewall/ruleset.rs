//! Rules of a packet filter, whoever wrote them, and what becomes of one packet.
//!
//! Instead of reading rules for what they look like, a packet is sent through them: the first of a connection, from an address on the internet that no
//! rule knows. What cannot be decided (a condition that is not understood) is followed both ways.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Where a chain is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    /// Packets for the host itself.
    Input,
    /// Packets that the host passes on.
    Forward,
}

/// The first packet of a connection.
#[derive(Debug, Clone)]
pub(super) struct Packet<'a> {
    pub(super) hook: Hook,
    pub(super) source: IpAddr,
    pub(super) protocol: &'a str,
    pub(super) port: u16,
    pub(super) input: &'a str,
    pub(super) output: &'a str,
}

/// One test of a packet. Each list holds alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// Known to hold, or not to, for the first packet of a connection from outside.
    Always(bool),
    /// Not understood.
    Unknown,
    /// The packet is IPv4 (or IPv6).
    IsV4(bool),
    Protocol(Vec<String>),
    Ports(Vec<(u16, u16)>),
    Source(Vec<IpNet>),
    /// Interface names, `*` or `+` at the end for any rest.
    Input(Vec<String>),
    Output(Vec<String>),
    /// The packet is for the host itself.
    Local,
    Not(Box<Condition>),
}

impl Condition {
    pub(super) fn negated(self, not: bool) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            condition if not => Self::Not(Box::new(condition)),
            condition => condition,
        }
    }

    /// Whether it holds; `None` where that cannot be told.
    fn holds(&self, packet: &Packet<'_>) -> Option<bool> {
        let one_of = |patterns: &[String], name: &str| Some(patterns.iter().any(|pattern| interface_matches(pattern, name)));
        match self {
            Self::Always(holds) => Some(*holds),
            Self::Unknown => None,
            Self::IsV4(v4) => Some(packet.source.is_ipv4() == *v4),
            Self::Protocol(names) => Some(names.iter().any(|name| name == packet.protocol || name == "all")),
            Self::Ports(ranges) => Some(ranges.iter().any(|(first, last)| (*first..=*last).contains(&packet.port))),
            Self::Source(nets) => Some(nets.iter().any(|net| net.contains(&packet.source))),
            Self::Input(patterns) => one_of(patterns, packet.input),
            Self::Output(patterns) => one_of(patterns, packet.output),
            Self::Local => Some(packet.hook == Hook::Input),
            // Only `Not` of a plain condition is ever made, so this goes one level deep.
            Self::Not(condition) => condition.holds(packet).map(|holds| !holds),
        }
    }
}

fn interface_matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix(['*', '+']) {
        Some(head) => name.starts_with(head),
        None => pattern == name,
    }
}

/// What a rule does with a packet that it applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing that decides: counting, logging, marking.
    Continue,
    Accept,
    Drop,
    Return,
    Jump(String),
    Goto(String),
    /// Something else decides: a queue to a program.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) conditions: Vec<Condition>,
    pub(super) action: Action,
}

/// How a chain is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) hook: Hook,
    pub(super) v4: bool,
    pub(super) v6: bool,
    /// The policy: what becomes of a packet that no rule decides.
    pub(super) drops: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) base: Option<Base>,
    pub(super) rules: Vec<Rule>,
}

/// All chains of a host, by a name that is unique among all tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Ruleset {
    pub(super) chains: BTreeMap<String, Chain>,
}

/// What may become of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Outcome {
    accept: bool,
    drop: bool,
    /// Leaves the chain undecided.
    pass: bool,
}

impl Outcome {
    const ANY: Self = Self { accept: true, drop: true, pass: true };

    fn or(self, other: Self) -> Self {
        Self { accept: self.accept || other.accept, drop: self.drop || other.drop, pass: self.pass || other.pass }
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Accepted,
    Dropped,
    /// The rules hold conditions that were not understood.
    Undecided,
}

/// Deeper than the kernel lets chains be nested (16), so that a hostile ruleset cannot exhaust the stack.
const DEPTH: usize = 64;

impl Ruleset {
    /// Adds the chains of another part of the host's rules.
    pub(super) fn extend(&mut self, other: Self) {
        self.chains.extend(other.chains);
    }

    /// A packet passes when every chain at its hook lets it pass: a drop is final, an acceptance is not.
    pub(super) fn fate(&self, packet: &Packet<'_>) -> Fate {
        let v4 = packet.source.is_ipv4();
        let mut known = BTreeMap::new();
        let (mut may_pass, mut may_drop) = (true, false);
        for (name, chain) in &self.chains {
            let Some(base) = chain.base.filter(|base| base.hook == packet.hook && if v4 { base.v4 } else { base.v6 }) else {
                continue;
            };
            let outcome = self.through(name, packet, &mut known, 0);
            may_drop |= outcome.drop || (outcome.pass && base.drops);
            may_pass &= outcome.accept || (outcome.pass && !base.drops);
        }
        match (may_pass, may_drop) {
            (true, false) => Fate::Accepted,
            (false, _) => Fate::Dropped,
            (true, true) => Fate::Undecided,
        }
    }

    /// Each chain is gone through once for a packet, whatever the number of jumps to it.
    fn through<'a>(
        &'a self,
        name: &'a str,
        packet: &Packet<'_>,
        known: &mut BTreeMap<&'a str, Option<Outcome>>,
        depth: usize,
    ) -> Outcome {
        match known.get(name) {
            Some(Some(outcome)) => return *outcome,
            // A circle, which the kernel refuses.
            Some(None) => return Outcome::ANY,
            None if depth > DEPTH => return Outcome::ANY,
            None => {}
        }
        let Some(chain) = self.chains.get(name) else { return Outcome::ANY };
        known.insert(name, None);
        let mut outcome = Outcome { pass: true, ..Outcome::default() };
        for rule in &chain.rules {
            let mut applies = Some(true);
            for condition in &rule.conditions {
                match condition.holds(packet) {
                    Some(true) => {}
                    Some(false) => {
                        applies = Some(false);
                        break;
                    }
                    None => applies = None,
                }
            }
            if applies == Some(false) {
                continue;
            }
            let (does, goes_on) = match &rule.action {
                Action::Continue => continue,
                Action::Accept => (Outcome { accept: true, ..Outcome::default() }, false),
                Action::Drop => (Outcome { drop: true, ..Outcome::default() }, false),
                Action::Return => (Outcome { pass: true, ..Outcome::default() }, false),
                Action::Goto(target) => (self.through(target, packet, known, depth + 1), false),
                Action::Jump(target) => {
                    let inside = self.through(target, packet, known, depth + 1);
                    (Outcome { pass: false, ..inside }, inside.pass)
                }
                Action::Unknown => (Outcome { pass: false, ..Outcome::ANY }, true),
            };
            if applies == Some(true) && !goes_on {
                outcome = Outcome { pass: false, ..outcome }.or(does);
                known.insert(name, Some(outcome));
                return outcome;
            }
            outcome = outcome.or(does);
        }
        known.insert(name, Some(outcome));
        outcome
    }

    /// Whether some rule or policy for packets to the host drops any that are not merely broken. Chains that programs keep for themselves (containers, lists of
    /// attackers) do not count: they make no firewall.
    pub(super) fn filters_input(&self) -> bool {
        let mut open: Vec<&str> = Vec::new();
        for (name, chain) in &self.chains {
            if let Some(base) = chain.base.filter(|base| base.hook == Hook::Input) {
                if base.drops {
                    return true;
                }
                open.push(name);
            }
        }
        let mut seen: std::collections::BTreeSet<&str> = open.iter().copied().collect();
        while let Some(name) = open.pop() {
            for rule in self.chains.get(name).map(|chain| chain.rules.as_slice()).unwrap_or_default() {
                // A condition that never holds for a new connection: invalid packets and the like.
                if rule.conditions.contains(&Condition::Always(false)) {
                    continue;
                }
                match &rule.action {
                    Action::Drop => return true,
                    Action::Jump(target) | Action::Goto(target) if !is_foreign(target) && seen.insert(target) => {
                        open.push(target)
                    }
                    _ => {}
                }
            }
        }
        false
    }
}

/// Whether a chain belongs to a program that is not a firewall.
fn is_foreign(chain: &str) -> bool {
    let name = chain.rsplit('/').next().unwrap_or(chain);
    let prefixes = [
        "DOCKER", "KUBE-", "LIBVIRT_", "CNI-", "cali-", "CILIUM_", "f2b-", "fail2ban", "sshguard", "crowdsec", "CROWDSEC", "ts-",
        "LXD", "lxd",
    ];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(port: u16) -> Packet<'static> {
        Packet {
            hook: Hook::Input,
            source: "93.184.216.34".parse().expect("an address"),
            protocol: "tcp",
            port,
            input: "eth0",
            output: "",
        }
    }

    fn chain(base: Option<bool>, rules: Vec<(Vec<Condition>, Action)>) -> Chain {
        Chain {
            base: base.map(|drops| Base { hook: Hook::Input, v4: true, v6: true, drops }),
            rules: rules.into_iter().map(|(conditions, action)| Rule { conditions, action }).collect(),
        }
    }

    fn ruleset(chains: Vec<(&str, Chain)>) -> Ruleset {
        Ruleset { chains: chains.into_iter().map(|(name, chain)| (name.to_owned(), chain)).collect() }
    }

    #[test]
    fn a_drop_in_any_chain_is_final_and_an_acceptance_is_not() {
        let accepts = chain(Some(false), vec![(vec![], Action::Accept)]);
        let drops = chain(Some(true), vec![]);
        assert_eq!(ruleset(vec![("a", accepts.clone())]).fate(&packet(22)), Fate::Accepted);
        assert_eq!(ruleset(vec![("a", accepts), ("b", drops)]).fate(&packet(22)), Fate::Dropped);
        assert_eq!(Ruleset::default().fate(&packet(22)), Fate::Accepted, "no rules, no filter");
    }

    #[test]
    fn jumps_come_back_and_gotos_do_not() {
        let rules = |action| {
            ruleset(vec![
                ("base", chain(Some(true), vec![(vec![], action), (vec![], Action::Accept)])),
                ("inner", chain(None, vec![(vec![Condition::Ports(vec![(80, 80)])], Action::Accept)])),
            ])
        };
        assert_eq!(rules(Action::Jump("inner".to_owned())).fate(&packet(22)), Fate::Accepted);
        assert_eq!(rules(Action::Goto("inner".to_owned())).fate(&packet(22)), Fate::Dropped);
        assert_eq!(rules(Action::Goto("inner".to_owned())).fate(&packet(80)), Fate::Accepted);
    }

    #[test]
    fn what_is_not_understood_is_followed_both_ways() {
        let undecided = chain(Some(true), vec![(vec![Condition::Unknown], Action::Accept)]);
        assert_eq!(ruleset(vec![("a", undecided)]).fate(&packet(22)), Fate::Undecided);
        let harmless = chain(Some(true), vec![(vec![Condition::Unknown], Action::Drop)]);
        assert_eq!(ruleset(vec![("a", harmless)]).fate(&packet(22)), Fate::Dropped);
        let elsewhere = chain(Some(true), vec![(vec![Condition::Unknown, Condition::Ports(vec![(80, 80)])], Action::Accept)]);
        assert_eq!(ruleset(vec![("a", elsewhere)]).fate(&packet(22)), Fate::Dropped);
    }

    #[test]
    fn circles_and_chains_without_end_are_survived() {
        let circle = ruleset(vec![
            ("a", chain(Some(true), vec![(vec![], Action::Jump("b".to_owned()))])),
            ("b", chain(None, vec![(vec![], Action::Jump("a".to_owned()))])),
        ]);
        assert_eq!(circle.fate(&packet(22)), Fate::Undecided);
        let names: Vec<String> = (0..5000).map(|at| format!("{at:05}")).collect();
        let mut long = Ruleset::default();
        for (at, name) in names.iter().enumerate() {
            let next = Action::Jump(names.get(at + 1).cloned().unwrap_or_default());
            long.chains.insert(name.clone(), chain((at == 0).then_some(true), vec![(vec![], next.clone()), (vec![], next)]));
        }
        assert_eq!(long.fate(&packet(22)), Fate::Undecided);
    }

    #[test]
    fn lists_of_attackers_are_no_firewall() {
        let banning = ruleset(vec![
            ("ip/filter/INPUT", chain(Some(false), vec![(vec![], Action::Jump("ip/filter/f2b-sshd".to_owned()))])),
            ("ip/filter/f2b-sshd", chain(None, vec![(vec![Condition::Source(vec![])], Action::Drop)])),
        ]);
        assert!(!banning.filters_input());
        let blocking = chain(Some(false), vec![(vec![Condition::Ports(vec![(2375, 2375)])], Action::Drop)]);
        assert!(ruleset(vec![("a", blocking)]).filters_input());
    }
}
