//! Target `config`: the text of a configuration file.

use std::path::Path;

use ipip_ctl::config::Config;
use toml::{Table, Value};

use super::Seen;

/// Runs one input.
pub(super) fn run(input: &[u8]) -> Seen {
    let Ok(text) = std::str::from_utf8(input) else { return Seen::Nothing };
    match Config::parse(text, Path::new("fuzz.toml")) {
        Ok(config) => {
            let written = write(&config);
            let again = Config::parse(&written, Path::new("written.toml"));
            assert_eq!(again.as_ref(), Ok(&config), "read as something else:\n{written}");
            Seen::Success
        }
        Err(failure) => {
            let message = failure.to_string();
            assert!(message.starts_with("fuzz.toml"), "no place in `{message}`");
            Seen::Refusal
        }
    }
}

/// The same configuration with nothing left out.
fn write(config: &Config) -> String {
    let mut file = Table::new();
    if let Some(interfaces) = &config.interfaces {
        file.insert("interfaces".to_owned(), Value::from(interfaces.clone()));
    }
    let tunnels = config.tunnels.iter().map(|tunnel| Value::try_from(tunnel.to_spec()).unwrap());
    let tunnels: Vec<Value> = tunnels.collect();
    if !tunnels.is_empty() {
        file.insert("tunnel".to_owned(), Value::Array(tunnels));
    }
    toml::to_string(&file).unwrap()
}
