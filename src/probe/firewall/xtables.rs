//! `iptables-save` and `ip6tables-save`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::ruleset::{Action, Base, Chain, Condition, Hook, Rule, Ruleset};

/// The filter table of a printed ruleset; chains are named `PREFIX/filter/CHAIN`. The other tables decide nothing of interest here.
pub(super) fn ruleset(text: &str, v4: bool, prefix: &str) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let mut in_filter = false;
    let full = |chain: &str| format!("{prefix}/filter/{chain}");
    for line in text.lines() {
        if let Some(table) = line.strip_prefix('*') {
            in_filter = table.trim() == "filter";
        } else if !in_filter {
        } else if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split_ascii_whitespace();
            let (Some(name), Some(policy)) = (words.next(), words.next()) else { continue };
            let hook = match name {
                "INPUT" => Some(Hook::Input),
                "FORWARD" => Some(Hook::Forward),
                _ => None,
            };
            let base = hook.map(|hook| Base { hook, v4, v6: !v4, drops: policy == "DROP" });
            ruleset.chains.insert(full(name), Chain { base, rules: Vec::new() });
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let words = words(rule);
            let Some((name, words)) = words.split_first() else { continue };
            if let Some(chain) = ruleset.chains.get_mut(&full(name)) {
                chain.rules.push(self::rule(words, &full));
            }
        }
    }
    ruleset
}

/// The words of a rule, double quotes and backslashes as iptables prints them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            '\\' if quoted => word.extend(letters.next()),
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            letter => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn rule(words: &[String], full: &impl Fn(&str) -> String) -> Rule {
    let mut conditions = Vec::new();
    let mut action = Action::Continue;
    let mut not = false;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let value = words.get(at).map(String::as_str).unwrap_or_default();
        let takes_value = match word.as_str() {
            "!" => {
                not = true;
                continue;
            }
            "-j" => {
                action = self::action(value, full);
                // What follows the target are its own options.
                break;
            }
            "-g" => {
                action = Action::Goto(full(value));
                break;
            }
            "-m" => {
                conditions.extend(module(value));
                true
            }
            option => {
                let (condition, takes_value) = condition(option, value, words.get(at + 1).map(String::as_str));
                conditions.extend(condition.map(|condition| condition.negated(not)));
                takes_value
            }
        };
        not = false;
        // An option may take several values (`--tcp-flags`, `--match-set`).
        if takes_value {
            while words.get(at).is_some_and(|next| !next.starts_with('-') && next != "!") {
                at += 1;
            }
        }
    }
    Rule { conditions, action }
}

fn action(target: &str, full: &impl Fn(&str) -> String) -> Action {
    match target {
        "ACCEPT" => Action::Accept,
        "DROP" | "REJECT" | "TARPIT" | "STEAL" => Action::Drop,
        "RETURN" => Action::Return,
        "QUEUE" | "NFQUEUE" | "SYNPROXY" => Action::Unknown,
        "LOG" | "NFLOG" | "ULOG" | "MARK" | "CONNMARK" | "SECMARK" | "CONNSECMARK" | "SET" | "TRACE" | "AUDIT" | "CT"
        | "TCPMSS" | "CLASSIFY" | "CHECKSUM" | "DSCP" | "TOS" | "HMARK" | "TTL" | "HL" | "RATEEST" | "LED" | "IDLETIMER"
        | "NOTRACK" => Action::Continue,
        chain => Action::Jump(full(chain)),
    }
}

/// A module that is a condition by itself, or of which no option is understood.
fn module(name: &str) -> Option<Condition> {
    match name {
        "tcp" | "udp" | "comment" | "conntrack" | "state" | "multiport" | "addrtype" | "limit" | "recent" | "hashlimit"
        | "connlimit" | "set" | "iprange" | "icmp" | "icmp6" | "ipv6-icmp" | "rt" | "hl" | "ttl" => None,
        _ => Some(Condition::Unknown),
    }
}

/// The condition of an option, and whether it takes values.
fn condition(option: &str, value: &str, second: Option<&str>) -> (Option<Condition>, bool) {
    let known = |condition| (Some(condition), true);
    match option {
        "-p" => known(Condition::Protocol(vec![value.to_owned()])),
        "-s" => known(Condition::Source(nets(value))),
        "-d" => known(destination(value)),
        "-i" => known(Condition::Input(vec![value.to_owned()])),
        "-o" => known(Condition::Output(vec![value.to_owned()])),
        "--dport" | "--dports" | "--destination-port" => known(ports(value)),
        "--ctstate" | "--state" => known(Condition::Always(value.split(',').any(|state| state == "NEW"))),
        "--ctstatus" => known(Condition::Always(value.split(',').any(|status| status == "NONE"))),
        "--dst-type" => known(match value {
            "LOCAL" => Condition::Local,
            "UNICAST" => Condition::Always(true),
            "MULTICAST" | "BROADCAST" | "ANYCAST" => Condition::Always(false),
            _ => Condition::Unknown,
        }),
        "--src-type" => known(Condition::Always(value == "UNICAST")),
        // The first packet is below every limit, in no list that fills up, and in no set: none knows its address.
        "--limit" | "--hashlimit-upto" | "--connlimit-upto" => known(Condition::Always(true)),
        "--hashlimit-above" | "--connlimit-above" | "--match-set" | "--rt-type" => known(Condition::Always(false)),
        "--update" | "--rcheck" | "--remove" => (Some(Condition::Always(false)), false),
        "--set" => (Some(Condition::Always(true)), false),
        "--src-range" => known(Condition::Always(false)),
        "--syn" => (Some(Condition::Always(true)), false),
        "--tcp-flags" => {
            let flags = |list: &str, flag: &str| list.split(',').any(|name| name == flag || name == "ALL");
            let wanted = second.unwrap_or_default();
            let only_syn = flags(value, "SYN") == flags(wanted, "SYN") && (wanted == "SYN" || wanted == "NONE");
            known(Condition::Always(only_syn))
        }
        // These say nothing of whether the packet is the one.
        "--comment"
        | "--limit-burst"
        | "--seconds"
        | "--hitcount"
        | "--name"
        | "--mask"
        | "--icmp-type"
        | "--icmpv6-type"
        | "--hashlimit-burst"
        | "--hashlimit-mode"
        | "--hashlimit-name"
        | "--hashlimit-srcmask"
        | "--hashlimit-dstmask"
        | "--hashlimit-htable-expire"
        | "--hashlimit-htable-size"
        | "--hashlimit-htable-max"
        | "--connlimit-mask" => (None, true),
        "--rsource" | "--rdest" | "--rttl" | "--connlimit-saddr" | "--connlimit-daddr" => (None, false),
        _ => known(Condition::Unknown),
    }
}

pub(super) fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn nets(value: &str) -> Vec<IpNet> {
    value.split(',').filter_map(net).collect()
}

/// An address that no packet of the probing kind has: of a group, of the link, of the host itself.
pub(super) fn is_special(net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => {
            let address = net.network();
            address.is_multicast() || address.is_loopback() || address.is_link_local() || address.is_broadcast()
        }
        IpNet::V6(net) => {
            let address = net.network();
            net.prefix_len() > 0 && (address.is_multicast() || address.is_loopback() || address.is_unicast_link_local())
        }
    }
}

/// Which address of the host the packet is for is not said: only addresses that it cannot be are decided.
fn destination(value: &str) -> Condition {
    match nets(value).as_slice() {
        [net] if net.prefix_len() == 0 => Condition::Always(true),
        [net] if is_special(net) => Condition::Always(false),
        _ => Condition::Unknown,
    }
}

fn ports(value: &str) -> Condition {
    let port = |text: &str| if text.is_empty() { None } else { text.parse().ok() };
    let ranges: Option<Vec<(u16, u16)>> = value
        .split(',')
        .map(|part| match part.split_once(':') {
            None => port(part).map(|port| (port, port)),
            Some((first, last)) => Some((port(first).unwrap_or(0), port(last).unwrap_or(u16::MAX))),
        })
        .collect();
    ranges.map_or(Condition::Unknown, Condition::Ports)
}

#[cfg(test)]
mod tests {
    use super::super::ruleset::{Fate, Packet};
    use super::*;
    use proptest::prelude::*;

    /// Taken from a host where `ufw` was told: deny incoming, allow 80/tcp, allow 22/tcp from 10.0.0.0/8, limit 2222/tcp.
    pub(crate) const UFW: &str = include_str!("testdata/ufw.v4");
    const UFW6: &str = include_str!("testdata/ufw.v6");
    const DOCKER: &str = "# Generated by iptables-nft-save v1.8.9 (nf_tables)\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
        :DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
        -A FORWARD -o docker0 -j DOCKER\n-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n-A DOCKER-USER -j RETURN\nCOMMIT\n\
        *nat\n:PREROUTING ACCEPT [0:0]\n:INPUT DROP [0:0]\nCOMMIT\n";

    fn fate(rules: &Ruleset, hook: Hook, source: &str, protocol: &str, port: u16) -> Fate {
        let source = source.parse().expect("an address");
        rules.fate(&Packet { hook, source, protocol, port, input: "eth0", output: "eth1" })
    }

    #[test]
    fn ufw_is_followed_through_all_its_chains() {
        let rules = ruleset(UFW, true, "ip");
        let world = |protocol, port| fate(&rules, Hook::Input, "93.184.216.34", protocol, port);
        assert_eq!(world("tcp", 80), Fate::Accepted);
        assert_eq!(world("tcp", 22), Fate::Dropped);
        assert_eq!(world("tcp", 2222), Fate::Accepted, "limited is open");
        assert_eq!(world("tcp", 60999), Fate::Dropped);
        assert_eq!(world("udp", 53), Fate::Dropped);
        assert_eq!(fate(&rules, Hook::Input, "10.1.2.3", "tcp", 22), Fate::Accepted);
        assert_eq!(fate(&rules, Hook::Forward, "93.184.216.34", "tcp", 80), Fate::Dropped);
        assert!(rules.filters_input());
        let rules = ruleset(UFW6, false, "ip6");
        assert_eq!(fate(&rules, Hook::Input, "2606:2800:220:1::1", "tcp", 80), Fate::Accepted);
        assert_eq!(fate(&rules, Hook::Input, "2606:2800:220:1::1", "tcp", 22), Fate::Dropped);
    }

    #[test]
    fn docker_alone_forbids_forwarding_and_is_no_firewall() {
        let rules = ruleset(DOCKER, true, "ip");
        assert_eq!(fate(&rules, Hook::Forward, "93.184.216.34", "tcp", 80), Fate::Dropped);
        assert_eq!(fate(&rules, Hook::Input, "93.184.216.34", "tcp", 80), Fate::Accepted);
        assert!(!rules.filters_input());
    }

    #[test]
    fn the_words_of_a_rule_survive_its_comment() {
        let text = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m comment --comment \"ssh -j DROP \\\" x\" -m tcp --dport 22 -j ACCEPT\n\
            -A INPUT ! -s 10.0.0.0/8 -p tcp -m multiport --dports 80,8000:8010 -j ACCEPT\n-A INPUT -p tcp --tcp-flags FIN,SYN,RST,ACK SYN -m tcp --dport 90 -j ACCEPT\n\
            -A INPUT -p tcp ! --syn -j ACCEPT\n-A INPUT -m owner --uid-owner 0 -m udp -p udp --dport 53 -j ACCEPT\nCOMMIT\n";
        let rules = ruleset(text, true, "ip");
        let world = |protocol, port| fate(&rules, Hook::Input, "93.184.216.34", protocol, port);
        assert_eq!(world("tcp", 22), Fate::Accepted);
        assert_eq!(world("tcp", 8005), Fate::Accepted);
        assert_eq!(fate(&rules, Hook::Input, "10.0.0.1", "tcp", 8005), Fate::Dropped);
        assert_eq!(world("tcp", 90), Fate::Accepted);
        assert_eq!(world("tcp", 91), Fate::Dropped);
        assert_eq!(world("udp", 53), Fate::Undecided);
    }

    #[test]
    fn half_of_the_internet_is_not_a_limit() {
        let text = "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 0.0.0.0/1 -j ACCEPT\nCOMMIT\n";
        assert_eq!(fate(&ruleset(text, true, "ip"), Hook::Input, "93.184.216.34", "tcp", 22), Fate::Accepted);
    }

    proptest! {
        #[test]
        fn no_ruleset_makes_the_parser_panic(text in "\\*filter\n:INPUT DROP \\[0:0\\]\n((-A INPUT( (!|-p|-s|-j|--dport|-m|--tcp-flags|\"|\\PC{0,8})){0,8}|:\\PC{0,9}|\\PC{0,20})\n){0,20}") {
            let rules = ruleset(&text, true, "ip");
            let _ = fate(&rules, Hook::Input, "93.184.216.34", "tcp", 22);
            let _ = rules.filters_input();
        }
    }
}
