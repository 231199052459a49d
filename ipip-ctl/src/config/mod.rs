//! The configuration file: TOML with the property names of the command line.
//!
//! ```toml
//! interfaces = ["eth0"]          # left out: every Ethernet interface that is up
//! hook = "/etc/ipip/on-tunnel"   # told of running flags that come and go
//!
//! [[tunnel]]
//! name = "ipip1"
//! local-address = "198.51.100.1"
//! remote-address = "203.0.113.2"
//! ```

mod edit;
mod file;
mod read;
pub(crate) mod suggest;

pub use self::edit::Edit;
pub use self::file::ConfigFile;
pub use self::read::Config;
pub(crate) use self::read::unknown_property;
