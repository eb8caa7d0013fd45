//! HMAC-SHA256 over a text, in hexadecimal digits.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const BYTES: usize = 32;

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac
}

pub(super) fn seal(key: &[u8], text: &str) -> String {
    let bytes = mac(key, text).finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Takes the same time wherever the first difference is.
pub(super) fn is_seal(key: &[u8], text: &str, given: &str) -> bool {
    bytes(given).is_some_and(|bytes| mac(key, text).verify_slice(&bytes).is_ok())
}

fn bytes(digits: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    if digits.len() != 2 * BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| match pair[at] {
            // One way to write it: no second name for one object in a cache.
            b'A'..=b'F' => None,
            digit => char::from(digit).to_digit(16),
        };
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hmac_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(seal(b"Jefe", "what do ya want for nothing?"), expected);
        assert!(is_seal(b"Jefe", "what do ya want for nothing?", expected));
    }

    #[test]
    fn nothing_else_is_one() {
        let good = seal(b"key", "text");
        assert!(is_seal(b"key", "text", &good));
        assert!(!is_seal(b"key2", "text", &good) && !is_seal(b"key", "text2", &good));
        let (short, long) = (&good[1..], format!("{good}0"));
        let other = if good.starts_with('0') { "1" } else { "0" };
        let (last, odd) = (format!("{other}{}", &good[1..]), format!("é{}", &good[2..]));
        for bad in ["", short, &long, &last, &odd, &good.to_uppercase(), &"+".repeat(64), &"g".repeat(64)] {
            assert!(!is_seal(b"key", "text", bad), "{bad}");
        }
    }
}
