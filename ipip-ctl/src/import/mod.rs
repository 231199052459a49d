//! Tunnels as other systems write them: RouterOS' export, iproute2's commands, a tunnel broker's page.
//!
//! Lines are read one by one, each in the language that it begins in, so that a file may hold several. What is not
//! understood is told with its line, and costs no other line anything.

mod broker;
mod draft;
mod iproute2;
mod lines;
mod routeros;

use self::draft::Draft;
pub use self::draft::{Import, Problem};
pub(crate) use self::routeros::{MENUS, PREFIX};
use crate::config::Config;
use crate::failure::Failure;
use crate::tunnel::Tunnel;
use std::path::Path;

/// What a text is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Whatever it looks like
    #[default]
    Auto,
    /// What `ipip-ctl export` and the configuration file have
    Toml,
    /// Lines of RouterOS' export
    Routeros,
    /// Lines of `ip tunnel` and `ip link`
    Ip,
    /// The fields of a tunnel broker's page, as Hurricane Electric's
    He,
}

/// Reads a text.
///
/// # Errors
///
/// It is TOML, and something in it is wrong.
pub fn read(text: &str, origin: &Path, format: Format) -> Result<Import, Failure> {
    // Editors of Windows put a mark in front.
    let text = text.trim_start_matches('\u{feff}');
    let format = if format == Format::Auto { guess(text) } else { format };
    if format == Format::Toml {
        let config = Config::parse(text, origin)?;
        return Ok(Import {
            tunnels: config.tunnels.iter().map(Tunnel::to_short_spec).collect(),
            ..Import::default()
        });
    }
    if format == Format::He {
        return Ok(broker::read(text));
    }
    let mut draft = Draft::default();
    let mut menu = routeros::Menu::default();
    let is_ip = |text: &str| match format {
        Format::Ip => true,
        Format::Auto => iproute2::is_command(text),
        Format::Routeros | Format::Toml | Format::He => false,
    };
    for (line, text) in lines::join(text, is_ip) {
        if is_ip(&text) {
            iproute2::read(&text, line, &mut draft);
        } else if let Err(why) = routeros::read(&text, line, &mut menu, &mut draft) {
            draft.problem(line, why);
        }
    }
    Ok(draft.finish())
}

fn guess(text: &str) -> Format {
    let lines = || text.lines().map(str::trim_start);
    if lines().any(|line| line.starts_with("[[tunnel")) {
        Format::Toml
    } else if lines().any(broker::is_field) {
        Format::He
    } else {
        Format::Auto
    }
}

#[cfg(test)]
mod tests;
