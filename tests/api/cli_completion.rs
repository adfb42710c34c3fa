//! Completion and man pages, in the real shell and the real formatter.

use std::process::Command;

use crate::cli::{run, uncloud};

/// Returns bash's offers for these words of `uncloud`, of which the last one is being typed.
fn offers(words: &[&str]) -> Vec<String> {
    let script = format!(
        "source <(\"$UNCLOUD\" completion bash) || exit 1
         COMP_WORDS=({words}) COMP_CWORD={last}
         _uncloud uncloud \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        last = words.len() - 1,
    );
    let mut bash = Command::new("bash");
    let output =
        bash.args(["--norc", "-c", &script]).env("UNCLOUD", env!("CARGO_BIN_EXE_uncloud")).output().expect("bash");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn completion_in_bash_offers_commands_options_and_values() {
    assert_eq!(offers(&["uncloud", "jo"]), ["job", "jobs"]);
    assert_eq!(offers(&["uncloud", "job", "re"]), ["retry", "revoke"]);
    assert_eq!(offers(&["uncloud", "job", "ls", "--sta"]), ["--state"]);
    assert_eq!(offers(&["uncloud", "job", "ls", "--state", "f"]), ["failed"]);
    assert_eq!(offers(&["uncloud", "inspect", "re"]), ["reserved", "registered", "report"]);
    assert!(offers(&["uncloud", "completion", ""]).len() >= 3);
}

#[test]
fn completion_for_zsh_and_fish_prints_valid_scripts() {
    for (shell, beginning) in [("zsh", "#compdef uncloud"), ("fish", "# Print an optspec")] {
        let output = run(&mut uncloud(&["completion", shell]), "");
        let script = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && script.starts_with(beginning), "{shell}: {script:.200}");
        let output = run(Command::new(shell).arg("-n"), &script);
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn man_into_a_directory_writes_pages_that_render_cleanly() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("man1");
    let output = run(&mut uncloud(&["man", dir.to_str().expect("UTF-8")]), "");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success() && said.contains("man -l"), "{said}");
    for page in ["uncloud.1", "uncloud-serve.1", "uncloud-job.1", "uncloud-job-ls.1", "uncloud-completion.1"] {
        assert!(dir.join(page).exists(), "{page}");
    }
    let mut man = Command::new("man");
    man.args(["--warnings", "-l"]).arg(dir.join("uncloud-job-ls.1")).env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8");
    let output = match man.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("left out: man can't be run ({error}; package man-db)");
            return;
        }
    };
    let page = String::from_utf8(output.stdout).expect("text");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let example = "EXAMPLES\n         uncloud job ls --state failed --queue vpn-1.example.ch --output json\n";
    for part in ["--state <STATE>", "DATABASE_URL", example, "EXIT STATUS"] {
        assert!(page.contains(part), "{part} in {page}");
    }
}
