//! The README shows what the tool says.

use assert_cmd::Command;
use std::path::Path;

#[test]
fn the_graph_in_the_readme_is_the_shops() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let (_, rest) = readme.split_once("```mermaid\n").expect("a graph");
    let (shown, _) = rest.split_once("```").expect("its end");
    let mut graph = Command::cargo_bin("cargo-updraft").expect("the command");
    let graph = graph.current_dir(root).args(["updraft", "graph", "-p", "shop", "--format", "mermaid", "-q"]);
    let drawn = graph.assert().success().get_output().stdout.clone();
    assert_eq!(
        String::from_utf8_lossy(&drawn).trim(),
        shown.trim(),
        "put what `cargo updraft graph -p shop --format mermaid` says into README.md"
    );
}
