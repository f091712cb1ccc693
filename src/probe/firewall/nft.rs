//! `nft -j list ruleset` (libnftables-json(5)).

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde_json::Value as Json;

use super::ruleset::{Action, Base, Chain, Condition, Hook, Rule, Ruleset};
use super::xtables::{is_special, net};

/// Named sets and maps: `FAMILY/TABLE/NAME`.
type Sets<'a> = BTreeMap<String, &'a [Json]>;

/// The chains of all tables for IP, without those tables that iptables itself explains better (`FAMILY/TABLE`). `Err` says what made no sense.
pub(super) fn ruleset(text: &str, without: &BTreeSet<String>) -> Result<Ruleset, String> {
    let document: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let objects = document.get("nftables").and_then(Json::as_array).ok_or("there is no list `nftables`")?;
    let table = |object: &Json| -> Option<String> {
        let family = text_of(object, "family")?;
        let table = format!("{family}/{}", text_of(object, "table")?);
        (matches!(family, "ip" | "ip6" | "inet") && !without.contains(&table)).then_some(table)
    };
    let mut sets = Sets::new();
    let mut ruleset = Ruleset::default();
    for object in objects {
        if let Some(set) = object.get("set").or_else(|| object.get("map")) {
            if let (Some(table), Some(name)) = (table(set), text_of(set, "name")) {
                let elements = set.get("elem").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
                sets.insert(format!("{table}/@{name}"), elements);
            }
        } else if let Some(chain) = object.get("chain")
            && let (Some(table), Some(name)) = (table(chain), text_of(chain, "name"))
        {
            ruleset.chains.insert(format!("{table}/{name}"), Chain { base: base(chain), rules: Vec::new() });
        }
    }
    for object in objects {
        if let Some(rule) = object.get("rule")
            && let (Some(table), Some(name)) = (table(rule), text_of(rule, "chain"))
            && let Some(chain) = ruleset.chains.get_mut(&format!("{table}/{name}"))
        {
            let expressions = rule.get("expr").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
            rules(expressions, &table, &sets, &mut chain.rules);
        }
    }
    Ok(ruleset)
}

fn text_of<'a>(object: &'a Json, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

fn base(chain: &Json) -> Option<Base> {
    let hook = match text_of(chain, "hook")? {
        "input" => Hook::Input,
        "forward" => Hook::Forward,
        _ => return None,
    };
    let family = text_of(chain, "family")?;
    Some(Base { hook, v4: family != "ip6", v6: family != "ip", drops: text_of(chain, "policy") == Some("drop") })
}

/// One rule, or several where it maps to different verdicts.
fn rules(expressions: &[Json], table: &str, sets: &Sets<'_>, rules: &mut Vec<Rule>) {
    let mut conditions = Vec::new();
    let mut hidden = false;
    for expression in expressions {
        let Some((kind, body)) = expression.as_object().and_then(|object| object.iter().next()) else { continue };
        match kind.as_str() {
            "match" => conditions.extend(matched(body, table, sets)),
            // The first packet is below every limit.
            "limit" | "quota" | "ct count" => {
                conditions.push(Condition::Always(body.get("inv").and_then(Json::as_bool) != Some(true)));
            }
            "vmap" => {
                let key = body.get("key").unwrap_or(&Json::Null);
                let Some(entries) = elements(body.get("data"), table, sets) else {
                    rules.push(Rule { conditions, action: Action::Unknown });
                    return;
                };
                for entry in entries {
                    let Some([value, verdict]) = entry.as_array().map(Vec::as_slice) else { continue };
                    let action = verdict.as_object().and_then(|verdict| verdict.iter().next());
                    let action = action.and_then(|(kind, body)| action_of(kind, body, table)).unwrap_or(Action::Unknown);
                    let mut own = conditions.clone();
                    own.extend(compared(key, "==", &[value], table, sets));
                    rules.push(Rule { conditions: own, action });
                }
                return;
            }
            // What counts, logs, marks or translates decides nothing.
            "counter" | "log" | "mangle" | "notrack" | "dnat" | "snat" | "masquerade" | "redirect" | "comment" | "ct helper"
            | "ct timeout" | "ct expectation" | "flow" | "dup" | "last" | "reset" | "tproxy" => {}
            "xt" => match (text_of(body, "type"), text_of(body, "name")) {
                (Some("target"), Some("REJECT")) => {
                    rules.push(Rule { conditions, action: Action::Drop });
                    return;
                }
                (Some("target"), Some("LOG" | "NFLOG" | "MARK" | "CONNMARK" | "TCPMSS" | "CT" | "CHECKSUM")) => {}
                _ => conditions.push(Condition::Unknown),
            },
            kind => match action_of(kind, body, table) {
                Some(action) => {
                    rules.push(Rule { conditions, action });
                    return;
                }
                None => {
                    // An addition to a set may fail, and then the rule ends; what is not known at all may decide.
                    hidden |= !matches!(kind, "set" | "map" | "meter");
                    conditions.push(Condition::Unknown);
                }
            },
        }
    }
    let action = if hidden { Action::Unknown } else { Action::Continue };
    rules.push(Rule { conditions, action });
}

fn action_of(kind: &str, body: &Json, table: &str) -> Option<Action> {
    let target = || text_of(body, "target").map(|target| format!("{table}/{target}"));
    match kind {
        "accept" => Some(Action::Accept),
        "drop" | "reject" => Some(Action::Drop),
        "return" => Some(Action::Return),
        "continue" => Some(Action::Continue),
        "jump" => target().map(Action::Jump),
        "goto" => target().map(Action::Goto),
        "queue" | "synproxy" => Some(Action::Unknown),
        _ => None,
    }
}

/// The elements of a right side: a set written out, a list, or a named set of the table.
fn elements<'a>(side: Option<&'a Json>, table: &str, sets: &Sets<'a>) -> Option<Vec<&'a Json>> {
    let side = side?;
    if let Some(set) = side.get("set") {
        return Some(set.as_array().map_or_else(|| vec![set], |items| items.iter().collect()));
    }
    if let Some(items) = side.as_array() {
        return Some(items.iter().collect());
    }
    match side.as_str() {
        Some(name) if name.starts_with('@') => Some(sets.get(&format!("{table}/{name}"))?.iter().collect()),
        _ => Some(vec![side]),
    }
}

fn matched(body: &Json, table: &str, sets: &Sets<'_>) -> Vec<Condition> {
    let (Some(left), Some(operator)) = (body.get("left"), text_of(body, "op")) else { return vec![Condition::Unknown] };
    match elements(body.get("right"), table, sets) {
        Some(values) => compared(left, operator, &values, table, sets),
        None => vec![Condition::Unknown],
    }
}

/// The conditions of a comparison; a field of a protocol holds for packets of that protocol only, whatever the operator.
fn compared(left: &Json, operator: &str, values: &[&Json], table: &str, sets: &Sets<'_>) -> Vec<Condition> {
    let not = match operator {
        "==" | "in" => false,
        "!=" => true,
        _ => return vec![Condition::Unknown],
    };
    // Several fields at once: the elements are tuples, and the fields must agree within one of them.
    if let Some(fields) = left.get("concat").and_then(Json::as_array) {
        return vec![together(fields, values, table, sets).negated(not)];
    }
    let words = || values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>();
    let named = |make: fn(Vec<String>) -> Condition| words().map_or(Condition::Unknown, make);
    let payload = |name: &str| left.get("payload").and_then(|payload| text_of(payload, name));
    match (payload("protocol"), payload("field")) {
        (Some(protocol @ ("tcp" | "udp" | "th")), Some("dport")) => {
            let mut conditions = Vec::new();
            if protocol != "th" {
                conditions.push(Condition::Protocol(vec![protocol.to_owned()]));
            }
            conditions.push(ports(values).negated(not));
            return conditions;
        }
        (Some(family @ ("ip" | "ip6")), Some("saddr")) => {
            return vec![Condition::IsV4(family == "ip"), sources(values).negated(not)];
        }
        (Some(family @ ("ip" | "ip6")), Some("daddr")) => {
            return vec![Condition::IsV4(family == "ip"), destinations(values).negated(not)];
        }
        (Some("ip"), Some("protocol")) => return vec![Condition::IsV4(true), named(Condition::Protocol).negated(not)],
        (Some("ip6"), Some("nexthdr")) => return vec![Condition::IsV4(false), named(Condition::Protocol).negated(not)],
        (Some("ip6"), Some(_)) => return vec![Condition::IsV4(false), Condition::Unknown],
        (Some("ip"), Some(_)) => return vec![Condition::IsV4(true), Condition::Unknown],
        (Some("tcp"), Some("flags")) => {
            return vec![Condition::Protocol(vec!["tcp".to_owned()]), flags(None, values).negated(not)];
        }
        (Some(protocol), Some(_)) => return vec![Condition::Protocol(vec![protocol.to_owned()]), Condition::Unknown],
        _ => {}
    }
    if let Some([masked, mask]) = left.get("&").and_then(Json::as_array).map(Vec::as_slice) {
        let is_flags = masked.get("payload").and_then(|payload| text_of(payload, "field")) == Some("flags");
        let condition = if is_flags { flags(Some(mask), values) } else { Condition::Unknown };
        return vec![condition.negated(not)];
    }
    let condition =
        match (left.get("meta").and_then(|meta| text_of(meta, "key")), left.get("ct").and_then(|ct| text_of(ct, "key"))) {
            (Some("iifname" | "iif"), _) => named(Condition::Input),
            (Some("oifname" | "oif"), _) => named(Condition::Output),
            (Some("l4proto"), _) => named(Condition::Protocol),
            (Some("nfproto"), _) => family(values, "ipv4"),
            (Some("protocol"), _) => family(values, "ip"),
            (Some("pkttype"), _) => {
                named(|types| Condition::Always(types.iter().any(|kind| kind == "host" || kind == "unicast")))
            }
            (_, Some("state")) => named(|states| Condition::Always(states.iter().any(|state| state == "new"))),
            // Nothing was translated on the way to the rule.
            (_, Some("status")) => named(|_| Condition::Always(false)),
            _ => Condition::Unknown,
        };
    vec![condition.negated(not)]
}

/// Whether all fields of a tuple agree: decided only where one field settles it for every element.
fn together(fields: &[Json], values: &[&Json], table: &str, sets: &Sets<'_>) -> Condition {
    let settled = |value: &&Json| {
        let parts = value.get("concat").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        parts.len() == fields.len()
            && fields
                .iter()
                .zip(parts)
                .any(|(field, part)| compared(field, "==", &[part], table, sets).contains(&Condition::Always(false)))
    };
    if values.iter().all(settled) { Condition::Always(false) } else { Condition::Unknown }
}

fn family(values: &[&Json], v4: &str) -> Condition {
    match values {
        [value] => value.as_str().map_or(Condition::Unknown, |name| Condition::IsV4(name == v4)),
        _ => Condition::Unknown,
    }
}

/// `ct state`-like names of TCP flags: the packet has SYN alone.
fn flags(mask: Option<&Json>, values: &[&Json]) -> Condition {
    let names = |side: &Json| -> Option<BTreeSet<String>> {
        if let Some(items) = side.as_array().or_else(|| side.get("|").and_then(Json::as_array)) {
            return items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        }
        side.as_str().map(|name| BTreeSet::from([name.to_owned()]))
    };
    let Some(mask) = mask else { return Condition::Unknown };
    let (Some(mask), Some(values)) = (names(mask), values.iter().map(|value| names(value)).collect::<Option<Vec<_>>>()) else {
        return Condition::Unknown;
    };
    let seen: BTreeSet<String> = mask.into_iter().filter(|flag| flag == "syn").collect();
    let wanted: BTreeSet<String> = values.into_iter().flatten().collect();
    Condition::Always(seen == wanted)
}

fn ports(values: &[&Json]) -> Condition {
    let port = |value: &Json| -> Option<u16> {
        match value.as_str() {
            Some(name) => service(name),
            None => u16::try_from(value.as_u64()?).ok(),
        }
    };
    let range = |value: &&Json| -> Option<(u16, u16)> {
        match value.get("range").and_then(Json::as_array).map(Vec::as_slice) {
            Some([first, last]) => Some((port(first)?, port(last)?)),
            _ => port(value).map(|port| (port, port)),
        }
    };
    values.iter().map(range).collect::<Option<Vec<_>>>().map_or(Condition::Unknown, Condition::Ports)
}

/// nft prints numbers unless it is told to print names.
fn service(name: &str) -> Option<u16> {
    match name {
        "ssh" => Some(22),
        "domain" => Some(53),
        "http" => Some(80),
        "https" => Some(443),
        number => number.parse().ok(),
    }
}

/// The networks of a right side; a range becomes the networks it is made of.
fn networks(values: &[&Json]) -> Option<Vec<IpNet>> {
    let mut nets = Vec::new();
    for value in values {
        // An element with a timeout or a counter stands in an object of its own.
        let value = value.get("elem").and_then(|element| element.get("val")).unwrap_or(value);
        if let Some(text) = value.as_str() {
            nets.push(net(text)?);
        } else if let Some(prefix) = value.get("prefix") {
            let length = prefix.get("len").and_then(Json::as_u64)?;
            nets.push(net(&format!("{}/{length}", text_of(prefix, "addr")?))?);
        } else if let Some([first, last]) = value.get("range").and_then(Json::as_array).map(Vec::as_slice) {
            match (first.as_str()?.parse().ok()?, last.as_str()?.parse().ok()?) {
                (std::net::IpAddr::V4(first), std::net::IpAddr::V4(last)) => {
                    nets.extend(ipnet::Ipv4Subnets::new(first, last, 0).map(IpNet::V4));
                }
                (std::net::IpAddr::V6(first), std::net::IpAddr::V6(last)) => {
                    nets.extend(ipnet::Ipv6Subnets::new(first, last, 0).map(IpNet::V6));
                }
                _ => return None,
            }
        } else {
            return None;
        }
    }
    Some(nets)
}

fn sources(values: &[&Json]) -> Condition {
    networks(values).map_or(Condition::Unknown, Condition::Source)
}

/// Which address of the host the packet is for is not said: only addresses that it cannot be are decided.
fn destinations(values: &[&Json]) -> Condition {
    match networks(values) {
        Some(nets) if nets.iter().all(is_special) => Condition::Always(false),
        Some(nets) if nets.iter().any(|net| net.prefix_len() == 0) => Condition::Always(true),
        _ => Condition::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::ruleset::{Fate, Packet};
    use super::*;
    use proptest::prelude::*;

    /// `firewalld` with zone public: ssh from 10.0.0.0/8 by a rich rule, 8080/tcp for all.
    const FIREWALLD: &str = include_str!("testdata/firewalld.json");
    const NATIVE: &str = include_str!("testdata/nft.json");
    const XT: &str = include_str!("testdata/ufw.json");

    fn fate(rules: &Ruleset, hook: Hook, source: &str, protocol: &str, port: u16) -> Fate {
        let source = source.parse().expect("an address");
        rules.fate(&Packet { hook, source, protocol, port, input: "eth0", output: "eth1" })
    }

    fn read(text: &str) -> Ruleset {
        ruleset(text, &BTreeSet::new()).expect("a ruleset")
    }

    #[test]
    fn firewalld_is_followed_through_its_zones() {
        let rules = read(FIREWALLD);
        for source in ["93.184.216.34", "2606:2800:220:1::1"] {
            assert_eq!(fate(&rules, Hook::Input, source, "tcp", 8080), Fate::Accepted, "{source}");
            assert_eq!(fate(&rules, Hook::Input, source, "tcp", 22), Fate::Dropped, "{source}");
            assert_eq!(fate(&rules, Hook::Input, source, "udp", 5353), Fate::Dropped, "{source}");
            assert_eq!(fate(&rules, Hook::Forward, source, "tcp", 80), Fate::Dropped, "{source}");
        }
        assert_eq!(fate(&rules, Hook::Input, "10.9.9.9", "tcp", 22), Fate::Accepted);
        assert!(rules.filters_input());
    }

    #[test]
    fn sets_maps_ranges_and_limits_are_understood() {
        let rules = read(NATIVE);
        let world = |protocol, port| fate(&rules, Hook::Input, "93.184.216.34", protocol, port);
        assert_eq!(world("tcp", 22), Fate::Dropped);
        assert_eq!(fate(&rules, Hook::Input, "10.9.9.9", "tcp", 22), Fate::Accepted);
        assert_eq!(fate(&rules, Hook::Input, "192.168.1.5", "tcp", 22), Fate::Accepted);
        assert_eq!(world("tcp", 443), Fate::Accepted);
        assert_eq!(world("tcp", 8005), Fate::Accepted);
        assert_eq!(world("tcp", 2222), Fate::Accepted, "limited is open");
        assert_eq!((world("udp", 53), world("udp", 5353), world("udp", 80)), (Fate::Accepted, Fate::Dropped, Fate::Dropped));
        assert_eq!(fate(&rules, Hook::Input, "2606:2800:220:1::1", "tcp", 22), Fate::Dropped);
        assert_eq!(fate(&rules, Hook::Forward, "93.184.216.34", "tcp", 80), Fate::Accepted);
    }

    #[test]
    fn what_only_iptables_understands_is_left_to_it() {
        let rules = read(XT);
        assert_eq!(fate(&rules, Hook::Input, "93.184.216.34", "tcp", 22), Fate::Undecided);
        let without = BTreeSet::from(["ip/filter".to_owned(), "ip6/filter".to_owned()]);
        let rules = ruleset(XT, &without).expect("a ruleset");
        assert_eq!(fate(&rules, Hook::Input, "93.184.216.34", "tcp", 22), Fate::Accepted);
    }

    #[test]
    fn what_is_no_ruleset_is_an_error() {
        assert!(ruleset("", &BTreeSet::new()).is_err());
        assert!(ruleset("{\"nftables\": 1}", &BTreeSet::new()).is_err());
    }

    proptest! {
        #[test]
        fn no_ruleset_makes_the_parser_panic(kind in "match|vmap|limit|xt|jump|drop|queue|set", key in "meta|ct|payload|&|concat", text in "\\PC{0,12}", number in any::<i64>()) {
            let document = serde_json::json!({"nftables": [
                {"chain": {"family": "inet", "table": "t", "name": "c", "hook": "input", "policy": &text}},
                {"rule": {"family": "inet", "table": "t", "chain": "c", "expr": [
                    {&kind: {"op": "==", "left": {&key: {"key": "state", "protocol": "tcp", "field": "dport"}}, "right": [&text, number, {"range": [&text, number]}, {"prefix": {"addr": &text, "len": number}}]}},
                    {&kind: {"key": {&key: [&text]}, "data": {"set": [[&text, {"accept": null}], number]}, "target": "c"}},
                    number, &text
                ]}}
            ]});
            let rules = ruleset(&document.to_string(), &BTreeSet::new()).expect("a ruleset");
            let _ = fate(&rules, Hook::Input, "93.184.216.34", "tcp", 22);
            let _ = rules.filters_input();
            let _ = ruleset(&text, &BTreeSet::new());
        }
    }
}
