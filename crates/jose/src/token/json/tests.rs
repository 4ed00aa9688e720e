//! The scanner agrees with serde_json about every text, except where it is stricter on purpose.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::*;

/// What serde_json makes of a text, and whether a name stands twice in an object of it.
struct Oracle {
    value: Value,
    has_double: bool,
}

impl<'de> Deserialize<'de> for Oracle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OracleVisitor;
        impl<'de> Visitor<'de> for OracleVisitor {
            type Value = Oracle;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any JSON")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Oracle, E> {
                Ok(Oracle { value: value.into(), has_double: false })
            }
            fn visit_i64<E>(self, value: i64) -> Result<Oracle, E> {
                Ok(Oracle { value: value.into(), has_double: false })
            }
            fn visit_u64<E>(self, value: u64) -> Result<Oracle, E> {
                Ok(Oracle { value: value.into(), has_double: false })
            }
            fn visit_f64<E>(self, value: f64) -> Result<Oracle, E> {
                Ok(Oracle { value: value.into(), has_double: false })
            }
            fn visit_unit<E>(self) -> Result<Oracle, E> {
                Ok(Oracle { value: Value::Null, has_double: false })
            }
            fn visit_str<E>(self, value: &str) -> Result<Oracle, E> {
                Ok(Oracle { value: value.into(), has_double: false })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Oracle, A::Error> {
                let (mut all, mut has_double) = (Vec::new(), false);
                while let Some(element) = seq.next_element::<Oracle>()? {
                    has_double |= element.has_double;
                    all.push(element.value);
                }
                Ok(Oracle { value: all.into(), has_double })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Oracle, A::Error> {
                let (mut all, mut has_double) = (serde_json::Map::new(), false);
                while let Some((name, member)) = map.next_entry::<String, Oracle>()? {
                    has_double |= member.has_double;
                    has_double |= all.insert(name, member.value).is_some();
                }
                Ok(Oracle { value: all.into(), has_double })
            }
        }
        deserializer.deserialize_any(OracleVisitor)
    }
}

fn agrees(text: &str) -> Result<(), TestCaseError> {
    let scanned = scan(text);
    match serde_json::from_str::<Oracle>(text) {
        Ok(oracle) if !oracle.value.is_object() => prop_assert!(scanned.is_err(), "{text}"),
        Ok(oracle) if oracle.has_double => {
            prop_assert_eq!(scanned.err(), Some(JsonError::Duplicate), "{}", text);
        }
        Ok(oracle) => {
            prop_assert!(scanned.is_ok(), "{text}: {scanned:?}");
            let members = scanned.unwrap();
            let found: BTreeMap<String, Value> = members
                .iter(text)
                .map(|(name, span)| {
                    let value = serde_json::from_str(span.of(text)).unwrap();
                    (name.into_owned(), value)
                })
                .collect();
            let expected: BTreeMap<_, _> =
                oracle.value.as_object().unwrap().clone().into_iter().collect();
            prop_assert_eq!(&found, &expected);
            for (name, value) in expected {
                let span = members.find(text, &name).unwrap();
                let string = as_string(span.of(text));
                prop_assert_eq!(string.as_deref(), value.as_str());
                let elements = as_array(span.of(text)).map(|elements| {
                    elements.map(|element| serde_json::from_str(element).unwrap()).collect()
                });
                prop_assert_eq!(elements, value.as_array().cloned());
            }
        }
        // A number that no float can hold is still JSON, which `NumericDate` judges.
        Err(error) if error.to_string().contains("out of range") => {}
        Err(_) => prop_assert!(scanned.is_err(), "{text}"),
    }
    Ok(())
}

/// Objects with few distinct names, so that doubles and escapes of them are frequent.
fn objects() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("a".to_owned()),
        Just("\\u0061".to_owned()),
        Just("exp".to_owned()),
        Just("e\\u0078p".to_owned()),
        Just("long-name-1".to_owned()),
        Just("long-name-2".to_owned()),
        "[a-z]{0,10}",
        Just("\\ud83d\\ude00".to_owned()),
        Just("😀".to_owned()),
    ];
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        "\"[ -!#-\\[\\]-~é😀]{0,20}\"",
        "\"(\\\\[bfnrt\"/]|\\\\u[0-9a-fA-F]{4}|[a-z]){0,4}\"",
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("null".to_owned()),
    ];
    let value = leaf.prop_recursive(4, 24, 5, move |inner| {
        let members = prop::collection::vec((name.clone(), inner.clone()), 0..22);
        let object = members.prop_map(|members| {
            let members = members.iter().map(|(name, value)| format!("\"{name}\" : {value}"));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(",\n"))
        });
        let array = prop::collection::vec(inner, 0..5)
            .prop_map(|elements| format!("[{}]", elements.join(" ,\t")));
        prop_oneof![object, array]
    });
    value
        .prop_map(|value| if value.starts_with('{') { value } else { format!("{{\"v\":{value}}}") })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn valid_looking_texts_are_judged_as_serde_json_judges_them(text in objects()) {
        agrees(&text)?;
    }

    /// Strings that end in every place of a block, and reach over several.
    #[test]
    fn long_strings_are_judged_as_serde_json_judges_them(
        name in "([a-z]|\\\\u00e9|\\\\\"|é){0,80}", text in "([a-z]|\\\\\\\\|\\\\\"|é|[\\\\\"\u{1}]){0,150}",
    ) {
        agrees(&format!("{{\"{name}\":\"{text}\",\"{text}\":1}}"))?;
        agrees(&format!("{{\"{text}\":\"{text}\",\"{name}\":[\"{name}\"],\"{name}\":2}}"))?;
    }

    /// One character of a valid text removed, doubled or replaced.
    #[test]
    fn damaged_texts_are_judged_as_serde_json_judges_them(
        text in objects(), place: prop::sample::Index, other in "[\"\\\\{}\\[\\]:,0-9eE.+\\-tfnu \u{1}]?",
    ) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = places[place.index(places.len())];
        let after = at + text[at..].chars().next().unwrap().len_utf8();
        agrees(&format!("{}{other}{}", &text[..at], &text[after..]))?;
        agrees(&format!("{}{other}{}", &text[..at], &text[at..]))?;
    }

    #[test]
    fn any_text_is_judged_as_serde_json_judges_it(text in "[\"\\\\{}\\[\\]:,0-9eE.+\\-tfnua \u{1}é]{0,30}") {
        agrees(&text)?;
        agrees(&format!("{{\"a\":{text}}}"))?;
    }
}

#[test]
fn doubles_are_found_in_every_depth_and_number() {
    let double = [
        r#"{"a":1,"a":2}"#.to_owned(),
        r#"{"x":[{"a":1},{"b":{"c":1,"c":1}}]}"#.to_owned(),
        r#"{"exp":1,"e\u0078p":2}"#.to_owned(),
    ];
    let many = |last: &str| {
        let members: Vec<_> = (0..40).map(|n| format!("\"name-{n:03}\":{n}")).collect();
        format!("{{{},\"{last}\":0}}", members.join(","))
    };
    for text in
        double.into_iter().chain([many("name-000"), many("name-039"), many("n\\u0061me-020")])
    {
        assert_eq!(scan(&text).err(), Some(JsonError::Duplicate), "{text}");
    }
    let members = scan(&many("other")).unwrap();
    assert_eq!(members.iter(&many("other")).count(), 41);
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(scan(&nested(DEPTH_MAX - 1)).is_ok());
    assert_eq!(scan(&nested(DEPTH_MAX)).err(), Some(TOO_DEEP));
    assert_eq!(scan(&nested(100_000)).err(), Some(TOO_DEEP));
}
