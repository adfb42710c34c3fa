//! The servers themselves: copies of databases, a Redis that comes back, and nothing that outlives a killed test.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use redis::Commands as _;
use sqlx::{Connection as _, PgConnection};
use uncloud::embedded::ProcessId;
use uncloud_testkit::{
    servers::{PostgresServer, RedisServer, Slapd},
    wait::wait_until,
};

/// Set for the process that [`servers_after_kill_of_test_program_end_and_leave_no_folders`] starts and kills.
const HELPER: &str = "UNCLOUD_TEST_HELPER";

#[tokio::test]
async fn new_database_from_template_contains_its_tables() {
    let server = PostgresServer::shared();
    let url = server.create_database("template", None).await;
    let mut connection = PgConnection::connect(url.expose()).await.expect("PostgreSQL");
    sqlx::query("create table copied (id int)").execute(&mut connection).await.expect("created");
    connection.close().await.expect("closed");
    let url = server.new_database(Some("template")).await;
    let mut connection = PgConnection::connect(url.expose()).await.expect("PostgreSQL");
    sqlx::query("select id from copied").execute(&mut connection).await.expect("the table is in the copy");
}

#[tokio::test]
#[should_panic(expected = "not a valid database name")]
async fn create_database_with_quotes_in_name_is_refused() {
    PostgresServer::shared().create_database("x\" --", None).await;
}

#[tokio::test]
async fn postgres_after_crash_keeps_committed_rows() {
    let server = PostgresServer::start_crash_safe();
    let mut before = server.session("uncloud").await;
    sqlx::query("create table kept as select 1 as id").execute(&mut before).await.expect("created");
    server.crash().await;
    sqlx::query("select").execute(&mut before).await.expect_err("all sessions were cut");
    let mut after = PgConnection::connect(server.url("uncloud").expose()).await.expect("PostgreSQL");
    sqlx::query("select id from kept").execute(&mut after).await.expect("kept");
}

#[test]
fn redis_after_stop_and_resume_is_empty() {
    let mut server = RedisServer::start();
    let _: () = server.connect().set("greeting", "hello").expect("set");
    server.stop();
    assert!(server.client().get_connection().is_err(), "it is gone");
    server.resume();
    let left: Option<String> = server.connect().get("greeting").expect("a reply");
    assert_eq!(left, None);
}

#[test]
fn slapd_after_stop_keeps_its_folder_until_dropped() {
    let mut server = Slapd::start();
    let folder = server.file("");
    server.stop();
    assert!(folder.join("slapd.conf").exists(), "its entries stay");
    server.resume();
    server.stop();
    drop(server);
    assert!(!folder.exists(), "nothing is left");
}

#[test]
fn servers_after_kill_of_test_program_end_and_leave_no_folders() {
    let mut command = Command::new(env::current_exe().expect("path of this program"));
    command.args(["start_servers", "--exact", "--ignored", "--nocapture"]).env(HELPER, "1");
    let mut program = command.stdout(Stdio::piped()).spawn().expect("this program");
    let mut lines = BufReader::new(program.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let line = lines.find_map(|line| Some(line.split_once('>')?.1.to_owned())).expect("folders and processes");
    let (folders, pids): (Vec<&str>, Vec<&str>) = line.split(' ').partition(|word| word.starts_with('/'));
    let running = |pid: &str| ProcessId::of(pid.parse().expect("pid")).expect("it runs");
    let servers: Vec<ProcessId> = pids.into_iter().map(running).collect();
    assert_eq!((folders.len(), servers.len()), (3, 2), "{line}");
    program.kill().expect("SIGKILL");
    program.wait().expect("its end");
    wait_until("the servers are gone", || servers.iter().all(|server| !server.is_running()));
    wait_until("the folders are gone", || folders.iter().all(|folder| !Path::new(folder).exists()));
}

#[test]
#[ignore = "started by servers_after_kill_of_test_program_end_and_leave_no_folders"]
fn start_servers() {
    if env::var_os(HELPER).is_none() {
        return;
    }
    let (postgres, redis, slapd) = (PostgresServer::start(), RedisServer::start(), Slapd::start());
    let pid = fs::read_to_string(postgres.folder().join("data/postmaster.pid")).expect("a pid");
    let pid = pid.lines().next().expect("a pid");
    let folders = [postgres.folder(), redis.folder(), &slapd.file("")].map(|folder| folder.display().to_string());
    writeln!(io::stdout(), ">{} {pid} {}", folders.join(" "), redis.pid()).expect("written");
    loop {
        std::thread::park();
    }
}
