//! STUBS of what the lead writes, so that this branch compiles and `up` can be tried. Drop this file at merge.

pub(crate) mod serve {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use crate::secret::Secret;

    pub(crate) struct ServeSettings {
        pub(crate) database_url: Secret<String>,
        pub(crate) redis_url: Secret<String>,
        pub(crate) secret_key: Secret<String>,
        pub(crate) listen: SocketAddr,
    }

    pub(crate) async fn serve(
        settings: ServeSettings,
        ready: tokio::sync::oneshot::Sender<SocketAddr>,
        mut stop: tokio::sync::watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let _ = (&settings.database_url, &settings.redis_url, &settings.secret_key);
        let listener = tokio::net::TcpListener::bind(settings.listen).await?;
        let _ = ready.send(listener.local_addr()?);
        loop {
            tokio::select! {
                () = async { let _ = stop.wait_for(|stop| *stop).await; } => return Ok(()),
                connection = listener.accept() => {
                    let mut stream = connection?.0;
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            }
        }
    }
}

pub(crate) mod migrate {
    use crate::secret::Secret;

    pub(crate) async fn migrate(database_url: &Secret<String>) -> anyhow::Result<()> {
        use sqlx::Connection as _;
        sqlx::PgConnection::connect(database_url.expose()).await?;
        Ok(())
    }
}

pub(crate) mod defaults {
    use crate::secret::Secret;

    #[expect(clippy::unused_async, reason = "stub")]
    pub(crate) async fn add_defaults(_database_url: &Secret<String>) -> anyhow::Result<()> {
        Ok(())
    }
}

pub(crate) mod accounts {
    use crate::secret::Secret;

    #[expect(clippy::unused_async, reason = "stub")]
    pub(crate) async fn ensure_staff_user(
        _database_url: &Secret<String>,
        _username: &str,
        _password: &Secret<String>,
    ) -> anyhow::Result<()> {
        Ok(())
    }
}
