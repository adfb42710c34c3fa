//! Tests with real servers: started, used, killed and found again.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use redis::AsyncCommands as _;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::sync::watch;
use uncloud_wire::Secret;

use super::{Account, DataDir, Instance, Postgres, ProcessId, Redis, Registry, RuntimeDir, end_leftovers};

/// The variable that names the data folder of [`owner`]; set by the test that is going to kill it.
const OWNER_DATA_DIR: &str = "UNCLOUD_TEST_OWNER_DATA_DIR";

struct Running {
    registry: Arc<Registry>,
    runtime: RuntimeDir,
    postgres: Postgres,
    redis: Redis,
    hurry: watch::Sender<bool>,
    _data_dir: DataDir,
}

impl Running {
    /// Starts the servers in the same way as `uncloud up`.
    async fn start(path: &Path) -> anyhow::Result<Self> {
        let data_dir = DataDir::lock(path)?;
        end_leftovers(&data_dir).await?;
        let account = Account::choose(None)?;
        let registry = Arc::new(Registry::create(&data_dir)?);
        let runtime = RuntimeDir::create(data_dir.id(), account.as_ref())?;
        registry.update(|instance| instance.runtime_dir = Some(runtime.path().to_owned()));
        let postgres = Postgres::start(&data_dir, runtime.path(), account.as_ref(), Arc::clone(&registry)).await?;
        let redis = Redis::start(&data_dir, runtime.path(), account.as_ref(), Arc::clone(&registry)).await?;
        registry.update(|instance| {
            instance.database_url = Some(postgres.url.clone());
            instance.redis_url = Some(redis.url.clone());
        });
        Ok(Self { registry, runtime, postgres, redis, hurry: watch::channel(false).0, _data_dir: data_dir })
    }

    async fn stop(self) {
        self.redis.child.stop(self.hurry.subscribe()).await;
        self.postgres.child.stop(self.hurry.subscribe()).await;
        self.runtime.remove();
        self.registry.remove();
    }
}

/// Creates a folder that PostgreSQL's user may enter.
fn folder() -> TempDir {
    let folder = TempDir::with_prefix_in("uncloud-embedded-", "/tmp").expect("temporary folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("chmod");
    folder
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn connect(url: &Secret<String>) -> sqlx::Result<PgConnection> {
    PgConnection::connect(url.expose()).await
}

async fn set_and_get(url: &Secret<String>) -> redis::RedisResult<String> {
    let mut connection = redis::Client::open(url.expose().as_str())?.get_multiplexed_async_connection().await?;
    let () = connection.set("greeting", "hello").await?;
    connection.get("greeting").await
}

#[tokio::test]
async fn servers_after_a_kill_restart_and_keep_their_data() {
    let folder = folder();
    let running = Running::start(folder.path()).await.expect("first start");
    let mut connection = connect(&running.postgres.url).await.expect("PostgreSQL");
    sqlx::query("create table kept (text text)").execute(&mut connection).await.expect("create table");
    sqlx::query("insert into kept values ('yes')").execute(&mut connection).await.expect("insert");
    assert_eq!(set_and_get(&running.redis.url).await.expect("Redis"), "hello");

    let instance = Instance::running(folder.path()).expect("instance.json");
    let names: Vec<&str> = instance.children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(names, ["postgres", "redis"]);
    let mode = folder.path().join("instance.json").metadata().expect("instance.json").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the URLs in it are secret");
    if Uid::effective().is_root() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", instance.children[0].process.pid));
        let status = status.expect("PostgreSQL's status");
        assert!(!status.lines().any(|line| line.starts_with("Uid:\t0\t")), "never as root");
    }

    for child in &instance.children {
        child.process.signal(Signal::SIGKILL);
    }
    until("PostgreSQL runs again", async || {
        let Ok(mut connection) = connect(&running.postgres.url).await else { return false };
        sqlx::query_scalar::<_, String>("select text from kept").fetch_one(&mut connection).await.is_ok()
    })
    .await;
    until("Redis runs again", async || set_and_get(&running.redis.url).await.is_ok()).await;
    assert_ne!(running.postgres.child.process(), Some(instance.children[0].process), "a new process");

    let (sockets, again) = (running.runtime.path().to_owned(), Instance::running(folder.path()).expect("running"));
    running.stop().await;
    assert!(again.children.iter().all(|child| !child.process.is_running()), "ended");
    assert!(!sockets.exists() && Instance::read(folder.path()).expect("read").is_none(), "nothing is left");

    let running = Running::start(folder.path()).await.expect("second start");
    let mut connection = connect(&running.postgres.url).await.expect("PostgreSQL");
    let kept: String = sqlx::query_scalar("select text from kept").fetch_one(&mut connection).await.expect("the row");
    assert_eq!(kept, "yes");
    running.stop().await;
}

#[tokio::test]
async fn next_start_after_a_kill_ends_the_leftover_processes() {
    let folder = folder();
    let mut owner = helper("embedded::tests::owner", folder.path());
    assert_eq!(first_line(&mut owner), "started");
    let left = Instance::running(folder.path()).expect("it runs");
    owner.kill().expect("kill -9");
    owner.wait().expect("its end");
    assert!(left.children.iter().all(|child| child.process.is_running()), "its children still run");
    assert!(Instance::read(folder.path()).expect("read").is_none(), "but it is not running");

    let running = Running::start(folder.path()).await.expect("the next start");
    assert!(left.children.iter().all(|child| !child.process.is_running()), "ended by the next start");
    connect(&running.postgres.url).await.expect("PostgreSQL");
    running.stop().await;
}

#[tokio::test]
async fn end_leftovers_with_reused_process_id_leaves_the_process() {
    let folder = folder();
    let data_dir = DataDir::lock(folder.path()).expect("lock");
    let registry = Registry::create(&data_dir).expect("instance.json");
    let mut bystander = Command::new("sleep").arg("100").spawn().expect("sleep");
    let process = ProcessId::of(bystander.id().try_into().expect("pid")).expect("it runs");
    registry.record_child("redis", ProcessId { start_time: process.start_time - 1, ..process });
    end_leftovers(&data_dir).await.expect("cleaning up");
    assert!(process.is_running());
    bystander.kill().expect("kill");
    bystander.wait().expect("wait");
}

#[test]
fn lock_of_locked_folder_is_refused_and_names_the_owner() {
    let folder = folder();
    let _first = DataDir::lock(folder.path()).expect("first lock");
    let message = DataDir::lock(folder.path()).expect_err("second lock").to_string();
    assert!(message.contains(&format!("(process {})", std::process::id())), "{message}");
    assert!(message.contains("--data-dir"), "{message}");
}

#[tokio::test]
async fn ensure_reaches_of_unreachable_folder_names_the_remedy() {
    let Some(account) = Account::choose(None).expect("account") else { return };
    let folder = folder();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).expect("chmod");
    let inside = folder.path().join("deep/inside");
    std::fs::create_dir_all(&inside).expect("mkdir");
    let message = account.ensure_reaches(&inside).expect_err("out of reach").to_string();
    assert!(message.contains(&format!("chmod o+x {}", folder.path().display())), "{message}");
    assert!(!message.contains('\n'), "one line: {message}");
}

#[test]
fn programs_for_data_of_another_major_version_is_refused() {
    let folder = folder();
    std::fs::write(folder.path().join("PG_VERSION"), "8\n").expect("PG_VERSION");
    let message = super::postgres::programs_for(folder.path()).expect_err("refused").to_string();
    assert!(message.contains("PostgreSQL 8") && message.contains("install postgresql-8"), "{message}");
}

/// Starts another process of this test program, which runs the test below.
fn helper(test: &str, data_dir: &Path) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command.args([test, "--exact", "--ignored", "--nocapture"]).env(OWNER_DATA_DIR, data_dir);
    command.stdout(Stdio::piped()).spawn().expect("helper")
}

/// Reads the line that a helper prints as soon as it is ready; it starts with `>`.
fn first_line(helper: &mut std::process::Child) -> String {
    let stdout = BufReader::new(helper.stdout.take().expect("stdout"));
    let line =
        stdout.lines().map_while(Result::ok).find_map(|line| line.split_once('>').map(|(_, rest)| rest.to_owned()));
    line.expect("the helper ended without output")
}

/// Prints a line from a helper process to its test.
fn tell(text: &str) {
    println!(">{text}");
}

#[tokio::test]
#[ignore = "run by next_start_after_a_kill_ends_the_leftover_processes"]
async fn owner() {
    let Some(data_dir) = std::env::var_os(OWNER_DATA_DIR).map(PathBuf::from) else { return };
    let _running = Running::start(&data_dir).await.expect("start");
    tell("started");
    std::future::pending::<()>().await;
}

#[test]
fn instance_of_folder_that_others_own_or_may_write_is_not_believed() {
    let folder = folder();
    let record = folder.path().join("instance.json");
    let registry = Registry::create(&DataDir::lock(folder.path()).expect("a folder")).expect("a record");
    assert!(Instance::read(folder.path()).expect("own").is_some());
    let refusal = || format!("{:#}", Instance::read(folder.path()).expect_err("not believed"));
    for path in [folder.path(), &record] {
        let mode = path.metadata().expect("a path").permissions();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("chmod");
        assert!(refusal().contains("chmod go-w"), "{}", refusal());
        std::fs::set_permissions(path, mode).expect("chmod");
        if Uid::effective().is_root() {
            std::os::unix::fs::chown(path, Some(65_534), None).expect("chown");
            assert!(refusal().contains("belongs to the user nobody"), "{}", refusal());
            std::os::unix::fs::chown(path, Some(0), None).expect("chown");
        }
    }
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&record, &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, &record).expect("linked");
    assert!(refusal().contains("instance.json"), "a link");
    drop(registry);
}

#[tokio::test]
async fn postgres_of_earlier_version_trusts_only_users_that_the_kernel_names() {
    let folder = folder();
    Running::start(folder.path()).await.expect("first start").stop().await;
    let access = folder.path().join("postgres/pg_hba.conf");
    std::fs::write(&access, "local all all trust\n").expect("as it was");
    let running = Running::start(folder.path()).await.expect("second start");
    connect(&running.postgres.url).await.expect("this user is the database's owner");
    let other = Secret::new(running.postgres.url.expose().replace("user=uncloud", "user=postgres"));
    let refused = connect(&other).await.expect_err("no other role").to_string();
    assert!(refused.contains("eer authentication"), "{refused}");
    assert!(!std::fs::read_to_string(&access).expect("a file").contains("trust"));
    running.stop().await;
}

#[test]
fn account_that_other_programs_share_is_refused() {
    if Uid::effective().is_root() {
        let error = format!("{:#}", Account::choose(Some("nobody")).expect_err("refused"));
        assert!(error.contains("a user of its own"), "{error}");
    }
}
