//! A provider's database as a template, and copies of it.

use super::{BillingDatabase, customers};
use crate::{random::Random, servers::PostgresServer};

const TEMPLATE: &str = "template";

/// A template with customers whose first month is billed.
#[derive(Debug)]
pub struct BillingTemplate {
    postgres: PostgresServer,
    copies: usize,
}

impl BillingTemplate {
    /// Makes a template with so many customers.
    pub fn create(random: &mut Random, customers: usize) -> Self {
        let template = Self { postgres: PostgresServer::start(), copies: 0 };
        let database = template.create_database(TEMPLATE, None);
        database.runtime.block_on(async {
            customers::fill(&database.pool, random, customers).await;
            database.pool.close().await;
        });
        template
    }

    fn create_database(&self, name: &str, template: Option<&str>) -> BillingDatabase {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        BillingDatabase::open(runtime.block_on(self.postgres.create_database(name, template)))
    }

    /// Calls `work` with a copy that has all customers and orders, and drops the copy afterwards.
    pub fn copy<T>(&mut self, work: impl FnOnce(&BillingDatabase) -> T) -> T {
        self.copies += 1;
        let name = format!("copy_{}", self.copies);
        let database = self.create_database(&name, Some(TEMPLATE));
        let done = work(&database);
        database.runtime.block_on(async {
            database.pool.close().await;
            self.postgres.drop_database(&name).await; // copies are many, and the disk may be memory
        });
        done
    }
}
