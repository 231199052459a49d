//! The daemon and the command line of the ipip tunnel dataplane, as a library for `main.rs` and the tests.

pub mod api;
pub mod cli;
pub mod cmd;
pub mod config;
pub mod daemon;
pub mod dataplane;
pub mod engine;
pub mod events;
pub mod export;
pub mod failure;
pub mod icmp;
pub mod import;
pub mod keeper;
pub mod lower;
pub mod metrics;
pub mod monitor;
pub mod netlink;
pub mod privileges;
pub mod report;
pub mod select;
pub mod spec;
pub mod table;
pub mod tun;
pub mod tunnel;
pub mod when;
