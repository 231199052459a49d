//! Whether a tunnel is protected by IPsec, and what goes with that.

use std::path::PathBuf;

use ipip_common::abi::Carried;

use super::{Kind, Wrong, usage, wrong, yes_no};
use crate::failure::{Failure, FailureKind};
use crate::ipsec::can_carry;
use crate::spec::Word;

/// The file of the secret, where one is written.
pub(super) fn secret_file(written: Option<String>, kind: Kind) -> Result<Option<PathBuf>, Failure> {
    let Some(path) = written.filter(|path| !path.is_empty()).map(PathBuf::from) else { return Ok(None) };
    if !path.is_absolute() || path.to_string_lossy().chars().any(char::is_control) {
        // What is written may be the secret itself.
        return Err(usage("ipsec-secret-file: not the absolute path of a file").with_hint(
            "write the secret to a file that only root reads, as /etc/ipip/berlin.psk, or give it to \
             `ipip-ctl set TUNNEL ipsec-secret=-` on standard input",
        ));
    }
    if Carried::ALL.into_iter().any(|carried| kind.carries(carried) && !can_carry(carried)) {
        let message =
            format!("ipsec-secret-file: kind {} cannot be protected, since it carries MPLS", kind.name());
        return Err(Failure::new(FailureKind::Unsupported, message)
            .with_hint("choose a kind that carries IPv4 and IPv6 alone, or leave the secret out"));
    }
    Ok(Some(path))
}

/// Whether packets may bypass the host's stack: with IPsec they may not, as RouterOS has it.
pub(super) fn fast_path(written: Option<Word>, has_ipsec: bool) -> Result<bool, Wrong> {
    let is_written = written.is_some();
    let is_allowed = yes_no("allow-fast-path", written, !has_ipsec)?;
    if has_ipsec && is_allowed && is_written {
        let failure = usage("allow-fast-path `yes`: packets that bypass the host's stack bypass IPsec too");
        return Err(wrong("allow-fast-path")(failure.with_hint("leave it out, or leave out the secret")));
    }
    Ok(is_allowed)
}
