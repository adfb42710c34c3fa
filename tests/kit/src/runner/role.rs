//! Servers and workers as processes, to be killed and frozen at will.

use std::{
    env,
    path::PathBuf,
    process::{self, Command},
    sync::Arc,
    thread,
    time::Duration,
};

use nix::unistd::{Pid, getpid, getppid};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use uncloud::queue::{Notifier, Runner};
use uncloud_jobs::worker;
use uncloud_wire::logging;

use super::handler::{self, Kinds};

/// The name of a server's sessions in PostgreSQL.
const SERVER: &str = "server";

/// The variable that names the role of a process; not set in the test itself.
const ROLE: &str = "UNCLOUD_TEST_ROLE";

/// The arguments that make the test harness run only the test which calls [`play_role`].
const ARGUMENTS: [&str; 4] = ["play_role", "--exact", "--nocapture", "--test-threads=1"];

/// Environment of servers and workers, by which they find each other.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The database.
    pub database_url: String,
    /// The broker.
    pub redis_url: String,
    /// The folder where workers leave traces of their jobs.
    pub folder: PathBuf,
}

impl Addresses {
    /// Returns the command that starts a server.
    pub fn server(&self) -> Command {
        self.role("server")
    }

    /// Returns the command that starts a worker for some queues, separated by commas.
    pub fn worker(&self, queues: &str, concurrency: usize) -> Command {
        let mut command = self.role("worker");
        command.env("QUEUES", queues).env("CONCURRENCY", concurrency.to_string());
        command
    }

    fn role(&self, role: &str) -> Command {
        let mut command = Command::new(env::current_exe().expect("path of this program"));
        command.args(ARGUMENTS).env_clear().env(ROLE, role).env("PATH", "/usr/bin:/bin");
        command.env("DATABASE_URL", &self.database_url).env("REDIS_URL", &self.redis_url).env("FOLDER", &self.folder);
        command
    }
}

/// Plays the role of this process and ends it; returns at once in the test itself, which has no role.
///
/// A test program that starts servers and workers must have this test in its root module:
///
/// ```text
/// #[test]
/// fn play_role() {
///     uncloud_testkit::runner::play_role();
/// }
/// ```
///
/// Any other program, such as a bench, must begin with this call.
pub fn play_role() {
    let Ok(role) = env::var(ROLE) else { return };
    logging::init(logging::Format::Text, None);
    let parent = getppid();
    thread::spawn(move || follow(parent));
    let runtime = Builder::new_multi_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let (stop_in, stop) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate()).expect("signals");
        tokio::spawn(async move {
            terminate.recv().await;
            stop_in.send_replace(true);
        });
        match role.as_str() {
            "server" => serve(stop).await,
            "worker" => work(stop).await,
            role => panic!("unknown role {role}"),
        }
    });
    exit(0);
}

/// Ends this process when the test is gone: when the test was killed, nothing else would.
fn follow(parent: Pid) {
    while getppid() == parent {
        thread::sleep(Duration::from_millis(500));
    }
    exit(1);
}

#[expect(clippy::disallowed_methods, reason = "back in the test harness it would run tests")]
fn exit(code: i32) -> ! {
    process::exit(code)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is set"))
}

fn redis() -> redis::Client {
    redis::Client::open(variable("REDIS_URL")).expect("a URL")
}

async fn serve(mut stop: watch::Receiver<bool>) {
    let options = PgPoolOptions::new().max_connections(20).acquire_timeout(Duration::from_secs(5));
    let database: PgConnectOptions = variable("DATABASE_URL").parse().expect("a URL");
    let pool = options.connect_lazy_with(database.application_name(SERVER));
    let wake: Arc<Notifier> = Arc::default();
    let runner = Runner { pool, redis: redis(), kinds: Arc::new(Kinds), wake, metrics: Arc::default() };
    let mut tasks = uncloud::queue::start(&runner, &stop);
    tracing::info!("serving");
    let _ = stop.wait_for(|stop| *stop).await;
    while tasks.join_next().await.is_some() {}
}

async fn work(stop: watch::Receiver<bool>) {
    let folder = PathBuf::from(variable("FOLDER"));
    let settings = worker::Settings {
        redis: redis(),
        queues: variable("QUEUES").split(',').map(|queue| queue.parse().expect("a queue")).collect(),
        name: format!("worker-{}", getpid()),
        concurrency: variable("CONCURRENCY").parse().expect("a number"),
        kinds: vec!["nothing", "sleep"],
        handler: Arc::new(move |envelope, control| Box::pin(handler::run(folder.clone(), envelope, control))),
    };
    tracing::info!("working");
    worker::run(settings, stop).await.expect("it ends in order");
}
