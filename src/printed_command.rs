//! Commands of this program that are printed so that the user copies them: each word as a shell takes it, with the options that
//! reached the broker. No password is among them: it comes out of its file, or out of the environment.

use std::fmt;

use crate::results::Results;

/// What `--messages` is when it is not given.
const USUAL_MESSAGES: u32 = 3;

/// A command that works when it is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrintedCommand(String);

impl PrintedCommand {
    /// The command of this name, without arguments.
    pub fn new(name: &str) -> PrintedCommand {
        PrintedCommand(format!("mqtt-sessions {name}"))
    }

    /// The command that runs one cell, or all cells, of a scenario: the table has a command of its own.
    pub fn run(results: &Results, scenario: &str) -> PrintedCommand {
        match (results.run.scenario_files.get(scenario), scenario) {
            (Some(file), _) => PrintedCommand::new("run").with([file]),
            (None, "matrix") => PrintedCommand::new("matrix"),
            (None, built_in) => PrintedCommand::new("run").with([built_in]),
        }
    }

    /// The command that explains a cell of these results.
    pub fn explain(results: &Results, id: &str, scenario: &str) -> PrintedCommand {
        let file = results.run.scenario_files.get(scenario);
        let command = PrintedCommand::new("explain").with([id]);
        command.with(file.into_iter().flat_map(|file| option("--scenario", file))).measuring_as(results)
    }

    /// The command with further words.
    #[must_use]
    pub fn with<W: AsRef<str>>(mut self, words: impl IntoIterator<Item = W>) -> PrintedCommand {
        for word in words {
            self.0.push(' ');
            self.0 += &quoted(word.as_ref());
        }
        self
    }

    /// The command for a broker as it is typed, with the options that reached it.
    #[must_use]
    pub fn at(self, broker: Option<&str>, reached_with: &[String]) -> PrintedCommand {
        self.with(broker.into_iter().flat_map(|broker| ["--broker", broker])).with(reached_with)
    }

    /// The command that measures the broker of these results in the same way.
    #[must_use]
    pub fn measuring_as(self, results: &Results) -> PrintedCommand {
        let broker = results.broker.typed(&results.run.url);
        let mut options = Vec::new();
        if results.options.messages != USUAL_MESSAGES {
            options.extend(option("--messages", &results.options.messages.to_string()));
        }
        if let Some(limit) = results.options.queue_limit {
            options.extend(option("--queue-limit", &limit.to_string()));
        }
        self.at(broker, &results.run.reached_with).with(options)
    }
}

impl fmt::Display for PrintedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The words of an option with its value. A value that would be read as an option stands behind an equals sign.
pub fn option(name: &str, value: &str) -> Vec<String> {
    match value.starts_with('-') {
        true => vec![format!("{name}={value}")],
        false => vec![name.to_owned(), value.to_owned()],
    }
}

/// The word as a shell takes it: in single quotes, unless a shell reads nothing into it.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:@,".contains(character);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_each_word_as_it_is() {
        let words = ["a-b", "", "two words", "it's", "$HOME", "x[y=1,z=2]"];
        let command = PrintedCommand::new("run").with(words).to_string();
        assert_eq!(command, r"mqtt-sessions run a-b '' 'two words' 'it'\''s' '$HOME' 'x[y=1,z=2]'");
    }

    #[test]
    fn a_value_is_no_option() {
        assert_eq!(option("--username", "me"), ["--username", "me"]);
        assert_eq!(option("--username", "-me"), ["--username=-me"]);
    }
}
