use super::*;
use crate::spec::TunnelSpec;

const WRITTEN: &str = r#"# Router of site A.
interfaces = ["eth0"] # not the management port

# Our first customer.
[[tunnel]]
name = "berlin"   # since 2019
remote-address = "203.0.113.2"

# Kept for the old office.

# Second customer,
# two lines.
[[tunnel]]
remote-address = "203.0.113.3"
mtu = 1_400

# The end.
"#;

struct Fixture {
    directory: tempfile::TempDir,
    file: ConfigFile,
}

impl Fixture {
    fn new(text: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = ConfigFile::new(directory.path().join("ipip.toml"));
        if let Some(text) = text {
            fs::write(file.path(), text).unwrap();
        }
        Self { directory, file }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file.path()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        Config::load(self.file.path()).unwrap().tunnels.iter().map(|tunnel| tunnel.name.clone()).collect()
    }
}

impl ConfigFile {
    fn add(&self, spec: &TunnelSpec) -> Result<(), Failure> {
        let mut edit = self.edit()?;
        edit.add(spec);
        self.save(&edit.finish()?)
    }

    fn remove(&self, name: &str) -> Result<bool, Failure> {
        let mut edit = self.edit()?;
        let is_gone = edit.remove(&[name.to_owned()]);
        if is_gone {
            self.save(&edit.finish()?)?;
        }
        Ok(is_gone)
    }
}

fn spec(name: &str, remote: &str) -> TunnelSpec {
    TunnelSpec { name: Some(name.into()), remote_address: Some(remote.into()), ..TunnelSpec::default() }
}

#[test]
fn new_file_holds_what_was_written_and_nothing_else() {
    let fixture = Fixture::new(None);
    let spec = TunnelSpec {
        mtu: Some("1400".into()),
        dscp: Some("inherit".into()),
        allowed_inner: Some("10.0.0.0/8,192.0.2.0/24".into()),
        disabled: Some("yes".into()),
        comment: Some("say \"hi\"".into()),
        ..spec("ipip1", "203.0.113.2")
    };
    fixture.file.add(&spec).unwrap();
    assert_eq!(
        fixture.text(),
        "[[tunnel]]\nname = \"ipip1\"\nremote-address = \"203.0.113.2\"\nmtu = 1400\ndscp = \"inherit\"\n\
         allowed-inner = [\"10.0.0.0/8\", \"192.0.2.0/24\"]\ndisabled = \"yes\"\ncomment = 'say \"hi\"'\n"
    );
    assert_eq!(fs::metadata(fixture.file.path()).unwrap().mode() & 0o777, NEW_FILE_MODE);
    fixture.file.add(&self::spec("ipip2", "203.0.113.3")).unwrap();
    assert!(fixture.text().ends_with("\n\n[[tunnel]]\nname = \"ipip2\"\nremote-address = \"203.0.113.3\"\n"));
    assert_eq!(fixture.names(), ["ipip1", "ipip2"]);
}

#[test]
fn added_tunnel_leaves_every_other_line_alone() {
    let fixture = Fixture::new(Some(WRITTEN));
    fixture.file.add(&spec("paris", "203.0.113.4")).unwrap();
    let pinned = WRITTEN.replace("mtu = 1_400\n", "mtu = 1_400\nname = \"ipip1\"\n");
    assert_eq!(
        fixture.text(),
        format!("{pinned}\n[[tunnel]]\nname = \"paris\"\nremote-address = \"203.0.113.4\"\n")
    );
    assert_eq!(fixture.names(), ["berlin", "ipip1", "paris"]);
}

#[test]
fn removal_undoes_addition() {
    let pinned = WRITTEN.replace("mtu = 1_400\n", "mtu = 1_400\nname = \"ipip1\"\n");
    for text in [pinned.as_str(), "", "# only this\n", "interfaces = []\n"] {
        let fixture = Fixture::new(Some(text));
        fixture.file.add(&spec("paris", "203.0.113.4")).unwrap();
        assert!(fixture.file.remove("paris").unwrap());
        assert_eq!(fixture.text(), text);
    }
}

#[test]
fn removed_tunnel_takes_only_its_own_comment_along() {
    let fixture = Fixture::new(Some(WRITTEN));
    assert!(fixture.file.remove("ipip1").unwrap());
    let text = fixture.text();
    for kept in [
        "# Router of site A.",
        "# not the",
        "# Our first customer.",
        "# since 2019",
        "# Kept for",
        "# The end.",
    ] {
        assert!(text.contains(kept), "{kept} is gone:\n{text}");
    }
    assert!(!text.contains("Second customer") && !text.contains("two lines"), "{text}");
    assert!(fixture.file.remove("berlin").unwrap());
    let text = fixture.text();
    assert!(
        text.starts_with("# Router of site A.\ninterfaces = [\"eth0\"] # not the management port\n"),
        "{text}"
    );
    assert!(text.contains("# Kept for") && text.contains("# The end.") && !text.contains("tunnel"), "{text}");
}

#[test]
fn several_go_as_one_after_the_other_would() {
    for names in [["berlin", "ipip1"], ["ipip1", "berlin"]].map(|names| names.map(str::to_owned)) {
        let (one, both) = (Fixture::new(Some(WRITTEN)), Fixture::new(Some(WRITTEN)));
        for name in &names {
            assert!(one.file.remove(name).unwrap());
        }
        let mut edit = both.file.edit().unwrap();
        assert!(edit.remove(&names));
        assert!(!edit.remove(&names));
        let text = edit.finish().unwrap();
        assert_eq!(text, one.text());
    }
}

#[test]
fn head_of_the_file_outlives_the_first_tunnel() {
    let fixture =
        Fixture::new(Some("# Head.\n\n# Mine.\n[[tunnel]]\nname = \"a\"\nremote-address = \"10.0.0.1\"\n"));
    fixture.file.remove("a").unwrap();
    assert_eq!(fixture.text(), "# Head.\n");
}

#[test]
fn removal_renames_nobody() {
    let fixture = Fixture::new(Some(
        "[[tunnel]]\nremote-address = \"10.0.0.1\"\n[[tunnel]]\nremote-address = \"10.0.0.2\"\n",
    ));
    assert_eq!(fixture.names(), ["ipip1", "ipip2"]);
    fixture.file.remove("ipip1").unwrap();
    assert_eq!(fixture.names(), ["ipip2"]);
}

#[test]
fn other_spelling_of_the_list_is_kept() {
    let fixture = Fixture::new(Some("[[tunnels]]\nname = \"a\"\nremote-address = \"10.0.0.1\""));
    fixture.file.add(&spec("b", "10.0.0.2")).unwrap();
    assert_eq!(fixture.text().matches("[[tunnels]]").count(), 2);
    assert_eq!(fixture.names(), ["a", "b"]);
}

#[test]
fn absent_tunnel_is_no_failure_and_changes_nothing() {
    let fixture = Fixture::new(Some(WRITTEN));
    assert!(!fixture.file.remove("rome").unwrap());
    assert_eq!(fixture.text(), WRITTEN);
    assert!(!Fixture::new(None).file.remove("rome").unwrap());
}

#[test]
fn refused_edit_changes_nothing() {
    let fixture = Fixture::new(Some(WRITTEN));
    assert_eq!(fixture.file.add(&spec("berlin", "10.0.0.9")).unwrap_err().kind, FailureKind::Conflict);
    assert_eq!(fixture.file.add(&spec("x", "nowhere")).unwrap_err().kind, FailureKind::Usage);
    assert_eq!(fixture.text(), WRITTEN);
    let broken = "[[tunnel]]\nmtu = \n";
    fs::write(fixture.file.path(), broken).unwrap();
    assert!(fixture.file.add(&spec("x", "10.0.0.1")).is_err());
    assert!(fixture.file.remove("x").is_err());
    assert_eq!(fixture.text(), broken);
}

#[test]
fn edits_start_from_the_file_as_it_is_now() {
    let fixture = Fixture::new(Some(WRITTEN));
    fixture.file.add(&spec("paris", "10.0.0.1")).unwrap();
    let by_hand = fixture.text() + "# by hand\n";
    fs::write(fixture.file.path(), &by_hand).unwrap();
    fixture.file.add(&spec("rome", "10.0.0.2")).unwrap();
    assert!(fixture.text().starts_with(&by_hand));
}

#[test]
fn mode_and_links_outlive_the_new_text_and_nothing_else_is_left() {
    let fixture = Fixture::new(Some(WRITTEN));
    fs::set_permissions(fixture.file.path(), fs::Permissions::from_mode(0o604)).unwrap();
    let link = ConfigFile::new(fixture.directory.path().join("link.toml"));
    std::os::unix::fs::symlink(fixture.file.path(), link.path()).unwrap();
    link.add(&spec("paris", "10.0.0.1")).unwrap();
    assert!(fs::symlink_metadata(link.path()).unwrap().is_symlink());
    assert_eq!(fs::metadata(fixture.file.path()).unwrap().mode() & 0o777, 0o604);
    assert!(fixture.names().contains(&"paris".to_owned()));
    assert_eq!(fs::read_dir(fixture.directory.path()).unwrap().count(), 2);
}

#[test]
fn directory_that_refuses_is_a_failure() {
    let file = ConfigFile::new("/proc/ipip/ipip.toml".into());
    let failure = file.add(&spec("a", "10.0.0.1")).unwrap_err();
    assert!(failure.message.contains("/proc/ipip/ipip.toml") && failure.hint.is_some(), "{failure}");
}

#[test]
fn a_new_value_stands_where_the_old_one_stood() {
    let fixture = Fixture::new(Some(WRITTEN));
    let mut edit = fixture.file.edit().unwrap();
    let changes = TunnelSpec {
        remote_address: Some("203.0.113.9".into()),
        mtu: Some("1472".into()),
        kind: Some("any".into()),
        ..TunnelSpec::default()
    };
    assert_eq!(edit.set("berlin", &changes).unwrap().remote.to_string(), "203.0.113.9");
    let back = TunnelSpec { mtu: Some("".into()), name: Some("rome".into()), ..TunnelSpec::default() };
    assert_eq!(edit.set("ipip1", &back).unwrap().name, "rome");
    let text = edit.finish().unwrap();
    assert!(text.contains("name = \"berlin\"   # since 2019\nremote-address = \"203.0.113.9\"\n"), "{text}");
    assert!(text.contains("mtu = 1472\n") && text.contains("name = \"rome\"\n"), "{text}");
    assert!(
        !text.contains("1_400") && text.contains("# two lines.") && text.ends_with("# The end.\n"),
        "{text}"
    );
}

#[test]
fn a_refused_value_changes_no_text() {
    let fixture = Fixture::new(Some(WRITTEN));
    let mut edit = fixture.file.edit().unwrap();
    let wrong = TunnelSpec { mtu: Some("9".into()), ..TunnelSpec::default() };
    assert_eq!(edit.set("berlin", &wrong).unwrap_err().kind, FailureKind::Usage);
    assert_eq!(edit.set("nobody", &wrong).unwrap_err().kind, FailureKind::Conflict);
    assert!(!edit.finish().unwrap().contains("mtu = 9\n"));
}
