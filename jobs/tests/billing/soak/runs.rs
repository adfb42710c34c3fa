//! Runs of which nobody is killed, and how far a run is.

use std::time::{Duration, Instant};

use uncloud::{billing::jobs, queue};

use super::plan::{By, WORKERS};
use crate::{
    office::{Books, Crew, Ledger, Office, RUNS, at, end},
    world::wait_until,
};

/// What comes of it when nobody is killed.
pub(super) struct Undisturbed {
    pub(super) ledger: Ledger,
    /// How long each run takes.
    pub(super) took: [Duration; RUNS.len()],
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Not begun.
    Before,
    /// Begun and not ended, with so many of its customers done, in hundredths.
    Within(usize),
    Ended,
}

/// All runs, of which nobody is killed.
pub(super) fn undisturbed(books: &mut Books, by: By) -> Undisturbed {
    books.copy(|office| {
        let _crew = (by == By::Workers).then(|| Crew::start(office, WORKERS));
        let took = RUNS.map(|as_of| {
            let started = Instant::now();
            match by {
                By::Command => end(&mut office.bill_run(as_of)),
                By::Workers => {
                    ask(office, as_of);
                    wait_for_end(office, as_of);
                }
            }
            started.elapsed()
        });
        office.assert_sound();
        assert_all_kinds(office);
        Undisturbed { ledger: Ledger::of(office), took }
    })
}

/// Whatever a bill can have is there; otherwise the ledgers would show less than they seem to.
fn assert_all_kinds(office: &Office) {
    let sql = "select (select count(distinct kind) from bill_record),
                      (select count(distinct (vat_category, vat_rate_ppm)) from bill_record),
                      (select count(distinct code) from bill_run_problem),
                      (select count(distinct document) from bill),
                      (select count(distinct currency) from bill)";
    let [(kinds, rates, problems, documents, currencies)] = office.rows::<(i64, i64, i64, i64, i64)>(sql)[..] else {
        panic!("one row")
    };
    assert_eq!(
        (kinds, problems, documents, currencies),
        (4, 2, 2, 2),
        "recurring, credit, one_time, manual; and so on"
    );
    assert!(rates > 8, "{rates} rates");
}

/// Asks for a run by job.
pub(super) fn ask(office: &Office, as_of: &str) {
    office.runtime.block_on(async {
        jobs::request(&office.pool, Some(at(as_of)), 1).await.expect("a job");
        queue::wake_relays(&office.pool).await.expect("told");
    });
}

pub(super) fn wait_for_end(office: &Office, as_of: &str) {
    wait_until("the run has ended", || seen(office, as_of) == Seen::Ended);
}

/// Whether there is a run as of then. Without one the next run would bill both months at once, as it should.
pub(super) fn has_begun(office: &Office, as_of: &str) -> bool {
    office.rows::<(bool,)>(&format!("select exists (select from bill_run where as_of = '{as_of}')"))[0].0
}

/// The open run, whichever it is, or what became of the one as of then.
pub(super) fn seen(office: &Office, as_of: &str) -> Seen {
    let sql = format!(
        "select finished_at is not null, 100 * coalesce(sum(customers_done), 0) / greatest(customers, 1)
         from bill_run left join bill_run_part using (run_id)
         where finished_at is null or as_of = '{as_of}'
         group by run_id order by finished_at nulls first limit 1"
    );
    match office.rows::<(bool, i64)>(&sql).first() {
        None => Seen::Before,
        Some((false, percent)) => Seen::Within(usize::try_from(*percent).expect("a share")),
        Some((true, _)) => Seen::Ended,
    }
}
