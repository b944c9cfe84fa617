//! The default configuration with an explanation of each key, made from the structs' own docs: it can't fall behind them.

use std::fmt::Write as _;

use schemars::SchemaGenerator;
use serde_json::{Map, Value};

use super::Config;

const WIDTH: usize = 110;

/// The default configuration as TOML, each key under its explanation. Keys without a default are commented out.
pub(crate) fn annotated_default() -> Result<String, serde_json::Error> {
    let schema = SchemaGenerator::default().into_root_schema_for::<Config>();
    let default = serde_json::to_value(Config::default())?;
    let root = Value::from(schema);
    let mut printer =
        Printer { definitions: root.get("$defs").cloned().unwrap_or_default(), out: String::new() };
    printer.explain(text(&root, "description"));
    printer.table("", &root, &default);
    Ok(printer.out)
}

struct Printer {
    definitions: Value,
    out: String,
}

impl Printer {
    /// A table: its plain keys first, because in TOML they would otherwise belong to the table before them.
    fn table(&mut self, path: &str, schema: &Value, default: &Value) {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let (tables, keys): (Vec<_>, Vec<_>) = properties
            .iter()
            .partition(|(_, schema)| self.resolve(schema).get("properties").is_some());
        for (name, schema) in keys {
            self.out.push('\n');
            self.explain(text(schema, "description"));
            let _ = match default.get(name).and_then(as_toml) {
                Some(value) => writeln!(self.out, "{name} = {value}"),
                None => writeln!(self.out, "#{name} ="),
            };
        }
        for (name, schema) in tables {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let resolved = self.resolve(schema);
            self.out.push('\n');
            let explanation =
                text(schema, "description").or_else(|| text(&resolved, "description"));
            self.explain(explanation);
            let _ = writeln!(self.out, "[{path}]");
            self.table(&path, &resolved, default.get(name).unwrap_or(&Value::Null));
        }
    }

    /// What a schema refers to, if it refers to something.
    fn resolve(&self, schema: &Value) -> Value {
        let name = text(schema, "$ref").and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.and_then(|name| self.definitions.get(name)).unwrap_or(schema).clone()
    }

    fn explain(&mut self, text: Option<&str>) {
        for paragraph in text.unwrap_or_default().split("\n\n") {
            let mut line = String::new();
            for word in paragraph.split_whitespace() {
                if !line.is_empty() && line.len() + word.len() >= WIDTH {
                    let _ = writeln!(self.out, "#{line}");
                    line.clear();
                }
                line.push(' ');
                line.push_str(word);
            }
            if !line.is_empty() {
                let _ = writeln!(self.out, "#{line}");
            }
        }
    }
}

fn text<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key).and_then(Value::as_str)
}

/// The value in TOML's inline form; none for null, which TOML doesn't have.
fn as_toml(value: &Value) -> Option<String> {
    if value.is_null() {
        None
    } else {
        toml::Value::try_from(value).ok().map(|value| value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotated_default_is_the_default() {
        let text = annotated_default().unwrap();
        let read: Config = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(
            serde_json::to_value(read).unwrap(),
            serde_json::to_value(Config::default()).unwrap()
        );
    }

    #[test]
    fn every_key_is_explained() {
        let text = annotated_default().unwrap();
        let mut before = "";
        for line in text.lines() {
            let key = line.trim_start_matches('#').split(" =").next().unwrap_or_default();
            if line.contains('=') && !line.starts_with("# ") && !key.is_empty() {
                assert!(before.starts_with("# "), "{line:?} stands without an explanation");
            }
            before = line;
        }
    }
}
