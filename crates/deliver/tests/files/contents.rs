//! The other contents, and the values in them.

use keywheel_deliver::render::{RenderError, credentials, render};
use keywheel_deliver::settings::{
    Accept, Content, Form, NginxInclude, Order, Several, Take, Template, Which,
};
use keywheel_deliver::values::AllValues;

use crate::support::{one, options, ring, secret, signing, take, value, values};

fn text(content: &Content, values: &AllValues) -> String {
    let bytes = render(content, values, None).map_err(|error| error.to_string()).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn told(content: &Content, values: &AllValues) -> String {
    let error = render(content, values, None).err().unwrap();
    format!("{error}\n{}", error.remedy())
}

fn template(source: &str) -> Content {
    Content::Template(Template::Inline(source.to_owned()))
}

#[test]
fn the_order_is_that_of_the_framework() {
    // v2 is primary; v3 is published already, v1 retiring.
    let all = one("web", &["first", "second", "third"], 1);
    let raw = |which, order| text(&Content::Raw(Take { order, ..take("web", which) }), &all);
    assert_eq!(raw(Which::Primary, Order::PrimaryFirst), "second");
    assert_eq!(raw(Which::Others, Order::PrimaryFirst), "third,first");
    assert_eq!(raw(Which::Accepted, Order::PrimaryFirst), "second,third,first");
    assert_eq!(raw(Which::Others, Order::PrimaryLast), "first,third");
    assert_eq!(raw(Which::Accepted, Order::PrimaryLast), "first,third,second");
    // A list that is split is never one of an empty key.
    assert_eq!(text(&Content::Raw(take("web", Which::Others)), &one("web", &["only"], 0)), "only");
}

#[test]
fn forms_are_exact() {
    let all = [(ring("web"), values("web", Some(0), &["a\u{e9}?"]))].into();
    let raw = |form| text(&Content::Raw(Take { form, ..take("web", Which::Primary) }), &all);
    assert_eq!(raw(Form::Text), "a\u{e9}?");
    assert_eq!(raw(Form::Bytes), "a\u{e9}?");
    assert_eq!(raw(Form::Base64), "YcOpPw==");
    assert_eq!(raw(Form::Hex), "61c3a93f");
    assert_eq!(raw(Form::Kid), "kid-1");
    assert_eq!(raw(Form::Fingerprint).len(), 16);
    assert_ne!(raw(Form::Fingerprint), value(2, secret(b"a\xc3\xa9?")).fingerprint().as_str());
    let keys = signing("token", 1);
    let pem = |form| text(&Content::Raw(Take { form, ..take("token", Which::Primary) }), &keys);
    assert!(pem(Form::Text).starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(pem(Form::PublicPem).starts_with("-----BEGIN PUBLIC KEY-----\n"));
}

#[test]
fn what_cannot_be_read_back_is_refused() {
    let joined = |between: &str| {
        let several = Several::Join(between.to_owned());
        Content::Raw(Take { several, ..take("web", Which::Accepted) })
    };
    let comma = one("web", &["a,b", "c"], 1);
    insta::assert_snapshot!(told(&joined(","), &comma));
    assert_eq!(text(&joined(";"), &comma), "c;a,b");
    // `c:` and `::` make `c:::`, which splits after the first two.
    assert!(render(&joined("::"), &one("web", &["a", "c:"], 1), None).is_err());
    assert!(render(&joined(""), &one("web", &["a", "c"], 1), None).is_err());
    let json = Take { several: Several::Json, ..take("web", Which::Accepted) };
    assert_eq!(
        text(&Content::Raw(json), &one("web", &["a\",", "\u{7f}c"], 1)),
        "[\"\u{7f}c\",\"a\\\",\"]"
    );

    let raw = |take: Take| Content::Raw(take);
    let bytes = [(ring("web"), {
        let versions = vec![value(1, secret(b"\xff\x00"))];
        keywheel_deliver::values::Values::new(
            ring("web"),
            keywheel_core::id::Incarnation("i".into()),
            keywheel_core::id::Revision(1),
            Some(0),
            versions,
        )
    })]
    .into();
    insta::assert_snapshot!(told(&raw(take("web", Which::Primary)), &bytes));
    let whole = Take { form: Form::Bytes, ..take("web", Which::Primary) };
    assert_eq!(*render(&raw(whole), &bytes, None).ok().unwrap(), b"\xff\x00");
    let several = Take { form: Form::Bytes, ..take("web", Which::Accepted) };
    insta::assert_snapshot!(told(&raw(several), &bytes));
}

#[test]
fn a_missing_key_is_fatal() {
    let none: AllValues = [(ring("web"), values("web", None, &["published"]))].into();
    for which in [Which::Primary, Which::Others, Which::Accepted] {
        let refused = render(&Content::Raw(take("web", which)), &none, None).err().unwrap();
        assert_eq!(refused, RenderError::NoPrimary { ring: ring("web") });
    }
    insta::assert_snapshot!(told(&Content::Raw(take("web", Which::Primary)), &none));
    insta::assert_snapshot!(told(&Content::Raw(take("api", Which::Primary)), &none));
    insta::assert_snapshot!(told(&template("{{ ring('web').primary }}"), &none));
}

#[test]
fn json_has_strings_and_arrays() {
    let all = one("web", &["old", "a\"b\\\n"], 1);
    let members = [
        ("fallbacks".to_owned(), take("web", Which::Others)),
        ("key".to_owned(), take("web", Which::Primary)),
    ];
    let text = text(&Content::Json(members.into()), &all);
    assert_eq!(text, "{\n  \"fallbacks\": [\"old\"],\n  \"key\": \"a\\\"b\\\\\\n\"\n}\n");
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["key"], "a\"b\\\n");
    assert_eq!(self::text(&Content::Json([].into()), &all), "{}\n");
}

#[test]
fn jwk_sets_are_public() {
    let all = signing("token", 2);
    let text = text(&Content::Jwks(vec![ring("token")]), &all);
    let set: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    assert!(set["keys"].as_array().unwrap().iter().all(|key| key["kty"] == "OKP"));
    assert!(!text.contains("\"d\"") && !text.contains("\"k\""));
    let symmetric = one("web", &["secret"], 0);
    insta::assert_snapshot!(told(&Content::Jwks(vec![ring("web")]), &symmetric));
    insta::assert_snapshot!(told(&Content::Jwks(vec![ring("token"), ring("token")]), &all));
}

#[test]
fn nginx_gets_what_it_reads_alike() {
    let include = |take: Take| {
        let accept = Accept {
            from: "$http_x_api_key".into(),
            take: Take { which: Which::Accepted, ..take.clone() },
        };
        NginxInclude { set: [("key".into(), take)].into(), accept: [("ok".into(), accept)].into() }
    };
    let content = |include| Content::Nginx(include);
    let all = one("api", &["Old.1", "a\"b\\c{;}#'"], 1);
    insta::assert_snapshot!(text(&content(include(take("api", Which::Primary))), &all));
    let dollar = one("api", &["a$b"], 0);
    insta::assert_snapshot!(told(&content(include(take("api", Which::Primary))), &dollar));
    let only_accept = NginxInclude { set: [].into(), ..include(take("api", Which::Primary)) };
    insta::assert_snapshot!(text(&content(only_accept), &dollar));
    let line = one("api", &["a\nb"], 0);
    insta::assert_snapshot!(told(&content(include(take("api", Which::Primary))), &line));
    let long = "x".repeat(4001);
    insta::assert_snapshot!(told(
        &content(include(take("api", Which::Primary))),
        &one("api", &[&long], 0)
    ));
    insta::assert_snapshot!(told(&content(include(take("api", Which::Others))), &all));
    let bad = NginxInclude {
        set: [("a-b".into(), take("api", Which::Primary))].into(),
        accept: [].into(),
    };
    insta::assert_snapshot!(told(&content(bad), &all));
}

#[test]
fn templates_see_values_and_nothing_else() {
    let all = one("web", &["old", "it's \"new\" & <bold>"], 1);
    let source = "key: {{ ring('web').primary | json }}\n\
                  {% for v in ring('web').others %}- {{ v }} {{ v.hex }} {{ v.number }}\n{% endfor %}\
                  all={{ ring('web').accepted | join(';') }} {{ ring('web').accepted | map(attribute='kid') | join(',') }}\n\
                  raw={{ ring('web').primary.text }} {{ ring('web').accepted | json }}\n";
    insta::assert_snapshot!(text(&template(source), &all));
    let faults = [
        "{{ ring('web').primari }}",
        "{{ ring('api').primary }}",
        "{{ secret }}",
        "{{ ring('web').primary.public_pem }}",
        "{{ ring('web').accepted | join(' ') }}",
        "a\n{% for x in %}",
        "{{ ring('web').primary | upper }}",
        "{{ ring('web').primary | default('x') }}",
        "{{ ring('web').primary.text + 1 }}",
        "{{ ring('web').primary.x is defined }}",
        "{% include '/etc/passwd' %}",
        "{{ debug() }}",
        "{{ ('x' * 60000) ~ 1 }}{% for a in ['x' * 900000, 2, 3] %}{% for b in [1,2,3,4,5] %}{{ 'y' * 900000 }}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ];
    let told = faults.map(|source| {
        format!("{source}\n    {}", told(&template(source), &all).replace('\n', "\n    "))
    });
    for text in &told {
        assert!(!text.contains("it's"), "{text}");
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn credentials_are_files_by_name() {
    let all = one("web", &["s3cret"], 0);
    let set = [("session-key".to_owned(), take("web", Which::Primary))].into();
    let files = credentials(&set, &all).ok().unwrap();
    assert_eq!(*files["session-key"], b"s3cret");
    for name in ["", ".hidden", "a/b", "a b"] {
        let set = [(name.to_owned(), take("web", Which::Primary))].into();
        assert!(matches!(credentials(&set, &all).err(), Some(RenderError::Name { .. })), "{name}");
    }
    drop(options(std::path::Path::new("/x")));
}
