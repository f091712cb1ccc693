//! Until when the maker of the system makes security updates for it.

use jiff::civil::Date;

use super::{FactSpec, Input, Kind, Output, Probe, Wanted, no_secrets};
use crate::command::{Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Why};

pub(super) const PROBE: Probe = Probe { name: "lifecycle", facts: FACTS, needs, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "os.support_end",
        key: None,
        kind: Kind::Maybe(&Kind::Text),
        unit: None,
        source: "os.id, os.version",
        rights: Rights::Any,
        summary: "The day on which free security updates for this release end (long-term teams included, paid extensions not), as 2027-04-01; null where the release is not in the table.",
    },
    FactSpec {
        name: "os.support_days",
        key: None,
        kind: Kind::Maybe(&Kind::Int),
        unit: Some("days"),
        source: "os.id, os.version; date +%s",
        rights: Rights::Any,
        summary: "Days from now, by the clock of the host, until that day; negative after it; null where the release is not in the table.",
    },
];

/// Releases and the last day of their security updates, from the makers' own calendars (known in November 2026). The version is a whole number of
/// leading parts of VERSION_ID.
const RELEASES: &[(&str, &str, &str)] = &[
    ("debian", "8", "2020-06-30"),
    ("debian", "9", "2022-06-30"),
    ("debian", "10", "2024-06-30"),
    ("debian", "11", "2026-08-31"),
    ("debian", "12", "2028-06-30"),
    ("debian", "13", "2030-06-30"),
    ("ubuntu", "14.04", "2019-04-30"),
    ("ubuntu", "16.04", "2021-04-30"),
    ("ubuntu", "18.04", "2023-05-31"),
    ("ubuntu", "20.04", "2025-05-31"),
    ("ubuntu", "22.04", "2027-04-30"),
    ("ubuntu", "23.10", "2024-07-11"),
    ("ubuntu", "24.04", "2029-04-30"),
    ("ubuntu", "24.10", "2025-07-10"),
    ("ubuntu", "25.04", "2026-01-15"),
    ("ubuntu", "25.10", "2026-07-31"),
    ("ubuntu", "26.04", "2031-04-30"),
    ("rhel", "6", "2020-11-30"),
    ("rhel", "7", "2024-06-30"),
    ("rhel", "8", "2029-05-31"),
    ("rhel", "9", "2032-05-31"),
    ("rhel", "10", "2035-05-31"),
    ("centos", "6", "2020-11-30"),
    ("centos", "7", "2024-06-30"),
    ("centos", "8", "2024-05-31"),
    ("centos", "9", "2027-05-31"),
    ("centos", "10", "2030-01-01"),
    ("rocky", "8", "2029-05-31"),
    ("rocky", "9", "2032-05-31"),
    ("rocky", "10", "2035-05-31"),
    ("almalinux", "8", "2029-03-01"),
    ("almalinux", "9", "2032-05-31"),
    ("almalinux", "10", "2035-05-31"),
    ("ol", "7", "2024-12-31"),
    ("ol", "8", "2029-07-31"),
    ("ol", "9", "2032-06-30"),
    ("ol", "10", "2035-06-30"),
    ("amzn", "2018.03", "2023-12-31"),
    ("amzn", "2", "2026-06-30"),
    ("amzn", "2023", "2029-06-30"),
    ("fedora", "39", "2024-11-26"),
    ("fedora", "40", "2025-05-13"),
    ("fedora", "41", "2025-12-15"),
    ("fedora", "42", "2026-05-13"),
    ("opensuse-leap", "15.5", "2024-12-31"),
    ("opensuse-leap", "15.6", "2026-04-30"),
    ("opensuse-leap", "16.0", "2027-10-31"),
    ("sles", "12.5", "2024-10-31"),
    ("sles", "15.5", "2024-12-31"),
    ("sles", "15.6", "2025-12-31"),
    ("sles", "15.7", "2031-07-31"),
    ("alpine", "3.16", "2024-05-23"),
    ("alpine", "3.17", "2024-11-22"),
    ("alpine", "3.18", "2025-05-09"),
    ("alpine", "3.19", "2025-11-01"),
    ("alpine", "3.20", "2026-04-01"),
    ("alpine", "3.21", "2026-11-01"),
    ("alpine", "3.22", "2027-05-01"),
    ("alpine", "3.23", "2027-11-01"),
];

fn needs(_: &Wanted) -> Vec<FactRef> {
    vec![FactRef::plain("os.id"), FactRef::plain("os.version")]
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    if !wanted.wants("os.support_days") {
        return Vec::new();
    }
    ReadOnlyCommand::new(Program::Date, &["+%s"], Rights::Any)
        .ok()
        .map(|command| Step::new("clock", command))
        .into_iter()
        .collect()
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let end = support_end(input);
    output.set("os.support_end", end.clone().map(|end| end.map(|end| end.to_string())));
    let days = end.and_then(|end| {
        let text = input.answers.text("clock")?;
        let today = text
            .trim()
            .parse()
            .ok()
            .and_then(day_of)
            .ok_or_else(|| Why::CouldNotBeParsed(format!("`{}` is not a time", text.trim())))?;
        Ok(end.map(|end| i64::from((end - today).get_days())))
    });
    output.set("os.support_days", days);
}

fn support_end(input: &Input<'_>) -> Result<Option<Date>, Why> {
    let id = input.facts.value("os.id")?.as_str().unwrap_or_default();
    let version = input.facts.value("os.version")?.as_str().unwrap_or_default();
    let is = |line: &str| version == line || version.strip_prefix(line).is_some_and(|rest| rest.starts_with('.'));
    let end = RELEASES.iter().find(|(name, line, _)| *name == id && is(line)).and_then(|(.., end)| end.parse().ok());
    Ok(end)
}

/// The day of a moment in seconds of the epoch, in UTC.
fn day_of(seconds: i64) -> Option<Date> {
    let moment = jiff::Timestamp::from_second(seconds).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(moment).date())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use crate::probe::script::tests::{answered, facts_of};

    fn support(release: &str, now: &str) -> [Result<Value, Why>; 2] {
        let facts =
            facts_of(&["os.support_end", "os.support_days"], &[("os-release", answered(release)), ("clock", answered(now))]);
        ["os.support_end", "os.support_days"].map(|name| facts.value(name).cloned())
    }

    #[test]
    fn the_end_of_support_is_found_by_line() {
        // 2026-11-23 12:00 UTC.
        let now = "1795435200\n";
        assert_eq!(support("ID=debian\nVERSION_ID=\"12\"\n", now), [Ok("2028-06-30".into()), Ok(Value::Int(585))]);
        assert_eq!(support("ID=\"rocky\"\nVERSION_ID=\"9.4\"\n", now)[0], Ok("2032-05-31".into()));
        assert_eq!(support("ID=alpine\nVERSION_ID=3.21.3\n", now), [Ok("2026-11-01".into()), Ok(Value::Int(-22))]);
        assert_eq!(support("ID=amzn\nVERSION_ID=\"2023\"\n", now)[0], Ok("2029-06-30".into()), "not the line 2");
        assert_eq!(support("ID=arch\n", now), [Ok(Value::Null), Ok(Value::Null)]);
    }

    #[test]
    fn a_clock_that_makes_no_sense_makes_the_days_unknown() {
        for clock in ["", "soon", "99999999999999999999", "9223372036854775807"] {
            let [end, days] = support("ID=debian\nVERSION_ID=\"12\"\n", clock);
            assert_eq!(end, Ok("2028-06-30".into()));
            assert!(matches!(days, Err(Why::CouldNotBeParsed(_))), "{clock}");
        }
    }

    #[test]
    fn every_date_of_the_table_is_one() {
        for (id, line, end) in RELEASES {
            assert!(end.parse::<Date>().is_ok(), "{id} {line}: {end}");
        }
    }
}
