//! From facts to findings.

use std::collections::BTreeSet;

use super::expression::{Expression, Part, Scope};
use super::pack::{Check, CheckSet, Rule};
use crate::model::{Evidence, FactRef, Facts, Finding, Value, Verdict, Why};

/// The most lines of evidence of one finding; what is left out is counted in a last line.
const LINES: usize = 50;

/// The most items of a list shown in the evidence of a verdict that no single item decided.
const ITEMS: usize = 8;

/// An example of a check whose verdict is not the one its author wrote down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleFault {
    /// The check.
    pub check: String,
    /// What the example says.
    pub expected: String,
    /// What the check says.
    pub found: Finding,
}

impl CheckSet {
    /// One finding for every check, in the order of the checks.
    pub fn judge(&self, facts: &Facts) -> Vec<Finding> {
        let scope = Scope::new(facts, self.params(), self.vocabulary());
        self.checks().iter().map(|check| self.judge_one(check, facts, &scope)).collect()
    }

    /// Runs every example of every check, and every check with nothing known, which must be unknown.
    pub fn example_faults(&self) -> Vec<ExampleFault> {
        let mut faults = Vec::new();
        for check in self.checks() {
            for example in &check.examples {
                let mut params = self.params().clone();
                params.extend(example.params.clone());
                let scope = Scope::new(&example.facts, &params, self.vocabulary());
                let found = self.judge_one(check, &example.facts, &scope);
                if found.verdict.as_str() != example.verdict {
                    faults.push(ExampleFault { check: check.info.id.clone(), expected: example.verdict.clone(), found });
                }
            }
            let mut nothing = Facts::default();
            for fact in check.facts() {
                nothing.insert(fact.clone(), Err(Why::NotAnswered("nothing is known".to_owned())));
            }
            let scope = Scope::new(&nothing, self.params(), self.vocabulary());
            let found = self.judge_one(check, &nothing, &scope);
            if !matches!(found.verdict, Verdict::Unknown(_)) {
                let expected = "unknown (with no fact known)".to_owned();
                faults.push(ExampleFault { check: check.info.id.clone(), expected, found });
            }
        }
        faults
    }

    fn judge_one(&self, check: &Check, facts: &Facts, scope: &Scope<'_>) -> Finding {
        let (verdict, evidence) =
            self.decide(check, facts, scope).unwrap_or_else(|(why, evidence)| (Verdict::Unknown(why), evidence));
        debug_assert!(!evidence.is_empty(), "{} without evidence", check.info.id);
        Finding { check: check.info.id.clone(), verdict, evidence }
    }

    fn decide(&self, check: &Check, facts: &Facts, scope: &Scope<'_>) -> Result<(Verdict, Vec<Evidence>), (Why, Vec<Evidence>)> {
        if let Some(applies) = &check.applies {
            match self.evaluate(applies, facts, scope)? {
                Value::Bool(true) => {}
                Value::Bool(false) => return Ok((Verdict::NotApplicable, self.looked_at([applies], facts))),
                other => return Err(self.not_a("true or false", &other)),
            }
        }
        match &check.rule {
            Rule::Expect(expect) => match self.evaluate(expect, facts, scope)? {
                Value::Bool(true) => {}
                Value::Bool(false) => return Ok((Verdict::Fail, self.looked_at([expect], facts))),
                other => return Err(self.not_a("true or false", &other)),
            },
            Rule::Violations(violations) => {
                let items = self.list(violations, facts, scope)?;
                if !items.is_empty() {
                    return Ok((Verdict::Fail, self.lines(violations, &items, facts)));
                }
            }
        }
        if let Some(review) = &check.review {
            let items = self.list(review, facts, scope)?;
            if !items.is_empty() {
                return Ok((Verdict::Review, self.lines(review, &items, facts)));
            }
        }
        Ok((Verdict::Pass, self.looked_at(check.expressions(), facts)))
    }

    fn list(&self, expression: &Expression, facts: &Facts, scope: &Scope<'_>) -> Result<Vec<Value>, (Why, Vec<Evidence>)> {
        match self.evaluate(expression, facts, scope)? {
            Value::List(items) => Ok(items),
            other => Err(self.not_a("a list", &other)),
        }
    }

    /// The value of an expression, or why a fact that it needs is not known.
    fn evaluate(&self, expression: &Expression, facts: &Facts, scope: &Scope<'_>) -> Result<Value, (Why, Vec<Evidence>)> {
        expression.evaluate(scope).map_err(|error| {
            let unknown: Vec<(&FactRef, Why)> =
                expression.facts().iter().filter_map(|fact| Some((fact, why_unknown(facts, fact)?))).collect();
            let evidence: Vec<Evidence> =
                unknown.iter().map(|(fact, why)| self.evidence(fact, format!("{fact} is not known: {}", why.detail()))).collect();
            match unknown.into_iter().next() {
                Some((_, why)) => (why, evidence),
                None => {
                    let why = Why::CouldNotBeParsed(format!("the check could not be evaluated: {error}"));
                    let evidence = vec![Evidence::new(why.detail())];
                    (why, evidence)
                }
            }
        })
    }

    fn not_a(&self, expected: &str, found: &Value) -> (Why, Vec<Evidence>) {
        let why = Why::CouldNotBeParsed(format!("the check's expression must give {expected} and gave `{found}`"));
        let evidence = vec![Evidence::new(why.detail())];
        (why, evidence)
    }

    /// A line of evidence for each item.
    fn lines(&self, expression: &Expression, items: &[Value], facts: &Facts) -> Vec<Evidence> {
        let source = expression
            .facts()
            .iter()
            .find(|fact| facts.state(fact).is_some())
            .and_then(|fact| self.vocabulary().term(&fact.name));
        let line = |item: &Value| match source {
            Some(term) => Evidence::from_source(item.to_string(), term.source),
            None => Evidence::new(item.to_string()),
        };
        let mut lines: Vec<Evidence> = items.iter().take(LINES).map(line).collect();
        if items.len() > LINES {
            lines.push(Evidence::new(format!("and {} more", items.len() - LINES)));
        }
        lines
    }

    /// The facts that expressions looked at, with their values.
    fn looked_at<'a>(&self, expressions: impl IntoIterator<Item = &'a Expression>, facts: &Facts) -> Vec<Evidence> {
        let parts: BTreeSet<&Part> = expressions.into_iter().flat_map(Expression::parts).collect();
        let mut lines: Vec<Evidence> = parts
            .iter()
            .take(LINES)
            .map(|part| match facts.state(&part.fact) {
                Some(Ok(value)) => {
                    // A field that is not there is inside what is null.
                    let value = part.of(value).map_or_else(|| "none".to_owned(), summary);
                    self.evidence(&part.fact, format!("{part} = {value}"))
                }
                // Looked at, not known, and not what decided.
                Some(Err(why)) => self.evidence(&part.fact, format!("{part} is not known: {}", why.detail())),
                None => self.evidence(&part.fact, format!("{part} was not asked for")),
            })
            .collect();
        if lines.is_empty() {
            lines.push(Evidence::new("the expression looks at no fact"));
        }
        lines
    }

    fn evidence(&self, fact: &FactRef, text: String) -> Evidence {
        match self.vocabulary().term(&fact.name) {
            Some(term) => Evidence::from_source(text, term.source),
            None => Evidence::new(text),
        }
    }
}

fn why_unknown(facts: &Facts, fact: &FactRef) -> Option<Why> {
    match facts.state(fact) {
        Some(Ok(_)) => None,
        Some(Err(why)) => Some(why.clone()),
        None => Some(Why::NotAnswered(format!("`{fact}` was not asked for"))),
    }
}

/// A value on one line, a long list cut short.
fn summary(value: &Value) -> String {
    match value {
        Value::List(items) if items.is_empty() => "none".to_owned(),
        Value::List(items) if items.len() > ITEMS => {
            let shown = Value::List(items[..ITEMS].to_vec()).to_string();
            format!("{} and {} more]", shown.trim_end_matches(']'), items.len() - ITEMS)
        }
        Value::Map(map) if map.is_empty() => "none".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{PackError, Source, Term, Vocabulary};
    use super::*;
    use crate::model::Kind;

    fn vocabulary() -> Vocabulary {
        let term = |name, key, kind| Term { name, key, kind, source: "a command" };
        Vocabulary::new([
            term("docker.installed", None, Kind::Bool),
            term("sysctl", Some("key"), Kind::Maybe(&Kind::Text)),
            term("users", None, Kind::List(&Kind::Record(&[("name", Kind::Text), ("uid", Kind::Int)]))),
        ])
    }

    fn load(text: &str) -> Result<CheckSet, PackError> {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("pack.yaml"), text).expect("written");
        CheckSet::load(&Source::Directory(directory.path().to_owned()), &vocabulary())
    }

    fn check(body: &str) -> String {
        format!("checks:\n- id: a.b\n  title: t\n  severity: low\n  rationale: r\n  remediation: m\n{body}")
    }

    const EXAMPLES: &str = "  examples:\n    pass: {sysctl: {x: '0'}}\n    fail: {sysctl: {x: '1'}}\n";

    fn verdict(set: &CheckSet, facts: &[(FactRef, Result<Value, Why>)]) -> Finding {
        let mut all = Facts::default();
        for (fact, value) in facts {
            all.insert(fact.clone(), value.clone());
        }
        set.judge(&all).remove(0)
    }

    fn sysctl(value: &str) -> (FactRef, Result<Value, Why>) {
        (FactRef::keyed("sysctl", "x"), Ok(Value::from(value)))
    }

    #[test]
    fn an_expectation_passes_and_fails_with_the_fact_as_evidence() {
        let set = load(&check(&format!("  expect: sysctl['x'] == '0'\n{EXAMPLES}"))).expect("loads");
        assert_eq!(set.facts().into_iter().collect::<Vec<_>>(), [FactRef::keyed("sysctl", "x")]);
        let finding = verdict(&set, &[sysctl("0")]);
        assert_eq!((finding.verdict, finding.evidence[0].text()), (Verdict::Pass, "sysctl[\"x\"] = 0"));
        let finding = verdict(&set, &[sysctl("1")]);
        assert_eq!((finding.verdict, finding.evidence[0].source()), (Verdict::Fail, Some("a command")));
        assert_eq!(set.example_faults(), []);
    }

    #[test]
    fn a_fact_that_is_not_known_is_unknown_for_its_own_reason_and_never_pass() {
        let set = load(&check(&format!("  expect: sysctl['x'] == '0'\n{EXAMPLES}"))).expect("loads");
        let why = Why::NeedsRoot("it says so".to_owned());
        let finding = verdict(&set, &[(FactRef::keyed("sysctl", "x"), Err(why.clone()))]);
        assert_eq!(finding.verdict, Verdict::Unknown(why));
        assert_eq!(finding.evidence[0].text(), "sysctl[\"x\"] is not known: it says so");
        assert!(matches!(verdict(&set, &[]).verdict, Verdict::Unknown(Why::NotAnswered(_))));
    }

    #[test]
    fn an_unknown_fact_that_does_not_decide_does_not_matter() {
        let body = format!(
            "  applies: docker.installed\n  expect: sysctl['x'] == '0' || sysctl['y'] == '0'\n{EXAMPLES}    not_applicable: {{docker: {{installed: false}}}}\n"
        );
        let set = load(&check(&body)).expect("loads");
        let unknown = (FactRef::keyed("sysctl", "y"), Err(Why::TimedOut(String::new())));
        let installed = (FactRef::plain("docker.installed"), Ok(Value::Bool(true)));
        assert_eq!(verdict(&set, &[installed.clone(), sysctl("0"), unknown.clone()]).verdict, Verdict::Pass);
        assert!(matches!(verdict(&set, &[installed, sysctl("1"), unknown]).verdict, Verdict::Unknown(Why::TimedOut(_))));
        let absent = (FactRef::plain("docker.installed"), Ok(Value::Bool(false)));
        assert_eq!(verdict(&set, &[absent]).verdict, Verdict::NotApplicable);
    }

    #[test]
    fn violations_are_lines_of_evidence_and_review_comes_after_them() {
        let body = "  violations: \"users.filter(u, u.uid == 0 && u.name != 'root').map(u, u.name + ': uid 0')\"\n  review: users.filter(u, u.uid == 1).map(u, u.name)\n  examples:\n    pass: {users: [{name: root, uid: 0}]}\n    fail: {users: [{name: toor, uid: 0}]}\n    review: {users: [{name: daemon, uid: 1}]}\n";
        let set = load(&check(body)).expect("loads");
        assert_eq!(set.example_faults(), []);
        let user = |name: &str, uid: i64| Value::record([("name", name.into()), ("uid", uid.into())]);
        let users = (FactRef::plain("users"), Ok(Value::List(vec![user("toor", 0), user("ev\u{1b}il", 0), user("d", 1)])));
        let finding = verdict(&set, &[users]);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert_eq!(finding.evidence.iter().map(Evidence::text).collect::<Vec<_>>(), ["toor: uid 0", "ev\\u{1b}il: uid 0"]);
    }

    #[test]
    fn every_fault_of_a_pack_is_named_with_its_line() {
        for (body, message) in [
            (
                format!("  expect: sysctl['x'] == '0' && dcoker.installed\n{EXAMPLES}"),
                "there is no fact `dcoker.installed`; the nearest is `docker.installed`",
            ),
            (format!("  expect: has(sysctl.x)\n{EXAMPLES}"), "`has()` cannot tell absent from unknown"),
            (format!("  expect: \"'x' in sysctl\"\n{EXAMPLES}"), "`sysctl` is a family of facts"),
            (format!("  expect: users.all(u, sysctl[u.name] == '0')\n{EXAMPLES}"), "`sysctl` is a family of facts"),
            (format!("  expect: params.x == 1\n{EXAMPLES}"), "the parameter `x` is not declared"),
            (format!("  expect: users[0].nmae == 'x'\n{EXAMPLES}"), "has no field `nmae`"),
            (format!("  expect: frobnicate(sysctl['x'])\n{EXAMPLES}"), "there is no function `frobnicate`"),
            (format!("  expect: sysctl['x'] ==\n{EXAMPLES}"), "expect: "),
            (format!("  expect: sysctl['x'].matches('(')\n{EXAMPLES}"), "`(` is no regular expression"),
            (format!("  expect: 'true'\n  violations: '[]'\n{EXAMPLES}"), "exactly one of"),
            (
                "  expect: sysctl['x'] == '0'\n  examples: {pass: {sysctl: {x: '0'}}}\n".to_owned(),
                "`examples` needs one for `fail`",
            ),
            (
                "  expect: sysctl['x'] == '0'\n  examples: {pass: {sysctl: {x: 0}}, fail: {}}\n".to_owned(),
                "expected text, got `0`",
            ),
        ] {
            let error = load(&check(&body)).expect_err("refused");
            assert!(error.faults.iter().any(|fault| fault.message.contains(message) && fault.line == 2), "{error}");
        }
        let error = load("checks:\n- id: a.b\n  titel: x\n").expect_err("refused");
        assert_eq!(error.faults[0].line, 3, "{error}");
    }

    #[test]
    fn an_example_with_another_verdict_is_found() {
        let set = load(&check(
            "  expect: sysctl['x'] == '0'\n  examples:\n    pass: {sysctl: {x: '1'}}\n    fail: {sysctl: {x: '1'}}\n",
        ))
        .expect("loads");
        let faults = set.example_faults();
        assert_eq!(faults.len(), 1);
        assert_eq!((faults[0].expected.as_str(), &faults[0].found.verdict), ("pass", &Verdict::Fail));
    }

    #[test]
    fn our_functions_answer_in_expressions() {
        let body = "  expect: mode_within(sysctl['x'], '0640') && in_network('10.1.2.3', '10.0.0.0/8')\n  examples:\n    pass: {sysctl: {x: '0600'}}\n    fail: {sysctl: {x: '0602'}}\n";
        assert_eq!(load(&check(body)).expect("loads").example_faults(), []);
    }

    #[test]
    fn advisories_answer_in_expressions() {
        let body = "  expect: advisories('runc', sysctl['x']).map(a, a.id) == ['CVE-2026-41579'] && engine_line('20.10.24+dfsg1').ends == '2023-12-10' && !engine_line('99.0.0').known && days_between('2026-08-21', '2026-11-23') == 94 && days_between(advisory_date(), '2000-01-01') < 0\n  examples:\n    pass: {sysctl: {x: '1.3.3'}}\n    fail: {sysctl: {x: '1.1.11'}}\n";
        let set = load(&check(body)).expect("loads");
        assert_eq!(set.example_faults(), []);
        assert!(matches!(verdict(&set, &[sysctl("a-commit")]).verdict, Verdict::Unknown(_)));
    }
}
