//! What the packet filter lets in and through, whichever program wrote its rules.

mod nft;
mod ruleset;
mod xtables;

use std::collections::BTreeSet;
use std::net::IpAddr;

use self::ruleset::{Fate, Hook, Packet, Ruleset};
use super::sysctl::outside_interfaces;
use super::{FactSpec, Input, Kind, Output, Probe, Wanted, no_secrets};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "firewall", facts: FACTS, needs, steps, parse, redact: no_secrets };

const SOURCE: &str = "nft -j list ruleset; iptables-save; ip6tables-save";

const fn spec(name: &'static str, kind: Kind, summary: &'static str) -> FactSpec {
    FactSpec { name, key: None, kind, unit: None, source: SOURCE, rights: Rights::Root, summary }
}

const FACTS: &[FactSpec] = &[
    spec(
        "firewall.active",
        Kind::Bool,
        "Whether any rule or policy drops packets to the host; rules of container engines and of lists of attackers do not count.",
    ),
    spec(
        "firewall.default_deny_v4",
        Kind::Bool,
        "Whether an IPv4 packet from the internet to a port nobody speaks of is dropped.",
    ),
    spec(
        "firewall.default_deny_v6",
        Kind::Bool,
        "Whether an IPv6 packet from the internet to a port nobody speaks of is dropped.",
    ),
    spec(
        "firewall.forward_deny_v4",
        Kind::Bool,
        "Whether an IPv4 packet that asks to be passed on between outside networks is dropped.",
    ),
    spec(
        "firewall.forward_deny_v6",
        Kind::Bool,
        "Whether an IPv6 packet that asks to be passed on between outside networks is dropped.",
    ),
    spec(
        "firewall.open_ports",
        Kind::List(&Kind::Text),
        "Ports of `listeners` that any address of the internet reaches through the rules, as `tcp/22`; all of them where there are no rules.",
    ),
    FactSpec {
        name: "firewall.managers",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "service[...]; grep /etc/ufw/ufw.conf",
        rights: Rights::Any,
        summary: "Programs that set up the packet filter at start or run it now: ufw, firewalld, nftables, iptables.",
    },
];

const RULES: &[&str] = &[
    "firewall.active",
    "firewall.default_deny_v4",
    "firewall.default_deny_v6",
    "firewall.forward_deny_v4",
    "firewall.forward_deny_v6",
    "firewall.open_ports",
];

/// The manager, and the units that stand for it.
const MANAGERS: &[(&str, &[&str])] = &[
    ("ufw", &["ufw"]),
    ("firewalld", &["firewalld"]),
    ("nftables", &["nftables"]),
    ("iptables", &["netfilter-persistent", "iptables", "ip6tables"]),
];

/// Addresses of the internet, two in each half, that no rule has a reason to name.
const SOURCES_V4: [&str; 2] = ["93.184.216.34", "185.199.108.153"];
const SOURCES_V6: [&str; 2] = ["2606:2800:220:1::1", "2a00:1450:4001::1"];

/// Interfaces to networks of one's own: who may come from there was asked before.
const TUNNELS: &[&str] = &["wg", "tailscale", "tun", "tap", "zt", "nebula", "ipsec"];

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    let mut needs = Vec::new();
    if wanted.wants_any(RULES) {
        needs.push(FactRef::plain("net.interfaces"));
    }
    if wanted.wants("firewall.open_ports") {
        needs.push(FactRef::plain("listeners"));
    }
    if wanted.wants("firewall.managers") {
        needs.extend(MANAGERS.iter().flat_map(|(_, units)| units.iter()).map(|unit| FactRef::keyed("service", *unit)));
    }
    needs
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask = |id: &str, command: Option<ReadOnlyCommand>| steps.extend(command.map(|command| Step::new(id, command)));
    if wanted.wants_any(RULES) {
        ask("firewall-nft", ReadOnlyCommand::fragment::<&str>(Fragment::NftRuleset, &[], Rights::Root).ok());
        ask("firewall-v4", ReadOnlyCommand::fragment(Fragment::XtablesRuleset, &["4"], Rights::Root).ok());
        ask("firewall-v6", ReadOnlyCommand::fragment(Fragment::XtablesRuleset, &["6"], Rights::Root).ok());
    }
    if wanted.wants("firewall.managers") {
        ask("firewall-ufw", ReadOnlyCommand::new(Program::Grep, &["-H", "^ENABLED=", "/etc/ufw/ufw.conf"], Rights::Any).ok());
    }
    steps
}

fn parse(input: &Input<'_>, output: &mut Output) {
    if input.wanted.wants("firewall.managers") {
        output.set("firewall.managers", managers(input));
    }
    if !input.wanted.wants_any(RULES) {
        return;
    }
    let rules = Rules::of(input);
    let ask = |question: &dyn Fn(&Rules) -> Result<Value, Why>| rules.as_ref().map_err(Clone::clone).and_then(question);
    output.set("firewall.active", ask(&|rules| rules.active().map(Value::from)));
    for (name, hook, v4) in [
        ("firewall.default_deny_v4", Hook::Input, true),
        ("firewall.default_deny_v6", Hook::Input, false),
        ("firewall.forward_deny_v4", Hook::Forward, true),
        ("firewall.forward_deny_v6", Hook::Forward, false),
    ] {
        // Nobody speaks of these: a low port that was never given to a service, and a high one.
        let denies = |rules: &Rules| -> Result<Value, Why> {
            for (protocol, port) in [("tcp", 60_999), ("tcp", 4), ("udp", 60_999)] {
                if rules.reached(hook, v4, protocol, port)? {
                    return Ok(false.into());
                }
            }
            Ok(true.into())
        };
        output.set(name, ask(&denies));
    }
    if input.wanted.wants("firewall.open_ports") {
        output.set("firewall.open_ports", ask(&|rules| open_ports(rules, input.facts.value("listeners")?)));
    }
}

/// The rules of the host and the doors they stand at.
struct Rules {
    ruleset: Ruleset,
    interfaces: Vec<String>,
    /// Why a packet that nothing seen here stops might be stopped all the same.
    unseen: Option<Why>,
}

impl Rules {
    fn of(input: &Input<'_>) -> Result<Self, Why> {
        let answers = input.answers;
        let nft = answers.text("firewall-nft")?;
        let (mut ruleset, mut unseen) = (Ruleset::default(), None);
        let (mut tools, mut explained) = (false, BTreeSet::new());
        for (step, v4, family) in [("firewall-v4", true, "ip"), ("firewall-v6", false, "ip6")] {
            let text = answers.text(step)?;
            let (legacy, modern) = sections(&text);
            tools |= legacy.is_some() || modern.is_some();
            // The program for the tables of nf_tables is blind to the old ones.
            if legacy.is_some_and(|legacy| legacy.contains("nf_tables") || legacy.contains("legacy tables present")) {
                unseen = Some(Why::ToolMissing(format!("there are old tables, and no `{family}tables-legacy-save` shows them")));
            } else if let Some(legacy) = legacy {
                ruleset.extend(xtables::ruleset(legacy, v4, &format!("legacy-{family}")));
            }
            if let Some(modern) = modern {
                explained.extend(
                    modern.lines().filter_map(|line| line.strip_prefix('*')).map(|table| format!("{family}/{}", table.trim())),
                );
                ruleset.extend(xtables::ruleset(modern, v4, family));
            }
        }
        match nft.trim() {
            "absent" => {}
            // Where no program could have set a rule, there is none.
            "no-tool" if !tools => {}
            "no-tool" => {
                unseen =
                    Some(Why::ToolMissing("`nft` is not installed, and the kernel may hold rules that only it shows".to_owned()))
            }
            document => {
                let rules = nft::ruleset(document, &explained)
                    .map_err(|because| Why::CouldNotBeParsed(format!("`nft -j list ruleset` printed no ruleset: {because}")))?;
                ruleset.extend(rules);
            }
        }
        let mut interfaces = outside_interfaces(input.facts)?;
        interfaces.retain(|name| !TUNNELS.iter().any(|prefix| name.starts_with(prefix)));
        if interfaces.len() > 64 {
            return Err(Why::Truncated(format!("there are {} network interfaces, more than are looked at", interfaces.len())));
        }
        if interfaces.is_empty() {
            interfaces.push("outside0".to_owned());
        }
        Ok(Self { ruleset, interfaces, unseen })
    }

    fn active(&self) -> Result<bool, Why> {
        match (self.ruleset.filters_input(), &self.unseen) {
            (false, Some(why)) => Err(why.clone()),
            (filters, _) => Ok(filters),
        }
    }

    /// Whether a packet from somewhere on the internet gets through, at any interface.
    fn reached(&self, hook: Hook, v4: bool, protocol: &str, port: u16) -> Result<bool, Why> {
        let mut undecided = false;
        for source in if v4 { SOURCES_V4 } else { SOURCES_V6 } {
            let Ok(source) = source.parse() else { continue };
            for input in &self.interfaces {
                for output in &self.interfaces {
                    match self.ruleset.fate(&Packet { hook, source, protocol, port, input, output }) {
                        Fate::Accepted => return self.unseen.clone().map_or(Ok(true), Err),
                        Fate::Undecided => undecided = true,
                        Fate::Dropped => {}
                    }
                    if hook == Hook::Input {
                        break;
                    }
                }
            }
        }
        if undecided {
            return Err(Why::CouldNotBeParsed(format!(
                "the rules for {protocol}/{port} hold conditions that are not understood"
            )));
        }
        Ok(false)
    }
}

/// The two parts of an answer: the old tables, and those that iptables keeps in nf_tables.
fn sections(text: &str) -> (Option<&str>, Option<&str>) {
    let (old, modern) = match text.split_once("#nft\n") {
        Some((old, modern)) => (old, Some(modern)),
        None => (text, None),
    };
    (old.split_once("#legacy\n").map(|(_, legacy)| legacy), modern)
}

fn open_ports(rules: &Rules, listeners: &Value) -> Result<Value, Why> {
    let mut sockets = BTreeSet::new();
    for listener in listeners.as_list().unwrap_or_default() {
        let field = |name| listener.field(name).and_then(Value::as_str);
        let (Some(protocol), Some(address)) = (field("protocol"), field("address")) else { continue };
        let (Ok(address), Some(port)) = (address.parse::<IpAddr>(), listener.field("port").and_then(Value::as_int)) else {
            continue;
        };
        let Ok(port) = u16::try_from(port) else { continue };
        if address.is_loopback() {
            continue;
        }
        // A socket of IPv6 for every address takes IPv4 as well.
        if address.is_ipv4() || address.is_unspecified() {
            sockets.insert((protocol, port, true));
        }
        if address.is_ipv6() {
            sockets.insert((protocol, port, false));
        }
    }
    if sockets.len() > 1000 {
        return Err(Why::Truncated(format!("{} sockets listen, more than are looked at", sockets.len())));
    }
    let mut open = BTreeSet::new();
    for (protocol, port, v4) in sockets {
        if rules.reached(Hook::Input, v4, protocol, port)? {
            open.insert((protocol, port));
        }
    }
    Ok(Value::list(open.into_iter().map(|(protocol, port)| format!("{protocol}/{port}"))))
}

fn managers(input: &Input<'_>) -> Result<Value, Why> {
    let ufw = input.answers.answer("firewall-ufw")?;
    let ufw_enabled = ufw.text().lines().any(|line| line.trim_end().ends_with("=yes"));
    if ufw.exit != 0 && ufw.was_denied() {
        return Err(Why::NeedsRoot("`/etc/ufw/ufw.conf` can be read by root only".to_owned()));
    }
    let mut managers = Vec::new();
    for (manager, units) in MANAGERS {
        let mut runs = false;
        for unit in *units {
            let service = input.facts.keyed("service", unit)?;
            let is = |field: &str, word: &str| service.field(field).and_then(Value::as_str) == Some(word);
            runs |= is("active", "active") || is("enabled", "enabled");
        }
        if runs && (*manager != "ufw" || ufw_enabled) {
            managers.push(*manager);
        }
    }
    Ok(Value::list(managers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Facts;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};
    use crate::probe::script::{Answer, State};

    const UFW_V4: &str = include_str!("testdata/ufw.v4");
    const UFW_V6: &str = include_str!("testdata/ufw.v6");
    const UFW_NFT: &str = include_str!("testdata/ufw.json");

    fn interfaces() -> Answer {
        let mut text = String::new();
        for name in ["all", "default", "lo", "eth0", "docker0"] {
            for key in [
                "forwarding",
                "accept_redirects",
                "secure_redirects",
                "send_redirects",
                "accept_source_route",
                "rp_filter",
                "log_martians",
                "proxy_arp",
                "mc_forwarding",
            ] {
                text.push_str(&format!("/proc/sys/net/ipv4/conf/{name}/{key}:0\n"));
            }
        }
        answered(&text)
    }

    fn listeners() -> Answer {
        answered(
            "/proc/net/tcp:  sl \n/proc/net/tcp: 0: 00000000:0016 00000000:0000 0A x\n/proc/net/tcp: 1: 0100007F:1F90 00000000:0000 0A x\n\
             /proc/net/tcp6: 0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A x\n/proc/net/udp: sl \n",
        )
    }

    fn facts(nft: Answer, v4: Answer, v6: Answer) -> Facts {
        let mut names = RULES.to_vec();
        names.push("listeners");
        facts_of(
            &names,
            &[
                ("interface-sysctls", interfaces()),
                ("listeners", listeners()),
                ("firewall-nft", nft),
                ("firewall-v4", v4),
                ("firewall-v6", v6),
            ],
        )
    }

    #[test]
    fn ufw_over_nf_tables_is_read_from_iptables_where_nft_cannot_tell() {
        let facts = facts(answered(UFW_NFT), answered(&format!("#legacy\n#nft\n{UFW_V4}")), answered(&format!("#nft\n{UFW_V6}")));
        for name in [
            "firewall.active",
            "firewall.default_deny_v4",
            "firewall.default_deny_v6",
            "firewall.forward_deny_v4",
            "firewall.forward_deny_v6",
        ] {
            assert_eq!(facts.value(name), Ok(&true.into()), "{name}");
        }
        assert_eq!(facts.value("firewall.open_ports"), Ok(&Value::list(["tcp/80"])));
    }

    #[test]
    fn without_rules_everything_is_open() {
        for nft in ["absent\n", "no-tool\n", "{\"nftables\": []}"] {
            let facts = facts(answered(nft), answered("absent\n"), answered("absent\n"));
            assert_eq!(facts.value("firewall.active"), Ok(&false.into()));
            assert_eq!(facts.value("firewall.default_deny_v4"), Ok(&false.into()));
            assert_eq!(facts.value("firewall.open_ports"), Ok(&Value::list(["tcp/22", "tcp/80"])));
        }
    }

    #[test]
    fn without_root_no_host_is_without_a_firewall() {
        let facts = facts(not_run(State::NeedsRoot), not_run(State::NeedsRoot), not_run(State::NeedsRoot));
        for name in RULES {
            assert!(matches!(facts.value(name), Err(Why::NeedsRoot(_))), "{name}");
        }
        let denied = answered_with("", "netlink: Error: cache initialization failed: Operation not permitted\n", 1);
        let facts = self::facts(denied, answered("absent\n"), answered("absent\n"));
        assert!(matches!(facts.value("firewall.active"), Err(Why::NeedsRoot(_))));
    }

    #[test]
    fn rules_that_no_program_shows_leave_open_what_the_others_do_not_stop() {
        let drops = "#legacy\n*filter\n:INPUT DROP [0:0]\nCOMMIT\n";
        let rules = facts(answered("no-tool\n"), answered(drops), answered("absent\n"));
        assert_eq!(rules.value("firewall.default_deny_v4"), Ok(&true.into()));
        assert!(matches!(rules.value("firewall.default_deny_v6"), Err(Why::ToolMissing(_))));
        let blind = "#legacy\n# Generated by iptables-save v1.8.7 (nf_tables)\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n";
        let rules = facts(answered("{\"nftables\": []}"), answered(blind), answered("absent\n"));
        assert!(matches!(rules.value("firewall.active"), Err(Why::ToolMissing(_))));
    }

    fn managed(ufw: Answer, units: &[(&str, &str, &str)]) -> Facts {
        let mut names = ["firewalld", "ip6tables", "iptables", "netfilter-persistent", "nftables", "ufw"]
            .map(|unit| (unit, "inactive", "disabled"));
        for (unit, active, enabled) in units {
            for known in names.iter_mut().filter(|(name, ..)| name == unit) {
                (known.1, known.2) = (active, enabled);
            }
        }
        let blocks = names.map(|(unit, active, enabled)| {
            format!("Id={unit}.service\nLoadState=loaded\nActiveState={active}\nUnitFileState={enabled}\n")
        });
        facts_of(
            &["firewall.managers"],
            &[
                ("init", answered("systemd")),
                ("units", answered(&blocks.join("\n"))),
                ("firewall-ufw", ufw),
                ("process-names", answered("systemd\n")),
            ],
        )
    }

    #[test]
    fn a_manager_is_one_that_starts_or_runs_and_ufw_only_when_it_is_on() {
        let on = answered("/etc/ufw/ufw.conf:ENABLED=yes\n");
        let absent = answered_with("", "grep: /etc/ufw/ufw.conf: No such file or directory\n", 2);
        let both = [("ufw", "active", "enabled"), ("iptables", "inactive", "enabled")];
        assert_eq!(managed(on, &both).value("firewall.managers"), Ok(&Value::list(["ufw", "iptables"])));
        let off = answered("/etc/ufw/ufw.conf:ENABLED=no\n");
        assert_eq!(managed(off, &both).value("firewall.managers"), Ok(&Value::list(["iptables"])));
        assert_eq!(
            managed(absent, &[("firewalld", "active", "enabled")]).value("firewall.managers"),
            Ok(&Value::list(["firewalld"]))
        );
    }
}
