//! `ipip-ctl monitor`: what the tunnels carry, live on a terminal, or as tables and JSON.

mod app;
mod draw;
pub mod rates;
mod source;
mod terminal;
mod theme;
pub mod units;

pub use self::source::Source;
pub use self::terminal::watch;
