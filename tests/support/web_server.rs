//! A real nginx that shows a folder.

use std::fs;
use std::path::Path;

use tokio::process::Child;

use super::nginx::{free_address, start, whole};

/// As the README has it. Killed when dropped.
pub struct WebServer {
    pub url: String,
    _folder: tempfile::TempDir,
    _child: Child,
}

impl WebServer {
    /// `change`: of the README's lines.
    pub async fn showing(root: &Path, change: impl Fn(String) -> String) -> Self {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = fs::read_to_string(readme).unwrap();
        let (_, recipe) = readme.split_once("```nginx\n").unwrap();
        let (recipe, _) = recipe.split_once("```").unwrap();
        assert!(recipe.contains("alias /srv/streams/;"), "{recipe}");
        let recipe = change(recipe.replace("/srv/streams/", &format!("{}/", root.display())));
        let (map, server) = recipe.split_once("# In server {}:").unwrap();
        let at = free_address();
        let folder = tempfile::TempDir::new().unwrap();
        let http = format!("{map}\naccess_log off;\nserver {{ listen {at};\n{server}\n}}");
        let child = start(folder.path(), &whole(folder.path(), &http), at).await;
        Self { url: format!("http://{at}/streams/"), _folder: folder, _child: child }
    }
}
