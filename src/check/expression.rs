//! A CEL expression over facts: compiled once, evaluated for every host.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use cel::common::ast::{Expr, LiteralValue, operators};
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use cel::extractors::This;
use cel::objects::{Key, Map};
use cel::{Context, ExecutionError};
use regex::Regex;

use super::vocabulary::Vocabulary;
use crate::advisory;
use crate::model::{FactRef, Facts, Kind, Value};

/// A function of ours in expressions.
#[derive(Debug, Clone, Copy)]
pub struct FunctionDoc {
    /// How it is called.
    pub call: &'static str,
    /// What it gives.
    pub summary: &'static str,
}

/// The functions that expressions have besides CEL's own.
pub const FUNCTIONS: &[FunctionDoc] = &[
    FunctionDoc {
        call: "mode_within(mode, \"0640\")",
        summary: "Whether no permission bit of `mode` is outside the given mode (both octal text, special bits included).",
    },
    FunctionDoc {
        call: "in_network(address, \"10.0.0.0/8\")",
        summary: "Whether an IP address lies in a network; an error where either is not one.",
    },
    FunctionDoc { call: "join(list, \", \")", summary: "The items of a list as one text, with the separator between them." },
    FunctionDoc {
        call: "advisories(\"runc\", version)",
        summary: "The known vulnerabilities of a version of docker-engine, docker-cli, buildkit, containerd, runc or compose: a list of {id, severity, condition, summary, fixed, url, line}, where `fixed` names the versions to move to, `condition` what must be in use for it to matter (authorization-plugin, swarm, firewalld, other-client, or empty), and `line` says it all; an error where the version cannot be compared.",
    },
    FunctionDoc { call: "advisory_date()", summary: "The day up to which vulnerabilities are known, such as 2026-08-21." },
    FunctionDoc {
        call: "engine_line(version)",
        summary: "The line of the Docker engine that a version belongs to: {line, known, maintained, ends}; `known` is false for lines newer than the data, `ends` is a date or null.",
    },
    FunctionDoc {
        call: "days_between(\"2026-08-21\", date)",
        summary: "Days from one date to another, negative where the second is earlier; an error where either is not a date.",
    },
];

/// A compiled expression and what it speaks of.
#[derive(Debug)]
pub(super) struct Expression {
    program: cel::Program,
    facts: BTreeSet<FactRef>,
    parts: BTreeSet<Part>,
}

/// What an expression looks at: a fact, or a field of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    /// The fact.
    pub(super) fact: FactRef,
    /// The fields that lead into it; none for the whole fact.
    pub(super) fields: Vec<String>,
}

impl Part {
    /// The part of the fact's value.
    pub(super) fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.fields.iter().try_fold(value, |value, field| value.field(field))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fact.fmt(out)?;
        self.fields.iter().try_for_each(|field| write!(out, ".{field}"))
    }
}

impl Expression {
    /// Compiles an expression and holds every name in it against the vocabulary and the parameters.
    ///
    /// # Errors
    /// Every fault, as sentences.
    pub(super) fn compile(source: &str, vocabulary: &Vocabulary, params: &BTreeMap<String, Value>) -> Result<Self, Vec<String>> {
        let program = cel::Program::compile(source).map_err(|errors| vec![one_line(&errors.to_string())])?;
        let mut reader = Reader { vocabulary, params, parts: BTreeSet::new(), faults: Vec::new(), bound: Vec::new() };
        reader.read(&program.expression().expr);
        let Reader { parts, faults, .. } = reader;
        for function in program.references().functions() {
            // What is called but exists nowhere would only be noticed on the host that reaches it.
            if !function.contains(['_', '@', '!', '?']) && !KNOWN_FUNCTIONS.contains(&function) && !is_ours(function) {
                return Err(vec![format!("there is no function `{function}`")]);
            }
        }
        let facts = parts.iter().map(|part| part.fact.clone()).collect();
        if faults.is_empty() { Ok(Self { program, facts, parts }) } else { Err(faults) }
    }

    /// What it looks at: facts, and fields of them where it names those alone.
    pub(super) fn parts(&self) -> &BTreeSet<Part> {
        &self.parts
    }

    /// The facts it speaks of.
    pub(super) fn facts(&self) -> &BTreeSet<FactRef> {
        &self.facts
    }

    /// Its value.
    ///
    /// # Errors
    /// What CEL says; the caller finds out whether an unknown fact was the cause.
    pub(super) fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, String> {
        let value = cel::Value::resolve_val(self.program.expression(), &scope.context).map_err(|error| error.to_string())?;
        from_val(value.as_ref())
    }
}

/// Functions of CEL that packs may call.
const KNOWN_FUNCTIONS: &[&str] =
    &["size", "contains", "startsWith", "endsWith", "matches", "string", "int", "bool", "double", "max", "min", "dyn", "type"];

fn is_ours(function: &str) -> bool {
    FUNCTIONS.iter().any(|ours| ours.call.split('(').next() == Some(function))
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Walks an expression and finds the facts it speaks of.
struct Reader<'a> {
    vocabulary: &'a Vocabulary,
    params: &'a BTreeMap<String, Value>,
    parts: BTreeSet<Part>,
    faults: Vec<String>,
    bound: Vec<String>,
}

/// One step of a path such as `file["/etc/shadow"].mode`.
enum Segment<'a> {
    Field(&'a str),
    Literal(&'a str),
    Computed,
}

impl Reader<'_> {
    fn read(&mut self, expression: &Expr) {
        if let Some((root, segments, inner)) = path(expression) {
            for index in inner {
                self.read(index);
            }
            if !self.bound.iter().any(|name| name == root) {
                self.name(root, &segments);
            }
            return;
        }
        match expression {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
            Expr::Select(select) => {
                if select.test {
                    self.faults.push("`has()` cannot tell absent from unknown: every field of a fact is always there".to_owned());
                }
                self.read(&select.operand.expr);
            }
            Expr::Call(call) => {
                // What is wrong with a pattern is said when the pack is read, not on the first host that reaches it.
                if let ("matches", Some(Expr::Literal(LiteralValue::String(pattern)))) =
                    (call.func_name.as_str(), call.args.last().map(|pattern| &pattern.expr))
                    && let Err(fault) = pattern_of(pattern.inner())
                {
                    self.faults.push(fault);
                }
                if let Some(target) = &call.target {
                    self.read(&target.expr);
                }
                call.args.iter().for_each(|argument| self.read(&argument.expr));
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.read(&element.expr)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(record) => record.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Comprehension(comprehension) => {
                self.read(&comprehension.iter_range.expr);
                self.read(&comprehension.accu_init.expr);
                let before = self.bound.len();
                self.bound.push(comprehension.iter_var.clone());
                self.bound.extend(comprehension.iter_var2.clone());
                self.bound.push(comprehension.accu_var.clone());
                self.read(&comprehension.loop_cond.expr);
                self.read(&comprehension.loop_step.expr);
                self.read(&comprehension.result.expr);
                self.bound.truncate(before);
            }
        }
    }

    fn entry(&mut self, entry: &cel::common::ast::EntryExpr) {
        use cel::common::ast::EntryExpr;
        match entry {
            EntryExpr::StructField(field) => self.read(&field.value.expr),
            EntryExpr::MapEntry(entry) => {
                self.read(&entry.key.expr);
                self.read(&entry.value.expr);
            }
        }
    }

    fn name(&mut self, root: &str, segments: &[Segment<'_>]) {
        if root == "params" {
            match segments.first() {
                Some(Segment::Field(name)) if self.params.contains_key(*name) => {}
                Some(Segment::Field(name)) => self.faults.push(format!("the parameter `{name}` is not declared under `params:`")),
                _ => self.faults.push("a parameter is named as in `params.NAME`".to_owned()),
            }
            return;
        }
        let mut names = vec![root];
        names.extend(segments.iter().map_while(|segment| match segment {
            Segment::Field(name) => Some(*name),
            Segment::Literal(_) | Segment::Computed => None,
        }));
        let (term, length) = match self.vocabulary.resolve(&names) {
            Ok(found) => found,
            Err(_) if names.len() == 1 && !self.vocabulary.has_root(root) && is_type_name(root) => return,
            Err(fault) => return self.faults.push(fault),
        };
        let fact = match (term.key, segments.get(length - 1)) {
            (None, _) => FactRef::plain(term.name),
            (Some(_), Some(Segment::Literal(key))) => FactRef::keyed(term.name, *key),
            (Some(key), _) => {
                let name = term.name;
                return self
                    .faults
                    .push(format!("`{name}` is a family of facts: name one with a literal, as in `{name}[\"{key}\"]`"));
            }
        };
        let rest = &segments[length - 1 + usize::from(term.key.is_some())..];
        if let Err(fault) = follow(term.kind, rest, &fact.to_string()) {
            self.faults.push(fault);
        }
        // The fields named one after the other lead into records; what comes after a list is no field of it.
        let mut kind = term.kind;
        let mut fields = Vec::new();
        for segment in rest {
            let (Segment::Field(name) | Segment::Literal(name)) = segment else { break };
            match kind {
                Kind::Record(known) => match known.iter().find(|(field, _)| field == name) {
                    Some((_, inner)) => kind = *inner,
                    None => break,
                },
                _ => break,
            }
            fields.push((*name).to_owned());
        }
        self.parts.insert(Part { fact, fields });
    }
}

/// Follows fields and indices into a value of a kind, as far as the kind tells.
fn follow(kind: Kind, rest: &[Segment<'_>], at: &str) -> Result<(), String> {
    let Some((first, rest)) = rest.split_first() else { return Ok(()) };
    match (kind, first) {
        (Kind::Maybe(kind), _) => follow(*kind, std::slice::from_ref(first), at),
        (Kind::Record(fields), Segment::Field(name) | Segment::Literal(name)) => {
            match fields.iter().find(|(field, _)| field == name) {
                Some((_, kind)) => follow(*kind, rest, &format!("{at}.{name}")),
                None => Err(format!("`{at}` has no field `{name}`; it is {kind}")),
            }
        }
        (Kind::Map(kind) | Kind::List(kind), _) => follow(*kind, rest, at),
        (Kind::Record(_), Segment::Computed) => Err(format!("`{at}` is a record: name its field")),
        (Kind::Bool | Kind::Int | Kind::Text, _) => Err(format!("`{at}` is {kind} and has no fields")),
    }
}

fn is_type_name(name: &str) -> bool {
    matches!(name, "int" | "string" | "bool" | "list" | "map" | "null_type" | "double" | "type")
}

/// An expression that is a path: its root, its segments, and the computed indices in it.
fn path(expression: &Expr) -> Option<(&str, Vec<Segment<'_>>, Vec<&Expr>)> {
    match expression {
        Expr::Ident(name) => Some((name, Vec::new(), Vec::new())),
        Expr::Select(select) if !select.test => {
            let (root, mut segments, inner) = path(&select.operand.expr)?;
            segments.push(Segment::Field(&select.field));
            Some((root, segments, inner))
        }
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let [operand, index] = call.args.as_slice() else { return None };
            let (root, mut segments, mut inner) = path(&operand.expr)?;
            match &index.expr {
                Expr::Literal(LiteralValue::String(text)) => segments.push(Segment::Literal(text.inner())),
                other => {
                    segments.push(Segment::Computed);
                    inner.push(other);
                }
            }
            Some((root, segments, inner))
        }
        _ => None,
    }
}

/// Compiled patterns of `matches`, by their text. They come from packs, so there are few; what a check makes up from facts must not fill the memory.
static PATTERNS: LazyLock<RwLock<HashMap<String, Regex>>> = LazyLock::new(RwLock::default);

/// How many patterns are kept.
const MOST_PATTERNS: usize = 4096;

fn pattern_of(text: &str) -> Result<Regex, String> {
    if let Some(known) = PATTERNS.read().unwrap_or_else(PoisonError::into_inner).get(text) {
        return Ok(known.clone());
    }
    let compiled =
        Regex::new(text).map_err(|error| format!("`{text}` is no regular expression: {}", one_line(&error.to_string())))?;
    let mut patterns = PATTERNS.write().unwrap_or_else(PoisonError::into_inner);
    if patterns.len() < MOST_PATTERNS {
        patterns.insert(text.to_owned(), compiled.clone());
    }
    Ok(compiled)
}

/// CEL's own functions, made once: a context of its own for each host would make them anew.
static ENVIRONMENT: LazyLock<Arc<cel::Env>> = LazyLock::new(|| Arc::new(cel::Env::stdlib()));

/// The facts of one host and the parameters, as CEL sees them. A fact that is not known is not there, so that touching it is an error and never a value.
///
/// Texts are lent, not copied: facts are many and most checks look at few of them.
pub(super) struct Scope<'v> {
    context: Context<'v, 'v>,
}

impl<'v> Scope<'v> {
    pub(super) fn new(facts: &'v Facts, params: &'v BTreeMap<String, Value>, vocabulary: &Vocabulary) -> Self {
        let mut tree = Tree::default();
        for (fact, value) in facts.iter() {
            // A family without a known member is still there, so that the error of CEL names the key.
            let mut path: Vec<&str> = fact.name.split('.').collect();
            if vocabulary.term(&fact.name).is_some_and(|term| term.key.is_some()) {
                tree.branch(&path);
            }
            path.extend(fact.key.as_deref());
            match value {
                Ok(value) => tree.branch(&path).value = Some(lent(value)),
                Err(_) => {
                    tree.branch(&path[..path.len() - 1]);
                }
            }
        }
        tree.branch(&["params"]).value = Some(record(params));
        let mut context = Context::with_env(ENVIRONMENT.clone());
        for (root, node) in tree.children {
            context.add_variable_as_val(root, node.into_val());
        }
        register(&mut context);
        Self { context }
    }
}

/// A value of CEL.
type Lent<'v> = Box<dyn Val + 'v>;

/// Facts by the segments of their names.
#[derive(Default)]
struct Tree<'v> {
    value: Option<Lent<'v>>,
    children: BTreeMap<&'v str, Tree<'v>>,
}

impl<'v> Tree<'v> {
    fn branch(&mut self, path: &[&'v str]) -> &mut Self {
        path.iter().fold(self, |node, segment| node.children.entry(*segment).or_default())
    }

    fn into_val(self) -> Lent<'v> {
        self.value.unwrap_or_else(|| {
            let map: HashMap<CelMapKey<'v>, Lent<'v>> =
                self.children.into_iter().map(|(name, node)| (CelMapKey::from(name), node.into_val())).collect();
            Box::new(CelMap::from(map))
        })
    }
}

fn record(map: &BTreeMap<String, Value>) -> Lent<'_> {
    let map: HashMap<CelMapKey<'_>, Lent<'_>> =
        map.iter().map(|(name, value)| (CelMapKey::from(name.as_str()), lent(value))).collect();
    Box::new(CelMap::from(map))
}

/// A value of ours as CEL's, its texts lent.
fn lent(value: &Value) -> Lent<'_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::Int(value) => Box::new(CelInt::from(*value)),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::List(items) => Box::new(CelList::from(items.iter().map(lent).collect::<Vec<_>>())),
        Value::Map(map) => record(map),
    }
}

/// A value that a function of ours gives.
fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Int(value) => cel::Value::Int(*value),
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(map) => {
            let map = map.iter().map(|(name, value)| (Key::String(Arc::new(name.clone())), to_cel(value))).collect();
            cel::Value::Map(Map { map: Arc::new(map) })
        }
    }
}

/// The value that an expression gives, or a function of ours is given.
fn from_val(value: &dyn Val) -> Result<Value, String> {
    if let Some(value) = value.downcast_ref::<CelBool>() {
        Ok(Value::Bool(*value.inner()))
    } else if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        Ok(Value::String(text.inner().to_owned()))
    } else if let Some(value) = value.downcast_ref::<CelInt>() {
        Ok(Value::Int(*value.inner()))
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        Ok(Value::List(list.inner().iter().map(|item| from_val(item.as_ref())).collect::<Result<_, _>>()?))
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let entry = |(key, value): (&CelMapKey<'_>, &Lent<'_>)| match from_val(key.inner())? {
            Value::String(name) => Ok((name, from_val(value.as_ref())?)),
            other => Ok((other.to_string(), from_val(value.as_ref())?)),
        };
        Ok(Value::Map(map.inner().iter().map(entry).collect::<Result<_, String>>()?))
    } else if let Some(value) = value.downcast_ref::<CelUInt>() {
        Ok(Value::Int(i64::try_from(*value.inner()).map_err(|_| format!("{} is too large", value.inner()))?))
    } else if value.downcast_ref::<CelNull>().is_some() {
        Ok(Value::Null)
    } else {
        Err(format!("the expression gives {value:?}, which is not a value of a fact"))
    }
}

fn from_cel(value: &cel::Value) -> Result<Value, String> {
    let value = Lent::try_from(value.clone()).map_err(|error| error.to_string())?;
    from_val(value.as_ref())
}

fn advisory_value(advisory: &advisory::Match) -> Value {
    let advisory::Match { id, severity, summary, fixed, url, condition } = advisory;
    let fixed = fixed.join(", ");
    let line = format!("{id} ({severity}): {summary}; fixed in {fixed}");
    Value::record([
        ("id", id.as_str().into()),
        ("severity", severity.as_str().into()),
        ("condition", condition.as_str().into()),
        ("summary", summary.as_str().into()),
        ("fixed", fixed.into()),
        ("url", url.as_str().into()),
        ("line", line.into()),
    ])
}

/// Adds our functions. None of their names is CEL's, so adding cannot fail; a test calls each.
fn register(context: &mut Context<'_, '_>) {
    let added = [
        context.add_function("mode_within", |mode: Arc<String>, within: Arc<String>| -> Result<bool, ExecutionError> {
            let bits = |text: &str| {
                u32::from_str_radix(text, 8)
                    .map_err(|_| ExecutionError::function_error("mode_within", format!("`{text}` is no octal mode")))
            };
            Ok(bits(&mode)? & !bits(&within)? == 0)
        }),
        context.add_function("in_network", |address: Arc<String>, network: Arc<String>| -> Result<bool, ExecutionError> {
            let fault = |what: &str| ExecutionError::function_error("in_network", what);
            let address: std::net::IpAddr = address.parse().map_err(|_| fault("not an IP address"))?;
            let network: ipnet::IpNet = network.parse().map_err(|_| fault("not a network"))?;
            Ok(network.contains(&address))
        }),
        context.add_function("matches", |This(text): This<Arc<String>>, pattern: Arc<String>| -> Result<bool, ExecutionError> {
            let pattern = pattern_of(&pattern).map_err(|fault| ExecutionError::function_error("matches", fault))?;
            Ok(pattern.is_match(&text))
        }),
        context.add_function(
            "join",
            |list: Arc<Vec<cel::Value>>, separator: Arc<String>| -> Result<Arc<String>, ExecutionError> {
                let items: Result<Vec<String>, String> = list.iter().map(|item| Ok(from_cel(item)?.to_string())).collect();
                let items = items.map_err(|what| ExecutionError::function_error("join", what))?;
                Ok(Arc::new(items.join(&separator)))
            },
        ),
        context.add_function("advisories", |product: Arc<String>, version: Arc<String>| -> Result<cel::Value, ExecutionError> {
            let found = advisory::affecting(&product, &version);
            let found = found.map_err(|error| ExecutionError::function_error("advisories", error.to_string()))?;
            Ok(to_cel(&Value::List(found.iter().map(advisory_value).collect())))
        }),
        context.add_function("advisory_date", || -> Result<Arc<String>, ExecutionError> {
            let date =
                advisory::data_date().map_err(|error| ExecutionError::function_error("advisory_date", error.to_string()))?;
            Ok(Arc::new(date.to_owned()))
        }),
        context.add_function("engine_line", |version: Arc<String>| -> Result<cel::Value, ExecutionError> {
            let line = advisory::engine_line(&version);
            let line = line.map_err(|error| ExecutionError::function_error("engine_line", error.to_string()))?;
            let known = line.is_some();
            let line = line.unwrap_or_else(|| advisory::Line { name: String::new(), maintained: false, ends: None });
            Ok(to_cel(&Value::record([
                ("line", line.name.into()),
                ("known", known.into()),
                ("maintained", line.maintained.into()),
                ("ends", line.ends.into()),
            ])))
        }),
        context.add_function("days_between", |from: Arc<String>, to: Arc<String>| -> Result<i64, ExecutionError> {
            advisory::days_between(&from, &to).map_err(|error| ExecutionError::function_error("days_between", error.to_string()))
        }),
    ];
    debug_assert!(added.iter().all(Result::is_ok), "{added:?}");
}
