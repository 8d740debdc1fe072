//! Where a delivery may go: https to public addresses, and what the operator has allowed.
//!
//! The URL is parsed by the WHATWG rules, which turn every spelling of an IPv4 literal (decimal,
//! octal, hex, short) into the address itself. Names are resolved here, every address is judged
//! after resolving, and the connection goes to exactly the address that was judged: a name that
//! answers differently the next time changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use super::resolve::Resolve;

/// A network that the operator has allowed, such as `127.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// What is allowed besides public addresses.
#[derive(Clone, Debug, Default)]
pub struct TargetPolicy {
    /// Networks that may be reached although they are not public.
    pub networks: Vec<Network>,
}

/// A URL whose form is acceptable; whether its addresses are is judged at each delivery.
#[derive(Clone, Debug)]
pub struct Target {
    url: Url,
    port: u16,
}

/// Why a delivery does not go there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetRefusal {
    /// It is no URL.
    #[error("it is no URL: {0}")]
    NotAUrl(String),
    /// Neither https, nor http to an allowed loopback address.
    #[error("its scheme is `{0}`: only https is allowed")]
    Scheme(String),
    /// It names a user.
    #[error("it carries a user name or a password")]
    UserInfo,
    /// It has no host.
    #[error("it names no host")]
    NoHost,
    /// The address is not public.
    #[error("the address {0} is not public, and its network was not allowed")]
    NotPublic(IpAddr),
    /// http to what is not an allowed loopback address.
    #[error("http goes to allowed loopback addresses only")]
    PlainHttp,
    /// The name has no address.
    #[error("the name cannot be resolved: {0}")]
    Unresolved(String),
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no network such as `127.0.0.0/8`");
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits: u8 = bits.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if bits > longest {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits);
                let cut = |address: Ipv4Addr| u32::from(address).checked_shr(shift).unwrap_or(0);
                cut(network) == cut(address)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits);
                let cut = |address: Ipv6Addr| u128::from(address).checked_shr(shift).unwrap_or(0);
                cut(network) == cut(address)
            }
            _ => false,
        }
    }
}

impl TargetPolicy {
    /// The address itself if it may be reached; a v4-mapped one counts as the IPv4 that it is.
    ///
    /// # Errors
    /// When it is neither public nor allowed.
    pub fn judge(&self, address: IpAddr) -> Result<IpAddr, TargetRefusal> {
        let address = address.to_canonical();
        let allowed = self
            .networks
            .iter()
            .any(|network| network.contains(address));
        if allowed || is_public(address) {
            return Ok(address);
        }
        Err(TargetRefusal::NotPublic(address))
    }
}

/// Whether an address is one of the public Internet (IANA special-purpose registries).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (b == 18 || b == 19))
                || a >= 224)
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            // Only global unicast, without what carries another address inside or is set apart:
            // 2001::/23 (Teredo and others), 2001:db8::/32, 2002::/16 (6to4), 3fff::/20.
            a & 0xe000 == 0x2000
                && !(a == 0x2001 && (b < 0x0200 || b == 0x0db8))
                && a != 0x2002
                && !(a == 0x3fff && b < 0x1000)
        }
    }
}

impl Target {
    /// Checks the form of a URL; a literal address is judged at once.
    ///
    /// # Errors
    /// When nothing will ever be delivered there.
    pub fn parse(text: &str, policy: &TargetPolicy) -> Result<Self, TargetRefusal> {
        let url = Url::parse(text).map_err(|error| TargetRefusal::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(TargetRefusal::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetRefusal::UserInfo);
        }
        let literal = match url.host() {
            None => return Err(TargetRefusal::NoHost),
            Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            Some(Host::Domain(_)) => None,
        };
        let judged = literal.map(|address| policy.judge(address)).transpose()?;
        if url.scheme() == "http" && !judged.is_some_and(|address| address.is_loopback()) {
            return Err(TargetRefusal::PlainHttp);
        }
        let port = url.port_or_known_default().ok_or(TargetRefusal::NoHost)?;
        Ok(Self { url, port })
    }

    /// The URL in its normal form.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it is https.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The name for SNI and the certificate, and for the `Host` header.
    #[must_use]
    pub fn host(&self) -> String {
        self.url
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned()
    }

    /// The addresses that may be connected to; one that is not allowed spoils all of them.
    ///
    /// # Errors
    /// When the name has no address, or one that is not public.
    pub async fn resolve(
        &self,
        resolver: &dyn Resolve,
        policy: &TargetPolicy,
    ) -> Result<Vec<SocketAddr>, TargetRefusal> {
        let found = resolver
            .resolve(&self.host(), self.port)
            .await
            .map_err(|error| TargetRefusal::Unresolved(error.to_string()))?;
        let judged: Vec<SocketAddr> = found
            .into_iter()
            .map(|address| Ok(SocketAddr::new(policy.judge(address.ip())?, address.port())))
            .collect::<Result<_, TargetRefusal>>()?;
        if judged.is_empty() {
            return Err(TargetRefusal::Unresolved("it has no address".to_owned()));
        }
        Ok(judged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_private_address_gets_through() {
        let policy = TargetPolicy::default();
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "0x7f.1",
            "0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.88.99.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001:0:53aa:64c::1]",
            "[fe80::1]",
            "[fc00::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "１２７.0.0.1",
        ] {
            let refused = Target::parse(&format!("https://{host}/x"), &policy);
            assert!(
                matches!(refused, Err(TargetRefusal::NotPublic(_))),
                "{host}: {refused:?}"
            );
        }
        for url in [
            "https://[fe80::1%25eth0]/",
            "https://",
            "x",
            "https://a:b@example.com/",
        ] {
            assert!(Target::parse(url, &policy).is_err(), "{url}");
        }
        for url in [
            "file:///etc/passwd",
            "data:text/plain,x",
            "ftp://example.com",
            "gopher://x/",
        ] {
            let refused = Target::parse(url, &policy);
            assert!(matches!(refused, Err(TargetRefusal::Scheme(_))), "{url}");
        }
    }

    #[test]
    fn public_addresses_and_names_are_taken_and_http_is_not() {
        let policy = TargetPolicy::default();
        for url in [
            "https://example.com/hook",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
        ] {
            assert!(Target::parse(url, &policy).is_ok(), "{url}");
        }
        for url in ["http://example.com/", "http://8.8.8.8/"] {
            assert!(
                matches!(Target::parse(url, &policy), Err(TargetRefusal::PlainHttp)),
                "{url}"
            );
        }
    }

    #[test]
    fn a_network_is_allowed_by_name_and_no_more_than_that() {
        let policy = TargetPolicy {
            networks: vec!["127.0.0.0/8".parse().unwrap()],
        };
        assert!(Target::parse("http://127.0.0.1:8080/", &policy).is_ok());
        assert!(Target::parse("https://10.0.0.1/", &policy).is_err());
        assert!("127.0.0.0/33".parse::<Network>().is_err());
        let all = TargetPolicy {
            networks: vec!["0.0.0.0/0".parse().unwrap()],
        };
        assert!(all.judge("10.1.2.3".parse().unwrap()).is_ok());
    }
}
