//! The command `uncloud worker-host`, which manages the hosts whose workers may log in to Redis.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueHint};
use redis::{RedisError, ServerErrorKind, aio::MultiplexedConnection};
use uncloud_wire::{
    QueueName, Secret,
    program::{Failure, print},
};

use super::{
    config::RedisArgs,
    output::{Output, Table},
};
use crate::queue::access::{self, Access};

/// Options of `worker-host`.
#[derive(Debug, Args)]
#[command(after_help = "\
REDIS_URL must be an administrator's here, as in rediss://admin:password@redis.example.ch; the
server itself needs no such rights. Workers read the URL with --broker-file.

Examples:
  uncloud worker-host add vpn-1.example.ch >broker-url
  uncloud worker-host add vpn-1.example.ch --print --broker-address rediss://redis.example.ch
  uncloud worker-host ls --output json")]
pub(super) struct WorkerHostArgs {
    #[command(subcommand)]
    command: WorkerHostCommand,
}

#[derive(Debug, Subcommand)]
enum WorkerHostCommand {
    /// Create a Redis user that is limited to a host's own queue, and print the broker's URL with its password, once.
    #[command(after_help = "\
Examples:
  uncloud worker-host add vpn-1.example.ch >broker-url
  uncloud worker-host add vpn-1.example.ch --print --broker-address rediss://redis.example.ch")]
    Add(AddArgs),
    /// List the hosts whose workers may log in.
    #[command(after_help = "Example:\n  uncloud worker-host ls --output json")]
    Ls {
        #[command(flatten)]
        redis: RedisArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a host's Redis user; its connections end at once.
    #[command(after_help = "Example:\n  uncloud worker-host rm vpn-1.example.ch")]
    Rm {
        /// Full name of the host, or name of another queue.
        #[arg(value_name = "FQDN")]
        queue: QueueName,
        #[command(flatten)]
        redis: RedisArgs,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Full name of the host, or name of another queue, such as billing.
    #[arg(value_name = "FQDN")]
    queue: QueueName,
    /// Give an existing user a new password; its workers need the new URL at their next connection.
    #[arg(long)]
    replace: bool,
    /// Change nothing: print the line for Redis' ACL file, and the broker's URL below it.
    #[arg(long)]
    print: bool,
    /// URL at which the host reaches Redis, where it differs from --redis-url, as in rediss://redis.example.ch
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
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
            output.rows(&table)
        }
        WorkerHostCommand::Rm { queue, redis } => {
            let mut connection = connect(&redis).await?;
            let user = access::user_name(&queue);
            let removed = redis::cmd("ACL").arg("DELUSER").arg(&user).query_async::<u32>(&mut connection).await;
            if removed.map_err(explain)? != 1 {
                let what = format!("user {user} of Redis not found; `uncloud worker-host ls` lists the users");
                return Err(Failure::not_found(what).into());
            }
            tracing::info!(user, "removed");
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
        return print_access(&args, &user, &url, Some(&line));
    }
    let mut connection = connect(&args.redis).await?;
    if !args.replace && users(&mut connection).await?.iter().any(|access| access.queue == *queue) {
        bail!("Redis has the user {user} already; --replace gives it a new password");
    }
    let made = redis::cmd("ACL").arg("SETUSER").arg(&user).arg(&rules).query_async::<()>(&mut connection).await;
    made.map_err(explain)?;
    tracing::info!(user, "created");
    // Printed even if Redis can't write its file, and saved even if stdout is closed: the user exists.
    let printed = print_access(&args, &user, &url, None);
    save(&mut connection).await?;
    printed
}

fn print_access(args: &AddArgs, user: &str, url: &Secret<String>, line: Option<&str>) -> anyhow::Result<()> {
    if args.output.is_json() {
        let mut table = Table::new(&["queue", "user", "broker_url", "acl"]);
        table.row([args.queue.as_str().into(), user.into(), url.expose().as_str().into(), line.into()]);
        return args.output.row(&table);
    }
    let line = line.map_or_else(String::new, |line| format!("{line}\n"));
    print(format!("{line}{}\n", url.expose()))
}

async fn connect(redis: &RedisArgs) -> anyhow::Result<MultiplexedConnection> {
    let client = redis.client()?;
    let connection = client.get_multiplexed_async_connection().await;
    let hint = "can't connect to Redis; check REDIS_URL, and REDIS_CA_FILE for rediss:// with a CA of your own";
    connection.context(Failure::no_response(hint))
}

async fn users(connection: &mut MultiplexedConnection) -> anyhow::Result<Vec<Access>> {
    let lines: Vec<String> = redis::cmd("ACL").arg("LIST").query_async(connection).await.map_err(explain)?;
    Ok(access::listed(&lines))
}

/// Saves the users, which Redis loses at its next start unless it is configured to write its ACL file.
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

/// Turns an error of Redis into one that names the fix.
fn explain(error: RedisError) -> anyhow::Error {
    match error.kind() {
        redis::ErrorKind::Server(ServerErrorKind::NoPerm) => {
            anyhow::anyhow!("this user of Redis may not manage others: REDIS_URL must be an administrator's (+acl)")
        }
        _ if error.to_string().contains("Error in ACL SETUSER") => {
            anyhow::anyhow!("Redis does not understand the rules, which need Redis 7 or Valkey ({error})")
        }
        _ => error.into(),
    }
}
