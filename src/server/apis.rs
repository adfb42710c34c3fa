//! The list of all operations, and the state that each of them needs.

use std::sync::Arc;

use sqlx::PgPool;

use super::{
    app::App, codes::CodeApi, health::HealthApi, index::IndexApi, metrics::MetricsApi, operations::Operations,
};
use crate::{
    accounts::{PasswordApi, TokenApi, UserApi},
    audit::AuditApi,
    billing::{AdminBillApi, BillApi, BillItemApi, BillRunApi, RateCorrectionApi},
    catalog::{AdminProductApi, PeriodApi, ProductApi},
    database::Database,
    dispatch,
    orders::{AdminOrderApi, OrderApi},
    parties::{AdminAddressApi, BillingAddressApi, SellerApi, rates::VatRateApi},
    queue::{AdminJobApi, JobApi, QueueApi, Waits, WorkerApi},
    schedule::ScheduleApi,
    vpn::{AdminNetworkApi, NetworkApi, PoolApi},
};

/// All operations.
pub(super) type Apis = (Itself, Jobs, Vpn, Products, Addresses, Orders, Bills, Accounts);
/// Operations of the service itself.
type Itself = (HealthApi, MetricsApi, IndexApi, CodeApi);
/// Customers' networks, and the pools that their prefixes come from.
type Vpn = (NetworkApi, AdminNetworkApi, PoolApi);
/// Users, their tokens and the audit log.
type Accounts = (UserApi, PasswordApi, TokenApi, AuditApi);
/// Orders of customers.
type Orders = (OrderApi, AdminOrderApi);
/// Bills that customers pay, and the operations with which staff create them.
type Bills = (BillApi, AdminBillApi, BillItemApi, BillRunApi, RateCorrectionApi);
/// The jobs of workers, and the operations with which staff manage them.
type Jobs = (JobApi, AdminJobApi, QueueApi, ScheduleApi, WorkerApi);
/// Products and their recurring periods.
type Products = (ProductApi, AdminProductApi, PeriodApi);
/// Addresses of the billed customers and of the seller, and VAT rates.
type Addresses = (BillingAddressApi, AdminAddressApi, SellerApi, VatRateApi);

pub(super) fn apis(app: &App, operations: &'static Operations) -> Apis {
    (
        (
            HealthApi::new(PgPool::clone(&app.pool), app.redis.clone()),
            MetricsApi::new(PgPool::clone(&app.pool), app.redis.clone(), Arc::clone(&app.metrics)),
            IndexApi { operations },
            CodeApi,
        ),
        jobs(app),
        vpn(app),
        products(&app.pool),
        addresses(&app.pool),
        (
            OrderApi {
                pool: app.pool.clone(),
                wake: Arc::clone(&app.wake),
                services: dispatch::services,
                placed: dispatch::placed,
            },
            AdminOrderApi {
                pool: app.pool.clone(),
                wake: Arc::clone(&app.wake),
                services: dispatch::services,
                placed: dispatch::placed,
            },
        ),
        bills(app),
        accounts(app),
    )
}

fn accounts(app: &App) -> Accounts {
    let pool = &app.pool;
    (
        UserApi { pool: pool.clone() },
        PasswordApi { authenticator: Arc::clone(&app.authenticator), proxies: Arc::clone(&app.proxies) },
        TokenApi { pool: pool.clone(), authenticator: Arc::clone(&app.authenticator) },
        AuditApi { pool: pool.clone() },
    )
}

fn bills(app: &App) -> Bills {
    let pool = &app.pool;
    (
        BillApi { pool: pool.clone() },
        AdminBillApi { pool: pool.clone() },
        BillItemApi { pool: pool.clone() },
        BillRunApi { pool: pool.clone(), wake: Arc::clone(&app.wake) },
        RateCorrectionApi { pool: pool.clone() },
    )
}

fn jobs(app: &App) -> Jobs {
    let (pool, wake) = (&app.pool, &app.wake);
    (
        JobApi { pool: pool.clone(), wake: Arc::clone(wake), waits: Waits::default() },
        AdminJobApi { pool: pool.clone(), wake: Arc::clone(wake) },
        QueueApi { pool: pool.clone(), wake: Arc::clone(wake) },
        ScheduleApi { pool: pool.clone() },
        WorkerApi { pool: pool.clone() },
    )
}

fn vpn(app: &App) -> Vpn {
    let (pool, wake) = (&app.pool, &app.wake);
    (
        NetworkApi { pool: pool.clone(), wake: Arc::clone(wake), placed: dispatch::placed },
        AdminNetworkApi { pool: pool.clone() },
        PoolApi { pool: pool.clone(), sealer: Arc::clone(&app.sealer), wake: Arc::clone(wake) },
    )
}

fn products(pool: &Database) -> Products {
    (ProductApi { pool: pool.clone() }, AdminProductApi { pool: pool.clone() }, PeriodApi { pool: pool.clone() })
}

fn addresses(pool: &Database) -> Addresses {
    (
        BillingAddressApi { pool: pool.clone() },
        AdminAddressApi { pool: pool.clone() },
        SellerApi { pool: pool.clone() },
        VatRateApi { pool: pool.clone() },
    )
}
