//! Everything that bill runs have written, except ids and times, which depend on the order of work.

use super::BillingDatabase;

/// The written data as texts: bills with their records and VAT groups, orders, items, and customers whom a run could not
/// bill.
#[derive(Debug, PartialEq, Eq)]
pub struct Ledger(Vec<String>);

// Bills are dated when they get their numbers, in this year; what they correct is named by its number.
const BILLS: &str = "select jsonb_build_object('sequence', sequence, 'as_of', as_of, 'seller', seller,
        'bill', to_jsonb(bill) - 'bill_id' - 'run_id',
        'charges', (select jsonb_agg(to_jsonb(c) - 'bill_id' order by order_id, charge_from) from bill_charge c where c.bill_id = bill.bill_id),
        'records', (select jsonb_agg(to_jsonb(r) - 'bill_id' - 'corrects_bill_id' order by position) from bill_record r where r.bill_id = bill.bill_id),
        'vat', (select jsonb_agg(to_jsonb(v) - 'bill_id' order by vat_group) from bill_vat v where v.bill_id = bill.bill_id))::text
    from bill join bill_run using (run_id) left join bill_number using (bill_id)
    order by sequence, bill.user_id, currency, territory, vat_category";
const ORDERS: &str = "select (to_jsonb(orders) || to_jsonb(order_cursor))::text from orders join order_cursor using (order_id) order by order_id";
const ITEMS: &str = "select to_jsonb(item)::text from bill_item item order by item_id";
const PROBLEMS: &str = "select distinct format('%s: customer %s: %s: %s', as_of, problem.user_id, code, detail)
    from bill_run_problem problem join bill_run using (run_id) order by 1";

impl Ledger {
    /// Reads a database.
    pub fn of(database: &BillingDatabase) -> Self {
        let texts = [BILLS, ORDERS, ITEMS, PROBLEMS].map(|sql| database.rows::<(String,)>(sql));
        Self(texts.into_iter().flatten().map(|(text,)| text).collect())
    }

    /// Panics with the first difference from the ledger of undisturbed runs.
    #[track_caller]
    pub fn assert_equal(&self, undisturbed: &Self) {
        for (is, should_be) in self.0.iter().zip(&undisturbed.0) {
            assert_eq!(is, should_be);
        }
        assert_eq!(self.0.len(), undisturbed.0.len(), "something is missing or too many");
    }
}
