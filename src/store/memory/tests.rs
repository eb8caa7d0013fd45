use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name)
}

async fn put(store: &MemoryStore, name: &str) -> Result<(), StoreError> {
    store.put(&key(name), Bytes::from_static(b"body"), ObjectClass::Segment).await
}

fn away() -> StoreError {
    StoreError::Unavailable { reason: "away".into() }
}

#[tokio::test]
async fn a_scripted_call_does_as_told() {
    let store = MemoryStore::new();
    store.queue(Op::Put, [Outcome::refused(away()), Outcome::answer_lost(away())]);
    assert_eq!(put(&store, "a").await, Err(away()));
    assert_eq!(put(&store, "b").await, Err(away()));
    assert_eq!(put(&store, "c").await, Ok(()));
    assert_eq!(store.snapshot().into_keys().collect::<Vec<_>>(), [key("b"), key("c")]);
    let journal = store.journal();
    assert_eq!(journal.iter().map(|r| r.took_effect).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!((journal[0].call.op, journal[0].call.bytes), (Op::Put, 4));
    assert_eq!(journal[1].answer, Some(Err(away())));
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_half_before_and_half_after_the_effect() {
    let store = MemoryStore::new();
    store.on_call(|_| Outcome::ok().delayed(2 * SECOND));
    let half_way = tokio::time::timeout(3 * SECOND / 2, put(&store, "a")).await;
    assert!(half_way.is_err(), "given up before the answer");
    assert_eq!(store.snapshot().len(), 1, "but after the effect");
    assert_eq!(store.journal()[0].answer, None);
}

#[tokio::test(start_paused = true)]
async fn a_hang_lasts_until_its_caller_gives_up() {
    let store = MemoryStore::new();
    store.queue(Op::Put, [Outcome::hang(), Outcome::hang_after_effect()]);
    assert!(tokio::time::timeout(3600 * SECOND, put(&store, "a")).await.is_err());
    assert!(tokio::time::timeout(3600 * SECOND, put(&store, "b")).await.is_err());
    assert_eq!(store.snapshot().into_keys().collect::<Vec<_>>(), [key("b")]);
}

#[tokio::test(start_paused = true)]
async fn two_puts_of_one_key_at_once_are_noticed() {
    let store = MemoryStore::new();
    store.on_call(|_| Outcome::ok().delayed(SECOND));
    let (_, _) = tokio::join!(put(&store, "a"), put(&store, "b"));
    put(&store, "a").await.unwrap();
    assert_eq!(store.overlapping_puts(), []);
    let (_, _) = tokio::join!(put(&store, "a"), put(&store, "a"));
    assert_eq!(store.overlapping_puts(), [key("a")]);
}
