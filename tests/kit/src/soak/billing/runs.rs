//! Undisturbed runs, and how far a run is.

use std::time::{Duration, Instant};

use uncloud::{billing::jobs, queue};

use super::plan::{By, WORKERS};
use crate::{
    billing::{BillingDatabase, BillingTemplate, BillingWorkers, Ledger, RUNS, at, wait_for_bill_run},
    wait::wait_until,
};

/// The result of undisturbed runs.
pub(super) struct Undisturbed {
    pub(super) ledger: Ledger,
    /// The duration of each run.
    pub(super) took: [Duration; RUNS.len()],
}

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Not started.
    Before,
    /// Started and not ended, with so many of its customers done, in hundredths.
    Within(usize),
    Ended,
}

/// Makes all runs without a kill.
pub(super) fn undisturbed(template: &mut BillingTemplate, by: By) -> Undisturbed {
    template.copy(|database| {
        let _workers = (by == By::Workers).then(|| BillingWorkers::start(database, WORKERS));
        let took = RUNS.map(|as_of| {
            let started = Instant::now();
            match by {
                By::Command => wait_for_bill_run(&mut database.start_bill_run(as_of)),
                By::Workers => {
                    enqueue_run(database, as_of);
                    wait_for_end(database, as_of);
                }
            }
            started.elapsed()
        });
        database.assert_sound();
        assert_all_kinds(database);
        Undisturbed { ledger: Ledger::of(database), took }
    })
}

/// Checks that bills have everything that they can have; otherwise the ledgers would show less than they seem to.
fn assert_all_kinds(database: &BillingDatabase) {
    let sql = "select (select 1 + count(distinct kind) from bill_record where exists (select from bill_charge)),
                      (select count(distinct (category, territory, rate_ppm)) from bill_vat),
                      (select count(distinct code) from bill_run_problem),
                      (select count(distinct gross_cents < 0) from bill),
                      (select count(distinct currency) from bill)";
    let [(kinds, rates, problems, documents, currencies)] = database.rows::<(i64, i64, i64, i64, i64)>(sql)[..] else {
        panic!("one row")
    };
    assert_eq!(
        (kinds, problems, documents, currencies),
        (4, 2, 2, 2),
        "recurring, credit, one_time, manual; and so on"
    );
    assert!(rates > 8, "{rates} rates");
}

/// Enqueues the job of a run.
pub(super) fn enqueue_run(database: &BillingDatabase, as_of: &str) {
    database.runtime.block_on(async {
        jobs::request(&database.pool, Some(at(as_of)), 1).await.expect("a job");
        queue::wake_relays(&database.pool).await.expect("woken");
    });
}

pub(super) fn wait_for_end(database: &BillingDatabase, as_of: &str) {
    wait_until("the run has ended", || seen(database, as_of) == Seen::Ended);
}

/// Returns whether there is a run as of then. Without one the next run bills both months at once, as it should.
pub(super) fn has_started(database: &BillingDatabase, as_of: &str) -> bool {
    database.rows::<(bool,)>(&format!("select exists (select from bill_run where as_of = '{as_of}')"))[0].0
}

/// Returns how far the open run is, whichever it is, or else the one as of then.
pub(super) fn seen(database: &BillingDatabase, as_of: &str) -> Seen {
    let sql = format!(
        "select finished_at is not null, 100 * coalesce(sum(customers_done), 0) / greatest(customers, 1)
         from bill_run left join bill_run_part using (run_id)
         where finished_at is null or as_of = '{as_of}'
         group by run_id order by finished_at nulls first limit 1"
    );
    match database.rows::<(bool, i64)>(&sql).first() {
        None => Seen::Before,
        Some((false, percent)) => Seen::Within(usize::try_from(*percent).expect("a share")),
        Some((true, _)) => Seen::Ended,
    }
}
