//! What is installed.

use std::collections::BTreeMap;

use super::{FactSpec, Input, Kind, Output, Probe, Wanted, needs_nothing, no_secrets};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "packages", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const SOURCE: &str = "dpkg-query -W; rpm -qa; stat /var/lib/rpm/*; grep /lib/apk/db/installed";

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "packages.manager",
        key: None,
        kind: Kind::Text,
        unit: None,
        source: SOURCE,
        rights: Rights::Any,
        summary: "Whose database the packages are from: dpkg, rpm or apk.",
    },
    FactSpec {
        name: "packages.names",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: SOURCE,
        rights: Rights::Any,
        summary: "Names of the installed packages, each once, sorted; without those of which only the configuration is left.",
    },
    FactSpec {
        name: "packages.count",
        key: None,
        kind: Kind::Int,
        unit: Some("packages"),
        source: SOURCE,
        rights: Rights::Any,
        summary: "How many packages are installed.",
    },
    FactSpec {
        name: "package_version",
        key: Some("package"),
        kind: Kind::Maybe(&Kind::Text),
        unit: None,
        source: SOURCE,
        rights: Rights::Any,
        summary: "Version of an installed package as its manager writes it, the highest sorted last where there are several; null where it is not installed.",
    },
];

const DPKG_FORMAT: &str = "-f=${Package}\\t${db:Status-Abbrev}\\t${Version}\\n";
/// Where rpm keeps its database, in every format that it has had.
const RPM_DATABASES: &[&str] = &[
    "/var/lib/rpm/Packages*",
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages*",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/share/rpm/Packages*",
    "/usr/share/rpm/rpmdb.sqlite",
];
const RPM_FORMAT: &str = "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\n";

fn steps(wanted: &Wanted) -> Vec<Step> {
    if wanted.iter().next().is_none() {
        return Vec::new();
    }
    let mut steps = Vec::new();
    let mut ask = |id: &str, command: Option<ReadOnlyCommand>| steps.extend(command.map(|command| Step::new(id, command)));
    let any = |program, words: &[&str]| ReadOnlyCommand::new(program, words, Rights::Any).ok();
    ask("packages-dpkg", any(Program::DpkgQuery, &["-W", DPKG_FORMAT]));
    ask("packages-rpm", any(Program::Rpm, &["-qa", "--qf", RPM_FORMAT]));
    let databases: Vec<&str> = ["%n"].into_iter().chain(RPM_DATABASES.iter().copied()).collect();
    ask("packages-rpm-database", ReadOnlyCommand::fragment(Fragment::StatMatching, &databases, Rights::Any).ok());
    // The database itself: the printed form joins names and versions with dashes, which both may contain.
    ask("packages-apk", any(Program::Grep, &["-shE", "^[PV]:", "/lib/apk/db/installed", "/usr/lib/apk/db/installed"]));
    steps
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let installed = installed(input);
    let known = || installed.as_ref().map_err(Clone::clone);
    output.set("packages.manager", known().map(|(manager, _)| *manager));
    output.set("packages.names", known().map(|(_, packages)| Value::list(packages.keys().map(String::as_str))));
    output.set("packages.count", known().map(|(_, packages)| i64::try_from(packages.len()).unwrap_or(i64::MAX)));
    for name in input.wanted.keys("package_version") {
        output.set_keyed("package_version", name, known().map(|(_, packages)| packages.get(name).cloned()));
    }
}

type Packages = BTreeMap<String, String>;

/// The database with the most packages: the other managers may be installed as tools, with little or nothing in theirs.
fn installed(input: &Input<'_>) -> Result<(&'static str, Packages), Why> {
    let answers = input.answers;
    let databases = [
        ("dpkg", answers.text("packages-dpkg").map(|text| dpkg(&text))),
        ("rpm", answers.text("packages-rpm").map(|text| rpm(&text))),
        ("apk", answers.text_lenient("packages-apk").map(|text| apk(&text))),
    ];
    let mut best: Option<(&'static str, Packages)> = None;
    let mut failed = None;
    for (manager, packages) in databases {
        match packages {
            Ok(packages) if packages.len() > best.as_ref().map_or(0, |(_, best)| best.len()) => best = Some((manager, packages)),
            Ok(_) | Err(Why::ToolMissing(_)) => {}
            // The `rpm` of BusyBox unpacks packages and knows no database.
            Err(Why::ProbeFailed(_)) if manager == "rpm" && has_no_rpm_database(input) => {}
            // A broken database of a manager that is not the system's own is no obstacle; an answer cut off may be of the very one.
            Err(why @ Why::ProbeFailed(_)) => failed = Some(why),
            Err(why) => return Err(why),
        }
    }
    best.ok_or_else(|| failed.unwrap_or_else(|| Why::ToolMissing("there is no database of dpkg, rpm or apk".to_owned())))
}

/// Whether it is known that rpm keeps no database on the host.
fn has_no_rpm_database(input: &Input<'_>) -> bool {
    let found = input.answers.answer("packages-rpm-database");
    found.is_ok_and(|answer| answer.exit == 0 && !answer.was_denied() && answer.stdout.trim_ascii().is_empty())
}

/// Keeps the version that sorts last where a name comes more than once (kernels, several architectures).
fn keep(packages: &mut Packages, name: &str, version: String) {
    match packages.get_mut(name) {
        None => drop(packages.insert(name.to_owned(), version)),
        Some(known) if *known < version => *known = version,
        Some(_) => {}
    }
}

/// `NAME STATUS VERSION`; the second letter of the status is `i` where the package is installed.
fn dpkg(text: &str) -> Packages {
    let mut packages = Packages::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        if let (Some(name), Some(status), Some(version)) = (fields.next(), fields.next(), fields.next())
            && status.as_bytes().get(1) == Some(&b'i')
        {
            keep(&mut packages, name, version.to_owned());
        }
    }
    packages
}

fn rpm(text: &str) -> Packages {
    let mut packages = Packages::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        // The keys that signed packages are kept as packages too.
        if let [name, epoch, version, release] = fields.as_slice()
            && *name != "gpg-pubkey"
        {
            let epoch = if matches!(*epoch, "0" | "(none)" | "") { String::new() } else { format!("{epoch}:") };
            keep(&mut packages, name, format!("{epoch}{version}-{release}"));
        }
    }
    packages
}

/// The lines `P:NAME` and `V:VERSION` of apk's database, in either order within a package.
fn apk(text: &str) -> Packages {
    let mut packages = Packages::new();
    let (mut name, mut version) = (None, None);
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("P:") {
            name = Some(value);
        } else if let Some(value) = line.strip_prefix("V:") {
            version = Some(value);
        }
        if let (Some(whole), Some(number)) = (name, version) {
            keep(&mut packages, whole, number.to_owned());
            (name, version) = (None, None);
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};
    use crate::probe::script::{Answer, State};
    use proptest::prelude::*;

    const ALL: &[&str] =
        &["packages.manager", "packages.names", "packages.count", "package_version[\"bash\"]", "package_version[\"x\"]"];

    fn missing() -> Answer {
        not_run(State::Missing)
    }

    #[test]
    fn of_dpkg_only_installed_packages_count() {
        let answers = [
            (
                "packages-dpkg",
                answered(
                    "bash\tii \t5.2.15-2+b13\nold-thing\trc \t1.0\nheld\thi \t2:3.1\nhalf\tiF \t1\nlibc6\tii \t2.36\nlibc6\tii \t2.36\n",
                ),
            ),
            ("packages-rpm", answered("")),
            ("packages-apk", answered_with("", "", 2)),
        ];
        let facts = facts_of(ALL, &answers);
        assert_eq!(facts.value("packages.manager"), Ok(&"dpkg".into()));
        assert_eq!(facts.value("packages.names"), Ok(&Value::list(["bash", "held", "libc6"])));
        assert_eq!(facts.value("packages.count"), Ok(&Value::Int(3)));
        assert_eq!(facts.keyed("package_version", "bash"), Ok(&"5.2.15-2+b13".into()));
        assert_eq!(facts.keyed("package_version", "x"), Ok(&Value::Null));
    }

    #[test]
    fn of_rpm_signing_keys_do_not_count_and_epochs_show() {
        let answers = [
            ("packages-dpkg", missing()),
            ("packages-rpm", answered("bash\t0\t5.1.8\t9.el9\ndbus\t1\t1.12.20\t8.el9\ngpg-pubkey\t0\t8483c65d\t5ccc5b19\n")),
            ("packages-apk", answered_with("", "", 2)),
        ];
        let facts = facts_of(&["packages.names", "package_version[\"dbus\"]"], &answers);
        assert_eq!(facts.value("packages.names"), Ok(&Value::list(["bash", "dbus"])));
        assert_eq!(facts.keyed("package_version", "dbus"), Ok(&"1:1.12.20-8.el9".into()));
    }

    #[test]
    fn of_apk_the_database_is_read_itself() {
        let text = "P:musl\nV:1.2.5-r0\nP:busybox-extras\nV:1.36.1-r29\nV:9\nP:zlib\n";
        let answers = [("packages-dpkg", missing()), ("packages-rpm", missing()), ("packages-apk", answered_with(text, "", 2))];
        let facts = facts_of(&["packages.manager", "packages.names"], &answers);
        assert_eq!(facts.value("packages.manager"), Ok(&"apk".into()));
        assert_eq!(facts.value("packages.names"), Ok(&Value::list(["busybox-extras", "musl", "zlib"])));
    }

    #[test]
    fn without_a_database_nothing_is_known_to_be_absent() {
        let answers = [("packages-dpkg", missing()), ("packages-rpm", missing()), ("packages-apk", answered_with("", "", 2))];
        assert!(matches!(facts_of(ALL, &answers).value("packages.names"), Err(Why::ToolMissing(_))));
        let broken = answered_with("", "error: cannot open Packages database in /var/lib/rpm\n", 1);
        let answers = [("packages-dpkg", missing()), ("packages-rpm", broken), ("packages-apk", answered_with("", "", 2))];
        assert!(matches!(facts_of(ALL, &answers).value("packages.names"), Err(Why::ProbeFailed(_))));
        let answers = [
            ("packages-dpkg", not_run(State::TimedOut)),
            ("packages-rpm", answered("a\t0\t1\t1\n")),
            ("packages-apk", answered("")),
        ];
        assert!(matches!(facts_of(ALL, &answers).value("packages.names"), Err(Why::TimedOut(_))));
    }

    #[test]
    fn the_rpm_of_busybox_has_no_database() {
        let busybox =
            || answered_with("", "rpm: invalid option -- 'a'\nBusyBox v1.36.1 (2024-06-10 07:11:47 UTC) multi-call binary.\n", 1);
        let found = |witness: Answer| {
            let answers = [
                ("packages-dpkg", missing()),
                ("packages-rpm", busybox()),
                ("packages-rpm-database", witness),
                ("packages-apk", answered_with("", "", 2)),
            ];
            facts_of(ALL, &answers).value("packages.names").cloned()
        };
        assert!(matches!(found(answered("")), Err(Why::ToolMissing(_))));
        assert!(matches!(found(answered("/var/lib/rpm/Packages\n")), Err(Why::ProbeFailed(_))));
        let hidden = answered_with("", "/var/lib/rpm/Packages*: Permission denied\n", 0);
        assert!(matches!(found(hidden), Err(Why::ProbeFailed(_))));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parsers_panic(text in "((P:|V:|\\PC{0,10}\t){0,4}\\PC{0,10}\n){0,30}") {
            let _ = (dpkg(&text), rpm(&text), apk(&text));
        }
    }
}
