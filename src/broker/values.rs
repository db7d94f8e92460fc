//! The values of the names in a broker file, on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::file::BrokerFile;
use super::relay::Relay;
use super::started::StartError;
use super::template::{OF_NODE, Template, literal};
use crate::vocabulary::FIRST_NODE;

/// The folders in which Debian has daemons, and which need not be in the PATH of a user.
const MORE_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
/// The name of a port begins like this.
pub const PORT: &str = "port";

/// Those of the file itself, its programs, `folder`, `cache`, `number`, and each name that begins with `port`, which has a free one.
/// Folders and ports of other nodes have the number of the node behind an `@`.
#[derive(Clone)]
pub struct Values {
    broker: String,
    /// The port of MQTT.
    pub port: u16,
    by_name: BTreeMap<String, Template>,
}

impl Values {
    /// The values of each node of a broker whose nodes run in these folders.
    ///
    /// The relays, which come with the values: each node finds them in the place of the others, if the port between nodes is relayed.
    ///
    /// # Errors
    /// The broker is not installed, or no port is free.
    pub fn of(file: &BrokerFile, folders: &[PathBuf]) -> Result<(Vec<Values>, Vec<Relay>), StartError> {
        let common = Values::common(file)?;
        let names = ports(file);
        let no_port = |why| StartError::NoFolder { name: file.name.clone(), why };
        let free = free_ports(names.len() * folders.len()).map_err(no_port)?;
        let mut nodes = vec![common; folders.len()];
        for (place, (folder, free)) in folders.iter().zip(free.chunks(names.len())).enumerate() {
            let ports = names.iter().zip(free).map(|(name, port)| ((*name).to_owned(), port.to_string()));
            let own: Vec<(String, String)> =
                ports.chain([("folder".to_owned(), folder.display().to_string())]).collect();
            let number = place + 1;
            for (name, value) in &own {
                for node in &mut nodes {
                    node.by_name.insert(format!("{name}{OF_NODE}{number}"), literal(value));
                }
            }
            let node = &mut nodes[place];
            // The shortest of the names is first.
            node.port = free[0];
            node.by_name.extend(own.into_iter().map(|(name, value)| (name, literal(value))));
            node.by_name.insert("number".into(), literal(number.to_string()));
        }
        let mut relays = Vec::new();
        let port = names.iter().position(|name| file.relayed.as_deref() == Some(*name));
        let ports = port.into_iter().flat_map(|port| (FIRST_NODE..).zip(free.iter().skip(port).step_by(names.len())));
        for (to, port) in ports {
            for (from, node) in (FIRST_NODE..).zip(&mut nodes).filter(|(from, _)| *from != to) {
                let relay = Relay::start([from, to], *port).map_err(no_port)?;
                let name = format!("{}{OF_NODE}{to}", file.relayed.as_deref().unwrap_or_default());
                node.by_name.insert(name, literal(relay.port.to_string()));
                relays.push(relay);
            }
        }
        Ok((nodes, relays))
    }

    /// What all nodes have.
    fn common(file: &BrokerFile) -> Result<Values, StartError> {
        let mut by_name = file.values.clone();
        let cache = cache(&file.name);
        by_name.insert("cache".into(), literal(cache.display().to_string()));
        let mut values = Values { broker: file.name.clone(), port: 0, by_name };
        for program in &file.programs {
            let Some(path) = in_path(program, &cache) else {
                return values.not_installed(file, format!("program {program}"));
            };
            values.by_name.insert(program.clone(), literal(path.display().to_string()));
        }
        for needed in &file.needs {
            let needed = values.fill(needed)?;
            if !Path::new(&needed).exists() {
                return values.not_installed(file, needed);
            }
        }
        Ok(values)
    }

    fn not_installed<T>(&self, file: &BrokerFile, what: String) -> Result<T, StartError> {
        Err(StartError::NotInstalled {
            name: self.broker.clone(),
            what,
            install: self.fill(&file.install)?,
            untried: file.untried,
        })
    }

    /// The text with values for its names.
    ///
    /// # Errors
    /// A name without a value.
    pub fn fill(&self, template: &Template) -> Result<String, StartError> {
        template.filled(&self.by_name).map_err(|why| StartError::Unfilled { name: self.broker.clone(), why })
    }

    /// The version that the broker tells about itself.
    pub fn version(&self, file: &BrokerFile) -> Option<String> {
        let version = file.version.as_ref()?;
        let words = version.command.iter().map(|word| self.fill(word)).collect::<Result<Vec<_>, _>>().ok()?;
        let (program, arguments) = words.split_first()?;
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        let (_, behind) = told.split_once(&version.behind)?;
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '~');
        let version = behind.split(|c| !is_part(c)).next()?;
        Some(version.to_owned()).filter(|version| !version.is_empty())
    }
}

/// The folder in which a broker is installed that is no package of the system's.
fn cache(name: &str) -> PathBuf {
    let set = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    root.unwrap_or_else(std::env::temp_dir).join("mqtt-sessions").join(name)
}

/// The names of ports in the file, and that of MQTT.
fn ports(file: &BrokerFile) -> BTreeSet<&str> {
    let texts = file.needs.iter().chain(&file.start).chain(file.environment.values());
    let texts = texts.chain(file.files.values()).chain(file.values.values());
    let names = texts.flat_map(Template::names).map(|name| name.split(OF_NODE).next().unwrap_or(name));
    names.filter(|name| name.starts_with(PORT)).chain([PORT]).collect()
}

/// Different free ports. Somebody else may take one before the broker does; then it says so and ends.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// The program with this name. What was installed for the harness comes first: the system may have another version.
fn in_path(program: &str, cache: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let of_system = std::env::split_paths(&path).chain(MORE_FOLDERS.map(PathBuf::from));
    let folders = [cache.join("bin")].into_iter().chain(of_system);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_command_of_the_file_installed_comes_before_the_system() {
        let cache = tempfile::tempdir().unwrap();
        let of_system = in_path("sh", cache.path()).unwrap();
        assert!(!of_system.starts_with(cache.path()), "{}", of_system.display());
        let own = cache.path().join("bin/sh");
        std::fs::create_dir(cache.path().join("bin")).unwrap();
        std::fs::write(&own, "").unwrap();
        assert_eq!(in_path("sh", cache.path()), Some(own));
    }
}
