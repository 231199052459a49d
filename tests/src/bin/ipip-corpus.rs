//! Writes the seed corpus of the fuzz targets to `fuzz/corpus`. What else is there stays: crashes become seeds too.

use std::fs;

use anyhow::{Context, Result};
use ipip_tests::fuzz::seeds;

fn main() -> Result<()> {
    for (target, name, bytes) in seeds::all() {
        let folder = seeds::folder().join(target);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
