//! Where a camera may be that a caller names: this agent connects from inside a network, so what it reaches is more than
//! its callers may. Pure: names are looked up elsewhere, and every address that was found is judged here.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Why no connection is made. Holds nothing of the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the host is not among `http.adhoc.hosts`")]
    Host,
    #[error("the host is no plain name or address; write an IPv4 address as four decimal numbers")]
    Spelling,
    #[error("the address is of this machine itself; only an entry of `http.adhoc.networks` opens it")]
    Own,
    #[error(
        "the address is of the machine's own link (link-local); only an entry of `http.adhoc.networks` opens it"
    )]
    Link,
    #[error("the address is none that a camera can have")]
    Special,
    #[error("the address is not in `http.adhoc.networks`")]
    Network,
    #[error("the address is a private one, and `http.adhoc.private_addresses` is off")]
    Private,
}

/// Addresses that begin alike: `192.168.10.0/24`, `fd00::/8`, or one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// IPv4 ones as IPv4-mapped.
    first: u128,
    /// Of 128 bits.
    length: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a network; use e.g. 192.168.10.0/24, fd00:1::/64 or one address")]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (ip, length) = text.split_once('/').map_or((text, None), |(ip, length)| (ip, Some(length)));
        let ip: IpAddr = ip.parse().map_err(|_| NotANetwork)?;
        let (most, before) = if ip.is_ipv4() { (32, 96) } else { (128, 0) };
        let length = length.map_or(Ok(most), str::parse::<u32>).map_err(|_| NotANetwork)?;
        let first = bits(ip);
        let network = Self { first, length: before + length };
        let is_good = length <= most && first & !network.mask() == 0;
        is_good.then_some(network).ok_or(NotANetwork)
    }
}

impl Network {
    fn mask(self) -> u128 {
        // A shift by all bits is none.
        u128::MAX.checked_shl(128 - self.length).unwrap_or(0)
    }

    fn contains(self, ip: IpAddr) -> bool {
        // `::/0` is all of IPv6.
        (ip.is_ipv6() || self.length >= 96) && bits(ip) & self.mask() == self.first
    }

    /// All of it, so whoever wrote it down meant it.
    fn is_within(self, (first, length): (u128, u32)) -> bool {
        self.length >= length && Self { first, length }.mask() & self.first == first
    }

    fn is_one_address(self) -> bool {
        self.length == 128
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u32) -> (u128, u32) {
    (Ipv4Addr::new(a, b, c, d).to_ipv6_mapped().to_bits(), 96 + length)
}

const fn v6(a: u16, b: u16, c: u16, length: u32) -> (u128, u32) {
    (Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_bits(), length)
}

const LOOPBACK: [(u128, u32); 2] = [v4(127, 0, 0, 0, 8), (1, 128)];
const LINK: [(u128, u32); 2] = [v4(169, 254, 0, 0, 16), v6(0xfe80, 0, 0, 10)];
/// Where clouds tell machines their secrets: no entry opens these.
const METADATA: [(u128, u32); 5] = [
    v4(169, 254, 169, 254, 32),
    v4(100, 100, 100, 200, 32),
    v4(168, 63, 129, 16, 32),
    v4(192, 0, 0, 192, 32),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254).to_bits(), 128),
];
/// No camera has one, and some lead elsewhere: no entry opens these.
const SPECIAL: [(u128, u32); 20] = [
    v4(0, 0, 0, 0, 8),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    // Multicast, reserved, broadcast.
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // Unspecified, and IPv4 addresses in older clothes.
    v6(0, 0, 0, 96),
    // NAT64, as is and local.
    v6(0x64, 0xff9b, 0, 96),
    v6(0x64, 0xff9b, 1, 48),
    // Translation of IPv4 (RFC 2765).
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0).to_bits(), 96),
    v6(0x100, 0, 0, 64),
    // Teredo and other protocols', 6to4: IPv4 inside.
    v6(0x2001, 0, 0, 23),
    v6(0x2001, 0xdb8, 0, 32),
    v6(0x2002, 0, 0, 16),
    v6(0x3fff, 0, 0, 20),
    // Once "site-local".
    v6(0xfec0, 0, 0, 10),
    v6(0xff00, 0, 0, 8),
];
const PRIVATE: [(u128, u32); 5] = [
    v4(10, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    // Behind a carrier's NAT.
    v4(100, 64, 0, 0, 10),
    v6(0xfc00, 0, 0, 7),
];

fn is_in(ip: IpAddr, list: &[(u128, u32)]) -> bool {
    list.iter().any(|(first, length)| Network { first: *first, length: *length }.contains(ip))
}

/// What a host in a URL is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Ip(IpAddr),
    /// To be looked up.
    Name(String),
}

/// What the configuration allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Names, `*.name` for all below one, and addresses; empty: any.
    pub hosts: Vec<String>,
    /// Empty: any, but for this machine and its link.
    pub networks: Vec<Network>,
    /// Also addresses of private networks, where cameras usually are.
    pub private: bool,
}

impl Default for Reach {
    fn default() -> Self {
        Self { hosts: Vec::new(), networks: Vec::new(), private: true }
    }
}

impl Reach {
    /// `host` is as in a URL, an IPv6 address in brackets.
    ///
    /// # Errors
    /// It is not allowed, or spelled in a way that others may read otherwise.
    pub fn host(&self, host: &str) -> Result<Host, Refused> {
        let found = spelled(host)?;
        let is_allowed = self.hosts.is_empty() || self.hosts.iter().any(|allowed| found.is_like(allowed));
        is_allowed.then_some(found).ok_or(Refused::Host)
    }

    /// `is_own`: one of this machine's own addresses.
    ///
    /// # Errors
    /// It is not allowed.
    pub fn address(&self, ip: IpAddr, is_own: bool) -> Result<(), Refused> {
        let ip = ip.to_canonical();
        let named = |list: &[(u128, u32)]| {
            let is_meant = |network: &Network| list.iter().any(|special| network.is_within(*special));
            self.networks.iter().any(|network| network.contains(ip) && is_meant(network))
        };
        let is_loopback = is_in(ip, &LOOPBACK);
        if is_in(ip, &METADATA) || (is_in(ip, &SPECIAL) && !is_loopback) {
            return Err(Refused::Special);
        }
        if is_loopback {
            return if named(&LOOPBACK) { Ok(()) } else { Err(Refused::Own) };
        }
        if is_in(ip, &LINK) {
            return if named(&LINK) { Ok(()) } else { Err(Refused::Link) };
        }
        let alone = |network: &Network| network.is_one_address() && network.contains(ip);
        if is_own && !self.networks.iter().any(alone) {
            return Err(Refused::Own);
        }
        if !self.private && is_in(ip, &PRIVATE) {
            return Err(Refused::Private);
        }
        let is_inside = self.networks.is_empty() || self.networks.iter().any(|network| network.contains(ip));
        if is_inside { Ok(()) } else { Err(Refused::Network) }
    }
}

impl Host {
    fn is_like(&self, allowed: &str) -> bool {
        match self {
            Self::Ip(ip) => allowed.parse() == Ok(*ip),
            Self::Name(name) => match allowed.strip_prefix("*.") {
                Some(parent) => {
                    let below = name.len().checked_sub(parent.len() + 1);
                    below.is_some_and(|at| at > 0 && name[at..].eq_ignore_ascii_case(&format!(".{parent}")))
                }
                None => name.eq_ignore_ascii_case(allowed),
            },
        }
    }
}

/// Resolvers take `0x7f.1`, `017700000001` and `2130706433` for addresses; here only four decimal numbers are one.
fn spelled(host: &str) -> Result<Host, Refused> {
    if let Some(v6) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return v6.parse().map(|ip: Ipv6Addr| Host::Ip(ip.into())).map_err(|_| Refused::Spelling);
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    // A name whose last label is a number is one for no resolver (WHATWG's "ends in a number").
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_hex = last.strip_prefix("0x").or(last.strip_prefix("0X")).is_some();
    let is_number = last.bytes().all(|b| b.is_ascii_digit()) || is_hex;
    let is_name = name.len() <= 253 && name.split('.').all(is_label) && !name.starts_with('-') && !is_number;
    if is_name { Ok(Host::Name(name.to_ascii_lowercase())) } else { Err(Refused::Spelling) }
}

/// For the configuration.
///
/// # Errors
/// It is none that a host could be like.
pub fn allowed_host(text: &str) -> Result<String, &'static str> {
    const BAD: &str = "is not a host; use e.g. cam.example.com, *.example.com or 192.168.10.7";
    if text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    match spelled(name) {
        Ok(Host::Name(_)) => Ok(text.trim_end_matches('.').to_ascii_lowercase()),
        _ => Err(BAD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(hosts: &[&str], networks: &[&str]) -> Reach {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        Reach { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), networks, private: true }
    }

    fn judged(reach: &Reach, ip: &str) -> Result<(), Refused> {
        reach.address(ip.parse().unwrap(), false)
    }

    #[test]
    fn addresses_that_no_camera_has_are_refused_in_every_dress() {
        let open = reach(&[], &["0.0.0.0/0", "::/0"]);
        for (ip, why) in [
            ("127.0.0.1", Refused::Own),
            ("127.255.255.254", Refused::Own),
            ("::1", Refused::Own),
            ("::ffff:127.0.0.1", Refused::Own),
            ("169.254.1.1", Refused::Link),
            ("fe80::1", Refused::Link),
            ("169.254.169.254", Refused::Special),
            ("::ffff:169.254.169.254", Refused::Special),
            ("fd00:ec2::254", Refused::Special),
            ("100.100.100.200", Refused::Special),
            ("168.63.129.16", Refused::Special),
            ("0.0.0.0", Refused::Special),
            ("0.1.2.3", Refused::Special),
            ("::", Refused::Special),
            ("::ffff:0.0.0.0", Refused::Special),
            ("::127.0.0.1", Refused::Special),
            ("::10.0.0.9", Refused::Special),
            ("224.0.0.1", Refused::Special),
            ("239.255.255.250", Refused::Special),
            ("240.0.0.1", Refused::Special),
            ("255.255.255.255", Refused::Special),
            ("ff02::1", Refused::Special),
            ("64:ff9b::7f00:1", Refused::Special),
            ("64:ff9b::a9fe:a9fe", Refused::Special),
            ("64:ff9b:1::1", Refused::Special),
            ("::ffff:0:127.0.0.1", Refused::Special),
            ("2002:7f00:1::1", Refused::Special),
            ("2001:0:1::1", Refused::Special),
            ("2001:db8::1", Refused::Special),
            ("fec0::1", Refused::Special),
            ("100::1", Refused::Special),
            ("198.18.0.1", Refused::Special),
            ("192.0.2.1", Refused::Special),
        ] {
            assert_eq!(judged(&Reach::default(), ip), Err(why), "{ip}");
            assert_eq!(judged(&open, ip), Err(why), "{ip}: a network of everything means none of these");
        }
    }

    #[test]
    fn cameras_are_on_private_and_public_addresses() {
        for ip in
            ["10.0.0.9", "172.31.0.1", "192.168.1.64", "100.64.0.1", "fd12::1", "93.184.216.34", "2606::1"]
        {
            assert_eq!(judged(&Reach::default(), ip), Ok(()), "{ip}");
        }
        let public = Reach { private: false, ..Reach::default() };
        for ip in ["10.0.0.9", "172.16.0.1", "192.168.1.64", "100.64.0.1", "fd12::1", "::ffff:10.0.0.9"] {
            assert_eq!(judged(&public, ip), Err(Refused::Private), "{ip}");
        }
        assert_eq!(judged(&public, "93.184.216.34"), Ok(()));
    }

    #[test]
    fn networks_narrow_and_open_what_they_name() {
        let shop = reach(&[], &["192.168.10.0/24", "fd00:1::/64", "10.0.0.9"]);
        for ip in ["192.168.10.1", "::ffff:192.168.10.255", "fd00:1::7", "10.0.0.9"] {
            assert_eq!(judged(&shop, ip), Ok(()), "{ip}");
        }
        for ip in ["192.168.11.1", "fd00:2::1", "10.0.0.8", "8.8.8.8"] {
            assert_eq!(judged(&shop, ip), Err(Refused::Network), "{ip}");
        }
        let here = reach(&[], &["127.0.0.0/8", "169.254.0.0/16"]);
        assert_eq!(judged(&here, "127.0.0.1"), Ok(()));
        assert_eq!(judged(&here, "169.254.7.7"), Ok(()));
        assert_eq!(judged(&here, "169.254.169.254"), Err(Refused::Special), "no entry opens that");
        assert_eq!(judged(&here, "::1"), Err(Refused::Own));
        assert_eq!(judged(&reach(&[], &["::1"]), "::1"), Ok(()));
        assert_eq!(
            judged(&reach(&[], &["126.0.0.0/7"]), "127.0.0.1"),
            Err(Refused::Own),
            "too wide to mean it"
        );
    }

    #[test]
    fn the_agents_own_addresses_are_opened_one_by_one() {
        let own = "192.168.10.2".parse().unwrap();
        assert_eq!(Reach::default().address(own, true), Err(Refused::Own));
        assert_eq!(reach(&[], &["192.168.10.0/24"]).address(own, true), Err(Refused::Own));
        assert_eq!(reach(&[], &["192.168.10.2"]).address(own, true), Ok(()));
    }

    #[test]
    fn odd_spellings_of_addresses_are_no_hosts() {
        for host in [
            "0x7f.1",
            "0x7f000001",
            "0X7F000001",
            "127.1",
            "127.0.1",
            "2130706433",
            "017700000001",
            "0177.0.0.1",
            "127.0.0.01",
            "127.0.0.1.",
            "1.2.3.4.5",
            "256.1.1.1",
            "a.0x7f",
            "a.b.1",
            "%31%32%37.0.0.1",
            "127。0。0。1",
            "[::1%25eth0]",
            "[fe80::1%eth0]",
            "[127.0.0.1]",
            "[::1",
            "",
            ".",
            "a..b",
            "a b",
            "-rtsp_transport",
            "a\\b",
            "a@b",
            "a/b",
            "a:b",
        ] {
            assert_eq!(Reach::default().host(host), Err(Refused::Spelling), "{host}");
        }
        let ip = |text: &str| Ok(Host::Ip(text.parse().unwrap()));
        assert_eq!(Reach::default().host("127.0.0.1"), ip("127.0.0.1"));
        assert_eq!(Reach::default().host("[::ffff:7f00:1]"), ip("::ffff:127.0.0.1"));
        assert_eq!(Reach::default().host("Cam-1.example.com."), Ok(Host::Name("cam-1.example.com".into())));
    }

    #[test]
    fn hosts_are_allowed_by_name_or_below_one() {
        let reach = reach(&["nvr.example.com", "*.cams.example.com", "10.0.0.9"], &[]);
        for host in ["NVR.example.com", "a.cams.example.com", "a.b.cams.example.com.", "10.0.0.9"] {
            assert!(reach.host(host).is_ok(), "{host}");
        }
        for host in
            ["example.com", "cams.example.com", "xcams.example.com", "nvr.example.com.evil.org", "10.0.0.8"]
        {
            assert_eq!(reach.host(host), Err(Refused::Host), "{host}");
        }
        for good in ["*.example.com", "cam", "10.0.0.9", "fd00::1"] {
            assert!(allowed_host(good).is_ok(), "{good}");
        }
        for bad in ["", "*", "*.", "rtsp://cam", "cam:554", "10.0.0.0/8", "a b", "*.*.com"] {
            assert!(allowed_host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in
            ["", "10.0.0.0/33", "10.0.0.1/24", "::/129", "x", "10.0.0.0/", "10.0.0.0/-1", "fe80::1%1/64"]
        {
            assert_eq!(bad.parse::<Network>(), Err(NotANetwork), "{bad}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()) && !all.contains("2606::1".parse().unwrap()));
        assert!("::/0".parse::<Network>().unwrap().contains("2606::1".parse().unwrap()));
    }
}
