//! The format of a file by its name.

use std::path::Path;

use super::Format;

/// Ends of names that say that a file is the model of another one.
const MODELS: &[&str] = &[
    "j2",
    "jinja",
    "jinja2",
    "erb",
    "tpl",
    "tmpl",
    "template",
    "gotmpl",
    "sample",
    "example",
    "dist",
    "default",
    "in",
    "orig",
    "bak",
    "ep",
    "epp",
    "mustache",
    "hbs",
    "docker",
    "local",
    "dev",
    "development",
    "test",
    "testing",
    "staging",
    "prod",
    "production",
    "ci",
    "base",
];

/// Folders of texts for people.
const OF_PEOPLE: &[&str] = &["locales", "locale", "i18n", "lang", "langs", "translations", "l10n"];

/// Files of tools, which hold no keys of the application.
const OF_TOOLS: &[&str] = &[
    "package.json",
    "package-lock.json",
    "composer.json",
    "composer.lock",
    "cargo.toml",
    "tsconfig.json",
    "jsconfig.json",
    "renovate.json",
    "angular.json",
    "nx.json",
    "lerna.json",
    "turbo.json",
    "biome.json",
    "manifest.json",
    "bower.json",
    "pnpm-lock.yaml",
    "mkdocs.yml",
    "pnpm-workspace.yaml",
    "dependabot.yml",
    ".pre-commit-config.yaml",
    ".eslintrc.json",
    ".prettierrc.json",
    "deno.json",
    "components.json",
    "chart.lock",
    "pubspec.yaml",
    "app.json.schema",
    ".rubocop.yml",
    ".rubocop_todo.yml",
    ".editorconfig",
    ".gitconfig",
    "mypy.ini",
    "alembic.ini",
    ".flake8",
    ".coveragerc",
    "gradle-wrapper.properties",
    "robots.txt",
    "chart.yaml",
    "pom.xml",
    "checkstyle.xml",
    "androidmanifest.xml",
];

pub(super) fn format_of(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    // How a workflow is named says nothing of what it holds: `openapi.yml`, `ci-cd.yml`.
    let is_workflow = path.parent().is_some_and(|folder| folder.ends_with(".github/workflows"));
    if is_workflow {
        return by_end(&name);
    }
    let is_of_people = path
        .components()
        .filter_map(|part| part.as_os_str().to_str())
        .any(|part| OF_PEOPLE.contains(&part.to_ascii_lowercase().as_str()));
    let is_described = name.contains("schema.json")
        || name.contains("openapi")
        || name.contains("swagger")
        || name.contains(".lock")
        || name.contains("-lock.")
        || name.contains(".min.");
    if is_of_people || is_described || OF_TOOLS.contains(&name.as_str()) {
        return None;
    }
    let is_translation = name.starts_with("messages") && name.ends_with(".properties");
    if is_translation || is_language(&name) {
        return None;
    }
    let mut rest = name.as_str();
    for _ in 0..4 {
        if let Some(format) = by_whole(rest).or_else(|| by_end(rest)) {
            return Some(format);
        }
        let (before, end) = rest.rsplit_once(['.', '-', '_'])?;
        if !MODELS.contains(&end) || before.is_empty() {
            return None;
        }
        rest = before;
    }
    None
}

/// Codes of languages into which programs are translated.
const LANGUAGES: &[&str] = &[
    "af", "am", "ar", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "eo",
    "es", "et", "eu", "fa", "fi", "fr", "ga", "gl", "gu", "he", "hi", "hr", "hu", "hy", "id", "is",
    "it", "ja", "ka", "kk", "km", "kn", "ko", "ku", "ky", "lo", "lt", "lv", "mk", "ml", "mn", "mr",
    "ms", "my", "nb", "ne", "nl", "nn", "no", "pa", "pl", "pt", "ro", "ru", "si", "sk", "sl", "sq",
    "sr", "sv", "sw", "ta", "te", "th", "tr", "uk", "ur", "uz", "vi", "zh",
];

/// `de.json`, `pt-BR.yml`: a language, and so a translation.
fn is_language(name: &str) -> bool {
    let Some((stem, end)) = name.rsplit_once('.') else { return false };
    let is_tree = matches!(end, "json" | "yml" | "yaml" | "toml");
    let parts: Vec<_> = stem.split(['-', '_']).collect();
    let is_code = |part: &&str| LANGUAGES.contains(part);
    let is_country =
        |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    is_tree
        && match parts.as_slice() {
            [language] => is_code(language),
            // `ci-cd.yml` is none.
            [language, country] => is_code(language) && is_country(country),
            _ => false,
        }
}

fn by_whole(name: &str) -> Option<Format> {
    let is_env = name == ".env"
        || name.starts_with(".env.")
        || name.starts_with(".env-")
        || name.starts_with(".env_")
        || name.starts_with("env-example")
        || name.starts_with("env.example")
        || name.starts_with("env.sample")
        || name.starts_with("dotenv")
        // `.testenv`
        || name.starts_with('.') && name.ends_with("env")
        || matches!(
            name,
            "env" | ".flaskenv" | "environment" | ".dev.vars" | "env.txt" | "environment.txt"
        );
    if is_env {
        return Some(Format::Env);
    }
    let is_docker = name == "dockerfile"
        || name == "containerfile"
        || name.starts_with("dockerfile.")
        || name.starts_with("dockerfile-");
    if is_docker {
        return Some(Format::Dockerfile);
    }
    match name {
        "makefile" | "gnumakefile" | "justfile" | "procfile" | ".envrc" | ".bashrc"
        | ".profile" | "entrypoint" | "docker-entrypoint" | "procfile.dev" => Some(Format::Shell),
        "pipfile" => Some(Format::Toml),
        ".babelrc" | "app.json" => Some(Format::Json),
        ".npmrc" | ".yarnrc" => Some(Format::Ini),
        _ => None,
    }
}

fn by_end(name: &str) -> Option<Format> {
    let (_, end) = name.rsplit_once('.')?;
    Some(match end {
        "env" | "envs" => Format::Env,
        "yml" | "yaml" | "sls" => Format::Yaml,
        "json" | "jsonc" | "json5" | "ejson" => Format::Json,
        "toml" => Format::Toml,
        "ini" | "cfg" | "conf" | "config" | "cnf" | "properties" | "prefs" => Format::Ini,
        "dockerfile" | "containerfile" => Format::Dockerfile,
        "sh" | "bash" | "zsh" | "ksh" | "ash" | "command" | "mk" => Format::Shell,
        "service" | "socket" | "timer" | "container" | "pod" | "kube" => Format::Systemd,
        "tf" | "tfvars" | "hcl" | "nomad" | "tofu" => Format::Hcl,
        "xml" => Format::Xml,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_names() {
        for (path, format) in [
            (".env", Some(Format::Env)),
            ("deploy/.env.production.sample", Some(Format::Env)),
            ("env-example-relational", Some(Format::Env)),
            ("prod.env", Some(Format::Env)),
            ("docker/Dockerfile.web", Some(Format::Dockerfile)),
            ("chart/templates/secret.yaml", Some(Format::Yaml)),
            ("roles/app/templates/app.yml.j2", Some(Format::Yaml)),
            ("app.service", Some(Format::Systemd)),
            ("main.tf", Some(Format::Hcl)),
            ("application.properties", Some(Format::Ini)),
            ("appsettings.Development.json", Some(Format::Json)),
            ("config/locales/de.yml", None),
            ("src/messages_en.properties", None),
            ("web/pt-BR.json", None),
            ("package-lock.json", None),
            ("api/openapi.yaml", None),
            ("README.md", None),
            ("heroku-setup.template", None),
        ] {
            assert_eq!(format_of(path.as_ref()), format, "{path}");
        }
    }
}
