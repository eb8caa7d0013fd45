//! An independent viewer: polls a public playlist URL every 100 ms, fetches what it names, keeps asking for what
//! must still be there, and lets [`Judge`] note every breach.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use reqwest::{Client, Method, Url};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::legal::{Answer, Judge};
use super::m3u8::Segment;

const POLL_EVERY: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_secs(5);
/// Of a store that hangs; a busy machine is not one.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long after its hold an object may still be there.
const PRUNE_WITHIN: Duration = Duration::from_secs(4);
const PLAYLISTS_SHOWN: usize = 6;

/// Watches until it is stopped.
#[derive(Debug)]
pub struct Viewer {
    stop: CancellationToken,
    task: JoinHandle<Report>,
    seen: watch::Receiver<Seen>,
    journal: Arc<Mutex<Journal>>,
    start: Instant,
}

/// What was seen so far, in the order of time.
#[derive(Debug, Default, Clone)]
pub struct Journal {
    pub arrivals: Vec<Arrival>,
    pub breaches: Vec<String>,
}

/// A segment's first appearance.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub at: SystemTime,
    pub segment: Segment,
}

#[derive(Debug, Default)]
struct Seen {
    segments: usize,
    breaches: usize,
    /// See [`Judge::held`].
    held: BTreeMap<String, Duration>,
}

#[derive(Debug)]
pub struct Report {
    pub polls: u64,
    /// In the order of their MSN.
    pub segments: Vec<SeenSegment>,
    pub breaches: Vec<String>,
    pub longest_gap: Duration,
    /// Between two looks at the playlist: what came meanwhile was seen late, and the machine may have stood still.
    pub longest_blink: Duration,
    /// From the viewer's start to the first playlist.
    pub first_playlist: Option<Duration>,
    /// Every distinct playlist and when it came.
    pub playlists: Vec<(Duration, String)>,
}

#[derive(Debug, Clone)]
pub struct SeenSegment {
    pub segment: Segment,
    pub file: PathBuf,
}

impl Viewer {
    /// `folder` takes the segments.
    pub fn watch(playlist: &str, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder for segments");
        let playlist: Url = playlist.parse().expect("a playlist URL");
        let (seen_sender, seen) = watch::channel(Seen::default());
        let (stop, start) = (CancellationToken::new(), now());
        let journal = Arc::<Mutex<Journal>>::default();
        let watching = Watching {
            client: client(),
            playlist,
            folder: folder.to_owned(),
            start,
            judge: Judge::default(),
            polls: 0,
            first_playlist: None,
            looked: Duration::ZERO,
            longest_blink: Duration::ZERO,
            playlists: Vec::new(),
            files: BTreeMap::new(),
            seen: seen_sender,
            journal: journal.clone(),
        };
        #[expect(clippy::disallowed_methods, reason = "the viewer owns it and joins it in stop")]
        let task = tokio::spawn(watching.run(stop.clone()));
        Self { stop, task, seen, journal, start }
    }

    /// How many segments were listed so far.
    pub fn segment_count(&self) -> usize {
        self.seen.borrow().segments
    }

    pub fn journal(&self) -> Journal {
        self.journal.lock().unwrap().clone()
    }

    /// Waits until `count` segments have been listed since the start.
    pub async fn segments(&mut self, count: usize, deadline: Duration) {
        let got = timeout(deadline, self.seen.wait_for(|seen| seen.segments >= count)).await.is_ok();
        let seen = self.segment_count();
        assert!(got, "the viewer waited {deadline:?} for segment {count}; it has seen {seen}");
    }

    /// Those of `names` that no playlist named, or none for so long that they should be gone.
    pub fn orphans(&self, names: &[String]) -> Vec<String> {
        let seen = self.seen.borrow();
        let latest = self.start.elapsed().saturating_sub(PRUNE_WITHIN);
        let orphan = |name: &&String| seen.held.get(*name).is_none_or(|held_until| *held_until < latest);
        names.iter().filter(orphan).cloned().collect()
    }

    /// What a playlist has named; `true`: it has to stay, as things are.
    pub fn named(&self) -> BTreeMap<String, bool> {
        let seen = self.seen.borrow();
        seen.held.iter().map(|(name, until)| (name.clone(), *until == Duration::MAX)).collect()
    }

    /// Waits until something is wrong.
    pub async fn breach(&mut self, deadline: Duration) {
        let got = timeout(deadline, self.seen.wait_for(|seen| seen.breaches > 0)).await.is_ok();
        assert!(got, "the viewer waited {deadline:?} for a breach");
    }

    pub async fn stop(self) -> Report {
        self.stop.cancel();
        self.task.await.expect("the viewer does not panic")
    }
}

impl Report {
    /// A new segment came at least so often, as far as the viewer itself could look.
    pub fn assert_no_gap_of(&self, most: Duration) {
        let Self { longest_gap: gap, longest_blink: blink, .. } = self;
        assert!(*gap < most + *blink, "no new segment for {gap:?}; the viewer did not look for {blink:?}");
    }

    /// Panics with the breaches and the last playlists.
    pub fn assert_legal(&self) {
        let shown: Vec<_> = self.playlists.iter().rev().take(PLAYLISTS_SHOWN).rev().collect();
        let list = |(at, text): &&(Duration, String)| format!("--- at {:.3} s\n{text}", at.as_secs_f64());
        assert!(
            self.breaches.is_empty(),
            "{} breaches in {} polls:\n{}\nthe last playlists:\n{}",
            self.breaches.len(),
            self.polls,
            self.breaches.join("\n"),
            shown.iter().map(list).collect::<String>()
        );
    }
}

struct Watching {
    client: Client,
    playlist: Url,
    folder: PathBuf,
    start: Instant,
    judge: Judge,
    polls: u64,
    first_playlist: Option<Duration>,
    looked: Duration,
    longest_blink: Duration,
    playlists: Vec<(Duration, String)>,
    files: BTreeMap<String, PathBuf>,
    seen: watch::Sender<Seen>,
    journal: Arc<Mutex<Journal>>,
}

/// What a fetch of an object gives back: its URI, the answer or why there was none, and the body of a GET.
type Fetched = (String, Result<(Answer, Vec<u8>), String>);

impl Watching {
    /// At the end of its test a fetch is cancelled.
    fn hear(&mut self, fetched: Result<Fetched, JoinError>) {
        match fetched {
            Ok(fetched) => self.fetched(fetched),
            Err(error) => assert!(error.is_cancelled(), "a fetch does not panic: {error}"),
        }
    }

    async fn run(mut self, stop: CancellationToken) -> Report {
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut fetches = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(fetched) = fetches.join_next() => self.hear(fetched),
                _ = ticks.tick() => self.poll(&mut fetches).await,
            }
        }
        while let Some(fetched) = fetches.join_next().await {
            self.hear(fetched);
        }
        self.judge.note_freshness(self.start.elapsed(), false);
        self.report()
    }

    async fn poll(&mut self, fetches: &mut JoinSet<Fetched>) {
        self.polls += 1;
        match fetch(&self.client, Method::GET, &self.playlist, self.start).await {
            Ok((answer, body)) if answer.status == 200 => {
                let text = String::from_utf8_lossy(&body);
                if self.first_playlist.is_some() {
                    self.longest_blink = self.longest_blink.max(answer.received.saturating_sub(self.looked));
                }
                self.looked = answer.received;
                self.first_playlist.get_or_insert(answer.received);
                if self.playlists.last().is_none_or(|(_, last)| *last != text) {
                    self.playlists.push((answer.received, text.clone().into_owned()));
                }
                for uri in self.judge.playlist(&answer, &text) {
                    self.look(uri, Method::GET, fetches);
                }
            }
            // Before its first appearance there is nothing to see, and perhaps no store either.
            _ if self.first_playlist.is_none() => {}
            Ok((answer, _)) => {
                self.judge
                    .breach(answer.received, format!("the playlist is missing (HTTP {})", answer.status));
            }
            Err(error) => self.judge.breach(self.start.elapsed(), format!("no playlist: {error}")),
        }
        self.note();
        let (segments, breaches) = (self.judge.segment_count(), self.judge.breaches.len());
        self.seen.send_replace(Seen { segments, breaches, held: self.judge.held() });
        for uri in self.judge.due(self.start.elapsed()) {
            // An ETag tells other bytes; without one they have to be fetched.
            self.look(uri, Method::HEAD, fetches);
        }
    }

    fn note(&self) {
        let mut journal = self.journal.lock().unwrap();
        let arrivals = self.judge.segments_from(journal.arrivals.len());
        journal.arrivals.extend(arrivals.map(|segment| Arrival { at: wall(), segment }));
        let known = journal.breaches.len();
        journal.breaches.extend_from_slice(&self.judge.breaches[known..]);
    }

    fn look(&self, uri: String, method: Method, fetches: &mut JoinSet<Fetched>) {
        let Ok(url) = self.playlist.join(&uri) else { return };
        let (client, start) = (self.client.clone(), self.start);
        fetches.spawn(async move {
            let mut answer = fetch(&client, method.clone(), &url, start).await;
            if method == Method::HEAD && matches!(&answer, Ok((a, _)) if a.fingerprint.is_empty()) {
                answer = fetch(&client, Method::GET, &url, start).await;
            }
            (uri, answer)
        });
    }

    fn fetched(&mut self, (uri, result): Fetched) {
        match result {
            Ok((answer, body)) => {
                if answer.status == 200 && !body.is_empty() && !self.files.contains_key(&uri) {
                    let name = uri.rsplit('/').next().unwrap_or(&uri);
                    let file = self.folder.join(name);
                    std::fs::write(&file, &body).expect("the segment can be kept");
                    self.files.insert(uri.clone(), file);
                }
                self.judge.object(&uri, &answer);
            }
            Err(error) => self.judge.breach(self.start.elapsed(), format!("no answer for {uri}: {error}")),
        }
    }

    fn report(self) -> Report {
        let kept = |segment: Segment| {
            let file = self.files.get(&segment.uri)?;
            let file = match &segment.map {
                None => file.clone(),
                Some(map) => playable(self.files.get(map)?, file),
            };
            Some(SeenSegment { segment, file })
        };
        Report {
            polls: self.polls,
            segments: self.judge.segments().into_iter().filter_map(kept).collect(),
            breaches: self.judge.breaches,
            longest_gap: self.judge.longest_gap,
            longest_blink: self.longest_blink,
            first_playlist: self.first_playlist,
            playlists: self.playlists,
        }
    }
}

/// Its idle connections end before the server ends them: that would be an error of nobody's.
fn client() -> Client {
    let client = Client::builder().timeout(ANSWER_WITHIN).pool_idle_timeout(IDLE).no_proxy();
    client.build().expect("an HTTP client")
}

/// A file that holds all that a segment needs.
fn playable(init: &Path, segment: &Path) -> PathBuf {
    let read = |file| std::fs::read(file).expect("it was kept");
    let file = segment.with_extension("mp4");
    std::fs::write(&file, [read(init), read(segment)].concat()).expect("the segment can be kept");
    file
}

async fn fetch(
    client: &Client,
    method: Method,
    url: &Url,
    start: Instant,
) -> Result<(Answer, Vec<u8>), String> {
    let sent = start.elapsed();
    let head = method == Method::HEAD;
    let response = client.request(method, url.clone()).send().await.map_err(|e| chain(&e))?;
    let text =
        |name| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (content_type, cache_control, etag) = (text(CONTENT_TYPE), text(CACHE_CONTROL), text(ETAG));
    let status = response.status().as_u16();
    // Fails if fewer bytes come than the header promised.
    let body = response.bytes().await.map_err(|e| chain(&e))?.to_vec();
    let fingerprint = if etag.is_empty() && !head { hash(&body) } else { etag };
    let received = start.elapsed();
    Ok((Answer { sent, received, status, content_type, cache_control, fingerprint }, body))
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn hash(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the viewer watches in real time")]
    Instant::now()
}

fn wall() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "compared with the time stamps in playlists")]
    SystemTime::now()
}
