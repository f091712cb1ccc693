//! The templates that inventories are full of: `{{ inventory_hostname }}.example.com`, `{{ site_port | default(22) }}`.
//!
//! Only what names variables of the same host is filled in. A template engine would know the rest of Jinja, but not Ansible's filters, lookups and variables,
//! and a value that is almost what Ansible makes of it is worse than none.

use std::cell::Cell;
use std::path::Path;

use super::graph::Variable;
use crate::model::Value;

/// Templates in the variables of templates are filled in this deep, and brackets in an expression may stand as deep.
const DEEPEST: usize = 16;

/// How many templates may be filled in for one text, and how long it may become, in bytes: eight variables that each hold the next one eight times would fill the
/// memory.
const MOST_FILLED: usize = 1_000;
const LONGEST: usize = 64 << 10;

/// The host whose variables are filled in.
pub(super) struct Context<'a> {
    /// `inventory_hostname`.
    pub(super) name: &'a str,
    /// `inventory_file`, where there is one.
    pub(super) file: Option<&'a Path>,
    /// The variable of a name that counts for the host.
    pub(super) find: &'a dyn Fn(&str) -> Option<&'a Variable>,
}

/// Whether there is anything to fill in.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The text with everything filled in.
///
/// # Errors
/// Why that can't be done, to stand behind a colon.
pub(super) fn fill(text: &str, context: &Context<'_>) -> Result<String, String> {
    fill_at(text, context, Work { depth: 0, filled: &Cell::new(0) })
}

/// How much was done for a text.
#[derive(Clone, Copy)]
struct Work<'a> {
    /// Templates around this one.
    depth: usize,
    /// Templates in all.
    filled: &'a Cell<usize>,
}

fn fill_at(text: &str, context: &Context<'_>, work: Work<'_>) -> Result<String, String> {
    if work.depth > DEEPEST {
        return Err("the variables in it refer to each other without end".to_owned());
    }
    work.filled.set(work.filled.get() + 1);
    if work.filled.get() > MOST_FILLED {
        return Err(format!("it is made of more than {MOST_FILLED} templates"));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
        let (before, template) = rest.split_at(at);
        out.push_str(before);
        if !template.starts_with("{{") {
            return Err("it holds more than names of variables".to_owned());
        }
        let mut parser = Parser { rest: &template[2..], context, work, brackets: 0 };
        let value = parser.expression()?;
        parser.skip_space();
        rest = parser.rest.strip_prefix("}}").ok_or_else(|| parser.too_much())?;
        out = within(out + &printed(value)?)?;
    }
    out.push_str(rest);
    Ok(out)
}

/// The text, if it is not too long.
fn within(text: String) -> Result<String, String> {
    if text.len() > LONGEST { Err(format!("it comes to more than {} KiB", LONGEST >> 10)) } else { Ok(text) }
}

/// What an expression comes to: a value, or the name of what is not set.
enum Found {
    Value(Value),
    Nothing(String),
}

impl Found {
    fn text(text: impl Into<String>) -> Self {
        Self::Value(Value::String(text.into()))
    }
}

/// A value as Jinja prints it.
fn printed(found: Found) -> Result<String, String> {
    match found {
        Found::Value(Value::Bool(true)) => Ok("True".to_owned()),
        Found::Value(Value::Bool(false)) => Ok("False".to_owned()),
        Found::Value(Value::Null) => Ok(String::new()),
        Found::Value(Value::List(_) | Value::Map(_)) => Err("a list or a map is no part of it".to_owned()),
        Found::Value(value) => Ok(value.to_string()),
        Found::Nothing(name) => Err(format!("`{name}` is not set")),
    }
}

struct Parser<'a, 'b> {
    rest: &'b str,
    context: &'b Context<'a>,
    work: Work<'b>,
    /// Brackets around what is being read.
    brackets: usize,
}

impl<'b> Parser<'_, 'b> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, word: &str) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn too_much(&self) -> String {
        match self.rest.split_once("}}").map(|(rest, _)| rest.trim()) {
            Some("") => "it names no variable".to_owned(),
            Some(rest) => format!("`{rest}` is more than a name of a variable"),
            None => "it does not end in `}}`".to_owned(),
        }
    }

    /// Operands with `~` or, where both are text, `+` between them.
    fn expression(&mut self) -> Result<Found, String> {
        self.brackets += 1;
        if self.brackets > DEEPEST {
            return Err(format!("its brackets stand more than {DEEPEST} deep"));
        }
        let found = self.operands();
        self.brackets -= 1;
        found
    }

    fn operands(&mut self) -> Result<Found, String> {
        let mut found = self.operand()?;
        loop {
            let plus = match () {
                () if self.take("~") => false,
                () if self.take("+") => true,
                () => return Ok(found),
            };
            let other = self.operand()?;
            let text = |found: &Found| matches!(found, Found::Value(Value::String(_)) | Found::Nothing(_));
            if plus && !(text(&found) && text(&other)) {
                return Err("`+` stands between what is not text".to_owned());
            }
            found = Found::text(within(printed(found)? + &printed(other)?)?);
        }
    }

    /// A value, its fields, and what filters make of it.
    fn operand(&mut self) -> Result<Found, String> {
        let mut found = self.atom()?;
        loop {
            self.skip_space();
            if self.rest.starts_with("||") {
                return Err(self.too_much());
            } else if self.take("|") {
                found = self.filter(found)?;
            } else if self.take("[") {
                let field = match self.atom()? {
                    Found::Value(Value::String(field)) => field,
                    Found::Value(Value::Int(at)) => at.to_string(),
                    _ => return Err(self.too_much()),
                };
                if !self.take("]") {
                    return Err(self.too_much());
                }
                found = self.field(found, &field)?;
            } else if self.take(".") {
                let field = self.word().ok_or_else(|| self.too_much())?;
                found = self.field(found, field)?;
            } else {
                return Ok(found);
            }
        }
    }

    fn field(&self, found: Found, field: &str) -> Result<Found, String> {
        match found {
            Found::Nothing(name) => Ok(Found::Nothing(name)),
            Found::Value(Value::Map(mut map)) => match map.remove(field) {
                Some(value) => self.filled(value),
                None => Ok(Found::Nothing(field.to_owned())),
            },
            Found::Value(Value::List(mut items)) => {
                let at = field.parse().ok().filter(|at| *at < items.len());
                at.map_or_else(|| Ok(Found::Nothing(field.to_owned())), |at| self.filled(items.swap_remove(at)))
            }
            Found::Value(_) => Err(format!("`{field}` is asked of what is neither a list nor a map")),
        }
    }

    /// A value whose own templates are filled in.
    fn filled(&self, value: Value) -> Result<Found, String> {
        match value {
            Value::String(text) if is_template(&text) => {
                fill_at(&text, self.context, Work { depth: self.work.depth + 1, ..self.work }).map(Found::text)
            }
            Value::Map(map) if map.contains_key("__ansible_vault") => {
                Err("it needs a value that is encrypted with ansible-vault".to_owned())
            }
            other => Ok(Found::Value(other)),
        }
    }

    fn filter(&mut self, found: Found) -> Result<Found, String> {
        let name = self.word().ok_or_else(|| self.too_much())?;
        match name {
            "default" | "d" => {
                if !self.take("(") {
                    return Err(self.too_much());
                }
                let other = self.expression()?;
                let mut for_false = false;
                if self.take(",") {
                    let _ = self.take("boolean") && self.take("=");
                    for_false = matches!(self.atom()?, Found::Value(Value::Bool(true)));
                }
                if !self.take(")") {
                    return Err(self.too_much());
                }
                Ok(match &found {
                    Found::Nothing(_) => other,
                    Found::Value(value) if for_false && is_false(value) => other,
                    Found::Value(_) => found,
                })
            }
            "lower" => Ok(Found::text(printed(found)?.to_lowercase())),
            "upper" => Ok(Found::text(printed(found)?.to_uppercase())),
            "trim" => Ok(Found::text(printed(found)?.trim())),
            "string" => Ok(Found::text(printed(found)?)),
            _ => Err(format!("the filter `{name}` is Ansible's")),
        }
    }

    fn word(&mut self) -> Option<&'b str> {
        self.skip_space();
        let end = self.rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(word).filter(|word| !word.is_empty())
    }

    /// Text in quotes, a number, a name, `lookup('env', 'NAME')`, or an expression in brackets.
    fn atom(&mut self) -> Result<Found, String> {
        self.skip_space();
        match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                let inside = self.rest.get(1..).and_then(|rest| rest.split_once(quote));
                let (text, rest) = inside.filter(|(text, _)| !text.contains('\\')).ok_or_else(|| self.too_much())?;
                self.rest = rest;
                Ok(Found::text(text))
            }
            Some('0'..='9') => {
                let number = self.word().and_then(|number| number.parse().ok()).ok_or_else(|| self.too_much())?;
                Ok(Found::Value(Value::Int(number)))
            }
            Some('(') => {
                self.take("(");
                let found = self.expression()?;
                if self.take(")") { Ok(found) } else { Err(self.too_much()) }
            }
            _ => {
                let before = self.rest;
                let name = self.word().ok_or_else(|| self.too_much())?;
                if self.rest.trim_start().starts_with('(') && name != "lookup" {
                    self.rest = before;
                    return Err(self.too_much());
                }
                self.name(name)
            }
        }
    }

    fn name(&mut self, name: &str) -> Result<Found, String> {
        match name {
            "true" | "True" => return Ok(Found::Value(Value::Bool(true))),
            "false" | "False" => return Ok(Found::Value(Value::Bool(false))),
            "none" | "None" => return Ok(Found::Value(Value::Null)),
            "lookup" => return self.lookup(),
            "inventory_hostname" => return Ok(Found::text(self.context.name)),
            "inventory_hostname_short" => return Ok(Found::text(self.context.name.split('.').next().unwrap_or_default())),
            "inventory_file" | "inventory_dir" => return Ok(self.place(name)),
            _ => {}
        }
        match (self.context.find)(name) {
            Some(variable) if variable.verbatim => Ok(Found::Value(variable.value.clone())),
            Some(variable) => self.filled(variable.value.clone()).map_err(|why| match why {
                why if why.contains('`') => why,
                why => format!("in `{name}`, {why}"),
            }),
            // What is dialled where nothing else is said.
            None if name == "ansible_host" => Ok(Found::text(self.context.name)),
            None => Ok(Found::Nothing(name.to_owned())),
        }
    }

    fn place(&self, name: &str) -> Found {
        let file = self.context.file.and_then(|file| std::path::absolute(file).ok());
        let place = file.as_deref().and_then(|file| if name == "inventory_dir" { file.parent() } else { Some(file) });
        place.and_then(Path::to_str).map_or_else(|| Found::Nothing(name.to_owned()), Found::text)
    }

    /// `('env', 'NAME')`, behind the word; what is not in the environment is empty, as in Ansible.
    fn lookup(&mut self) -> Result<Found, String> {
        if !self.take("(") {
            return Ok(Found::Nothing("lookup".to_owned()));
        }
        let which = printed(self.atom()?)?;
        if !matches!(which.as_str(), "env" | "ansible.builtin.env") {
            return Err(format!("the lookup `{which}` is Ansible's"));
        }
        if !self.take(",") {
            return Err(self.too_much());
        }
        let variable = printed(self.atom()?)?;
        if !self.take(")") {
            return Err(self.too_much());
        }
        Ok(Found::text(std::env::var(variable).unwrap_or_default()))
    }
}

/// What Python takes for false.
fn is_false(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) => true,
        Value::String(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Bool(true) | Value::Int(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::graph::Origin;
    use super::*;

    proptest! {
        #[test]
        fn no_template_makes_the_parser_panic(text in "[a-c0-2{}%#|().,~+'\" \\[\\]\u{e9}]{0,40}") {
            let value = Variable::new("{{ b }}{{ c".into(), Origin { file: 0, line: 1 });
            let find = |name: &str| (name == "a").then_some(&value);
            let context = Context { name: "h", file: None, find: &find };
            let _ = fill(&format!("{{{{ {text} }}}}"), &context);
            let _ = fill(&text, &context);
        }
    }

    fn filled(text: &str) -> Result<String, String> {
        let value = |value: Value| Variable::new(value, Origin { file: 0, line: 1 });
        let variables = BTreeMap::from([
            ("site", value("fra".into())),
            ("domain", value("{{ site }}.example.com".into())),
            ("port", value(Value::Int(2222))),
            ("empty", value("".into())),
            ("on", value(true.into())),
            ("loop", value("{{ pool }}".into())),
            ("pool", value("{{ loop }}".into())),
            ("list", value(Value::list(["a", "b"]))),
            ("net", value(Value::record([("mgmt", Value::record([("ip", "192.0.2.{{ last }}".into())]))]))),
            ("last", value(Value::Int(7))),
            ("sealed", value(Value::record([("__ansible_vault", "$ANSIBLE_VAULT".into())]))),
            ("braces", Variable { verbatim: true, ..value("a{{b".into()) }),
            ("odd", value("{{ site | regex_replace('a') }}".into())),
        ]);
        let find = |name: &str| variables.get(name);
        fill(text, &Context { name: "web01.example.com", file: Some(Path::new("/fleet/hosts")), find: &find })
    }

    #[test]
    fn no_template_takes_more_than_a_little_of_stack_time_or_memory() {
        for text in [format!("{{{{ {} }}}}", "(".repeat(100_000)), format!("{{{{ {} }}}}", "x|default(".repeat(100_000))] {
            assert_eq!(filled(&text), Err("its brackets stand more than 16 deep".to_owned()));
        }
        let long = "a".repeat(1 << 10);
        let variable = |text: String| Variable::new(text.into(), Origin { file: 0, line: 1 });
        let mut variables: BTreeMap<String, Variable> =
            (0..12).map(|at| (format!("v{at}"), variable(format!("{{{{ v{} }}}}", at + 1).repeat(8)))).collect();
        variables.insert("v12".to_owned(), variable(String::new()));
        variables.insert("long".to_owned(), variable(long));
        let find = |name: &str| variables.get(name);
        let context = Context { name: "h", file: None, find: &find };
        assert!(fill("{{ v0 }}", &context).expect_err("8^12 of them").contains("more than 1000 templates"));
        for text in ["{{ long }}".repeat(65), format!("{{{{ {}'' }}}}", "long ~ ".repeat(65))] {
            assert_eq!(fill(&text, &context), Err("it comes to more than 64 KiB".to_owned()));
        }
    }

    #[test]
    fn names_are_filled_in_however_they_are_written() {
        // Expected values: ansible -m debug -a 'msg=...' for the same variables.
        let table = [
            ("plain", "plain"),
            ("{{ inventory_hostname }}", "web01.example.com"),
            ("{{inventory_hostname_short}}.{{ domain }}", "web01.fra.example.com"),
            ("{{ ansible_host }}:{{port}}", "web01.example.com:2222"),
            ("-o ProxyCommand=\"ssh -W %h:%p {{ site }}\"", "-o ProxyCommand=\"ssh -W %h:%p fra\""),
            ("{{ inventory_dir }}/keys/{{ site }} {{ inventory_file }}", "/fleet/keys/fra /fleet/hosts"),
            ("{{ nope | default('x') }}{{ nope|d(22) }}{{ site | default('x') }}", "x22fra"),
            ("{{ empty | default('x') }}{{ empty | default('y', true) }}{{ empty | default('z', boolean=True) }}", "yz"),
            ("{{ nope | default(port) }} {{ nope | default(nada | default('deep')) }}", "2222 deep"),
            ("{{ site ~ '-' ~ port }} {{ site + '.example' }} {{ ('a' ~ 'b') | upper }}", "fra-2222 fra.example AB"),
            ("{{ net.mgmt.ip }} {{ net['mgmt']['ip'] }} {{ list[1] }} {{ list.0 }}", "192.0.2.7 192.0.2.7 b a"),
            ("{{ nope.mgmt | default('none') }}", "none"),
            ("{{ site | upper | lower }} {{ ' a ' | trim }}", "fra a"),
            ("{{ on }} {{ false }}", "True False"),
            ("{{ braces }}", "a{{b"),
            ("{{ '}}' }}", "}}"),
            ("{{ lookup('env', 'NO_SUCH_VARIABLE_HERE') | default('x', true) }}", "x"),
        ];
        for (text, expected) in table {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
        let home = std::env::var("HOME").unwrap();
        assert_eq!(filled("{{ lookup('env', \"HOME\") }}/x"), Ok(format!("{home}/x")));
        assert_eq!(filled("{{ lookup('ansible.builtin.env', 'HOME') }}"), Ok(home));
    }

    #[test]
    fn what_only_ansible_can_fill_in_is_said() {
        let table = [
            ("{{ nope }}", "`nope` is not set"),
            ("{{ net.nope }}", "`nope` is not set"),
            ("{{ loop }}", "in `loop`, the variables in it refer to each other without end"),
            ("{{ sealed }}", "in `sealed`, it needs a value that is encrypted with ansible-vault"),
            ("{{ odd }}", "the filter `regex_replace` is Ansible's"),
            ("{{ list }}", "a list or a map is no part of it"),
            ("{{ site | regex_replace('a', 'b') }}", "the filter `regex_replace` is Ansible's"),
            ("{{ lookup('file', '/etc/x') }}", "the lookup `file` is Ansible's"),
            ("{{ query('env', 'x') }}", "`query('env', 'x')` is more than a name of a variable"),
            ("{{ 'a' if on else 'b' }}", "`if on else 'b'` is more than a name of a variable"),
            ("{{ port + 1 }}", "`+` stands between what is not text"),
            ("{% if on %}a{% endif %}", "it holds more than names of variables"),
            ("a{# note #}", "it holds more than names of variables"),
            ("{{ site", "it does not end in `}}`"),
            ("{{ }}", "it names no variable"),
            ("{{", "it does not end in `}}`"),
            ("{{ 'a\\n' }}", "`'a\\n'` is more than a name of a variable"),
        ];
        for (text, expected) in table {
            assert_eq!(filled(text), Err(expected.to_owned()), "{text}");
        }
    }
}
