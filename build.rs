//! Builds the script and its snapshot.
//!
//! 1. Copies `js/` into `OUT_DIR`, installs its locked dependencies there with npm (nothing is ever
//!    written into the source tree), type-checks and bundles it. With `CARO_JS_BUNDLE=FILE` a bundle
//!    made elsewhere is used instead, and neither Node nor a network is needed.
//! 2. Runs the bundle in an isolate and writes the heap as `isolate.snapshot`, which
//!    `src/runtime/isolate.rs` embeds. Our ops do not exist yet at this point: the script looks them
//!    up only when they are used, and the program binds them when it boots.
//!
//! Cargo runs this again only when one of its inputs has changed.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// Everything the bundle is made from, relative to the crate.
const INPUTS: [&str; 8] = [
    "js/src",
    "js/stubs",
    "js/build.mjs",
    "js/globals.d.ts",
    "js/ops.d.ts",
    "js/package.json",
    "js/package-lock.json",
    "js/tsconfig.json",
];

type Failure = Box<dyn Error>;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARO_JS_BUNDLE");
    if let Err(failure) = build() {
        println!("cargo::error={failure}");
        exit(1);
    }
}

fn build() -> Result<(), Failure> {
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let bundle = match env::var_os("CARO_JS_BUNDLE") {
        Some(given) => {
            let given = PathBuf::from(given);
            println!("cargo::rerun-if-changed={}", given.display());
            given
        }
        None => bundle(&out_dir)?,
    };
    let script =
        fs::read_to_string(&bundle).map_err(|e| format!("cannot read the script bundle {}: {e}", bundle.display()))?;
    write_snapshot(script, &out_dir.join("isolate.snapshot"))
}

/// Installs the script's dependencies and bundles it; returns the bundle's path.
fn bundle(out_dir: &Path) -> Result<PathBuf, Failure> {
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let work = out_dir.join("js");
    for input in INPUTS {
        println!("cargo::rerun-if-changed={input}");
        let target = work.join(input.trim_start_matches("js/"));
        copy(&source.join(input), &target)?;
    }

    let lock = fs::read(work.join("package-lock.json"))?;
    let installed = work.join("node_modules/.caro-installed");
    if fs::read(&installed).ok().as_deref() != Some(&lock) {
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        run(Command::new(npm).current_dir(&work).args([
            "ci",
            "--omit=peer",
            "--include=dev",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]))?;
        fs::write(&installed, &lock)?;
    }

    let bundle = work.join("bundle.js");
    run(Command::new("node").current_dir(&work).arg("build.mjs").arg(&bundle))?;
    Ok(bundle)
}

/// Copies a file or a folder; what a folder no longer has disappears from the copy too.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    if from.is_dir() {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, to).map_err(|e| format!("cannot copy {}: {e}", from.display()))?;
    }
    Ok(())
}

/// Runs a tool; a failure carries what it printed, a missing tool the way to get it.
fn run(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| {
        format!(
            "cannot run `{name}` ({e}). Building the script needs Node.js 20 or newer with npm \
             (Debian: apt-get install nodejs npm), or a bundle made elsewhere in CARO_JS_BUNDLE"
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("`{name}` failed ({}): {}", output.status, String::from_utf8_lossy(&said).trim().replace('\n', " | "))
        .into())
}

fn write_snapshot(script: String, target: &Path) -> Result<(), Failure> {
    let snapshot = deno_core::snapshot::create_snapshot(
        deno_core::snapshot::CreateSnapshotOptions {
            cargo_manifest_dir: env!("CARGO_MANIFEST_DIR"),
            startup_snapshot: None,
            skip_op_registration: false,
            extensions: vec![],
            extension_transpiler: None,
            with_runtime_cb: Some(Box::new(move |runtime| {
                if let Err(failure) = runtime.execute_script("caro.js", script.clone()) {
                    println!("cargo::error=the script does not load: {failure}");
                    exit(1);
                }
            })),
        },
        None,
    )?;
    fs::write(target, snapshot.output)?;
    Ok(())
}
