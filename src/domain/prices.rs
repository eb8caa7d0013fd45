//! What storages charge for requests: enough to tell what a stream costs a month. Traffic to viewers and what lies there
//! are not in it.

use super::requests::Rate;

/// Dollars for a million requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// `PUT` and `LIST`.
    pub write: f64,
    /// `GET`.
    pub read: f64,
}

/// As their price lists had it in August 2026; Amazon's of us-east-1.
pub const AMAZON: Prices = Prices { write: 5.0, read: 0.4 };
pub const CLOUDFLARE: Prices = Prices { write: 4.5, read: 0.36 };
pub const GOOGLE: Prices = Prices { write: 5.0, read: 0.4 };
/// Backblaze, Wasabi, Supabase.
pub const NO_FEE: Prices = Prices { write: 0.0, read: 0.0 };

const HOSTS: [(&str, Prices); 5] = [
    ("amazonaws.com", AMAZON),
    ("r2.cloudflarestorage.com", CLOUDFLARE),
    ("storage.googleapis.com", GOOGLE),
    ("backblazeb2.com", NO_FEE),
    ("wasabisys.com", NO_FEE),
];

const DAYS: f64 = 30.0;
const SECONDS_OF_MONTH: f64 = DAYS * 86_400.0;

impl Prices {
    /// Of an S3 endpoint; `None`: nothing is known of it.
    pub fn of_host(host: &str) -> Option<Self> {
        let is_of = |domain: &str| {
            host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        HOSTS.iter().find(|(domain, _)| is_of(domain)).map(|(_, prices)| *prices)
    }

    /// Dollars in 30 days.
    pub fn per_month(&self, rate: Rate) -> f64 {
        (rate.writes * self.write + rate.reads * self.read) * SECONDS_OF_MONTH / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_writes_in_two_seconds_cost_thirteen_dollars_at_amazon() {
        let rate = Rate { writes: 1.0, reads: 0.0 };
        assert!((AMAZON.per_month(rate) - 12.96).abs() < 1e-9);
        assert!((CLOUDFLARE.per_month(rate) - 11.664).abs() < 1e-9);
        assert_eq!(NO_FEE.per_month(rate), 0.0);
        let reads = Rate { writes: 0.0, reads: 1.0 };
        assert!((AMAZON.per_month(reads) - 1.0368).abs() < 1e-9);
    }

    #[test]
    fn a_provider_is_known_by_its_domain() {
        assert_eq!(Prices::of_host("0123.eu.r2.cloudflarestorage.com"), Some(CLOUDFLARE));
        assert_eq!(Prices::of_host("storage.googleapis.com"), Some(GOOGLE));
        assert_eq!(Prices::of_host("s3.eu-central-1.amazonaws.com"), Some(AMAZON));
        assert_eq!(Prices::of_host("s3.us-west-002.backblazeb2.com"), Some(NO_FEE));
        for unknown in ["minio.lan", "127.0.0.1", "notamazonaws.com", "amazonaws.com.example"] {
            assert_eq!(Prices::of_host(unknown), None, "{unknown}");
        }
    }
}
