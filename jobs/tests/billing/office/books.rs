//! A template of a provider's database, and copies of it.

use uncloud::embedded::throwaway::ThrowawayPostgres;

use super::{Office, customers};
use crate::random::Random;

const TEMPLATE: &str = "template";

/// Where copies come from.
pub(crate) struct Books {
    postgres: ThrowawayPostgres,
    copies: usize,
}

impl Books {
    /// With so many customers, whose first month is billed.
    pub(crate) fn open(random: &mut Random, customers: usize) -> Self {
        let books = Self { postgres: ThrowawayPostgres::start().expect("PostgreSQL"), copies: 0 };
        let office = books.create(TEMPLATE, None);
        office.runtime.block_on(async {
            customers::fill(&office.pool, random, customers).await;
            office.pool.close().await;
        });
        books
    }

    fn create(&self, name: &str, template: Option<&str>) -> Office {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        Office::on(runtime.block_on(self.postgres.create_database(name, template)).expect("a database"))
    }

    /// A database of its own with all customers and orders, for as long as `work` takes.
    pub(crate) fn copy<T>(&mut self, work: impl FnOnce(&Office) -> T) -> T {
        self.copies += 1;
        let name = format!("copy_{}", self.copies);
        let office = self.create(&name, Some(TEMPLATE));
        let done = work(&office);
        office.runtime.block_on(office.pool.close());
        // Copies are many, and the disk may be memory.
        Office::on(self.postgres.url("postgres")).execute(&format!("drop database {name} with (force)"));
        done
    }
}
