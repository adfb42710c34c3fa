use super::*;

/// Replaces `ip` by a program at another path of the machine.
fn with_ip(path: &str) -> Commands {
    let path = PathBuf::from(path);
    let wg = path.clone();
    Commands { ip: path, wg, wireguard_go: None, prefix: Vec::new(), wg_syncconf: None, timeout: COMMAND_TIMEOUT }
}

#[test]
fn command_with_rights_has_sudo_prefix() {
    let mut commands = with_ip("/usr/sbin/ip");
    commands.prefix = vec!["/usr/bin/sudo".into(), "-n".into()];
    let words = |rights| {
        let command = commands.command(Program::Ip, rights, &["link"]).expect("ip was found");
        let command = command.as_std();
        let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
        [command.get_program().to_string_lossy().into_owned()].into_iter().chain(args).collect::<Vec<_>>()
    };
    assert_eq!(words(Rights::Unprivileged), ["/usr/sbin/ip", "link"]);
    assert_eq!(words(Rights::NetAdmin), ["/usr/bin/sudo", "-n", "/usr/sbin/ip", "link"]);
}

#[tokio::test]
async fn run_hanging_program_times_out() {
    let mut commands = with_ip("/bin/sleep");
    commands.timeout = Duration::from_millis(50);
    let error = commands.run(Program::Ip, Rights::Unprivileged, &["60"]).await.expect_err("it sleeps");
    assert!(matches!(error, HostError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn run_timed_out_program_ends_with_its_children() {
    let mut commands = with_ip("/bin/sh");
    commands.timeout = Duration::from_millis(200);
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("pid");
    let script = format!("sleep 86400 & echo $! >{}; wait", file.display());
    let error = commands.run(Program::Ip, Rights::Unprivileged, &["-c", &script]).await.expect_err("it waits");
    assert!(matches!(error, HostError::TimedOut { .. }), "{error}");
    let pid = std::fs::read_to_string(&file).expect("it was started").trim().to_owned();
    let stat = format!("/proc/{pid}/stat");
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    // No process may wait for the child, so it may remain as a zombie.
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(std::time::Instant::now() < deadline, "process {pid} still runs");
        time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn run_with_input_passes_it_with_empty_environment() {
    let input = Secret::new("x".repeat(1 << 20));
    let copied = with_ip("/bin/cat").run_with_input(Program::Ip, Rights::Unprivileged, &[], Some(&input)).await;
    assert_eq!(copied.expect("cat").len(), 1 << 20);
    // The whole input exists when the program starts: for a pipe this would print 0.
    let size = with_ip("/usr/bin/stat");
    let size = size.run_with_input(Program::Ip, Rights::Unprivileged, &["-L", "-c", "%s", "/dev/stdin"], Some(&input));
    assert_eq!(size.await.expect("stat").trim(), (1 << 20).to_string());
    let variables = with_ip("/usr/bin/env").run(Program::Ip, Rights::Unprivileged, &[]).await.expect("env");
    assert_eq!(variables, "LC_ALL=C\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
}

#[tokio::test]
async fn run_failing_program_returns_its_output() {
    let error =
        with_ip("/bin/ls").run(Program::Ip, Rights::Unprivileged, &["/nonexistent"]).await.expect_err("no file");
    assert!(error.stderr().contains("No such file"), "{error}");
    assert!(!error.is_final());
    let script = ["-c", "echo the reason; echo a banner >&2; exit 1"];
    let error = with_ip("/bin/sh").run(Program::Ip, Rights::Unprivileged, &script).await.expect_err("it fails");
    assert_eq!(error.stderr(), "a banner the reason");
    let error =
        with_ip("/nonexistent").run(Program::Ip, Rights::Unprivileged, &["link"]).await.expect_err("no program");
    assert!(error.to_string().starts_with("cannot run `ip link`"), "{error}");
}
