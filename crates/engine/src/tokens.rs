//! The tokens of callers. A token is `kw_<id>_<secret>`; only a hash of the secret is kept.

use std::net::IpAddr;

use aws_lc_rs::digest;
use keywheel_core::id::{ConsumerName, GateName, RingName};
use keywheel_core::time::{Span, WallTime};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::audit::hex;
use crate::error::EngineError;
use crate::ports::Key;

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Role {
    /// Everything but what needs `breakglass`.
    Admin,
    /// Rotations.
    Operator,
    /// The declared exceptions: waive, end an instance, suspend, compromise, destroy.
    Breakglass,
    /// A service that uses keys.
    Consumer,
    /// Reads status and audit.
    Auditor,
    /// Has the server sign tokens, without ever holding a key.
    Signer,
    /// Reports to one gate.
    Evidence(GateName),
}

impl TryFrom<String> for Role {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "admin" => Ok(Self::Admin),
            "operator" => Ok(Self::Operator),
            "breakglass" => Ok(Self::Breakglass),
            "consumer" => Ok(Self::Consumer),
            "auditor" => Ok(Self::Auditor),
            "signer" => Ok(Self::Signer),
            other => match other.strip_prefix("evidence:").map(str::parse) {
                Some(Ok(gate)) => Ok(Self::Evidence(gate)),
                _ => Err(format!("`{}` is not a role", other.chars().take(64).collect::<String>())),
            },
        }
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => "admin".into(),
            Role::Operator => "operator".into(),
            Role::Breakglass => "breakglass".into(),
            Role::Consumer => "consumer".into(),
            Role::Auditor => "auditor".into(),
            Role::Signer => "signer".into(),
            Role::Evidence(gate) => format!("evidence:{gate}"),
        }
    }
}

/// The rings that a token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RingScope {
    /// Every ring, also those to come.
    All,
    /// These.
    Only(Vec<RingName>),
}

impl RingScope {
    /// Whether a ring is within it.
    pub fn contains(&self, ring: &RingName) -> bool {
        match self {
            Self::All => true,
            Self::Only(rings) => rings.contains(ring),
        }
    }
}

/// A network that a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    network: IpAddr,
    bits: u8,
}

impl TryFrom<String> for Cidr {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let refuse = || {
            let shown: String = text.chars().take(64).collect();
            format!("`{shown}` is not a network such as 10.0.0.0/8 or fd00::/8")
        };
        let (network, bits) = text.split_once('/').ok_or_else(refuse)?;
        let network: IpAddr = network.parse().map_err(|_| refuse())?;
        let bits: u8 = bits.parse().map_err(|_| refuse())?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        if bits > longest { Err(refuse()) } else { Ok(Self { network, bits }) }
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        format!("{}/{}", cidr.network, cidr.bits)
    }
}

impl Cidr {
    /// Whether an address is within it. An IPv4 address that arrives in IPv6 form counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits);
                let (a, b) = (u64::from(u32::from(network)), u64::from(u32::from(address)));
                a >> shift == b >> shift
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = u128::from(network) ^ u128::from(address);
                differing.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

/// Where a call comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Over the network: its address.
    pub ip: Option<IpAddr>,
    /// Over a unix socket: its user.
    pub uid: Option<u32>,
}

/// A token to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// What it is called in audit and status; 1 to 64 printable characters.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// For which rings.
    pub rings: RingScope,
    /// Role `consumer`: which one.
    pub consumer: Option<ConsumerName>,
    /// Only from this network.
    pub cidr: Option<Cidr>,
    /// Only from this user on a unix socket.
    pub uid: Option<u32>,
    /// Only for this long.
    pub expires_in: Option<Span>,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenInfo {
    /// The part of the token that may be shown.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// For which rings.
    pub rings: RingScope,
    /// Which consumer.
    pub consumer: Option<ConsumerName>,
    /// Which network.
    pub cidr: Option<Cidr>,
    /// Which user.
    pub uid: Option<u32>,
    /// When it was made.
    pub created: WallTime,
    /// When it ends.
    pub expires: Option<WallTime>,
    /// When it was revoked.
    pub revoked: Option<WallTime>,
}

/// A token as it is sealed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredToken {
    pub(crate) info: TokenInfo,
    hash: String,
}

/// Who calls, once the token was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the token.
    pub token_id: String,
    /// The name of the token.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// For which rings.
    pub rings: RingScope,
    /// Which consumer.
    pub consumer: Option<ConsumerName>,
}

pub(crate) fn key(id: &str) -> Key {
    Key::new(&["token", id])
}

/// Splits a token into id and secret, or nothing when it has not the form of one.
pub(crate) fn parse(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.strip_prefix("kw_")?.split_once('_')?;
    let hexadecimal = |text: &str, length: usize| {
        text.len() == length
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    (hexadecimal(id, 16) && hexadecimal(secret, 64)).then_some((id, secret))
}

impl StoredToken {
    pub(crate) fn make(
        new: NewToken,
        now: WallTime,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(Zeroizing<String>, Self), EngineError> {
        let printable = |c: char| !c.is_control();
        if new.name.is_empty() || new.name.chars().count() > 64 || !new.name.chars().all(printable)
        {
            return Err(EngineError::Invalid {
                field: "name".into(),
                cause: "it must have 1 to 64 printable characters".into(),
                remedy: "Name the program or person that will hold the token".into(),
            });
        }
        if (new.role == Role::Consumer) != new.consumer.is_some() {
            return Err(EngineError::Invalid {
                field: "consumer".into(),
                cause: "a token of role consumer belongs to one consumer, any other to none".into(),
                remedy: "Name the consumer, or leave it out".into(),
            });
        }
        let mut id = [0u8; 8];
        let mut secret = Zeroizing::new([0u8; 32]);
        fill(&mut id);
        fill(secret.as_mut_slice());
        let id = hex(&id);
        let secret = Zeroizing::new(hex(secret.as_slice()));
        let info = TokenInfo {
            id: id.clone(),
            name: new.name,
            role: new.role,
            rings: new.rings,
            consumer: new.consumer,
            cidr: new.cidr,
            uid: new.uid,
            created: now,
            expires: new.expires_in.map(|span| now.after(span)),
            revoked: None,
        };
        let token = Zeroizing::new(format!("kw_{id}_{}", secret.as_str()));
        Ok((token, Self { info, hash: hash(&secret) }))
    }

    /// Whether this secret, from this place, at this moment, is who the token names.
    pub(crate) fn admits(&self, secret: &str, peer: &Peer, now: WallTime) -> bool {
        let genuine: bool = hash(secret).as_bytes().ct_eq(self.hash.as_bytes()).into();
        let info = &self.info;
        let in_time = info.revoked.is_none() && info.expires.is_none_or(|end| now < end);
        let in_place = info.cidr.is_none_or(|cidr| peer.ip.is_some_and(|ip| cidr.contains(ip)))
            && info.uid.is_none_or(|uid| peer.uid == Some(uid));
        genuine && in_time && in_place
    }
}

/// The secret has 256 random bits, so a plain hash cannot be searched.
fn hash(secret: &str) -> String {
    let digest = digest::digest(&digest::SHA256, secret.as_bytes());
    hex(digest.as_ref())
}
