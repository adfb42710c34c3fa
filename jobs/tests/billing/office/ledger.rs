//! All that runs have written, but for ids and times that the order of work decides.

use super::Office;

/// Each text is a bill with its records and VAT groups, an order, a line of staff, or whom a run could not bill.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ledger(Vec<String>);

const BILLS: &str = "select jsonb_build_object('number', number, 'as_of', as_of, 'seller', seller_id,
        'bill', to_jsonb(bill) - 'bill_id' - 'run_id',
        'records', (select jsonb_agg(to_jsonb(r) - 'bill_id' order by position) from bill_record r where r.bill_id = bill.bill_id),
        'vat', (select jsonb_agg(to_jsonb(v) - 'bill_id' order by category, rate_ppm) from bill_vat v where v.bill_id = bill.bill_id))::text
    from bill join bill_run using (run_id) left join bill_number using (bill_id) order by number, bill.user_id, currency";
const ORDERS: &str = "select to_jsonb(orders)::text from orders order by order_id";
const LINES: &str = "select to_jsonb(line)::text from bill_item line order by item_id";
const PROBLEMS: &str = "select distinct format('%s: customer %s: %s: %s', as_of, problem.user_id, code, detail)
    from bill_run_problem problem join bill_run using (run_id) order by 1";

impl Ledger {
    pub(crate) fn of(office: &Office) -> Self {
        let texts = [BILLS, ORDERS, LINES, PROBLEMS].map(|sql| office.rows::<(String,)>(sql));
        Self(texts.into_iter().flatten().map(|(text,)| text).collect())
    }

    /// Panics with the first thing that is not as it would be, had nobody been killed.
    #[track_caller]
    pub(crate) fn assert_equal(&self, undisturbed: &Self) {
        for (is, should_be) in self.0.iter().zip(&undisturbed.0) {
            assert_eq!(is, should_be);
        }
        assert_eq!(self.0.len(), undisturbed.0.len(), "something is missing or too many");
    }
}
