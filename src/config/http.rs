//! The `http` section: where the web server listens, and who may use it.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::adhoc;
use super::model::HttpConfig;
use super::read::{Field, Given, Reader, Section};
use super::usual_env;

pub(super) const KEYS: &[&str] = &[
    "listen",
    "token",
    "token_file",
    "signing_keys",
    "signing_keys_file",
    "sign_max",
    "requests_per_second",
    "streams",
    adhoc::ALLOW,
    adhoc::SECTION,
];

/// One that is used, and one that it replaces.
const MOST: usize = 2;
const LEAST_TOKEN: usize = 16;
const LEAST_KEY: usize = 32;

const SIGN_MAX: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(7 * 24 * 3600);
/// One viewer of parts takes ten.
const REQUESTS: RangeInclusive<u32> = 10..=100_000;

pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<HttpConfig> {
    let section = reader.section(field)?;
    reader.refuse_unknown(&section, KEYS, None);
    let has_token = section.has("token") || section.has("token_file");
    let of_port = if section.has("listen") { None } else { usual_env::address(reader, has_token) };
    if of_port.is_none() {
        reader.require(&section, "listen", "give an address, e.g. 127.0.0.1:8080");
    }
    let address = |text: &str| {
        text.parse::<SocketAddr>().map_err(|_| "is not an IP address with a port; use e.g. 127.0.0.1:8080")
    };
    let of_port = of_port.map(|listen| Given { value: listen, spot: section.spot_of("listen") });
    let listen = reader.parsed(&section, "listen", address).or(of_port);
    let tokens = tokens(reader, &section);
    let signing_keys = signing_keys(reader, &section);
    let sign_max = reader.duration(&section, "sign_max", SIGN_MAX);
    let requests = reader.integer(&section, "requests_per_second", REQUESTS);
    let streams = reader.boolean(&section, "streams").unwrap_or(true);
    let adhoc = adhoc::read(reader, &section);
    let Given { value: listen, spot } = listen?;
    let usual = HttpConfig::at(listen);
    let sign_max = sign_max.map_or(usual.sign_max, |given| given.value);
    let requests_per_second = requests.map_or(usual.requests_per_second, |given| given.value);
    let http = HttpConfig { listen, tokens, signing_keys, sign_max, requests_per_second, streams, adhoc };
    // A token that is no good has its own fault.
    if !http.is_local() && !has_token {
        let own = format!("listen on 127.0.0.1:{}", listen.port());
        let mend = format!("add `token` (${{NAME}}) or `token_file` below `http`, or {own}");
        reader
            .fault(&spot, format!("{listen} can be reached by other machines, which needs a token; {mend}"));
    }
    Some(http)
}

fn tokens(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<SecretString> {
    let tokens = reader.secrets(section, "token", MOST);
    for token in &tokens {
        if let Err(problem) = fit_for_a_header(token.value.expose_secret()) {
            reader.fault(&token.spot, problem);
        }
    }
    tokens.into_iter().map(|token| token.value).collect()
}

fn signing_keys(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<SecretString> {
    let keys = reader.secrets(section, "signing_keys", MOST);
    for key in keys.iter().filter(|key| key.value.expose_secret().len() < LEAST_KEY) {
        reader.fault(&key.spot, format!("is too short, {LEAST_KEY} characters at least; {MEND}"));
    }
    keys.into_iter().map(|key| key.value).collect()
}

const MEND: &str = "make one with `openssl rand -hex 32`";

/// RFC 6750, 2.1.
pub(super) fn fit_for_a_header(token: &str) -> Result<(), String> {
    if token.len() < LEAST_TOKEN {
        return Err(format!("is too short, {LEAST_TOKEN} characters at least; {MEND}"));
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if token.bytes().all(fits) {
        Ok(())
    } else {
        Err(format!("has characters other than letters, digits and `-._~+/=`; {MEND}"))
    }
}
