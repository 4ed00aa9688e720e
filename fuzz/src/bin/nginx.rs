//! nginx configurations: whatever is read as one loses no byte but space and comments, and is read
//! as the same when it is written anew; patterns of `include` are matched in reasonable time.

#![no_main]

use keywheel_scan::nginx::{Body, Directive, matches, parse, quoted};

keywheel_fuzz::target!(seeds: vec![SITE, LUA, CORNERS, "conf.d/*.conf", "[!a-z[:digit:]]?\\*"],
|input: &[u8]| {
    if let Some((pattern, name)) = input.split_at_checked(input.len() / 2)
        && input.len() < 200
    {
        let _ = matches(pattern, name);
    }
    let Ok(read) = parse(input) else { return };
    let mut text = Vec::new();
    write(&read, input, &mut text);
    let again = parse(&text).expect("what was read and written is read again");
    assert!(same(&read, &again), "written anew, it says something else");
});

fn write(directives: &[Directive], input: &[u8], text: &mut Vec<u8>) {
    for directive in directives {
        for word in std::iter::once(&directive.name).chain(&directive.arguments) {
            text.extend_from_slice(&quoted(&word.value));
            text.push(b' ');
        }
        match &directive.body {
            Body::None => text.push(b';'),
            Body::Block(children) => {
                text.push(b'{');
                write(children, input, text);
                text.push(b'}');
            }
            Body::Foreign(span) => {
                text.push(b'{');
                text.extend_from_slice(&input[span.start..span.end]);
                text.push(b'}');
            }
        }
    }
}

fn same(one: &[Directive], other: &[Directive]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            one.name.value == other.name.value
                && one.arguments.len() == other.arguments.len()
                && one.arguments.iter().zip(&other.arguments).all(|(a, b)| a.value == b.value)
                && same(one.children(), other.children())
        })
}

const SITE: &str = r#"
user "www-data"; # who
events { worker_connections 512; }
http {
    include mime.types;
    map $http_x_api_key $accepted { default 0; "k\"1" 1; 'k2' 1; }
    server {
        listen unix:/run/site.sock;
        location ~ ^/a{2,3}$ { return 200 "${uri} $args"; }
        location / { if ($accepted = "0") { return 403; } proxy_pass http://app; }
    }
}
"#;

const LUA: &str = r#"
location / {
    content_by_lua_block { local t = { a = "}", b = [==[ } ]==] } -- }
    }
}
"#;

const CORNERS: &str = "a\\ b ${c}d e\"f g#h i} \"j\\n\" ) 'k';\r\n}";
