//! Tokens: who is let in, from where, until when; and text that is none.

use std::net::IpAddr;
use std::time::Duration;

use keywheel_core::time::Span;
use keywheel_engine::{Cidr, EngineError, NewToken, Peer, RingScope, Role};
use proptest::prelude::*;

use crate::support::{World, context};

fn token() -> NewToken {
    NewToken {
        name: "deploy".into(),
        role: Role::Operator,
        rings: RingScope::All,
        consumer: None,
        cidr: None,
        uid: None,
        expires_in: None,
    }
}

fn refused<T>(result: &Result<T, EngineError>) -> bool {
    matches!(result, Err(EngineError::Unauthenticated))
}

fn from(ip: &str) -> Peer {
    Peer { ip: Some(ip.parse().unwrap()), uid: None }
}

#[test]
fn a_token_admits_its_bearer_and_no_variation_of_it() {
    let world = World::new();
    let (text, info) = world.engine.create_token(token(), &context()).unwrap();
    let caller = world.engine.authenticate(&text, &Peer::default()).unwrap();
    assert_eq!((caller.name.as_str(), caller.role), ("deploy", Role::Operator));
    assert_eq!(caller.token_id, info.id);
    for index in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[index] = if bytes[index] == b'0' { b'1' } else { b'0' };
        let other = String::from_utf8(bytes).unwrap();
        assert!(refused(&world.engine.authenticate(&other, &Peer::default())), "{index}");
    }
    assert!(refused(&world.engine.authenticate(&text.to_uppercase(), &Peer::default())));
    assert!(refused(&world.engine.authenticate(&format!("{}0", text.as_str()), &Peer::default())));
}

#[test]
fn a_token_ends_when_it_expires_or_is_revoked() {
    let world = World::new();
    let short = NewToken { expires_in: Some(Span::from_secs(60)), ..token() };
    let (short, _) = world.engine.create_token(short, &context()).unwrap();
    let (long, info) = world.engine.create_token(token(), &context()).unwrap();
    world.clock.advance(Duration::from_millis(59_999));
    assert!(world.engine.authenticate(&short, &Peer::default()).is_ok());
    world.clock.advance(Duration::from_millis(1));
    assert!(refused(&world.engine.authenticate(&short, &Peer::default())));

    assert!(world.engine.authenticate(&long, &Peer::default()).is_ok());
    let revoked = world.engine.revoke_token(&info.id, &context()).unwrap();
    assert!(revoked.revoked.is_some());
    assert!(refused(&world.engine.authenticate(&long, &Peer::default())));
    assert_eq!(world.engine.revoke_token(&info.id, &context()).unwrap(), revoked);
    assert_eq!(world.audit(), ["token_created", "token_created", "token_revoked"]);
}

#[test]
fn another_server_learns_of_a_revocation_from_the_feed() {
    let world = World::new();
    let second = world.second("b");
    let (text, info) = world.engine.create_token(token(), &context()).unwrap();
    assert!(second.authenticate(&text, &Peer::default()).is_ok());
    world.engine.revoke_token(&info.id, &context()).unwrap();
    second.drive();
    assert!(refused(&second.authenticate(&text, &Peer::default())));
}

#[test]
fn a_bound_token_is_good_in_its_place_only() {
    let world = World::new();
    let bound = |cidr: &str| {
        let cidr = Some(Cidr::try_from(cidr.to_owned()).unwrap());
        world.engine.create_token(NewToken { cidr, ..token() }, &context()).unwrap().0
    };
    let cases = [
        ("10.1.0.0/16", "10.1.255.255", true),
        ("10.1.0.0/16", "10.2.0.0", false),
        // An IPv4 address in IPv6 form is the IPv4 address.
        ("10.1.0.0/16", "::ffff:10.1.2.3", true),
        ("10.1.0.0/16", "::ffff:10.2.2.3", false),
        ("10.1.0.0/16", "fd00::1", false),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "::1", false),
        ("192.0.2.7/32", "192.0.2.7", true),
        ("192.0.2.7/32", "192.0.2.6", false),
        ("fd00::/8", "fdff::1", true),
        ("fd00::/8", "fe00::1", false),
        ("::/0", "fe00::1", true),
        ("fd00::1/128", "fd00::1", true),
        ("fd00::1/128", "fd00::2", false),
    ];
    for (cidr, ip, admitted) in cases {
        let text = bound(cidr);
        let result = world.engine.authenticate(&text, &from(ip));
        assert_eq!(result.is_ok(), admitted, "{ip} in {cidr}");
        assert!(refused(&world.engine.authenticate(&text, &Peer::default())), "no address, {cidr}");
    }
    let own = NewToken { uid: Some(1000), ..token() };
    let (text, _) = world.engine.create_token(own, &context()).unwrap();
    let peer = |uid| Peer { ip: None, uid };
    assert!(world.engine.authenticate(&text, &peer(Some(1000))).is_ok());
    assert!(refused(&world.engine.authenticate(&text, &peer(Some(0)))));
    assert!(refused(&world.engine.authenticate(&text, &peer(None))));
    assert!(refused(&world.engine.authenticate(&text, &from("127.0.0.1"))));
}

#[test]
fn a_token_that_makes_no_sense_is_not_made() {
    let world = World::new();
    let without = NewToken { role: Role::Consumer, ..token() };
    let beside = NewToken { consumer: Some("api".parse().unwrap()), ..token() };
    let nameless = NewToken { name: String::new(), ..token() };
    let control = NewToken { name: "a\nb".into(), ..token() };
    for new in [without, beside, nameless, control] {
        let error = world.engine.create_token(new, &context()).unwrap_err();
        assert!(matches!(error, EngineError::Invalid { .. }));
        assert!(!error.remedy().is_empty());
    }
    assert!(world.engine.tokens().unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is sent as a token or a network, it is refused and nothing panics.
    #[test]
    fn text_that_is_no_token_is_refused(
        text in prop_oneof![
            any::<String>(),
            "kw_[0-9a-f]{0,20}_[0-9a-f]{0,70}",
            "kw_[0-9a-f]{16}_[0-9a-f]{64}",
        ],
        cidr in prop_oneof![any::<String>(), "[0-9.:a-f]{0,12}/[0-9]{0,4}"],
        ip in any::<IpAddr>(),
    ) {
        let world = WORLD.with(std::rc::Rc::clone);
        let peer = Peer { ip: Some(ip), uid: None };
        prop_assert!(refused(&world.engine.authenticate(&text, &peer)));
        if let Ok(cidr) = Cidr::try_from(cidr) {
            let _either = cidr.contains(ip);
            let again = Cidr::try_from(String::from(cidr)).unwrap();
            prop_assert_eq!(again, cidr);
        }
    }

    /// A network contains exactly the addresses that share its first bits.
    #[test]
    fn a_network_is_its_first_bits(network: u32, bits in 0_u8..=32, address: u32) {
        let text = format!("{}/{bits}", IpAddr::V4(network.into()));
        let cidr = Cidr::try_from(text).unwrap();
        let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
        let inside = network & mask == address & mask;
        prop_assert_eq!(cidr.contains(IpAddr::V4(address.into())), inside);
    }
}

thread_local! {
    static WORLD: std::rc::Rc<World> = std::rc::Rc::new(World::new());
}
