//! The sources of settings: options before and after the command, the environment, and the file of `--config`.

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    app::TestApp,
    cli::{beside, refused, run, uncloud},
};

/// A secret that no output may show.
const SECRET: &str = "hunter2";

fn file(text: &str) -> tempfile::TempPath {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file.into_temp_path()
}

#[tokio::test]
async fn config_option_before_or_after_the_command_is_read() {
    let app = TestApp::start().await;
    let settings = file(&format!("# for the tests\nexport DATABASE_URL='{}'\n", app.database_url.expose()));
    let path = settings.to_str().expect("UTF-8");
    for args in [
        &["--config", path, "job", "ls"][..],
        &["job", "--config", path, "ls"],
        &["job", "ls", "--config", path],
        &["jobs", "ls", &format!("--config={path}")],
    ] {
        let mut command = uncloud(args);
        let output = beside(move || run(&mut command, "")).await;
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut by_variable = uncloud(&["job", "ls"]);
    by_variable.env("UNCLOUD_CONFIG", path).env("DATABASE_URL", ""); // compose sets what it leaves open to nothing
    assert!(beside(move || run(&mut by_variable, "")).await.status.success());
}

#[test]
fn help_version_and_generators_beside_an_invalid_config_file_work() {
    let settings = file("nonsense\n");
    let path = settings.to_str().expect("UTF-8");
    for args in [
        &["--config", path, "--help"][..],
        &["--config", path, "job", "ls", "--help"],
        &["--config", path, "--version"],
        &["completion", "bash", "--config", path],
        &["--config", path, "openapi"],
    ] {
        let output = run(&mut uncloud(args), "");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    refused(&mut uncloud(&["--config", path, "job", "ls"]), "", &[path, "line 1"]);
}

#[test]
fn secret_or_its_file_from_the_place_that_wins_is_used() {
    let typed = ["migrate", "--database-url-file", "/nonexistent/typed"];
    let url = format!("postgres://uncloud:{SECRET}@127.0.0.1:1/uncloud");
    refused(uncloud(&typed).env("DATABASE_URL", &url), "", &["/nonexistent/typed"]);
    let settings = file(&format!("DATABASE_URL={url}\n"));
    let in_file = ["--config", settings.to_str().expect("UTF-8"), "migrate"];
    let words = ["/nonexistent/variable", "empty or does not exist"];
    refused(uncloud(&in_file).env("DATABASE_URL_FILE", "/nonexistent/variable"), "", &words);
    let mut both = uncloud(&["migrate"]);
    both.env("DATABASE_URL", &url).env("DATABASE_URL_FILE", "/nonexistent/variable");
    refused(&mut both, "", &["both DATABASE_URL and DATABASE_URL_FILE"]);
}

#[test]
fn data_dir_option_in_any_position_overrides_the_environment() {
    for args in [
        &["--data-dir", "/nonexistent/mine", "job", "ls"][..],
        &["job", "--data-dir", "/nonexistent/mine", "ls"],
        &["job", "ls", "--data-dir", "/nonexistent/mine"],
        &["--data-dir", "/nonexistent/mine", "user", "ls"],
        &["--data-dir=/nonexistent/mine", "migrate"],
    ] {
        refused(&mut uncloud(args), "", &["/nonexistent/mine"]);
        let url = format!("postgres://uncloud:{SECRET}@127.0.0.1:1/uncloud");
        refused(uncloud(args).env("DATABASE_URL", url), "", &["/nonexistent/mine"]);
    }
    let up = ["--data-dir", "/proc/nonexistent", "up", "--listen", "127.0.0.1:0"];
    refused(&mut uncloud(&up), "", &["/proc/nonexistent"]);
}

#[test]
fn config_file_with_invalid_line_is_refused_naming_the_line() {
    let refuse = |text: &str, words: &[&str]| {
        let settings = file(text);
        let path = settings.to_str().expect("UTF-8").to_owned();
        refused(&mut uncloud(&["--config", &path, "migrate"]), "", &[&[path.as_str()], words].concat());
    };
    refuse(&format!("DATABASE_URL=\"{SECRET}\n"), &["line 1", "never closed"]);
    refuse(&format!("UNCLOUD_LISTEN=127.0.0.1:0\n{SECRET}\n"), &["line 2", "NAME=value"]);
    refuse(&format!("\u{feff}DATABASE_URL={SECRET}\n"), &["line 1", "byte order mark"]);
    let bad_value = file("UNCLOUD_LISTEN=8000\n");
    let path = bad_value.to_str().expect("UTF-8");
    refused(&mut uncloud(&["serve", "--config", path]), "", &["--listen", "8000"]);
}

/// All variables that hold a secret, in the environment and in a file.
#[test]
fn help_with_secrets_in_settings_shows_none_of_them() {
    let names = [
        "DATABASE_URL",
        "REDIS_URL",
        "UNCLOUD_SECRET_KEY",
        "UNCLOUD_ADMIN_PASSWORD",
        "UNCLOUD_LDAP_BIND_PASSWORD",
        "UNCLOUD_LDAP_URL",
        "UNCLOUD_LDAP_BASE_DN",
    ];
    let lines: Vec<String> = names.iter().map(|name| format!("{name}={SECRET}\n")).collect();
    let lines = lines.concat();
    let settings = file(&lines);
    let path = settings.to_str().expect("UTF-8");
    for command in ["up", "serve", "migrate", "job", "worker-host", "bootstrap-user"] {
        for mut help in [
            uncloud(&["--config", path, command, "--help"]),
            uncloud(&["help", command]),
            uncloud(&[command, "--help"]),
        ] {
            let in_file = help.get_args().any(|arg| arg == "--config");
            if !in_file {
                help.envs(names.map(|name| (name, SECRET)));
            }
            let output = run(&mut help, "");
            let text = String::from_utf8(output.stdout).expect("text");
            assert!(output.status.success() && text.contains("[env: UNCLOUD_CONFIG]"), "{help:?}: {text}");
            assert!(!text.contains(SECRET), "{help:?}: {text}");
        }
    }
}

#[test]
fn boolean_setting_with_common_spellings_is_accepted() {
    for value in ["yes", "1", "On", "true", "no", "0", "off", ""] {
        let mut command = uncloud(&["up", "--queue", "billing"]);
        command.env("UNCLOUD_TLS", value);
        refused(&mut command, "", &["leave out --queue billing"]); // the next thing that is wrong
    }
    refused(uncloud(&["up"]).env("UNCLOUD_TLS", "maybe"), "", &["--tls", "yes or no"]);
}

/// Returns the arguments that name each command, and the secrets that its options take.
fn commands(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
    found.push(path.to_vec());
    for subcommand in command.get_subcommands() {
        commands(subcommand, &[path, &[subcommand.get_name().to_owned()]].concat(), found);
    }
}

#[test]
fn commands_with_all_secrets_set_print_none_of_them() {
    let key = STANDARD.encode(SECRET.repeat(4) + "1234"); // 32 bytes
    let secrets = [
        // Neither is a URL, as a password is not percent-encoded; the parts of one are quoted by crates that parse it.
        ("DATABASE_URL", "postgres://u:/a?hunter2=hunter3@h/db"),
        ("REDIS_URL", "redis://u:/hunter2?hunter3@h/x"),
        ("UNCLOUD_SECRET_KEY", &key),
        ("UNCLOUD_ADMIN_PASSWORD", "hunter2 hunter3"),
        ("UNCLOUD_LDAP_URL", "ldap://u:hunter2@h/hunter3"),
        ("UNCLOUD_LDAP_BIND_DN", "cn=service,dc=test"),
        ("UNCLOUD_LDAP_BIND_PASSWORD", "hunter2 hunter3"),
    ];
    let lines: Vec<String> = secrets.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    let settings = file(&lines.join("\n"));
    let mut all = Vec::new();
    commands(&uncloud::cli::command(), &[], &mut all);
    assert!(all.len() > 50, "{all:?}");
    for path in &all {
        for last in [&["--help"][..], &["--no-such-option"], &[]] {
            let args: Vec<&str> = path.iter().map(String::as_str).chain(last.iter().copied()).collect();
            let mut command = uncloud(&args);
            // Help shows defaults, which the file's values become.
            if last == ["--help"] {
                command.env("UNCLOUD_CONFIG", &settings)
            } else {
                command.envs(secrets)
            };
            let output = run(command.env("RUST_LOG", "info"), "");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            for secret in ["hunter2", "hunter3", &key] {
                assert!(!said.contains(secret), "{args:?}: {said}");
            }
        }
    }
}
