//! Addresses that let their bearer watch one stream for a while.
//!
//! A signature covers the stream's folder and its own end, so the same query is good for the playlist and for each
//! segment that it names.

use std::fmt;
use std::time::Duration;

use super::seal::{is_seal, seal};

pub const EXPIRES: &str = "expires";
pub const SIGNATURE: &str = "signature";

/// The first signs, each is good: so that one can replace the other.
#[derive(Clone, Default)]
pub struct SigningKeys(Vec<Vec<u8>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("this address was good until a while ago; ask for a new one")]
    Expired,
    #[error("this signature is not for this address")]
    Forged,
}

impl SigningKeys {
    pub fn new(keys: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// The query that opens `folder` until then; `None` without a key.
    pub fn query(&self, folder: &str, expires_s: u64) -> Option<String> {
        let key = self.0.first()?;
        Some(signed_query(&expires_s.to_string(), &seal(key, &text(folder, expires_s))))
    }

    pub fn verify(&self, path: &str, expires: &str, signature: &str, now_s: u64) -> Result<(), Invalid> {
        // One way to write a number: no second address for the same thing.
        let expires_s = expires.parse::<u64>().ok().filter(|seconds| seconds.to_string() == expires);
        let expires_s = expires_s.ok_or(Invalid::Forged)?;
        let text = text(folder(path), expires_s);
        if !self.0.iter().any(|key| is_seal(key, &text, signature)) {
            return Err(Invalid::Forged);
        }
        if expires_s > now_s { Ok(()) } else { Err(Invalid::Expired) }
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({})", self.0.len())
    }
}

pub fn signed_query(expires: &str, signature: &str) -> String {
    format!("{EXPIRES}={expires}&{SIGNATURE}={signature}")
}

/// Up to the last `/`, which is part of it.
pub fn folder(path: &str) -> &str {
    &path[..path.rfind('/').map_or(0, |at| at + 1)]
}

/// An end that many requests share, so that the addresses in a playlist stay the same from one to the next: half of
/// `most` from now at least, and `most` at most.
pub fn shared_end(now_s: u64, most: Duration) -> u64 {
    let half = (most.as_secs() / 2).max(1);
    (now_s / half).saturating_add(2).saturating_mul(half)
}

fn text(folder: &str, expires_s: u64) -> String {
    format!("edge-agent stream 1\n{folder}\n{expires_s}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAYLIST: &str = "/streams/l/cam/stream.m3u8";

    fn keys(keys: &[&str]) -> SigningKeys {
        SigningKeys::new(keys.iter().map(|key| key.as_bytes().to_vec()))
    }

    /// The signature alone.
    fn signature(signer: &SigningKeys, folder: &str, expires_s: u64) -> String {
        let query = signer.query(folder, expires_s).unwrap();
        query.strip_prefix(&format!("expires={expires_s}&signature=")).unwrap().to_owned()
    }

    #[test]
    fn it_opens_one_folder_until_its_end() {
        let signer = keys(&["new"]);
        let signed = signature(&signer, folder(PLAYLIST), 1000);
        for path in [PLAYLIST, "/streams/l/cam/segment_0_000001.ts", "/streams/l/cam/"] {
            assert_eq!(signer.verify(path, "1000", &signed, 999), Ok(()), "{path}");
        }
        assert_eq!(signer.verify(PLAYLIST, "1000", &signed, 1000), Err(Invalid::Expired));
        for path in [
            "/streams/l/cam2/stream.m3u8",
            "/streams/l/cam/x/stream.m3u8",
            "/streams/l/stream.m3u8",
            "cam",
            "",
        ] {
            assert_eq!(signer.verify(path, "1000", &signed, 999), Err(Invalid::Forged), "{path}");
        }
        for expires in ["1001", "01000", "+1000", "1000 ", "", "-1", "99999999999999999999"] {
            assert_eq!(signer.verify(PLAYLIST, expires, &signed, 0), Err(Invalid::Forged), "{expires}");
        }
        let other = signed.replace(|c: char| c.is_ascii_digit(), "a");
        assert_eq!(signer.verify(PLAYLIST, "1000", &other, 2000), Err(Invalid::Forged), "before all else");
    }

    #[test]
    fn the_first_key_signs_and_each_verifies() {
        let (old, both, new) = (keys(&["old"]), keys(&["new", "old"]), keys(&["new"]));
        let by_old = signature(&old, folder(PLAYLIST), 10);
        let by_both = signature(&both, folder(PLAYLIST), 10);
        assert_eq!(both.verify(PLAYLIST, "10", &by_old, 0), Ok(()));
        assert_eq!(new.verify(PLAYLIST, "10", &by_both, 0), Ok(()));
        assert_eq!(new.verify(PLAYLIST, "10", &by_old, 0), Err(Invalid::Forged));
        assert_eq!(keys(&[]).verify(PLAYLIST, "10", &by_old, 0), Err(Invalid::Forged));
        assert_eq!(keys(&[]).query("/", 10), None);
        assert_eq!(format!("{both:?}"), "SigningKeys(2)");
    }

    proptest! {
        #[test]
        fn a_shared_end_is_near_enough_and_seldom_another(now_s in 0u64..4_000_000_000, most in 2u64..1_000_000) {
            let end = shared_end(now_s, Duration::from_secs(most));
            prop_assert!(end - now_s <= most && end - now_s >= most / 2, "{}", end - now_s);
            let next = shared_end(now_s + 1, Duration::from_secs(most));
            prop_assert!(next == end || (now_s + 1) % (most / 2) == 0);
        }

        #[test]
        fn nothing_at_all_verifies(path in ".*", expires in ".*", given in ".*") {
            prop_assert!(keys(&["key"]).verify(&path, &expires, &given, 0).is_err());
        }
    }
}
