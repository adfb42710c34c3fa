//! The parts that `uncloud up` starts, in order, and stops in reverse order.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use uncloud_wire::{Secret, program::print};

use super::{
    api::{Api, reachable},
    hosts::{self, Workers},
    secrets::{kept_admin_password, kept_secret_key},
    settings::{BILLING, Settings},
    tls::{self, LocalTls},
};
use crate::{
    accounts::{NewPassword, ensure_staff_user},
    cli::{connect, defaults::add_defaults, serve::ServeSettings},
    embedded::{Account, Child, DataDir, HostRecord, Postgres, Redis, Registry, RuntimeDir, netns, run_to_end},
    server::listen::Limits,
    user::Username,
};

/// Longest wait for restoring a host's tunnels; its worker starts even if that fails.
const RESTORE_DEADLINE: Duration = Duration::from_mins(1);
const ADMIN: &str = "admin";

/// All running parts.
#[derive(Debug)]
pub(super) struct Stack {
    data_dir: DataDir,
    registry: Arc<Registry>,
    hurry: watch::Receiver<bool>,
    runtime: Option<RuntimeDir>,
    postgres: Option<Child>,
    redis: Option<Child>,
    api: Option<Api>,
    workers: Vec<Child>,
    hosts: Vec<HostRecord>,
}

impl Stack {
    pub(super) fn new(data_dir: DataDir, registry: Arc<Registry>, hurry: watch::Receiver<bool>) -> Self {
        Self {
            data_dir,
            registry,
            hurry,
            runtime: None,
            postgres: None,
            redis: None,
            api: None,
            workers: Vec::new(),
            hosts: Vec::new(),
        }
    }

    /// Starts everything and runs until `stop`. `self` always holds what was started, for [`Stack::end`].
    pub(super) async fn run(&mut self, settings: &Settings, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        self.start(settings, &stop).await?;
        if *stop.borrow() {
            return Ok(());
        }
        self.tell_ready(settings);
        let Some(api) = &mut self.api else { return Ok(()) };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => Ok(()),
            ended = api.ended() => ended,
        }
    }

    /// Checks for a request to stop between the steps.
    async fn start(&mut self, settings: &Settings, stop: &watch::Receiver<bool>) -> anyhow::Result<()> {
        self.prepare_hosts(settings)?;
        let (database_url, redis_url) = self.start_databases(settings).await?;
        if *stop.borrow() {
            return Ok(());
        }
        self.prepare_database(settings, &database_url).await?;
        if *stop.borrow() {
            return Ok(());
        }
        let secret_key = match &settings.secret_key {
            Some(key) => key.clone(),
            None => kept_secret_key(self.data_dir.path())?,
        };
        let redis_ca_file = settings.redis_ca_file.clone();
        let workers = Workers::new(redis_url.clone(), redis_ca_file.clone(), database_url.clone())?;
        let (accounts, proxies) = (settings.accounts.clone(), settings.proxies.clone());
        let tls = settings.tls.then(|| self.prepare_tls()).transpose()?;
        let serve = ServeSettings {
            database_url,
            redis_url,
            redis_ca_file,
            secret_key,
            listen: settings.listen,
            metrics_listen: settings.metrics_listen,
            accounts,
            proxies,
            origins: settings.origins.clone(),
            tls: tls.as_ref().map(|tls| tls.files.clone()),
            rates: settings.rates,
            allow_plaintext: settings.allow_plaintext,
            limits: Limits::default(),
        };
        let mut stop = stop.clone();
        let api = self.api.insert(Api::start(serve, tls.map(|tls| tls.authority)).await?);
        tokio::select! {
            ready = api.ready() => ready?,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
        let address = api.address;
        tracing::info!(%address, "the API is ready");
        self.registry.update(|instance| instance.listen = Some(address));
        tokio::select! {
            () = self.restore(&workers) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
        self.start_workers(&workers)
    }

    fn prepare_tls(&self) -> anyhow::Result<LocalTls> {
        #[expect(clippy::disallowed_methods, reason = "certificates are valid by the machine's own clock")]
        let now = chrono::Utc::now();
        tls::prepare(self.data_dir.path(), self.data_dir.id(), now)
    }

    fn prepare_hosts(&mut self, settings: &Settings) -> anyhow::Result<()> {
        for host in &settings.hosts {
            let record = hosts::prepare(&self.data_dir, host, settings)?;
            if let Some(missing) = &record.dry_run {
                tracing::warn!(host, "its jobs are dry runs: {missing}");
            }
            self.hosts.push(record);
        }
        if let Some(redis_url) = &settings.redis_url {
            hosts::ensure_redis_reachable(&self.hosts, redis_url)?;
        }
        self.registry.update(|instance| instance.hosts.clone_from(&self.hosts));
        Ok(())
    }

    async fn start_databases(&mut self, settings: &Settings) -> anyhow::Result<(Secret<String>, Secret<String>)> {
        let account = Account::choose(settings.run_as.as_deref())?;
        if settings.database_url.is_none() || settings.redis_url.is_none() {
            let runtime = self.runtime.insert(RuntimeDir::create(self.data_dir.id(), account.as_ref())?);
            self.registry.update(|instance| instance.runtime_dir = Some(runtime.path().to_owned()));
        }
        let sockets = self.runtime.as_ref().map(|runtime| runtime.path().to_owned()).unwrap_or_default();
        let database_url = if let Some(url) = &settings.database_url {
            url.clone()
        } else {
            tracing::info!("starting PostgreSQL");
            let registry = Arc::clone(&self.registry);
            let postgres = Postgres::start(&self.data_dir, &sockets, account.as_ref(), registry).await?;
            self.postgres = Some(postgres.child);
            postgres.url
        };
        let redis_url = if let Some(url) = &settings.redis_url {
            url.clone()
        } else {
            tracing::info!("starting Redis");
            let registry = Arc::clone(&self.registry);
            let redis = Redis::start(&self.data_dir, &sockets, account.as_ref(), registry).await?;
            self.redis = Some(redis.child);
            redis.url
        };
        self.registry.update(|instance| {
            instance.database_url = Some(database_url.clone());
            instance.redis_url = Some(redis_url.clone());
        });
        Ok((database_url, redis_url))
    }

    async fn prepare_database(&self, settings: &Settings, database_url: &Secret<String>) -> anyhow::Result<()> {
        tracing::info!("bringing the database up to date");
        let pool = connect(database_url, 2).await?;
        add_defaults(&pool).await?;
        let password = match &settings.admin_password {
            Some(password) => password.clone(),
            None => NewPassword::new(&kept_admin_password(self.data_dir.path())?)
                .map_err(|error| anyhow::anyhow!("the password of {ADMIN} in the data folder {error}"))?,
        };
        let admin: Username = ADMIN.parse()?;
        ensure_staff_user(&pool, &admin, &password).await.with_context(|| format!("creating the user {ADMIN}"))?;
        pool.close().await;
        Ok(())
    }

    /// Restores the tunnels that the hosts had, as a host does when it boots.
    async fn restore(&self, workers: &Workers) {
        for host in &self.hosts {
            match tokio::time::timeout(RESTORE_DEADLINE, run_to_end(&workers.restore(host))).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(host = host.queue, "could not restore its tunnels: {error:#}"),
                Err(_) => tracing::warn!(host = host.queue, "restoring its tunnels timed out"),
            }
        }
    }

    fn start_workers(&mut self, workers: &Workers) -> anyhow::Result<()> {
        let billing = workers.of_billing(&self.data_dir.path().join("hosts").join(BILLING));
        for spec in std::iter::once(billing).chain(self.hosts.iter().map(|host| workers.of_host(host))) {
            tracing::info!("starting {}", spec.name);
            self.workers.push(Child::start(spec, Arc::clone(&self.registry))?);
        }
        Ok(())
    }

    /// Stops everything: users of a part before the part itself.
    pub(super) async fn end(self) {
        if !self.workers.is_empty() {
            tracing::info!("stopping the workers");
        }
        let workers: Vec<_> =
            self.workers.into_iter().map(|worker| tokio::spawn(worker.stop(self.hurry.clone()))).collect();
        for worker in workers {
            let _ = worker.await;
        }
        if let Some(api) = self.api {
            tracing::info!("stopping the API");
            api.stop(self.hurry.clone()).await;
        }
        for (name, child) in [("Redis", self.redis), ("PostgreSQL", self.postgres)] {
            if let Some(child) = child {
                tracing::info!("stopping {name}");
                child.stop(self.hurry.clone()).await;
            }
        }
        let mut left = false;
        for namespace in self.hosts.iter().filter_map(|host| host.netns.as_deref()) {
            if let Err(error) = netns::remove(namespace) {
                left = true;
                tracing::warn!(namespace, "left for the next start: {error:#}");
            }
        }
        if let Some(runtime) = &self.runtime {
            runtime.remove();
        }
        if !left {
            self.registry.remove();
        }
        tracing::info!("ended");
    }

    fn tell_ready(&self, settings: &Settings) {
        let Some(api) = &self.api else { return };
        let scheme = if api.authority.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", reachable(api.address));
        let data_dir = self.data_dir.path().display();
        let password = match settings.admin_password {
            Some(_) => "the password you gave".to_owned(),
            None => format!("password in {data_dir}/admin-password"),
        };
        let mut text = format!(
            "\nuncloud is ready\n  API    {url}/  (to read and try: {url}/docs)\n  Staff  {ADMIN}, {password}\n  Data   \
             {data_dir}  (logs in log/)\n"
        );
        if let Some(authority) = &api.authority {
            let _ = writeln!(text, "  TLS    for localhost; callers trust {}", authority.display());
        }
        for host in &self.hosts {
            let how = match (&host.dry_run, &host.wireguard_implementation, &host.netns) {
                (Some(missing), ..) => format!("dry run, {missing}"),
                (_, Some(by), Some(namespace)) => format!("WireGuard by {by} in the network namespace {namespace}"),
                (_, Some(by), None) => format!("WireGuard by {by} in this machine's network"),
                _ => String::new(),
            };
            let _ = writeln!(text, "  Host   {}: {how}", host.queue);
        }
        text.push_str("Ctrl-C ends everything in order.\n\n");
        // Ignore a closed pipe: this text is for information only.
        let _ = print(text);
    }
}
