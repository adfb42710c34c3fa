//! Programs whose clock is wrong: what is due is the database's business.

use crate::{
    office::{Books, Ledger, Office, RUNS, end},
    process::{Process, wrong_clock},
    random::Random,
};

/// What comes of two runs by programs whose clock is wrong by so much, and the year of their log.
fn bills(books: &mut Books, wrong_by: Option<&str>) -> (Ledger, String) {
    books.copy(|office| {
        let mut year = String::new();
        for as_of in &RUNS[..2] {
            let mut command = command(office, &["bill", "run", "--as-of", as_of], wrong_by);
            end(&mut command);
            year = command.stderr().chars().take(4).collect();
        }
        office.assert_sound();
        (Ledger::of(office), year)
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
    let (right, this_year) = bills(&mut books, None);
    for wrong_by in ["-4000d", "+30000d"] {
        let (ledger, year) = bills(&mut books, Some(wrong_by));
        assert!(year.parse::<u32>().is_ok() && year != this_year, "its clock is wrong: {year}");
        ledger.assert_equal(&right);
    }
    books.copy(|office| {
        let mut early = command(office, &["bill", "run", "--as-of", "2098-01-01T00:00:00Z"], Some("+30000d"));
        assert!(!early.wait().success() && early.stderr().contains("lies in the future"), "{}", early.stderr());
        assert_eq!(office.rows::<(i64,)>("select count(*) from bill_run")[0].0, 1, "the template's");
    });
}
