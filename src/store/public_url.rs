//! Where a viewer reads an object. Pure.

use url::Url;

use crate::config::model::{S3Config, StoreConfig, SupabaseConfig};
use crate::domain::key::ObjectKey;

/// The object's public URL; `None` if only a web server we know nothing of could serve it.
pub fn public_url(config: &StoreConfig, key: &ObjectKey) -> Option<Url> {
    let (given, own) = match config {
        StoreConfig::S3(s3) => (&s3.public_base_url, s3_base(s3)),
        StoreConfig::Supabase(supabase) => (&supabase.public_base_url, supabase_base(supabase)),
        StoreConfig::File(file) => (&file.public_base_url, None),
        StoreConfig::None => return None,
    };
    join(given.clone().or(own)?, key.as_str().split('/'))
}

/// Its CDN may keep what was overwritten for a minute, under whatever name viewers read it.
pub(super) fn is_hosted_supabase(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host.ends_with(".supabase.co"))
}

fn s3_base(config: &S3Config) -> Option<Url> {
    if let Some(endpoint) = &config.endpoint {
        return join(bare(endpoint), [config.bucket.as_str()]);
    }
    let host = match config.region.as_deref() {
        Some(region) if region.starts_with("cn-") => format!("s3.{region}.amazonaws.com.cn"),
        Some(region) => format!("s3.{region}.amazonaws.com"),
        // The chain knows the region, we don't; the global host redirects to it.
        None => "s3.amazonaws.com".to_owned(),
    };
    // The certificate's wildcard covers no dots.
    if config.bucket.contains('.') {
        return join(Url::parse(&format!("https://{host}")).ok()?, [config.bucket.as_str()]);
    }
    Url::parse(&format!("https://{}.{host}", config.bucket)).ok()
}

fn supabase_base(config: &SupabaseConfig) -> Option<Url> {
    let path = ["storage", "v1", "object", "public", config.bucket.as_str()];
    join(bare(&config.url), path)
}

/// Percent-encodes what a path segment can't hold; a query of the base stays.
pub(super) fn join<'a>(mut base: Url, segments: impl IntoIterator<Item = &'a str>) -> Option<Url> {
    base.path_segments_mut().ok()?.pop_if_empty().extend(segments);
    Some(base)
}

/// Scheme, host, port and path alone. A user in it is none of a store's kind of credentials.
pub(super) fn bare(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // These fail only for URLs that can't have a user.
    url.set_username("").ok();
    url.set_password(None).ok();
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::FileConfig;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn s3(bucket: &str, endpoint: Option<&str>, region: Option<&str>, base: Option<&str>) -> StoreConfig {
        StoreConfig::S3(S3Config {
            bucket: bucket.into(),
            endpoint: endpoint.map(url),
            region: region.map(Into::into),
            credentials: None,
            public_base_url: base.map(url),
        })
    }

    fn supabase(project: &str) -> StoreConfig {
        StoreConfig::Supabase(SupabaseConfig {
            url: url(project),
            bucket: "streams".into(),
            key: "secret".into(),
            public_base_url: None,
        })
    }

    fn of(config: &StoreConfig, key: &str) -> String {
        public_url(config, &ObjectKey::new(key)).map(String::from).unwrap_or_default()
    }

    #[test]
    fn hosted_supabase_is_known_by_its_hosts() {
        let is = |url: &str| is_hosted_supabase(&url.parse().unwrap());
        assert!(is("https://abc.supabase.co") && is("https://abc.storage.supabase.co/storage/v1/s3"));
        assert!(!is("https://supabase.example.com") && !is("https://abc.supabase.co.example.com"));
        assert!(!is("http://127.0.0.1:8000"));
    }

    #[test]
    fn every_store_has_its_public_urls() {
        let minio = Some("http://127.0.0.1:9000");
        for (config, expected) in [
            (s3("streams", minio, None, None), "http://127.0.0.1:9000/streams/l/c/stream.m3u8"),
            (s3("streams", Some("http://u:p@h:1/s3"), None, None), "http://h:1/s3/streams/l/c/stream.m3u8"),
            (s3("streams", Some("http://h/s3/"), None, None), "http://h/s3/streams/l/c/stream.m3u8"),
            (
                s3("streams", None, Some("eu-west-1"), None),
                "https://streams.s3.eu-west-1.amazonaws.com/l/c/stream.m3u8",
            ),
            (
                s3("streams", None, Some("cn-north-1"), None),
                "https://streams.s3.cn-north-1.amazonaws.com.cn/l/c/stream.m3u8",
            ),
            (
                s3("my.streams", None, Some("eu-west-1"), None),
                "https://s3.eu-west-1.amazonaws.com/my.streams/l/c/stream.m3u8",
            ),
            (s3("streams", None, None, None), "https://streams.s3.amazonaws.com/l/c/stream.m3u8"),
            (
                s3("streams", minio, None, Some("https://cdn.example/live?v=1")),
                "https://cdn.example/live/l/c/stream.m3u8?v=1",
            ),
            (
                supabase("https://abc.supabase.co"),
                "https://abc.supabase.co/storage/v1/object/public/streams/l/c/stream.m3u8",
            ),
            (supabase("https://h/sub/"), "https://h/sub/storage/v1/object/public/streams/l/c/stream.m3u8"),
        ] {
            assert_eq!(of(&config, "l/c/stream.m3u8"), expected);
        }
    }

    #[test]
    fn odd_names_are_percent_encoded() {
        let config = s3("streams", Some("http://h"), None, None);
        assert_eq!(of(&config, "a b/ü?#%.ts"), "http://h/streams/a%20b/%C3%BC%3F%23%25.ts");
    }

    #[test]
    fn a_folder_is_public_only_where_a_web_server_is_named() {
        let file = |base: Option<&str>| {
            StoreConfig::File(FileConfig { root: "/srv/live".into(), public_base_url: base.map(url) })
        };
        assert_eq!(public_url(&file(None), &ObjectKey::new("a")), None);
        assert_eq!(of(&file(Some("http://nas/live/")), "a/b.ts"), "http://nas/live/a/b.ts");
    }
}
