//! local
use keywheel_jose::token::{KeySet, jws};
use serde_json::Value;
#[test]
fn wycheproof() {
    for file in ["json_web_signature", "json_web_key"] {
        let text = std::fs::read(format!("/tmp/wy_{file}.json")).unwrap();
        let all: Value = serde_json::from_slice(&text).unwrap();
        let mut n = (0, 0, 0);
        for group in all["testGroups"].as_array().unwrap() {
            for which in ["public", "private"] {
                let Some(key) = group.get(which) else { continue };
                let set = KeySet::from_json(key.to_string().as_bytes());
                for test in group["tests"].as_array().unwrap() {
                    let token = test["jws"]
                        .as_str()
                        .map(str::to_owned)
                        .unwrap_or_else(|| test["jws"].to_string());
                    let outcome = match &set {
                        Ok(set) => jws::verify(token.as_bytes(), set)
                            .map(|_| ())
                            .map_err(|e| e.to_string()),
                        Err(error) => Err(format!("KEY {error}")),
                    };
                    let valid = test["result"] == "valid";
                    n.0 += 1;
                    if outcome.is_ok() {
                        n.1 += 1
                    }
                    if outcome.is_ok() != valid {
                        println!(
                            "{file} {} {which} {} {}: {outcome:?} {}",
                            test["tcId"],
                            test["result"],
                            test["comment"],
                            &token[..token.len().min(100)]
                        );
                    }
                }
            }
        }
        println!("{file}: {n:?}");
    }
}
