//! `ipip-ctl daemon`

use std::path::PathBuf;

use crate::cli::{DEFAULT_CONFIG, DEFAULT_STATE_DIR, DaemonArgs};
use crate::daemon::{self, Options};
use crate::failure::Failure;

pub(super) fn run(arguments: DaemonArgs, socket: PathBuf) -> Result<(), Failure> {
    daemon::run(options(arguments, socket))
}

/// A daemon with a state directory of its own keeps its configuration there, so that two do not share one.
fn options(arguments: DaemonArgs, socket: PathBuf) -> Options {
    let DaemonArgs { config, state_dir, pin_dir, vici, metrics } = arguments;
    let own_config = state_dir.as_ref().map(|directory| directory.join("ipip.toml"));
    Options {
        config: config.or(own_config).unwrap_or_else(|| DEFAULT_CONFIG.into()),
        state_dir: state_dir.unwrap_or_else(|| DEFAULT_STATE_DIR.into()),
        pin_dir,
        vici,
        socket,
        metrics,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(config: Option<&str>, state_dir: Option<&str>) -> Options {
        let arguments = DaemonArgs {
            config: config.map(PathBuf::from),
            state_dir: state_dir.map(PathBuf::from),
            pin_dir: "/p".into(),
            vici: "/v".into(),
            metrics: None,
        };
        options(arguments, "/s".into())
    }

    #[test]
    fn configuration_follows_the_state_directory_unless_named() {
        assert_eq!(config(None, None).config, PathBuf::from(DEFAULT_CONFIG));
        assert_eq!(config(None, None).state_dir, PathBuf::from(DEFAULT_STATE_DIR));
        assert_eq!(config(None, Some("/x")).config, PathBuf::from("/x/ipip.toml"));
        assert_eq!(config(Some("/c"), Some("/x")).config, PathBuf::from("/c"));
    }
}
