//! The snapshots of a page, in the folder `snapshots/` beside it: one file per terminal
//! and one per drawing, with placeholders for what varies, and the recorded log of each
//! drawing.

use std::path::{Path, PathBuf};

use crate::page::{Page, Scene, Terminal};
use crate::transcript::Renaming;

/// Returns the name of a terminal's snapshot, without `.snap`: `server`, or `busy.server`
/// for the scene `busy`, with `pairings.` in front if the page is `pairings.md`.
pub fn name(page: &Page, scene: &Scene, terminal: &Terminal) -> String {
    join(page, &scene.name, &terminal.name)
}

/// Returns the name of a drawing's snapshot, without `.snap`, which is also that of its
/// recorded log, without `.json`: `flow`, or `busy.flow` for the scene `busy`.
pub fn flow_name(page: &Page, scene: &str) -> String {
    join(page, scene, "flow")
}

fn join(page: &Page, scene: &str, last: &str) -> String {
    let page = page.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let parts = [if page == "README" { "" } else { page }, scene, last];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(".")
}

/// Returns the folder of the snapshots and recorded logs of `page`, relative to the
/// workspace.
pub fn folder(page: &Page) -> PathBuf {
    page.path.parent().unwrap_or(Path::new("")).join("snapshots")
}

/// Returns the paths of all snapshots and recorded logs of `page`, relative to the
/// workspace.
pub fn files(page: &Page) -> impl Iterator<Item = PathBuf> {
    let terminals = page.scenes.iter().flat_map(move |scene| {
        let name = |terminal| format!("{}.snap", name(page, scene, terminal));
        scene.terminals.iter().map(name)
    });
    let flows = page.flows.iter().flat_map(move |flow| {
        let name = flow_name(page, &flow.scene);
        ["snap", "json"].map(|ending| format!("{name}.{ending}"))
    });
    let folder = folder(page);
    terminals.chain(flows).map(move |name| folder.join(name))
}

/// Returns the contents of a scene's snapshots: one text per terminal.
pub fn contents(terminals: &[Vec<String>]) -> Vec<String> {
    Renaming::apply_all(terminals).iter().map(|lines| lines.join("\n")).collect()
}
