//! What is packaged calls keywheel as it wants to be called, and the configurations that pages and
//! units show are ones that it reads.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::path::{Path, PathBuf};

use clap::Parser as _;
use keywheel_cli::arguments::Cli;
use keywheel_cli::config::agent::{AgentConfig, Serving};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

fn parses(words: &[&str]) {
    if let Err(error) = Cli::try_parse_from(words) {
        assert!(!error.use_stderr(), "{words:?}: {error}");
    }
}

#[test]
fn units_and_compose_file_start_keywheel_with_arguments_that_it_knows() {
    let mut commands = 0;
    for unit in ["keywheel.service", "keywheel-agent@.service"] {
        let text = read(&format!("packaging/systemd/{unit}"));
        for line in text.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
            parses(&line.split(' ').collect::<Vec<_>>());
            commands += 1;
        }
        for needed in ["Type=notify", "LoadCredential=", "NoNewPrivileges=yes", "LimitCORE=0"] {
            assert!(text.lines().any(|line| line.starts_with(needed)), "{unit} lacks {needed}");
        }
        assert!(text.contains("\nProtectSystem=strict\n"), "{unit}");
    }
    let compose = read("packaging/compose.yaml");
    for line in
        compose.lines().filter_map(|line| line.trim().strip_prefix("command: [\"keywheel\""))
    {
        let words = line.trim_end_matches(']').split(", ").filter(|word| !word.is_empty());
        let words = std::iter::once("keywheel").chain(words.map(|word| word.trim_matches('"')));
        parses(&words.collect::<Vec<_>>());
        commands += 1;
    }
    assert_eq!(commands, 4);
}

#[test]
fn the_agent_files_of_examples_and_pages_are_settled() {
    let example = file("examples/nginx/agent.toml");
    let config = AgentConfig::load(&example, Serving::Standalone);
    let whole = |config: AgentConfig| (config.consumers.len(), config.authz.is_some());
    assert_eq!(config.map(whole).unwrap(), (3, true));
    let server =
        "[server]\nurl = \"unix:/run/keywheel/keywheel.sock\"\ntoken_file = \"/etc/token\"\n";
    let mut read_ones = 0;
    for page in ["docs/how-to/nginx.md", "docs/how-to/systemd.md"] {
        let page = read(page);
        let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        for block in blocks.filter(|block| block.contains("[[consumer")) {
            let begun = block.starts_with("[[consumer]]");
            let text = if begun {
                block.to_owned()
            } else {
                format!("[[consumer]]\nname = \"app\"\n{block}")
            };
            let parsed = AgentConfig::parse(
                Path::new("agent.toml"),
                &format!("{server}{text}"),
                Serving::Elsewhere,
            );
            assert!(parsed.is_ok(), "{block}\n{}", parsed.unwrap_err());
            read_ones += 1;
        }
    }
    assert_eq!(read_ones, 2);
}

#[test]
fn the_wheels_have_the_version_of_the_workspace_and_one_builder() {
    let builder = read("xtask/python/requirements.txt");
    let builder = builder.lines().find(|line| line.starts_with("maturin==")).unwrap().to_owned();
    for project in ["python", "packaging/python-command"] {
        let text = read(&format!("{project}/pyproject.toml"));
        let project_table: toml::Table = text.parse().unwrap();
        let at = |table: &str, key: &str| {
            project_table.get(table).and_then(|table| table.get(key)).unwrap().clone()
        };
        assert_eq!(at("project", "version").as_str(), Some(env!("CARGO_PKG_VERSION")), "{project}");
        let requires = at("build-system", "requires");
        assert_eq!(requires.as_array().unwrap(), &[builder.clone().into()], "{project}");
        let manifest = project_table.get("tool").and_then(|tool| tool.get("maturin"));
        let manifest = manifest.and_then(|maturin| maturin.get("manifest-path")).unwrap();
        let manifest = file(project).join(manifest.as_str().unwrap());
        assert!(manifest.exists(), "{}", manifest.display());
    }
}

#[test]
fn the_hook_for_commits_calls_keywheel_with_arguments_that_it_knows() {
    let text = read(".pre-commit-hooks.yaml");
    let entry = text.lines().find_map(|line| line.trim().strip_prefix("entry: ")).unwrap();
    let words: Vec<&str> = entry.split_whitespace().collect();
    assert_eq!(words.first(), Some(&"keywheel"));
    parses(&words);
}
