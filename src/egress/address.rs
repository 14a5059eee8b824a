//! Which addresses a name may lead to: the outside, and nothing that is a host's, a network's or a cloud's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the internet.
    Public,
    /// In a private network: open to rules that say so.
    Private,
    /// Nobody's to reach: this machine, link-local and multicast addresses, and those where clouds give out credentials.
    Shut,
}

/// Addresses where clouds answer their machines, beside the link-local ones: Alibaba, Azure, Oracle (their manuals, November 2026).
const METADATA: &[Ipv4Addr] =
    &[Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// The same over IPv6: Scaleway and Google.
const METADATA_V6: &[Ipv6Addr] =
    &[Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Returns what kind of place an address is. An IPv6 address that holds an IPv4 address is that one.
pub fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => place_v4(address),
        IpAddr::V6(address) => place_v6(address),
    }
}

fn place_v4(address: Ipv4Addr) -> Place {
    let [first, second, third, _] = address.octets();
    let is_shut = address.is_unspecified()
        || first == 0
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || first >= 240
        || METADATA.contains(&address);
    // Shared space of carriers, protocol assignments, documentation, 6to4 relays, benchmarks.
    let is_private = address.is_private()
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && matches!(third, 0 | 2))
        || (first == 192 && second == 88 && third == 99)
        || (first == 198 && matches!(second, 18 | 19))
        || (first == 198 && second == 51 && third == 100)
        || (first == 203 && second == 0 && third == 113);
    match (is_shut, is_private) {
        (true, _) => Place::Shut,
        (false, true) => Place::Private,
        (false, false) => Place::Public,
    }
}

fn place_v6(address: Ipv6Addr) -> Place {
    if let Some(inner) = embedded(address) {
        return place_v4(inner);
    }
    let [first, second, ..] = address.segments();
    let is_shut = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || first & 0xffc0 == 0xfe80
        // Amazon's: instances and pods have their credentials there.
        || address.segments()[..2] == [0xfd00, 0xec2]
        || METADATA_V6.contains(&address);
    // Unique local, the old site-local, documentation, Teredo; whatever else is no global unicast address.
    let is_private = first & 0xe000 != 0x2000 || (first == 0x2001 && matches!(second, 0 | 0xdb8));
    match (is_shut, is_private) {
        (true, _) => Place::Shut,
        (false, true) => Place::Private,
        (false, false) => Place::Public,
    }
}

/// Returns the IPv4 address inside an IPv6 one: mapped, compatible, 6to4, or NAT64's.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let of = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] if high != 0 || low > 1 => Some(of(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

/// A block of IPv4 addresses, `10.1.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    base: u32,
    mask: u32,
}

impl Block {
    /// Returns the block of a text.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, length) = text.split_once('/')?;
        let length = length.parse::<u32>().ok().filter(|length| *length <= 32)?;
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        Some(Self { base: u32::from(base.parse::<Ipv4Addr>().ok()?) & mask, mask })
    }

    /// Returns whether an address, or the IPv4 address inside it, is one of the block's.
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(address) => embedded(address),
        };
        address.is_some_and(|address| u32::from(address) & self.mask == self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internet_is_public() {
        let rows = [
            ("1.1.1.1", Place::Public),
            ("140.82.121.5", Place::Public),
            ("2606:4700:4700::1111", Place::Public),
            ("10.0.0.1", Place::Private),
            ("172.16.0.1", Place::Private),
            ("172.32.0.1", Place::Public),
            ("192.168.1.1", Place::Private),
            ("100.64.0.1", Place::Private),
            ("100.128.0.1", Place::Public),
            ("198.18.0.1", Place::Private),
            ("fc00::1", Place::Private),
            ("2001:db8::1", Place::Private),
            ("2001:0:1::1", Place::Private),
            ("127.0.0.1", Place::Shut),
            ("127.8.8.8", Place::Shut),
            ("0.0.0.0", Place::Shut),
            ("0.1.2.3", Place::Shut),
            ("169.254.169.254", Place::Shut),
            ("169.254.170.2", Place::Shut),
            ("100.100.100.200", Place::Shut),
            ("168.63.129.16", Place::Shut),
            ("192.0.0.192", Place::Shut),
            ("224.0.0.1", Place::Shut),
            ("255.255.255.255", Place::Shut),
            ("240.0.0.1", Place::Shut),
            ("::", Place::Shut),
            ("::1", Place::Shut),
            ("fe80::1", Place::Shut),
            ("fd00:ec2::254", Place::Shut),
            ("fd00:ec2::23", Place::Shut),
            ("fd00:42::42", Place::Shut),
            ("fd20:ce::254", Place::Shut),
            ("ff02::1", Place::Shut),
            ("::ffff:127.0.0.1", Place::Shut),
            ("::ffff:10.0.0.1", Place::Private),
            ("::ffff:1.1.1.1", Place::Public),
            ("::127.0.0.1", Place::Shut),
            ("64:ff9b::a9fe:a9fe", Place::Shut),
            ("2002:7f00:1::", Place::Shut),
            ("2002:a00:1::", Place::Private),
        ];
        for (text, wanted) in rows {
            assert_eq!(place(text.parse().expect("an address")), wanted, "{text}");
        }
    }

    #[test]
    fn a_block_holds_its_addresses() {
        let block = Block::parse("10.210.4.0/22").expect("a block");
        let holds = |text: &str| block.holds(text.parse().expect("an address"));
        assert!(holds("10.210.4.0") && holds("10.210.7.255") && holds("::ffff:10.210.5.1"));
        assert!(!holds("10.210.8.0") && !holds("10.210.3.255") && !holds("2606::1"));
        assert!(Block::parse("0.0.0.0/0").expect("all").holds("9.9.9.9".parse().expect("an address")));
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0/8"] {
            assert_eq!(Block::parse(bad), None, "{bad}");
        }
    }
}
