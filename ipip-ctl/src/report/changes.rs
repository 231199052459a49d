//! What a command changed: one line a tunnel, or with `--diff` one a property.

use std::fmt::Write;

use crate::api::change::{Action, Change, PropertyChange};

/// How to tell of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// One line a property.
    pub is_diff: bool,
    /// Nothing was changed yet.
    pub is_dry_run: bool,
}

pub(super) fn text(changes: &[Change], settings: &[PropertyChange], form: Changes) -> String {
    if changes.is_empty() && settings.is_empty() {
        return "nothing to change\n".to_owned();
    }
    let mut text = String::new();
    for setting in settings {
        let _ = if form.is_diff { values(&mut text, "", setting) } else { whole(&mut text, setting, form) };
    }
    for change in changes {
        // Writing to a String cannot fail.
        let _ = if form.is_diff { diff(&mut text, change) } else { line(&mut text, change, form) };
    }
    text
}

fn line(text: &mut String, change: &Change, form: Changes) -> std::fmt::Result {
    let would = if form.is_dry_run { "would be " } else { "" };
    write!(text, "{would}{} {}", change.action.name(), change.tunnel)?;
    if change.action == Action::Changed {
        for (number, property) in change.properties.iter().enumerate() {
            let between = if number == 0 { ": " } else { ", " };
            write!(text, "{between}{property}")?;
        }
    }
    writeln!(text)
}

fn diff(text: &mut String, change: &Change) -> std::fmt::Result {
    let sign = match change.action {
        Action::Added => '+',
        Action::Removed => '-',
        Action::Changed | Action::Restored => ' ',
    };
    writeln!(text, "{sign} {}", change.tunnel)?;
    change.properties.iter().try_for_each(|property| values(text, "    ", property))
}

fn values(
    text: &mut String,
    indent: &str,
    PropertyChange { property, from, to }: &PropertyChange,
) -> std::fmt::Result {
    for (sign, value) in [('-', from), ('+', to)] {
        if let Some(value) = value {
            writeln!(text, "{sign} {indent}{property}={value}")?;
        }
    }
    Ok(())
}

/// A setting of the daemon.
fn whole(text: &mut String, setting: &PropertyChange, form: Changes) -> std::fmt::Result {
    let would = if form.is_dry_run { "would be " } else { "" };
    let when = if setting.property == "metrics" { ", when the daemon starts again" } else { "" };
    writeln!(text, "{would}changed {setting}{when}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> [Change; 3] {
        let property = |property: &str, from: Option<&str>, to: Option<&str>| PropertyChange {
            property: property.into(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let change = |tunnel: &str, action, properties| Change { tunnel: tunnel.into(), action, properties };
        [
            change("a", Action::Removed, vec![property("remote-address", Some("::1"), None)]),
            change("b", Action::Added, vec![property("comment", None, Some("to Berlin"))]),
            change(
                "c",
                Action::Changed,
                vec![
                    property("mtu", Some("auto"), Some("1400")),
                    property("comment", None, Some("to Berlin")),
                    property("allowed-inner", Some("10.0.0.0/8"), Some("")),
                ],
            ),
        ]
    }

    #[test]
    fn one_line_a_tunnel() {
        assert_eq!(
            text(&changes(), &[], Changes::default()),
            "removed a\nadded b\nchanged c: mtu auto -> 1400, comment (none) -> \"to Berlin\", \
             allowed-inner 10.0.0.0/8 -> (none)\n"
        );
        let dry = Changes { is_dry_run: true, ..Changes::default() };
        assert!(text(&changes(), &[], dry).starts_with("would be removed a\nwould be added b\n"));
        assert_eq!(text(&[], &[], dry), "nothing to change\n");
    }

    #[test]
    fn a_diff_has_one_line_a_property() {
        assert_eq!(
            text(&changes(), &[], Changes { is_diff: true, ..Changes::default() }),
            "- a\n-     remote-address=::1\n+ b\n+     comment=to Berlin\n  c\n-     mtu=auto\n+     mtu=1400\n\
             +     comment=to Berlin\n-     allowed-inner=10.0.0.0/8\n+     allowed-inner=\n"
        );
    }

    #[test]
    fn the_daemons_settings_come_first() {
        let settings = [
            PropertyChange { property: "interfaces".into(), from: None, to: Some("eth0, eth1".into()) },
            PropertyChange { property: "metrics".into(), from: Some("127.0.0.1:9469".into()), to: None },
        ];
        assert_eq!(
            text(&[Change::restored("a")], &settings, Changes::default()),
            "changed interfaces (none) -> \"eth0, eth1\"\n\
             changed metrics 127.0.0.1:9469 -> (none), when the daemon starts again\nrestored a\n"
        );
        let diff = Changes { is_diff: true, is_dry_run: true };
        assert_eq!(text(&[], &settings, diff), "+ interfaces=eth0, eth1\n- metrics=127.0.0.1:9469\n");
    }
}
