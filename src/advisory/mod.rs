//! Known vulnerabilities of Docker's programs: versions, affected ranges, maintained lines. Pure data and comparison; the date is always the caller's.

mod table;
mod version;

use table::Table;
pub use version::Version;

/// A vulnerability that affects a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The CVE, or the id of its source where it has none.
    pub id: String,
    /// `critical`, `high`, `medium`, `low` or `unknown`.
    pub severity: String,
    /// What it is, in a phrase.
    pub summary: String,
    /// The versions above this one in which it is fixed, lowest first.
    pub fixed: Vec<String>,
    /// Where to read more.
    pub url: String,
    /// What must be in use for it to matter: `authorization-plugin`, `swarm`, `firewalld`, `other-client`; empty where nothing else must.
    pub condition: String,
}

/// A line of releases that is maintained, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its name, such as `20.10`.
    pub name: String,
    /// Whether it was maintained on the day of the data.
    pub maintained: bool,
    /// The day on which it ended or will end, `2026-12-04`, where that is known.
    pub ends: Option<String>,
}

/// A version could not be held against the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotJudged {
    /// No product of the table.
    #[error("there are no advisories for a product `{0}`")]
    Product(String),
    /// Nothing that can be compared: a development build, a commit.
    #[error("`{0}` is not a version that can be compared")]
    Version(String),
    /// Not a calendar day.
    #[error("`{0}` is not a date such as 2026-08-21")]
    Date(String),
    /// The embedded table could not be read: a fault of this build.
    #[error("the table of advisories could not be read: {0}")]
    Table(String),
}

/// The vulnerabilities that affect a version of `docker-engine`, `docker-cli`, `buildkit`, `containerd`, `runc` or `compose`, in the order of the table (newest
/// first). The version may be as a host prints it, package revisions included; a distributor's build is compared by its upstream version, which says no more than
/// that it may be affected.
///
/// # Errors
/// [`NotJudged`] for another product or something that is no version.
pub fn affecting(product: &str, version: &str) -> Result<Vec<Match>, NotJudged> {
    Table::embedded()?.affecting(product, version)
}

/// The line of the Docker engine that a version belongs to. `None` for one that is newer than the table.
///
/// # Errors
/// [`NotJudged`] for something that is no version.
pub fn engine_line(version: &str) -> Result<Option<Line>, NotJudged> {
    Table::embedded()?.engine_line(version)
}

/// The day of the data, `2026-08-21`.
///
/// # Errors
/// [`NotJudged::Table`] only.
pub fn data_date() -> Result<&'static str, NotJudged> {
    Ok(Table::embedded()?.date())
}

/// Days from one date (`2026-08-21`) to another; negative where the second is earlier.
///
/// # Errors
/// [`NotJudged::Date`] for something that is no date.
pub fn days_between(from: &str, to: &str) -> Result<i64, NotJudged> {
    let day = |text: &str| text.parse::<jiff::civil::Date>().map_err(|_| NotJudged::Date(text.to_owned()));
    let span = day(from)?.until(day(to)?).map_err(|_| NotJudged::Date(to.to_owned()))?;
    Ok(span.get_days().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(product: &str, version: &str) -> Vec<String> {
        let mut ids: Vec<String> = affecting(product, version).expect("judged").into_iter().map(|advisory| advisory.id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn versions_as_hosts_print_them_get_the_advisories_worked_out_by_hand() {
        let engine_june_2026 = ["CVE-2026-41567", "CVE-2026-41568", "CVE-2026-42306"];
        let engine_2026 = ["CVE-2026-33997", "CVE-2026-34040", "CVE-2026-41567", "CVE-2026-41568", "CVE-2026-42306"];
        let and = |first: &[&str], rest: &[&str]| {
            let mut all: Vec<String> = first.iter().chain(rest).map(|id| (*id).to_owned()).collect();
            all.sort_unstable();
            all
        };
        let vectors = [
            (
                "docker-engine",
                "20.10.24+dfsg1",
                and(
                    &engine_2026,
                    &[
                        "CVE-2024-24557",
                        "CVE-2024-29018",
                        "CVE-2024-36621",
                        "CVE-2024-36623",
                        "CVE-2024-41110",
                        "CVE-2025-54410",
                        "GHSA-jq35-85cj-fj4p",
                    ],
                ),
            ),
            ("docker-engine", "23.0.15", and(&engine_2026, &["CVE-2024-36621", "CVE-2024-36623", "CVE-2025-54410"])),
            (
                "docker-engine",
                "24.0.9",
                and(&engine_2026, &["CVE-2024-29018", "CVE-2024-36621", "CVE-2024-36623", "CVE-2024-41110", "CVE-2025-54410"]),
            ),
            ("docker-engine", "5:27.5.1-1~ubuntu.24.04~noble", and(&engine_2026, &["CVE-2025-54410"])),
            ("docker-engine", "28.3.2", and(&engine_2026, &["CVE-2025-54388"])),
            ("docker-engine", "25.0.16", and(&engine_june_2026, &["CVE-2024-36621"])),
            ("docker-engine", "29.5.0", and(&engine_june_2026, &[])),
            ("docker-engine", "29.7.2", and(&[], &[])),
            (
                "containerd",
                "1.7.27",
                and(&[], &["CVE-2024-25621", "CVE-2025-64329", "CVE-2026-46680", "CVE-2026-47262", "CVE-2026-53488"]),
            ),
            (
                "containerd",
                "2.1.5",
                and(
                    &[],
                    &["CVE-2026-46680", "CVE-2026-47262", "CVE-2026-50195", "CVE-2026-53488", "CVE-2026-53489", "CVE-2026-53492"],
                ),
            ),
            (
                "runc",
                "1.1.11",
                and(
                    &[],
                    &["CVE-2024-21626", "CVE-2024-45310", "CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881", "CVE-2026-41579"],
                ),
            ),
            (
                "runc",
                "1.0.0-rc10",
                and(
                    &[],
                    &[
                        "CVE-2021-30465",
                        "CVE-2021-43784",
                        "CVE-2022-29162",
                        "CVE-2023-25809",
                        "CVE-2023-28642",
                        "CVE-2024-45310",
                        "CVE-2025-31133",
                        "CVE-2025-52565",
                        "CVE-2025-52881",
                        "CVE-2026-41579",
                        "GHSA-g54h-m393-cpwq",
                    ],
                ),
            ),
            ("runc", "1.3.3", and(&[], &["CVE-2026-41579"])),
            (
                "buildkit",
                "v0.12.4",
                and(
                    &[],
                    &["CVE-2024-23650", "CVE-2024-23651", "CVE-2024-23652", "CVE-2024-23653", "CVE-2026-33747", "CVE-2026-33748"],
                ),
            ),
            ("compose", "2.40.1", and(&[], &["CVE-2025-62725"])),
            ("docker-cli", "29.1.5", and(&[], &[])),
        ];
        for (product, version, expected) in vectors {
            assert_eq!(ids(product, version), expected, "{product} {version}");
        }
    }

    #[test]
    fn the_first_fixed_version_is_not_affected_and_the_last_before_it_is() {
        for (product, version, id, affected) in [
            ("docker-engine", "29.3.0", "CVE-2026-34040", true),
            ("docker-engine", "29.3.1", "CVE-2026-34040", false),
            ("docker-engine", "29.3.1", "CVE-2026-42306", true),
            ("docker-engine", "25.0.12", "CVE-2025-54410", true),
            ("docker-engine", "25.0.13", "CVE-2025-54410", false),
            ("docker-engine", "28.3.3", "CVE-2025-54388", false),
            ("runc", "1.2.8", "CVE-2025-31133", false),
            ("runc", "1.4.0-rc.2", "CVE-2025-31133", true),
            ("runc", "1.4.0-rc.3", "CVE-2025-31133", false),
            ("containerd", "2.1.0", "CVE-2025-47290", true),
            ("containerd", "2.1.1", "CVE-2025-47290", false),
            ("runc", "1.0.0-rc93", "CVE-2024-21626", true),
            ("runc", "1.0.0-rc92", "CVE-2024-21626", false),
        ] {
            assert_eq!(ids(product, version).contains(&id.to_owned()), affected, "{product} {version} {id}");
        }
    }

    #[test]
    fn the_versions_to_move_to_are_those_above() {
        let advisory = affecting("docker-engine", "24.0.9").expect("judged");
        let found = advisory.iter().find(|advisory| advisory.id == "CVE-2024-41110").expect("affected");
        assert_eq!(found.fixed, ["25.0.6", "26.1.5", "27.1.1"]);
        assert_eq!((found.severity.as_str(), found.condition.as_str()), ("critical", "authorization-plugin"));
    }

    #[test]
    fn what_cannot_be_compared_is_said_and_not_taken_for_unaffected() {
        for version in ["", "dev", "library-import", "fcd43222d6b07379a4be9786bda52438f0dd16a1", "99999999999999999999.1.1"] {
            assert_eq!(affecting("runc", version), Err(NotJudged::Version(version.to_owned())));
        }
        assert_eq!(affecting("podman", "5.0.0"), Err(NotJudged::Product("podman".to_owned())));
    }

    #[test]
    fn a_line_is_maintained_ended_or_not_known() {
        let line = |version: &str| engine_line(version).expect("judged").map(|line| (line.name, line.maintained, line.ends));
        assert_eq!(line("29.7.2"), Some(("29".to_owned(), true, None)));
        assert_eq!(line("28.5.2"), Some(("28".to_owned(), false, None)));
        assert_eq!(line("25.0.17"), Some(("25.0".to_owned(), true, Some("2026-12-04".to_owned()))));
        assert_eq!(line("20.10.24+dfsg1"), Some(("20.10".to_owned(), false, Some("2023-12-10".to_owned()))));
        assert_eq!(line("19.03.15"), Some(("19.03".to_owned(), false, Some("2021-01-08".to_owned()))));
        assert_eq!(line("1.13.1"), Some(("1.13".to_owned(), false, None)));
        assert_eq!(line("22.06.0-beta.0"), Some(("22.6".to_owned(), false, None)));
        assert_eq!(line("30.0.0"), None);
    }

    #[test]
    fn days_are_counted_from_date_to_date() {
        assert_eq!(data_date(), Ok("2026-08-21"));
        assert_eq!(days_between("2026-08-21", "2026-08-21"), Ok(0));
        assert_eq!(days_between("2026-08-21", "2026-11-23"), Ok(94));
        assert_eq!(days_between("2024-02-28", "2025-03-01"), Ok(367));
        assert_eq!(days_between("2026-08-21", "2026-08-20"), Ok(-1));
        assert_eq!(days_between("soon", "2026-08-20"), Err(NotJudged::Date("soon".to_owned())));
    }
}
