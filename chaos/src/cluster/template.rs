//! How a node is started.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How a node is started: the same for all nodes, with placeholders.
///
/// In the program, the arguments, the environment and the files these are replaced; any other braces stay:
///
/// | Placeholder | Is |
/// |---|---|
/// | `{node}` | the node's index, from 1 |
/// | `{address}` | its IP address |
/// | `{address.2}` | the IP address of node 2 |
/// | `{directory}` | its directory |
/// | `{nodes}` | how many nodes there are |
/// | `{peers}` | all of them: `1=127.0.0.1,2=127.0.0.2` |
/// | `{host}` | the IP address by which nodes reach this host |
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// What is executed: a path, or a name that is looked up in PATH.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What its environment has besides the caller's.
    pub environment: BTreeMap<String, String>,
    /// Files that are written into the node's directory before a start: name to content.
    pub files: BTreeMap<String, String>,
    /// Whether the libraries are loaded that clock faults and fsync errors need (LD_PRELOAD; a static binary ignores
    /// it, and those faults are then skipped).
    pub with_faults: bool,
}

/// A line that is no command.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TemplateError {
    /// Nothing in it.
    #[error("the command is empty")]
    Empty,
    /// A quote that is not closed.
    #[error("the quote {0} is not closed")]
    Unclosed(char),
}

impl Template {
    /// A program without arguments.
    pub fn new(program: impl Into<String>) -> Template {
        Template { program: program.into(), ..Template::default() }
    }

    /// From a line: words, split at blanks; quotes keep blanks together. No shell.
    pub fn parse(line: &str) -> Result<Template, TemplateError> {
        let mut words = split(line)?.into_iter();
        let program = words.next().ok_or(TemplateError::Empty)?;
        Ok(Template::new(program).args(words))
    }

    /// With one more argument.
    pub fn arg(mut self, argument: impl Into<String>) -> Template {
        self.arguments.push(argument.into());
        self
    }

    /// With more arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Template {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// With a variable in its environment.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Template {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// With a file in the node's directory.
    pub fn file(mut self, name: impl Into<String>, content: impl Into<String>) -> Template {
        self.files.insert(name.into(), content.into());
        self
    }

    /// With the libraries that clock faults and fsync errors need.
    pub fn with_faults(mut self) -> Template {
        self.with_faults = true;
        self
    }

    /// For one node.
    pub(crate) fn render(&self, places: &Places<'_>) -> Template {
        let fill = |text: &String| places.fill(text);
        Template {
            program: fill(&self.program),
            arguments: self.arguments.iter().map(fill).collect(),
            environment: self.environment.iter().map(|(name, value)| (name.clone(), fill(value))).collect(),
            files: self.files.iter().map(|(name, content)| (fill(name), fill(content))).collect(),
            with_faults: self.with_faults,
        }
    }
}

/// What the placeholders of one node stand for.
pub(crate) struct Places<'a> {
    pub node: usize,
    pub directory: &'a Path,
    /// Of node 1, 2, ...
    pub addresses: &'a [IpAddr],
    pub host: IpAddr,
}

impl Places<'_> {
    fn fill(&self, text: &str) -> String {
        let peers: Vec<String> =
            self.addresses.iter().enumerate().map(|(at, address)| format!("{}={address}", at + 1)).collect();
        let mut filled = text
            .replace("{node}", &self.node.to_string())
            .replace("{nodes}", &self.addresses.len().to_string())
            .replace("{address}", &self.addresses[self.node - 1].to_string())
            .replace("{directory}", &self.directory.display().to_string())
            .replace("{peers}", &peers.join(","))
            .replace("{host}", &self.host.to_string());
        for (at, address) in self.addresses.iter().enumerate() {
            filled = filled.replace(&format!("{{address.{}}}", at + 1), &address.to_string());
        }
        filled
    }
}

fn split(line: &str) -> Result<Vec<String>, TemplateError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for character in line.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => word.get_or_insert_default().push(character),
            None if character == '\'' || character == '"' => {
                word.get_or_insert_default();
                quote = Some(character);
            }
            None if character.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    match quote {
        Some(open) => Err(TemplateError::Unclosed(open)),
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn placeholders_are_replaced_and_other_braces_stay() {
        let addresses = [1, 2, 3].map(|node| IpAddr::V4(Ipv4Addr::new(127, 0, 0, node)));
        let places =
            Places { node: 2, directory: Path::new("/data"), addresses: &addresses, host: addresses[0] };
        let template = Template::parse("serve --id {node} '--data={directory}/a b'")
            .unwrap()
            .env("PEERS", "{peers}")
            .file(
                "node-{node}.toml",
                "nodes = [{ id = 1, at = \"{address.1}\" }] # {nodes} {address} {other}",
            );
        let rendered = template.render(&places);
        assert_eq!(rendered.program, "serve");
        assert_eq!(rendered.arguments, ["--id", "2", "--data=/data/a b"]);
        assert_eq!(rendered.environment["PEERS"], "1=127.0.0.1,2=127.0.0.2,3=127.0.0.3");
        assert_eq!(
            rendered.files["node-2.toml"],
            "nodes = [{ id = 1, at = \"127.0.0.1\" }] # 3 127.0.0.2 {other}"
        );
    }

    #[test]
    fn lines_that_are_no_command_are_refused() {
        assert_eq!(Template::parse("  "), Err(TemplateError::Empty));
        assert_eq!(Template::parse("a 'b"), Err(TemplateError::Unclosed('\'')));
        assert_eq!(Template::parse("a ''").unwrap().arguments, [""]);
    }
}
