//! What the binary writes about itself: completions, the manual page, the reference documents.

mod world;

use world::World;

#[test]
fn every_shell_has_completions() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.ok(&["completions", shell]);
        assert!(script.contains("keywheel") && script.contains("rollback"), "{shell}");
    }
}

#[test]
fn the_manual_page_names_every_command() {
    let page = World::new().ok(&["man"]);
    assert!(page.contains(".TH keywheel 1"));
    for verb in ["init", "serve", "compromise", "eject"] {
        assert!(page.contains(&format!("keywheel\\-{verb}")), "{verb}");
    }
}

#[test]
fn the_reference_documents_are_the_same_each_time() {
    let world = World::new();
    for (folder, columns) in [("one", "40"), ("two", "200")] {
        std::fs::create_dir(world.path(folder)).unwrap();
        let mut command = world.command(&["internal", "generate", "--out", folder]);
        command.env("COLUMNS", columns).env("KEYWHEEL_SERVER", "unix:/elsewhere");
        assert!(command.status().unwrap().success());
    }
    let names =
        ["cli.md", "agent.schema.json", "keywheel.schema.json", "openapi.json", "scan.schema.json"];
    for name in names {
        let read = |folder: &str| std::fs::read_to_string(world.path(folder).join(name)).unwrap();
        assert_eq!(read("one"), read("two"), "{name}");
        assert!(read("one").len() > 1_000, "{name}");
    }
    let reference = std::fs::read_to_string(world.path("one/cli.md")).unwrap();
    assert!(reference.contains("## keywheel ring import"));
    assert!(!reference.contains("internal"), "a hidden command is in the reference");
    assert_eq!(reference.matches("Options of every command").count(), 1);
}

#[test]
fn help_explains_the_exit_codes() {
    let help = World::new().ok(&["--help"]);
    assert!(help.contains("Exit codes:\n  0  done"), "{help}");
}
