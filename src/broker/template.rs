//! Texts of broker files in which `${name}` stands for a value.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What stands between a name and the number of the node that has the value.
pub const OF_NODE: char = '@';
/// Values may stand in values, so deep at most.
const DEPTH_MAX: usize = 4;

/// A text with names in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, behind)) = rest.split_once("${") {
            let name = behind.split_once('}').filter(|(name, _)| is_name(name));
            let (name, behind) = name
                .ok_or("${NAME} takes a NAME of letters, digits, - and _, and behind it @ with the number of a node")?;
            parts.extend([Part::Text(before.into()), Part::Name(name.into())]);
            rest = behind;
        }
        parts.push(Part::Text(rest.into()));
        Ok(Template(parts))
    }
}

fn is_name(text: &str) -> bool {
    let (text, node) = text.split_once(OF_NODE).unwrap_or((text, "1"));
    node.parse::<u8>().is_ok()
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

impl Template {
    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with values for its names. The values may have names in turn.
    ///
    /// # Errors
    /// Half a sentence: a name without a value, or values that stand in one another.
    pub fn filled(&self, values: &BTreeMap<String, Template>) -> Result<String, String> {
        self.filled_within(values, DEPTH_MAX)
    }

    fn filled_within(&self, values: &BTreeMap<String, Template>, depth: usize) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Name(name) => {
                    let value = values.get(name).ok_or_else(|| {
                        // Those of each node have the same names.
                        let known: Vec<&str> =
                            values.keys().map(String::as_str).filter(|name| !name.contains(OF_NODE)).collect();
                        format!("${{{name}}} has no value; there are {}", known.join(", "))
                    })?;
                    let depth = depth
                        .checked_sub(1)
                        .ok_or_else(|| format!("${{{name}}} stands in itself; give it a value without it"))?;
                    text.push_str(&value.filled_within(values, depth)?);
                }
            }
        }
        Ok(text)
    }
}

/// A text without names.
pub fn literal(text: impl Into<String>) -> Template {
    Template(vec![Part::Text(text.into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn names_get_their_values() {
        let values = [("port", "1883"), ("listener", "listener ${port}"), ("round", "${round}")];
        let values = values.map(|(name, text)| (name.to_owned(), template(text))).into_iter().collect();
        let filled = |text: &str| template(text).filled(&values);
        assert_eq!(filled("a ${listener}, {b} $c").as_deref(), Ok("a listener 1883, {b} $c"));
        assert_eq!(filled("").as_deref(), Ok(""));
        assert_eq!(filled("${prot}").unwrap_err(), "${prot} has no value; there are listener, port, round");
        assert_eq!(filled("${round}").unwrap_err(), "${round} stands in itself; give it a value without it");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["${", "${}", "${a b}", "${port", "${port@}", "${@1}", "${port@x}"] {
            assert!(Template::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
