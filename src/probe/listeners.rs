//! Sockets that wait for somebody: from the kernel's own tables, which need no program and no rights.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{FactSpec, Input, Kind, Output, Probe, Wanted, needs_nothing, no_secrets};
use crate::command::{Program, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "listeners", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[FactSpec {
    name: "listeners",
    key: None,
    kind: Kind::List(&Kind::Record(&[
        ("protocol", Kind::Text),
        ("address", Kind::Text),
        ("port", Kind::Int),
        ("loopback", Kind::Bool),
    ])),
    unit: None,
    source: "grep /proc/net/{tcp,tcp6,udp,udp6}",
    rights: Rights::Any,
    summary: "TCP sockets that listen and UDP sockets bound to a port without a peer, each once: protocol (tcp, udp), local address, port, and whether only this host can reach it.",
}];

/// Lines of listening TCP (state 0A) and of unconnected UDP (state 07), with a witness: the heading says that the table was read.
const PATTERN: &str = "^ *(sl |[0-9]+: [0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:0000 (0A|07) )";

fn steps(_: &Wanted) -> Vec<Step> {
    let words = ["-sHE", PATTERN, "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"];
    let command = ReadOnlyCommand::new(Program::Grep, &words, Rights::Any).ok();
    command.map(|command| Step::new("listeners", command)).into_iter().collect()
}

fn parse(input: &Input<'_>, output: &mut Output) {
    output.set("listeners", input.answers.text_lenient("listeners").and_then(|text| listeners(&text)));
}

fn listeners(text: &str) -> Result<Value, Why> {
    for table in ["tcp", "udp"] {
        if !text.contains(&format!("/proc/net/{table}: ")) {
            return Err(Why::ProbeFailed(format!("/proc/net/{table} cannot be read")));
        }
    }
    let mut found = Vec::new();
    for line in text.lines() {
        let Some((table, row)) = line.strip_prefix("/proc/net/").and_then(|rest| rest.split_once(':')) else { continue };
        let protocol = table.trim_end_matches('6');
        let mut words = row.split_ascii_whitespace();
        let (Some(_), Some(local), Some(_), Some(state)) = (words.next(), words.next(), words.next(), words.next()) else {
            continue;
        };
        // The numbers of the two states mean other things in the other protocol.
        if !matches!((protocol, state), ("tcp", "0A") | ("udp", "07")) {
            continue;
        }
        let (address, port) =
            endpoint(local).ok_or_else(|| Why::CouldNotBeParsed(format!("`{local}` is no address of /proc/net")))?;
        found.push((protocol, address, port));
    }
    found.sort();
    found.dedup();
    let record = |(protocol, address, port): (&str, IpAddr, u16)| {
        Value::record([
            ("protocol", protocol.into()),
            ("address", address.to_string().into()),
            ("port", i64::from(port).into()),
            ("loopback", address.is_loopback().into()),
        ])
    };
    Ok(Value::List(found.into_iter().map(record).collect()))
}

/// `0100007F:0016`: each group of four bytes in the byte order of the machine. Nearly all are little-endian; on the others the two special
/// addresses, none and all, read the same, and loopback does not.
fn endpoint(local: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !address.is_ascii() || !matches!(address.len(), 8 | 32) {
        return None;
    }
    let mut bytes = Vec::with_capacity(16);
    for group in 0..address.len() / 8 {
        bytes.extend(u32::from_str_radix(address.get(group * 8..group * 8 + 8)?, 16).ok()?.to_le_bytes());
    }
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        // An IPv4 address in IPv6 clothes is what it is.
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).to_canonical(),
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::tests::{answered, answered_with, facts_of};
    use proptest::prelude::*;

    const REAL: &str = "/proc/net/tcp:  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        /proc/net/tcp:   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1521 1 00000000c1d64856 100 0 0 10 0\n\
        /proc/net/tcp:   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1522 1 0 100 0 0 10 0\n\
        /proc/net/tcp:   2: 0100007F:9472 0100007F:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 3 0\n\
        /proc/net/tcp6:  sl  local_address                         remote_address                        st\n\
        /proc/net/tcp6:   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0\n\
        /proc/net/tcp6:   1: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0\n\
        /proc/net/udp:   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
        /proc/net/udp: 2049: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0\n\
        /proc/net/udp: 2050: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0\n";

    fn lines(value: &Value) -> Vec<String> {
        let text = |listener: &Value| {
            ["protocol", "address", "port", "loopback"].map(|name| listener.field(name).expect("a field").to_string()).join(" ")
        };
        value.as_list().expect("a list").iter().map(text).collect()
    }

    #[test]
    fn sockets_that_wait_are_listed_once_with_readable_addresses() {
        let facts = facts_of(&["listeners"], &[("listeners", answered_with(REAL, "", 2))]);
        assert_eq!(
            lines(facts.value("listeners").expect("listeners")),
            ["tcp 0.0.0.0 2024 false", "tcp 127.0.0.1 8080 true", "tcp :: 22 false", "tcp ::1 631 true", "udp 0.0.0.0 68 false"]
        );
    }

    #[test]
    fn a_table_that_was_not_read_is_not_an_empty_one() {
        let facts = facts_of(&["listeners"], &[("listeners", answered_with("", "", 2))]);
        assert!(matches!(facts.value("listeners"), Err(Why::ProbeFailed(_))));
        let odd = "/proc/net/tcp: sl\n/proc/net/udp: sl\n/proc/net/tcp:   0: 0000:0016 0:0000 0A x\n";
        let facts = facts_of(&["listeners"], &[("listeners", answered(odd))]);
        assert!(matches!(facts.value("listeners"), Err(Why::CouldNotBeParsed(_))));
    }

    #[test]
    fn mapped_addresses_are_those_of_ipv4() {
        assert_eq!(endpoint("0000000000000000FFFF00000100007F:0050"), Some((IpAddr::V4(Ipv4Addr::LOCALHOST), 80)));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic(text in "(/proc/net/(tcp|udp)6?: +[0-9]+: \\PC{0,40} [0-9A-F:]{0,20} (0A|07)\n){0,20}", local in "\\PC{0,40}") {
            let _ = listeners(&format!("/proc/net/tcp: \n/proc/net/udp: \n{text}"));
            let _ = endpoint(&local);
        }
    }
}
