//! Programs whose clock is wrong: what is due is the database's business.

use uncloud_testkit::{
    billing::{BillingDatabase, BillingTemplate, Ledger, RUNS, wait_for_bill_run},
    command::shift_clock,
    process::Process,
    random::Random,
};

/// The results of two runs by programs whose clock is wrong by this much, and the year of their log.
fn bills(template: &mut BillingTemplate, wrong_by: Option<&str>) -> (Ledger, String) {
    template.copy(|database| {
        let mut year = String::new();
        for as_of in &RUNS[..2] {
            let mut command = command(database, &["bill", "run", "--as-of", as_of], wrong_by);
            wait_for_bill_run(&mut command);
            year = command.stderr().chars().take(4).collect();
        }
        database.assert_sound();
        (Ledger::of(database), year)
    })
}

fn command(database: &BillingDatabase, args: &[&str], wrong_by: Option<&str>) -> Process {
    let mut command = database.uncloud(args);
    if let Some(wrong_by) = wrong_by {
        shift_clock(&mut command, wrong_by);
    }
    Process::start("uncloud bill run", &mut command)
}

#[test]
fn bill_run_with_wrong_clock_generates_the_same_bills() {
    let mut template = BillingTemplate::create(&mut Random::new(9), 40);
    let (right, this_year) = bills(&mut template, None);
    for wrong_by in ["-4000d", "+30000d"] {
        let (ledger, year) = bills(&mut template, Some(wrong_by));
        assert!(year.parse::<u32>().is_ok() && year != this_year, "its clock is wrong: {year}");
        ledger.assert_equal(&right);
    }
    template.copy(|database| {
        let mut early = command(database, &["bill", "run", "--as-of", "2098-01-01T00:00:00Z"], Some("+30000d"));
        assert!(!early.wait().success() && early.stderr().contains("is in the future"), "{}", early.stderr());
        assert_eq!(database.rows::<(i64,)>("select count(*) from bill_run")[0].0, 1, "the template's");
    });
}
