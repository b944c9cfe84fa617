//! Which addresses anyone may make us connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Public addresses, and the exceptions of the settings.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    allowed: Vec<IpNet>,
    denied: Vec<IpNet>,
}

impl Addresses {
    /// All public addresses and those `allowed`, but none of those `denied`.
    pub const fn new(allowed: Vec<IpNet>, denied: Vec<IpNet>) -> Self {
        Self { allowed, denied }
    }

    /// Whether the settings name an address as one that may be connected to.
    pub fn exempts(&self, address: IpAddr) -> bool {
        self.admit(address) && self.allowed.iter().any(|net| net.contains(&address.to_canonical()))
    }

    /// Whether an address may be connected to.
    pub fn admit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        !within(&self.denied) && (within(&self.allowed) || is_public(address))
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Everything but the IANA's special purpose addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a >= 240
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // Carriers' own networks; protocol assignments; the old relay for 6to4; benchmarks.
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18))
}

/// Global unicast, without what leads to an address of the older kind that isn't public.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let groups = address.segments();
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match groups {
        // NAT64 and 6to4 carry the other address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => inner(high, low),
        // Teredo and other protocol assignments; documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_refused_in_every_spelling() {
        let addresses = Addresses::default();
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!addresses.admit(address.parse().unwrap()), "{address}");
        }
        for address in ["1.1.1.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"] {
            assert!(addresses.admit(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn the_settings_make_exceptions() {
        let nets = |text: &str| vec![text.parse().unwrap()];
        let addresses = Addresses::new(nets("127.0.0.0/8"), nets("127.0.0.9/32"));
        assert!(addresses.admit("127.0.0.1".parse().unwrap()));
        assert!(addresses.admit("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!addresses.admit("127.0.0.9".parse().unwrap()));
        assert!(!addresses.admit("10.0.0.1".parse().unwrap()));
    }
}
