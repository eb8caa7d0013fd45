//! What a storage is known to charge, and what the file says of it.

use super::shapes::{CAMERA, storage};
use super::*;
use crate::domain::prices::{AMAZON, CLOUDFLARE, NO_FEE, Prices};

#[test]
fn known_storages_have_their_prices_and_the_file_comes_before() {
    let s3 = "  type: s3\n  bucket: streams\n";
    let own = Prices { write: 2.5, read: 0.0 };
    for (lines, expected) in [
        (s3.to_owned(), Some(AMAZON)),
        (format!("{s3}  endpoint: https://0123.r2.cloudflarestorage.com\n"), Some(CLOUDFLARE)),
        (format!("{s3}  endpoint: http://127.0.0.1:9000\n"), None),
        (
            format!("{s3}  endpoint: http://127.0.0.1:9000\n  request_prices: {{write: 2.5, read: 0}}\n"),
            Some(own),
        ),
        (format!("{s3}  request_prices: {{write: 2.5, read: 0}}\n"), Some(own)),
        ("  type: file\n  root: /srv\n".to_owned(), None),
    ] {
        assert_eq!(storage(&lines, &Stub::default()).config.request_prices, expected, "{lines}");
    }
    assert_eq!(good(CAMERA, &Stub::supabase()).config.request_prices, Some(NO_FEE));
}

#[test]
fn status_json_has_an_interval_or_none() {
    let of = |settings: &str| {
        let text = format!("- {{id: a, rtsp_url: test://, settings: {{{settings}}}}}\n");
        good(&text, &Stub::supabase()).config.cameras.remove(0).settings.status_interval
    };
    let seconds = |seconds| Some(std::time::Duration::from_secs(seconds));
    assert_eq!(
        [of(""), of("status_interval: 10s"), of("status_interval: off")],
        [seconds(60), seconds(10), None]
    );
}
