//! What variables hold, and which changes of a ring change them.

use std::sync::Arc;

use keywheel_core::id::{Kid, VersionNumber};
use keywheel_core::kind::Kind;
use keywheel_jose::{ImportFormat, Material};
use zeroize::Zeroizing;

use super::*;
use crate::values::{Key, Value};

/// A ring of these values, oldest first.
fn ring(revision: u64, primary: usize, texts: &[&str]) -> AllValues {
    let versions = (1..).zip(texts).map(|(number, text)| {
        let key = Material::import(&Kind::External, text.as_bytes(), ImportFormat::Raw).unwrap();
        let key = Key::Whole(Arc::new(key.material));
        let salt = Zeroizing::new(vec![0; 32]);
        Value::new(VersionNumber(number), Kid(format!("kid-{number}")), salt, key)
    });
    let name: RingName = "web".parse().unwrap();
    let life = Incarnation("0123456789abcdef".into());
    let versions = versions.collect();
    [(name.clone(), Values::new(name, life, Revision(revision), Some(primary), versions))].into()
}

fn given(variables: &[&str], values: &AllValues) -> Given {
    let variables: Vec<Variable> = variables.iter().map(|text| text.parse().unwrap()).collect();
    Given::of(&variables, values).unwrap_or_else(|error| panic!("{error}"))
}

fn text(given: &Given, slot: usize) -> Vec<String> {
    given.for_slot(slot).iter().map(|(name, value)| format!("{name}={value}")).collect()
}

const ONE: &str = "the-first-key-of-the-ring";
const TWO: &str = "the-second-key-of-the-ring";
const THREE: &str = "the-third-key-of-the-ring";

#[test]
fn variables_hold_what_they_name() {
    let variables = [
        "KEY=ring:web",
        "OLD=ring:web:others,join=,",
        "ALL=ring:web:accepted,order=primary-last,json",
        "ID=ring:web,form=kid",
        "PORT=800{index}",
    ];
    let given = given(&variables, &ring(1, 1, &[ONE, TWO, THREE]));
    assert_eq!(
        text(&given, 3),
        [
            format!("KEY={TWO}"),
            format!("OLD={THREE},{ONE}"),
            format!("ALL=[\"{ONE}\",\"{THREE}\",\"{TWO}\"]"),
            "ID=kid-2".to_owned(),
            "PORT=8003".to_owned(),
        ]
    );
}

#[test]
fn a_joined_list_never_becomes_a_list_of_one_empty_key() {
    let values = ring(1, 0, &[ONE]);
    assert_eq!(text(&given(&["OLD=ring:web:others,join=,"], &values), 0), [format!("OLD={ONE}")]);
    assert_eq!(text(&given(&["OLD=ring:web:others,json"], &values), 0), ["OLD=[]"]);
}

#[test]
fn what_a_program_would_be_given_anew_is_noticed() {
    let of = |primary, texts: &[&str]| {
        given(&["KEY=ring:web", "OLD=ring:web:others,json"], &ring(1, primary, texts))
    };
    let first = of(0, &[ONE]);
    assert!(first.is_same(&of(0, &[ONE])));
    assert!(!first.is_same(&of(0, &[ONE, TWO])));
    assert!(!of(0, &[ONE, TWO]).is_same(&of(1, &[ONE, TWO])));
    let one_slot = |primary, texts: &[&str]| given(&["KEY=ring:web"], &ring(1, primary, texts));
    assert!(one_slot(0, &[ONE]).is_same(&one_slot(0, &[ONE, TWO])));
    assert!(!one_slot(0, &[ONE, TWO]).is_same(&one_slot(1, &[ONE, TWO])));
}

#[test]
fn positions_of_one_life_are_compared() {
    let at = |revision| position(&ring(revision, 0, &[ONE]));
    assert!(is_behind(&at(1), &at(2)));
    assert!(!is_behind(&at(2), &at(2)) && !is_behind(&at(3), &at(2)));
    let mut other_life = at(9);
    for (life, _) in other_life.values_mut() {
        *life = Incarnation("fedcba9876543210".into());
    }
    assert!(!is_behind(&at(1), &other_life));
}

#[test]
fn a_newer_version_than_the_primary_is_awaited() {
    let awaits =
        |primary, texts: &[&str]| awaits_newer(ring(1, primary, texts).values().next().unwrap());
    assert!(awaits(0, &[ONE, TWO]));
    assert!(!awaits(1, &[ONE, TWO]) && !awaits(0, &[ONE]));
}

#[test]
fn what_cannot_be_written_says_which_variable() {
    let variables = ["OLD=ring:web:accepted,join=-".parse().unwrap()];
    let error = Given::of(&variables, &ring(1, 0, &[ONE, TWO])).err().unwrap();
    assert!(error.to_string().contains("OLD"), "{error}");
    assert!(!error.remedy().is_empty());
    let absent = Given::of(&["K=ring:other".parse().unwrap()], &AllValues::new()).err().unwrap();
    assert!(absent.to_string().contains("other"), "{absent}");
}
