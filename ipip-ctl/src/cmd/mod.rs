//! One file a verb. Here is where each leads, and the only place that makes an exit code of a failure.

mod add;
mod change;
mod daemon;
mod events;
mod file;
mod import;
mod monitor;
mod print;
mod status;
mod stop;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::api::protocol::{Reply, Request};
use crate::cli::{self, Cli, Color, Selected, Verb};
use crate::failure::{Failure, FailureKind};
use crate::keeper;
use crate::report::{Changes, Report};
use crate::spec::TunnelSpec;

/// Runs one command line, the program's name first, and gives its exit code.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let json = arguments.iter().any(|argument| argument == "--json");
    let arguments = match cli::translate(arguments) {
        Ok(arguments) => arguments,
        Err(failure) => return fail(&failure, Report::new(json, Color::Auto)),
    };
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, json),
    };
    let report = Report::new(cli.json, cli.color);
    match run(cli, report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure, report),
    }
}

fn run(cli: Cli, report: Report) -> Result<(), Failure> {
    let socket = cli.socket.as_path();
    let change = |request: Request| change::run(&request, Changes::default(), socket, report);
    match cli.verb {
        Verb::Daemon(arguments) => daemon::run(arguments, cli.socket),
        Verb::Add { tunnel, properties, ipsec_secret } => {
            let name = tunnel.or_else(|| properties.name.clone());
            add::run(TunnelSpec { name, ..properties }, ipsec_secret.is_some(), socket, report)
        }
        Verb::Set { tunnels, properties, ipsec_secret } => {
            change::set(tunnels, properties, ipsec_secret.is_some(), socket, report)
        }
        Verb::Enable(Selected { tunnels }) => change(Request::Enable { tunnels }),
        Verb::Disable(Selected { tunnels }) => change(Request::Disable { tunnels }),
        Verb::Remove(Selected { tunnels }) => change(Request::Remove { tunnels }),
        Verb::Reload => change(Request::Reload),
        Verb::Apply { file, diff, dry_run } => {
            let form = Changes { is_diff: diff, is_dry_run: dry_run };
            file::apply(&file, form, socket, report)
        }
        Verb::Export { routeros } => import::export(routeros, socket, report),
        Verb::Import { words, dry_run } => import::import(&words, dry_run, socket, report),
        Verb::Check { file } => file::check(&file, report),
        Verb::Print { form, conditions } => print::print(form, &conditions, socket, report),
        Verb::Stats { tunnels } => print::stats(&tunnels, socket, report),
        Verb::Status => status::run(socket, report),
        Verb::Monitor(arguments) => monitor::run(&arguments, cli.socket, report),
        Verb::Events(arguments) => events::run(&arguments, socket, report),
        Verb::KeepDescriptors { directory } => keeper::hold(&directory),
        Verb::Stop { purge, pin_dir } => stop::run(purge, &pin_dir, socket, report),
    }
}

/// Help and version are no errors; what clap refuses is one line for programs, and clap's own text for people.
fn refuse(error: &clap::Error, json: bool) -> ExitCode {
    if error.use_stderr() && json {
        let text = error.to_string();
        let cause = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let failure = Failure::new(FailureKind::Usage, cause).with_hint("see ipip-ctl --help");
        return fail(&failure, Report::new(true, Color::Auto));
    }
    // Nothing is left to tell anybody if the terminal is gone.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(FailureKind::Usage.exit_code()))
}

fn fail(failure: &Failure, report: Report) -> ExitCode {
    report.failure(failure);
    ExitCode::from(failure.kind.exit_code())
}

/// The daemon answered something that was not asked.
fn unexpected(reply: &Reply) -> Failure {
    let what = serde_json::to_string(reply).unwrap_or_default();
    let start: String = what.chars().take(80).collect();
    Failure::new(FailureKind::Failed, format!("the daemon answered something else: {start}"))
        .with_hint("restart the daemon, so that it has the version of ipip-ctl")
}
