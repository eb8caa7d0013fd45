//! `edge-agent argv` and `edge-agent url`: what a camera would run, and where it would be seen.

use std::path::Path;

use super::{CameraArgs, Failure, Outcome, load, say};
use crate::agent::playlist_url;
use crate::config::model::{Camera, Config, Settings};
use crate::config::{self};
use crate::domain::choice::decide;
use crate::engine::StreamSpec;
use crate::engine::ffmpeg::argv::{self, SCRIPT_INPUT};
use crate::engine::ffmpeg::capabilities::{self, Capabilities};
use crate::engine::ffmpeg::encoders::{Bench, Finding, RENDER_NODES, Way, render_nodes};
use crate::engine::spool::root::default_root;
use crate::sys::child::Spawner;

pub(super) async fn argv(args: CameraArgs) -> Outcome {
    let config = load(&args.config)?.config;
    let camera = camera(&config, &args.id)?;
    let ffmpeg = capabilities::detect(config.ffmpeg.as_deref()).await.map_err(anyhow::Error::from)?;
    let root = config.spool.clone().unwrap_or_else(default_root);
    let folder = root.join(camera.id.as_str()).join("RUN");
    let spec = StreamSpec {
        camera: camera.id.clone(),
        source: camera.source.clone(),
        settings: camera.settings.clone(),
    };
    let choice = decide(&spec.settings.wish(), None);
    let way = way(&ffmpeg, &spec.settings).await?;
    let command = argv::command(&spec, &choice, &way, &ffmpeg, &folder);
    if let Some(script) = &command.script {
        say("# The camera's URL reaches ffmpeg on a pipe, so that no other user sees it. The pipe holds:");
        script.redacted().lines().for_each(|line| say(&format!("#   {line}")));
        say("# To run it by hand, put that into a file (with the password) and its name where the pipe is:");
    }
    let words = command
        .args
        .iter()
        .map(|arg| if arg == SCRIPT_INPUT { "camera.ffconcat".into() } else { quote(arg) });
    say(&format!("{} {}", quote_path(&command.program), words.collect::<Vec<_>>().join(" ")));
    Ok(())
}

/// That a camera with these settings would begin with.
async fn way(ffmpeg: &Capabilities, settings: &Settings) -> anyhow::Result<Way> {
    let (spawner, nodes) = (Spawner::start()?, render_nodes(RENDER_NODES.as_ref()));
    let bench = Bench { ffmpeg, spawner: &spawner, nodes, settings };
    let candidates = settings.encoder.candidates();
    for finding in bench.first_working(candidates).await {
        if let Finding::Works(way) = finding {
            say(&format!("# settings.encoder: {}: the picture is encoded with {way}.", settings.encoder));
            return Ok(way);
        }
        say(&format!("# {}", finding.why_not().unwrap_or_default()));
    }
    if !candidates.is_empty() {
        say(&format!("# settings.encoder: {}: the picture is encoded in software.", settings.encoder));
    }
    Ok(Way::software())
}

pub(super) fn url(args: &CameraArgs) -> Outcome {
    let config = load(&args.config)?.config;
    let camera = camera(&config, &args.id)?;
    let url = playlist_url(&config, camera, None).ok_or_else(|| {
        Failure::Config("the folder has no public URL: set `storage.public_base_url` or `http.listen`".into())
    })?;
    say(&url);
    Ok(())
}

fn camera<'a>(config: &'a Config, id: &str) -> Result<&'a Camera, Failure> {
    let picked = config::select(config, &[id]).map_err(|error| Failure::Config(error.to_string()))?;
    picked.first().copied().ok_or_else(|| Failure::Config(format!("no camera has the id {id:?}")))
}

fn quote_path(path: &Path) -> String {
    quote(&path.display().to_string())
}

/// As a POSIX shell reads it.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=./:,%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quote("-c:v"), "-c:v");
        assert_eq!(quote("0:a:0?"), "'0:a:0?'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
