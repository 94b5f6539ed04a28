//! Files that are made from code: the CustomResourceDefinitions.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Largest object that `kubectl apply` can take: it keeps the whole of it in an annotation.
const ANNOTATION_LIMIT: usize = 262_144;

const BANNER: &str =
    "# Generated from crds/src by `cargo xtask codegen`: change the types there, not this file.\n";

/// Every generated file, as path below the root and text.
fn files() -> Result<Vec<(PathBuf, String)>> {
    crds::manifests()?
        .into_iter()
        .map(|manifest| {
            let size = serde_json::to_string(&manifest.object)?.len();
            if size >= ANNOTATION_LIMIT {
                bail!(
                    "{} has {size} bytes; `kubectl apply` takes less than {ANNOTATION_LIMIT}",
                    manifest.file
                );
            }
            let text = format!("{BANNER}{}", serde_yaml::to_string(&manifest.object)?);
            Ok((Path::new("crds").join(manifest.file), text))
        })
        .collect()
}

/// Writes the generated files below `root`.
pub(crate) fn write(root: &Path) -> Result<()> {
    for (path, text) in files()? {
        let path = root.join(path);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Holds the files below `root` against what would be written.
pub(crate) fn check(root: &Path) -> Result<()> {
    let stale: Vec<String> = files()?
        .into_iter()
        .filter(|(path, text)| std::fs::read_to_string(root.join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path.display().to_string())
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    bail!("not up to date: {}; run `cargo xtask codegen`", stale.join(", "))
}

#[cfg(test)]
mod tests {
    #[test]
    fn generated_files_are_up_to_date() {
        super::check(&crate::root().unwrap()).unwrap();
    }
}
