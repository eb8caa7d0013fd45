//! One suite of behaviours for every store.

mod support;

#[tokio::test]
async fn minio_starts() {
    let minio = support::minio::Minio::start().await;
    minio.create_public_bucket("streams").await;
    let client = minio.client();
    client.put_object().bucket("streams").key("a/b.txt").body(b"x".to_vec().into()).send().await.unwrap();
    let answer = reqwest::get(minio.public_url("streams", "a/b.txt")).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "x");
}
