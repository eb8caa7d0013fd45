//! Agents that come and go with different numbers of renditions, before a store that fails in all ways: what viewers of
//! each rendition's playlist may rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::*;
use crate::domain::class::ObjectClass;
use crate::domain::dice::Dice;
use crate::domain::segment::{Form, Rendition, SegmentType};
use crate::store::memory::Call;

const MS: Duration = Duration::from_millis(1);

/// What its caller gives up lands all the same, as on a network.
#[derive(Debug, Clone)]
struct Network(Arc<MemoryStore>, Arc<Mutex<JoinSet<()>>>);

impl Network {
    async fn send(
        &self,
        call: impl Future<Output = Result<(), StoreError>> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.1.lock().unwrap().spawn(async move { drop(answer.send(call.await)) });
        answered.await.expect("it is not aborted")
    }
}

#[async_trait]
impl ObjectStore for Network {
    async fn put(&self, key: &ObjectKey, body: Bytes, class: ObjectClass) -> Result<(), StoreError> {
        let (store, key) = (self.0.clone(), key.clone());
        self.send(async move { store.put(&key, body, class).await }).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StoreError> {
        self.0.get(key).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        let (store, keys) = (self.0.clone(), keys.to_vec());
        self.send(async move { store.delete(&keys).await }).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectKey>, StoreError> {
        self.0.list(prefix).await
    }
}

/// `aim`: what fails more often than others.
fn fate(dice: &mut Dice, call: &Call, aim: &str) -> Outcome {
    let slow = MS * (dice.roll() % 900) as u32;
    let is_aimed_at = call.keys.iter().any(|key| key.as_str().contains(aim));
    let outcome = match dice.roll() % if is_aimed_at { 30 } else { 100 } {
        0..=5 => Outcome::refused(unavailable()),
        6..=9 => Outcome::answer_lost(unavailable()),
        10 | 11 => Outcome::hang(),
        12 | 13 => Outcome::hang_after_effect(),
        14 => Outcome::refused(StoreError::Rejected { reason: "no".into() }),
        15 => Outcome::refused(StoreError::Denied { reason: "no".into() }),
        _ => Outcome::ok(),
    };
    outcome.delayed(slow)
}

/// The viewers of all playlists.
#[derive(Default)]
struct Viewers {
    /// Media sequence, discontinuity sequence and last number of each playlist.
    seen: BTreeMap<Rendition, [u64; 3]>,
    /// Which segment a number is.
    numbers: BTreeMap<u64, String>,
    /// When it was listed last, and for how long it has to stay then.
    held: BTreeMap<ObjectKey, (Instant, Duration)>,
}

impl Viewers {
    fn look(&mut self, store: &MemoryStore) {
        let (now, objects) = (clock::now(), store.snapshot());
        for number in 1..=4 {
            let Some(stored) = objects.get(&layout().playlist_of(number)) else { continue };
            let text = String::from_utf8(stored.body.to_vec()).unwrap();
            // The names follow from the first one's.
            let playlist = parse(&text.replace(&format!("_{number}of"), "_1of"), &layout()).unwrap();
            let last = playlist.entries.last().map_or(0, |entry| entry.msn.0);
            let next = [playlist.media_sequence, playlist.discontinuity_sequence, last];
            let before = self.seen.insert(number, next).unwrap_or(next);
            assert!(before.iter().zip(next).all(|(old, new)| *old <= new), "{number}: {before:?}, {next:?}");
            let whole = playlist.duration();
            for entry in playlist.entries {
                let (run, index) = layout().place_of(&entry.key).unwrap();
                let segment = format!("{run} {index}");
                assert_eq!(*self.numbers.entry(entry.msn.0).or_insert(segment.clone()), segment);
                let (at, hold) = self.held.entry(entry.key.rendition(number)).or_insert((now, whole));
                (*at, *hold) = (now, (*hold).max(entry.duration + whole));
            }
        }
        self.held.retain(|_, (at, hold)| now < *at + *hold);
        for (key, (at, hold)) in &self.held {
            assert!(objects.contains_key(key), "{key} stayed {:?} of {hold:?}", now - *at);
        }
    }

    async fn watch(&mut self, store: &MemoryStore, time: Duration) {
        let until = clock::now() + time;
        while clock::now() < until {
            pass(50 * MS).await;
            self.look(store);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_the_renditions_playlists_keep_what_they_promise() {
    for seed in 0..3 {
        let (store, mut viewers, mut dice) =
            (Arc::<MemoryStore>::default(), Viewers::default(), Dice::new(seed));
        let network = Network(store.clone(), Arc::default());
        for aim in ["stream_2", "_2of", "stream.m3u8"] {
            let mut of_calls = Dice::new(dice.roll());
            store.on_call(move |call| fate(&mut of_calls, call, aim));
            let renditions = 1 + (dice.roll() % 4) as Rendition;
            let mut scene =
                Scene::on([Act::Live], store.clone(), Arc::new(network.clone()), |engine, plan| {
                    engine.renditions = renditions;
                    plan.form = Form { kind: SegmentType::MpegTs, renditions };
                });
            viewers.watch(&store, MS * (20_000 + dice.roll() % 60_000) as u32).await;
            if aim == "stream.m3u8" {
                store.on_call(|_| Outcome::ok());
                viewers.watch(&store, 400 * S).await;
                let left: BTreeSet<_> = (1..=4).filter(|n| is_there(&store, *n)).collect();
                assert!(left.into_iter().eq(1..=renditions), "others are swept");
                assert!(viewers.seen[&1] == viewers.seen[&renditions] && scene.progress().backlog == 0);
            }
            scene.abort.cancel();
            scene.ends().await;
        }
    }
}

fn is_there(store: &MemoryStore, number: Rendition) -> bool {
    store.snapshot().contains_key(&layout().playlist_of(number))
}
