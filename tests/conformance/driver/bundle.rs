//! Makes the suite's scripts with `bundle.mjs`, unless they are newer than everything they are made of.
//!
//! They lie in the build's target folder and are read into memory at once, under a lock: two runs at
//! the same time neither build over each other nor read what is half written.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;

/// The scripts that were made.
pub struct Suite {
    /// What runs before every file: polyfills, runner, matchers.
    pub prelude: Arc<str>,
    folder: PathBuf,
    names: Vec<String>,
    scripts: HashMap<String, Script>,
}

/// What runs one test file.
#[derive(Clone)]
pub struct Script {
    /// Its place in the bundle, by which stack traces name it.
    pub path: String,
    pub text: Arc<str>,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    script: String,
}

impl Suite {
    /// Makes the scripts in `out`, or takes those of an earlier run.
    ///
    /// # Errors
    ///
    /// In plain words: Node is missing, a package could not be fetched, the suite has changed.
    pub fn build(source: &Path, out: &Path) -> Result<Self, String> {
        fs::create_dir_all(out).map_err(|e| format!("cannot make {}: {e}", out.display()))?;
        let lock = File::create(out.join("lock")).map_err(|e| format!("cannot lock {}: {e}", out.display()))?;
        lock.lock().map_err(|e| format!("cannot lock {}: {e}", out.display()))?;

        let bundle = out.join("bundle");
        let list = bundle.join("files.json");
        if !is_up_to_date(source, &list) {
            make(source, out)?;
        }
        let entries: Vec<Entry> =
            serde_json::from_str(&read(&list)?).map_err(|e| format!("{} is not the list: {e}", list.display()))?;
        let mut scripts = HashMap::new();
        for entry in &entries {
            let text = read(&bundle.join(&entry.script))?.into();
            scripts.insert(entry.file.clone(), Script { path: entry.script.clone(), text });
        }
        Ok(Self {
            prelude: read(&bundle.join("prelude.js"))?.into(),
            folder: bundle,
            names: entries.into_iter().map(|entry| entry.file).collect(),
            scripts,
        })
    }

    /// Paths of all test files, as the suite names them.
    pub fn file_names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// Where the scripts lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One file's script.
    pub fn script(&self, file: &str) -> Option<Script> {
        self.scripts.get(file).cloned()
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

fn make(source: &Path, out: &Path) -> Result<(), String> {
    let status = Command::new("node").arg(source.join("bundle.mjs")).arg(out).status().map_err(|e| {
        format!(
            "cannot run `node` ({e}): the suite needs Node.js 20 or newer with npm (Debian: apt-get install nodejs npm)"
        )
    })?;
    if status.success() { Ok(()) } else { Err(format!("the suite could not be bundled ({status}); see above")) }
}

/// Whether the list, which is written last, is newer than the harness and the product's script.
fn is_up_to_date(source: &Path, list: &Path) -> bool {
    let product = source.join("../../js/src");
    match (modified(list), newest(source), newest(&product)) {
        (Some(made), Some(harness), Some(product)) => made > harness && made > product,
        _ => false,
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// The latest change below a folder, but for what only this driver reads; a folder itself counts, since
/// it changes when a file disappears.
fn newest(path: &Path) -> Option<SystemTime> {
    let mut latest = modified(path)?;
    if path.is_dir() {
        for entry in fs::read_dir(path).ok()? {
            let path = entry.ok()?.path();
            if path.extension().is_some_and(|extension| ["rs", "toml", "txt"].iter().any(|own| extension == *own)) {
                continue;
            }
            latest = latest.max(newest(&path)?);
        }
    }
    Some(latest)
}
