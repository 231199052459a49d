//! Real runs of every verb, as a person sees them: `transcripts/*.trycmd`, in the order of their names, against one daemon.
//! With `TRYCMD=overwrite` they are written anew.

use std::fs;

use ipip_tests::ctl::Daemon;
use ipip_tests::need;
use ipip_tests::netns::Netns;

#[test]
fn every_verb_answers_as_written() {
    let Some(ctl) = need::ctl() else { return };
    let namespace = Netns::new("transcripts");
    namespace.run("ip link add name taken type veth peer name other");
    let daemon = Daemon::start(&ctl, &namespace);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let mut files: Vec<_> = folder
        .read_dir()
        .expect("listing the transcripts")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "trycmd"))
        .collect();
    files.sort();
    assert!(!files.is_empty() && fs::metadata(&ctl).is_ok());
    for file in files {
        let cases = trycmd::TestCases::new();
        cases
            .register_bin("ipip-ctl", &ctl)
            .env("IPIP_SOCKET", daemon.socket().display().to_string())
            .env("COLUMNS", "100");
        cases.case(file).run();
    }
}
