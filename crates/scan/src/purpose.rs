//! Whether a file is part of what runs in production, or stands beside it: tests, samples,
//! examples. What stands beside it is reported, and stops no rotation.

/// Folders whose content stands beside the application.
const FOLDERS: &[&str] = &[
    "__mocks__",
    "__tests__",
    "bench",
    "benches",
    "benchmarks",
    "cypress",
    "demo",
    "demos",
    "doc",
    "docs",
    "e2e",
    "example",
    "examples",
    "fixture",
    "fixtures",
    "fuzz",
    "mocks",
    "playground",
    "sample",
    "samples",
    "spec",
    "specs",
    "test",
    "testdata",
    "testing",
    "tests",
];

/// Words of a file's name that say the same, where dots, dashes and underscores part them.
const WORDS: &[&str] = &[
    "conftest", "dist", "example", "examples", "fixture", "mock", "sample", "spec", "template",
    "test", "tests", "tmpl",
];

/// Endings of names in languages that write words together.
const ENDINGS: &[&str] = &["Test.java", "Tests.java", "IT.java", "Test.kt", "Tests.kt", "Test.php"];

/// Whether a file with this path, below what the user gave, stands beside the application.
///
/// ```
/// use keywheel_scan::purpose::is_aside;
/// assert!(is_aside("web/tests/test_login.py"));
/// assert!(is_aside("deploy/.env.example"));
/// assert!(!is_aside("web/contest.py"));
/// ```
pub fn is_aside(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_folder = |one: &str| FOLDERS.contains(&one.to_ascii_lowercase().as_str());
    if folders.split('/').any(is_folder) || ENDINGS.iter().any(|end| name.ends_with(end)) {
        return true;
    }
    let lower = name.to_ascii_lowercase();
    // A template of a web server's or a chart's configuration is what runs; `.env.template` is a
    // form to fill in.
    let is_env = lower.split('.').any(|part| part == "env") || lower.starts_with("env");
    lower
        .split(['.', '-', '_'])
        .filter(|word| WORDS.contains(word))
        .any(|word| is_env || !matches!(word, "template" | "tmpl" | "dist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_samples_and_examples_stand_beside() {
        for path in [
            "tests/a.py",
            "src/app/__tests__/a.ts",
            "auth_test.go",
            "auth.spec.ts",
            "src/test/java/A.java",
            "AuthTest.java",
            "conftest.py",
            ".env.sample",
            "env-example-relational",
            ".env.template",
            "settings.example.py",
            "config.yml.sample",
            "spec/models/user_spec.rb",
            ".env.test",
        ] {
            assert!(is_aside(path), "{path}");
        }
    }

    #[test]
    fn what_runs_does_not() {
        for path in [
            "app/settings.py",
            "attestation/a.py",
            ".env",
            ".env.production",
            "nginx.conf.template",
            "chart/templates/secret.yaml",
            "latest/a.go",
            "distribution.py",
            "site.conf.tmpl",
        ] {
            assert!(!is_aside(path), "{path}");
        }
    }
}
