//! A Redis that others manage: TLS only from the network, no default user.

use std::time::Duration;

use redis::{AsyncConnectionConfig, aio::MultiplexedConnection};
use uncloud::queue::access;
use uncloud_testkit::servers::{RedisServer, ServerOptions, free_port};
use uncloud_wire::{QueueName, Secret, broker};

use crate::certificates::certificates;

pub const ADMIN_PASSWORD: &str = "hunter2-of-the-administrator";
pub const SERVER_PASSWORD: &str = "hunter2-of-the-server";

/// The time that a connection or a reply may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct RemoteRedis {
    _server: RedisServer,
    port: u16,
}

impl RemoteRedis {
    pub fn start() -> Self {
        let port = free_port();
        let mut files = certificates().server_files();
        // The server's line is the one in docs/operations/redis.md.
        let users = format!(
            "user default off\nuser admin on >{ADMIN_PASSWORD} ~* &* +@all\n\
             user server on >{SERVER_PASSWORD} resetchannels ~uncloud:* -@all +@stream +ping +scan +evalsha +script|load\n"
        );
        files.push(("users.acl", users.into_bytes()));
        let args = format!(
            "--tls-port {port} --bind ::1 127.0.0.1 --tls-cert-file {{DIR}}/server.pem --tls-key-file {{DIR}}/server.key \
             --tls-auth-clients no --aclfile {{DIR}}/users.acl"
        );
        let args = args.split(' ').map(str::to_owned).collect();
        Self { _server: RedisServer::start_with(ServerOptions { files, args }), port }
    }

    pub fn url(&self, user: &str, password: &str) -> Secret<String> {
        Secret::new(format!("rediss://{user}:{password}@[::1]:{}", self.port))
    }

    pub fn admin_url(&self) -> Secret<String> {
        self.url("admin", ADMIN_PASSWORD)
    }

    pub async fn connect(&self, url: &Secret<String>) -> MultiplexedConnection {
        let client = broker::client(url, Some(&certificates().ca())).expect("a client");
        // Not the library's second, which TLS can take on a busy machine.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        client.get_multiplexed_async_connection_with_config(&config).await.expect("signed in")
    }

    pub async fn admin(&self) -> MultiplexedConnection {
        self.connect(&self.admin_url()).await
    }

    /// Lets a host in without the command line.
    pub async fn let_in(&self, queue: &QueueName) -> Secret<String> {
        let password = access::new_password().expect("random numbers");
        let mut admin = self.admin().await;
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg(access::user_name(queue)).arg(access::rules(queue, &password));
        command.query_async::<()>(&mut admin).await.expect("made");
        access::broker_url(&self.admin_url(), queue, &password).expect("a URL")
    }
}

#[tokio::test]
async fn redis_connection_with_untrusted_certificate_is_refused() {
    let redis = RemoteRedis::start();
    let (ca, stranger) = (certificates().ca(), certificates().strangers_ca());
    let refusal = async |url: Secret<String>, ca: Option<&std::path::Path>| {
        let client = broker::client(&url, ca).expect("a client");
        let error = client.get_multiplexed_async_connection().await.expect_err("refused");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2"), "{text}");
        text
    };
    let text = refusal(redis.admin_url(), Some(&stranger)).await;
    assert!(text.contains("invalid peer certificate: UnknownIssuer"), "{text}");
    let text = refusal(redis.admin_url(), None).await;
    assert!(text.contains("UnknownIssuer"), "the machine does not trust it: {text}");
    let by_name = |name: &str| Secret::new(redis.admin_url().expose().replace("[::1]", name));
    let text = refusal(by_name("127.0.0.1"), Some(&ca)).await;
    assert!(text.contains("not valid for name"), "{text}");
    let text = refusal(redis.url("admin", "hunter2-but-wrong"), Some(&ca)).await;
    assert!(text.contains("WRONGPASS") || text.contains("uthentication"), "{text}");
    redis.admin().await;
}
