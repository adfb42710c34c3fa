//! `uncloud worker-host`: which hosts' workers may log in to Redis.

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use redis::{RedisError, ServerErrorKind, aio::MultiplexedConnection};

use super::{
    config::RedisArgs,
    output::{Output, Table},
};
use crate::queue::access::{self, Access};
use uncloud_wire::{QueueName, Secret};

/// Options of `worker-host`.
#[derive(Debug, Args)]
#[command(after_help = "\
REDIS_URL must be an administrator's here, as in rediss://admin:password@redis.example.ch; the server itself needs no such \
rights.

Examples:
  uncloud worker-host add vpn-1.example.ch >broker-url      bring the file to the host, for `uncloud-worker --broker-file`
  uncloud worker-host add vpn-1.example.ch --print --broker-address rediss://redis.example.ch
  uncloud worker-host ls --output json")]
pub(super) struct WorkerHostArgs {
    #[command(subcommand)]
    command: WorkerHostCommand,
}

#[derive(Debug, Subcommand)]
enum WorkerHostCommand {
    /// Let a host's workers in: makes a Redis user limited to the host's own queue, and prints the broker's URL with
    /// its password, once.
    Add(AddArgs),
    /// List the hosts that are let in.
    Ls {
        #[command(flatten)]
        redis: RedisArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Shut a host out; its connections end at once.
    Rm {
        /// The host, or the queue.
        #[arg(value_name = "FQDN")]
        queue: QueueName,
        #[command(flatten)]
        redis: RedisArgs,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// The host; or another queue, such as billing.
    #[arg(value_name = "FQDN")]
    queue: QueueName,
    /// Give one that is there already a new password; its workers need the new URL at their next connection.
    #[arg(long)]
    replace: bool,
    /// Change nothing: print the line for Redis' ACL file, and after it the broker's URL.
    #[arg(long)]
    print: bool,
    /// Redis as the host reaches it, when that differs from --redis-url: rediss://redis.example.ch
    #[arg(long, value_name = "URL")]
    broker_address: Option<Secret<String>>,
    #[command(flatten)]
    redis: RedisArgs,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(args: WorkerHostArgs) -> anyhow::Result<()> {
    match args.command {
        WorkerHostCommand::Add(args) => add(args).await,
        WorkerHostCommand::Ls { redis, output } => {
            let mut table = Table::new(&["queue", "user", "enabled"]);
            for Access { queue, enabled } in users(&mut connect(&redis).await?).await? {
                table.row([queue.as_str().into(), access::user_name(&queue).into(), enabled.into()]);
            }
            table.print(&output)
        }
        WorkerHostCommand::Rm { queue, redis } => {
            let mut connection = connect(&redis).await?;
            let user = access::user_name(&queue);
            let removed = redis::cmd("ACL").arg("DELUSER").arg(&user).query_async::<u32>(&mut connection).await;
            ensure!(removed.map_err(explain)? == 1, "Redis has no user {user}; `uncloud worker-host ls` lists them");
            tracing::info!(user, "shut out");
            save(&mut connection).await
        }
    }
}

async fn add(args: AddArgs) -> anyhow::Result<()> {
    let (queue, user) = (&args.queue, access::user_name(&args.queue));
    let password = access::new_password()?;
    let rules = access::rules(queue, &password);
    let address = args.broker_address.clone().map_or_else(|| args.redis.url(), Ok)?;
    let url = access::broker_url(&address, queue, &password)?;
    let line = format!("user {user} {}", rules.join(" "));
    if args.print {
        return print(&args, &user, &url, Some(&line));
    }
    let mut connection = connect(&args.redis).await?;
    ensure!(
        args.replace || !users(&mut connection).await?.iter().any(|access| access.queue == *queue),
        "Redis has the user {user} already; --replace gives it a new password"
    );
    let made = redis::cmd("ACL").arg("SETUSER").arg(&user).arg(&rules).query_async::<()>(&mut connection).await;
    made.map_err(explain)?;
    tracing::info!(user, "let in");
    // Printed even if it can't be kept: the user is there.
    print(&args, &user, &url, None)?;
    save(&mut connection).await
}

#[expect(clippy::print_stdout, reason = "this is the command's output")]
fn print(args: &AddArgs, user: &str, url: &Secret<String>, line: Option<&str>) -> anyhow::Result<()> {
    if args.output.is_json() {
        let mut table = Table::new(&["queue", "user", "broker_url", "acl"]);
        table.row([args.queue.as_str().into(), user.into(), url.expose().as_str().into(), line.into()]);
        return table.print(&args.output);
    }
    if let Some(line) = line {
        println!("{line}");
    }
    println!("{}", url.expose());
    Ok(())
}

async fn connect(redis: &RedisArgs) -> anyhow::Result<MultiplexedConnection> {
    let client = redis.client()?;
    let connection = client.get_multiplexed_async_connection().await;
    connection.context("can't connect to Redis; check REDIS_URL, and REDIS_CA_FILE for rediss:// with a CA of your own")
}

async fn users(connection: &mut MultiplexedConnection) -> anyhow::Result<Vec<Access>> {
    let lines: Vec<String> = redis::cmd("ACL").arg("LIST").query_async(connection).await.map_err(explain)?;
    Ok(access::listed(&lines))
}

/// Users live in Redis, which forgets them at its next start unless it is told to write its ACL file.
async fn save(connection: &mut MultiplexedConnection) -> anyhow::Result<()> {
    match redis::cmd("ACL").arg("SAVE").query_async::<()>(connection).await {
        Ok(()) => Ok(()),
        Err(error) if error.to_string().contains("not configured to use an ACL file") => {
            tracing::warn!(
                "Redis has no ACL file: what was changed holds until its next start. Name one in redis.conf (aclfile \
                 /etc/redis/users.acl), or put the lines of `uncloud worker-host add --print` there"
            );
            Ok(())
        }
        Err(error) => bail!("changed, but Redis could not write its ACL file, so its next start forgets it: {error}"),
    }
}

/// What a person can do about it.
fn explain(error: RedisError) -> anyhow::Error {
    match error.kind() {
        redis::ErrorKind::Server(ServerErrorKind::NoPerm) => {
            anyhow::anyhow!("this user of Redis may not manage others: REDIS_URL must be an administrator's (+acl)")
        }
        _ if error.to_string().contains("Error in ACL SETUSER") => {
            anyhow::anyhow!("Redis does not understand the rules; they need Redis 7, or Valkey ({error})")
        }
        _ => error.into(),
    }
}
