//! Programs whose clock is wrong: what is due is the database's business.

use crate::{
    office::{Books, Ledger, Office, RUNS, end},
    process::{Process, wrong_clock},
    random::Random,
};

/// What comes of two runs by programs whose clock is wrong by so much.
fn bills(books: &mut Books, wrong_by: Option<&str>) -> Ledger {
    books.copy(|office| {
        for as_of in &RUNS[..2] {
            end(&mut command(office, &["bill", "run", "--as-of", as_of], wrong_by));
        }
        office.assert_sound();
        Ledger::of(office)
    })
}

fn command(office: &Office, args: &[&str], wrong_by: Option<&str>) -> Process {
    let mut command = office.uncloud(args);
    if let Some(wrong_by) = wrong_by {
        wrong_clock(&mut command, wrong_by);
    }
    Process::start("uncloud bill run", &mut command)
}

#[test]
fn programs_with_a_wrong_clock_make_the_same_bills() {
    let mut books = Books::open(&mut Random(9), 40);
    let right = bills(&mut books, None);
    for wrong_by in ["-4000d", "+4000d"] {
        bills(&mut books, Some(wrong_by)).assert_equal(&right);
    }
    books.copy(|office| {
        let mut early = command(office, &["bill", "run", "--as-of", "2030-01-01T00:00:00Z"], Some("+4000d"));
        assert!(!early.wait().success() && early.stderr().contains("lies in the future"), "{}", early.stderr());
        assert_eq!(office.rows::<(i64,)>("select count(*) from bill_run")[0].0, 1, "the template's");
    });
}
