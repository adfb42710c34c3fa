//! A host's user of Redis: enough for its worker, and for nothing else.

use std::{
    collections::HashSet,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use apalis::prelude::WorkerBuilder;
use apalis_core::{backend::Backend as _, worker::context::WorkerContext};
use redis::{AsyncCommands as _, Value, aio::MultiplexedConnection, streams::StreamPendingReply};
use serde_json::json;
use tokio::sync::watch;
use uncloud_wire::{
    QueueName, broker,
    stream::{Envelope, StreamBackend, StreamConfig},
};

use crate::{
    certificates::certificates,
    redis_tls::{RemoteRedis, SERVER_PASSWORD},
};

fn queue(name: &str) -> QueueName {
    name.parse().expect("a queue")
}

async fn push(server: &mut MultiplexedConnection, queue: &QueueName, job: i64) {
    let fields = [("job", job.to_string()), ("fence", "1".into()), ("kind", "x".into()), ("payload", "{}".into())];
    let _: String = server.xadd(queue.jobs_key(), "*", &fields).await.expect("the server may");
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited 10 s in vain for: {what}");
}

#[tokio::test]
async fn worker_with_its_redis_user_is_denied_nothing() {
    let redis = RemoteRedis::start();
    let own = queue("vpn-1.example.ch");
    let url = redis.let_in(&own).await;
    let mut server = redis.connect(&redis.url("server", SERVER_PASSWORD)).await;
    let client = broker::client(&url, Some(&certificates().ca())).expect("a client");
    let mut config = StreamConfig::new(client, own.clone(), "worker".into(), 2);
    config.lease = Duration::from_millis(600);
    let pending = async |server: &mut MultiplexedConnection| {
        let reply: redis::RedisResult<StreamPendingReply> = server.xpending(own.jobs_key(), "workers").await;
        reply.map_or(0, |reply| reply.count()) // no group yet
    };

    // Read, not started, handed back at the end.
    let (_stop, stopped) = watch::channel(false);
    let mut backend = StreamBackend::new(config.clone(), stopped);
    let worker = WorkerContext::new("test");
    poll_fn(|context| backend.poll_ready(context, &worker)).await.expect("starts");
    push(&mut server, &own, 1).await;
    push(&mut server, &own, 2).await;
    until("both are read", async || {
        server.xlen::<_, usize>(own.jobs_key()).await.expect("length") == 2 && pending(&mut server).await == 2
    })
    .await;
    poll_fn(|context| backend.poll_close(context, &worker)).await.expect("ends");
    drop(backend);

    // Taken over by another, which takes longer than a lease: heartbeat, XPENDING, XCLAIM, `running`; then done.
    let (stop, stopped) = watch::channel(false);
    let runs = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&runs);
    let handler = move |_: Envelope| {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(1500)).await;
            Ok::<_, std::io::Error>(json!({}))
        }
    };
    let backend = StreamBackend::new(StreamConfig { worker: "second".into(), ..config }, stopped.clone());
    let running = WorkerBuilder::new("test").backend(backend).build(handler).run();
    let mut stopped = stopped;
    let task = tokio::spawn(async move {
        tokio::select! {
            _ = running => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    });
    until("both are done", async || server.xlen::<_, usize>(own.jobs_key()).await.expect("length") == 0).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2, "each once: the leases were renewed");
    let events: redis::streams::StreamRangeReply = server.xrange_all(own.events_key()).await.expect("events");
    let outcomes: Vec<(String, String)> =
        events.ids.iter().filter_map(|event| Some((event.get("outcome")?, event.get("job")?))).collect();
    // A slow machine sees more than one heartbeat of a job.
    let running: HashSet<_> = outcomes.iter().filter(|(outcome, _)| outcome == "running").collect();
    assert_eq!(running.len(), 2, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|(outcome, _)| outcome == "succeeded").count(), 2, "{outcomes:?}");

    // Redis emptied: the group is made anew.
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis.admin().await).await.expect("emptied");
    push(&mut server, &own, 3).await;
    until("the third is done", async || runs.load(Ordering::SeqCst) == 3).await;
    until("it is gone", async || server.xlen::<_, usize>(own.jobs_key()).await.expect("length") == 0).await;
    stop.send_replace(true);
    task.await.expect("ends");

    let denied: Vec<Value> = redis::cmd("ACL").arg("LOG").query_async(&mut redis.admin().await).await.expect("a log");
    assert!(denied.is_empty(), "Redis refused something that the worker or the server sends: {denied:?}");
}

/// Commands that a compromised host would try. `<own>` and `<other>` are the queues' names.
const REFUSED: &str = "
XADD uncloud:{<own>}:jobs * job 1 fence 1 kind vpn_apply payload {}
XADD uncloud:{<other>}:jobs * job 1 fence 1 kind vpn_apply payload {}
XADD uncloud:{<other>}:events * job 1 fence 1 outcome succeeded body {}
XADD uncloud:{billing}:jobs * job 1
XADD uncloud:{<own>}:control * x y
XREADGROUP GROUP workers w COUNT 1 STREAMS uncloud:{<other>}:jobs >
XREADGROUP GROUP workers w COUNT 1 STREAMS uncloud:{<other>}:events >
XREADGROUP GROUP workers w COUNT 1 STREAMS uncloud:{<own>}:events >
XREADGROUP GROUP workers w COUNT 1 STREAMS uncloud:{<own>}:jobs uncloud:{<other>}:jobs > >
XREAD COUNT 1 STREAMS uncloud:{<other>}:jobs 0
XREAD COUNT 1 STREAMS uncloud:{<own>}:events 0
XRANGE uncloud:{<other>}:jobs - +
XRANGE uncloud:{<own>}:jobs - +
XRANGE uncloud:{<other>}:events - +
XREVRANGE uncloud:{<other>}:events + -
XLEN uncloud:{<other>}:jobs
XLEN uncloud:{<own>}:events
XINFO STREAM uncloud:{<other>}:jobs FULL
XACK uncloud:{<other>}:jobs workers 1-1
XDEL uncloud:{<other>}:jobs 1-1
XDEL uncloud:{<other>}:events 1-1
XDEL uncloud:{<own>}:events 1-1
XTRIM uncloud:{<other>}:events MAXLEN 0
XTRIM uncloud:{<own>}:events MAXLEN 0
XPENDING uncloud:{<other>}:jobs workers
XCLAIM uncloud:{<other>}:jobs workers w 0 1-1
XAUTOCLAIM uncloud:{<other>}:jobs workers w 0 0-0
XGROUP CREATE uncloud:{<other>}:jobs workers 0 MKSTREAM
XGROUP CREATE uncloud:{<other>}:events thieves 0 MKSTREAM
XGROUP CREATE uncloud:{<own>}:events thieves 0 MKSTREAM
XGROUP DESTROY uncloud:{<own>}:jobs workers
XGROUP SETID uncloud:{<own>}:jobs workers 0
XSETID uncloud:{<own>}:jobs 1-1
DEL uncloud:{<other>}:jobs
DEL uncloud:{<own>}:jobs
UNLINK uncloud:{<other>}:events
RENAME uncloud:{<other>}:jobs uncloud:{<own>}:jobs
COPY uncloud:{<other>}:jobs uncloud:{<own>}:jobs
DUMP uncloud:{<other>}:jobs
RESTORE uncloud:{<other>}:jobs 0 x
EXPIRE uncloud:{<other>}:jobs 1
SORT uncloud:{<other>}:jobs
GET uncloud:{<other>}:jobs
SET x y
TYPE uncloud:{<other>}:jobs
EXISTS uncloud:{<other>}:jobs
KEYS *
SCAN 0
RANDOMKEY
DBSIZE
EVAL return(1) 0
EVALSHA 0 0
FUNCTION LIST
SCRIPT FLUSH
CONFIG GET *
CONFIG SET requirepass x
CONFIG REWRITE
FLUSHALL
FLUSHDB
SWAPDB 0 1
SUBSCRIBE x
PSUBSCRIBE *
PUBLISH x y
MONITOR
CLIENT LIST
CLIENT KILL ID 1
CLIENT PAUSE 1000
INFO
SHUTDOWN NOSAVE
SLOWLOG GET
REPLICAOF ::1 1
MODULE LIST
SAVE
ACL LIST
ACL WHOAMI
ACL GETUSER default
ACL SETUSER host-<own> ~*
SELECT 1
WATCH uncloud:{<other>}:jobs
PING
";

#[tokio::test]
async fn redis_user_of_host_cannot_read_or_forge_other_queues() {
    let redis = RemoteRedis::start();
    let (own, other) = (queue("vpn-1.example.ch"), queue("vpn-2.example.ch"));
    let url = redis.let_in(&own).await;
    redis.let_in(&other).await;
    let mut server = redis.connect(&redis.url("server", SERVER_PASSWORD)).await;
    push(&mut server, &other, 1).await;
    let mut host = redis.connect(&url).await;
    for line in REFUSED.lines().filter(|line| !line.is_empty()) {
        let line = line.replace("<own>", own.as_str()).replace("<other>", other.as_str());
        let response = run(&mut host, &line).await;
        let error = response.expect_err(&line);
        assert!(error.code() == Some("NOPERM"), "{line}: {error}");
        // Inside a transaction as well.
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("XACK").arg(own.jobs_key()).arg("workers").arg("1-1").add_command(command(&line));
        if !line.starts_with("SUBSCRIBE") && !line.starts_with("PSUBSCRIBE") {
            pipe.query_async::<Value>(&mut host).await.expect_err(&line);
        }
    }
    run(&mut host, &format!("XADD {} * job 1", own.events_key())).await.expect("its own events it may write");
    let left: usize = server.xlen(other.jobs_key()).await.expect("length");
    assert_eq!(left, 1, "the other's job is where it was");
}

fn command(line: &str) -> redis::Cmd {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().expect("a name"));
    words.for_each(|word| {
        command.arg(word);
    });
    command
}

pub async fn run(connection: &mut MultiplexedConnection, line: &str) -> redis::RedisResult<Value> {
    command(line).query_async(connection).await
}
