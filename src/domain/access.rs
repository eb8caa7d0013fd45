//! Who may use the web server: tokens, and the sessions that a browser gets for one.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::seal::{is_seal, seal};

/// Tokens that are valid at once, while one replaces another. Kept as digests: all have one length, and none can be
/// shown by mistake.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens(Vec<[u8; 32]>);

impl Tokens {
    pub fn new<'t>(tokens: impl IntoIterator<Item = &'t str>) -> Self {
        Self(tokens.into_iter().map(|token| digest(token.as_bytes())).collect())
    }

    /// Nobody is asked for one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the same time whichever token it is, and however much of it is right.
    pub fn admit(&self, given: &[u8]) -> bool {
        let given = digest(given);
        self.0.iter().fold(Choice::from(0), |found, token| found | token.ct_eq(&given)).into()
    }

    /// What a browser keeps instead of the token: good until then, or until the token is withdrawn. `None` without
    /// tokens.
    pub fn session(&self, until_s: u64) -> Option<String> {
        let text = session_text(until_s);
        self.0.first().map(|token| format!("{until_s}.{}", seal(token, &text)))
    }

    /// Until when this session is good; `None`: it is not.
    pub fn session_until(&self, given: &str, now_s: u64) -> Option<u64> {
        let (until, sealed) = given.split_once('.')?;
        let until_s = until.parse::<u64>().ok().filter(|until_s| *until_s > now_s)?;
        let text = session_text(until_s);
        self.0.iter().any(|token| is_seal(token, &text, sealed)).then_some(until_s)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn session_text(until_s: u64) -> String {
    format!("edge-agent session 1\n{until_s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_two_tokens_is_good_and_nothing_else() {
        let tokens = Tokens::new(["the-new-one", "the-old-one"]);
        for good in ["the-new-one", "the-old-one"] {
            assert!(tokens.admit(good.as_bytes()));
        }
        for bad in ["", "the-new-on", "the-new-onee", "The-new-one", "the-new-one ", "the-new-onethe-old-one"]
        {
            assert!(!tokens.admit(bad.as_bytes()), "{bad:?}");
        }
        assert!(!Tokens::default().admit(b""), "no token is not an empty one");
    }

    #[test]
    fn a_session_ends_with_its_time_or_its_token() {
        let tokens = Tokens::new(["new", "old"]);
        let session = tokens.session(1000).unwrap();
        assert!(!session.contains("new"));
        assert_eq!(tokens.session_until(&session, 999), Some(1000));
        assert_eq!(tokens.session_until(&session, 1000), None);
        let longer = session.replacen("1000", "2000", 1);
        assert_eq!(tokens.session_until(&longer, 999), None, "its end is sealed");
        assert_eq!(Tokens::new(["newer", "new"]).session_until(&session, 0), Some(1000));
        assert_eq!(Tokens::new(["newer"]).session_until(&session, 0), None);
        for bad in ["", ".", "1000", "1000.", ".x", "99999999999999999999.00"] {
            assert_eq!(tokens.session_until(bad, 0), None, "{bad:?}");
        }
        assert_eq!(Tokens::default().session(1000), None);
    }

    #[test]
    fn what_is_shown_of_tokens_is_their_number() {
        assert_eq!(format!("{:?}", Tokens::new(["a", "b"])), "Tokens(2)");
    }
}
