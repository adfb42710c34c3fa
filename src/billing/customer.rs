//! Bills customers: reads what is due, generates the bills and writes them. All bills are created here: runs, staff's
//! bill for one customer, the preview and the simulation call this module within their own transactions.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    bill_run::Run,
    content::{Content, Party, VatText},
    db,
    line::{Ordered, Texts},
};
use crate::{
    billing::{customer_bills::CustomerBills, problem::Problem},
    code::Code,
    error::Error,
    money::{
        draft::{BillableItems, Draft, generate_bills},
        vat_rates::RateTable,
        vat_text::{vat_exemption_code, vat_note, vat_reason},
    },
    orders,
    parties::{self, AddressHistory},
};

/// Bills these customers, in ascending order of id, as of the run's time; of their orders only these, if they are given.
/// Returns the customers that could not be billed; nothing is written for them. On a database error nothing is written
/// at all.
pub(super) async fn bill_customers(
    tx: &mut PgConnection,
    run: &Run,
    rates: &RateTable,
    users: &[i64],
    orders: Option<&[i64]>,
) -> Result<Vec<Problem>, Error> {
    db::lock_customers(tx, users).await?;
    let addresses = parties::address_histories(tx, users).await?;
    let mut due = due(tx, users, run.as_of, orders).await?;
    let (mut bills, mut problems) = (Vec::with_capacity(users.len()), Vec::new());
    for &user_id in users {
        let Some(due) = due.remove(&user_id) else { continue };
        match bills_of_customer(user_id, run, rates, addresses.get(&user_id), due)? {
            Ok(of_customer) => bills.push(of_customer),
            Err(problem) => problems.push(problem),
        }
    }
    db::write(tx, run, &bills).await?;
    Ok(problems)
}

/// The orders and items of one customer that are due.
#[derive(Default)]
struct Due {
    items: BillableItems,
    texts: Texts,
}

fn bills_of_customer(
    user_id: i64,
    run: &Run,
    rates: &RateTable,
    addresses: Option<&AddressHistory>,
    due: Due,
) -> anyhow::Result<Result<CustomerBills, Problem>> {
    let Some(addresses) = addresses else {
        let detail = "has no billing address; the customer sets it with PUT /v1/billing_address";
        return Ok(Err(Problem::new(user_id, Code::NoBillingAddress, detail)));
    };
    let treatments = match addresses.treatments(run.seller) {
        Ok(treatments) => treatments,
        Err(missing) => {
            let detail = format!("the billing address's postal code {missing}; the customer sets it");
            return Ok(Err(Problem::new(user_id, Code::NoPostalCode, detail)));
        }
    };
    Ok(match generate_bills(due.items, &treatments, rates, run.cash_rounding, run.as_of) {
        Ok((drafts, cursor_updates)) => {
            let payment_days = Some(addresses.current().payment_days.unwrap_or(run.payment_days));
            let contents = drafts
                .iter()
                .map(|draft| Ok(serde_json::to_string(&content(draft, addresses, &due.texts, run)?)?))
                .collect::<anyhow::Result<_>>()?;
            Ok(CustomerBills { user_id, payment_days, drafts, contents, cursor_updates })
        }
        Err(error) => Err(Problem::of(user_id, &error)),
    })
}

/// Returns what a bill says besides its totals. It goes to the customer's present address; country and VAT number are those
/// that determined its VAT.
fn content(draft: &Draft, addresses: &AddressHistory, texts: &Texts, run: &Run) -> anyhow::Result<Content> {
    let address = &addresses.current().address;
    let taxed = addresses.taxed_as(draft.treatment, run.seller);
    let details = &address.details;
    let language = details.language.unwrap_or(run.language);
    let reason = |rate| vat_reason(language, draft.treatment, rate, taxed.country, run.seller.is_registered());
    let code = vat_exemption_code(draft.treatment).map(str::to_owned);
    Ok(Content {
        language,
        customer: Party {
            name: address.name.clone(),
            company: address.company.clone(),
            street: address.street.clone(),
            postal_code: address.postal_code.clone(),
            city: address.city.clone(),
            country: address.country.to_string(),
            vat_number: taxed.vat_number.clone(),
            house_number: details.house_number.clone(),
            email: details.email.clone(),
            buyer_reference: details.buyer_reference.clone(),
            order_reference: details.order_reference.clone(),
            electronic_address: details.electronic_address.clone(),
            ..Party::default()
        },
        lines: texts.lines(draft, language)?,
        vat: draft.vat.iter().map(|group| VatText { reason: reason(group.rate), code: code.clone() }).collect(),
        notes: vat_note(language, draft.treatment).into_iter().map(str::to_owned).collect(),
    })
}

/// Returns what is due, by customer. The caller must have locked the customers.
async fn due(
    tx: &mut PgConnection,
    users: &[i64],
    as_of: DateTime<Utc>,
    only: Option<&[i64]>,
) -> Result<HashMap<i64, Due>, Error> {
    let mut due: HashMap<i64, Due> = HashMap::with_capacity(users.len());
    let mut ended: HashMap<i64, i64> = HashMap::new();
    let mut past_end: Vec<i64> = Vec::new();
    for orders::DueOrder { order, description, descriptions, product } in orders::due(tx, users, as_of, only).await? {
        if let Some(end) = order.ends_at {
            ended.insert(order.order_id, order.user_id);
            past_end.extend(Some(order.order_id).filter(|_| end < order.charged_from()));
        }
        let of_customer = due.entry(order.user_id).or_default();
        of_customer.items.orders.push(order.clone());
        let ordered = Ordered { description, descriptions, product, replaced_by: None, order };
        of_customer.texts.orders.insert(ordered.order.order_id, ordered);
    }
    if only.is_none() {
        add_items(tx, users, as_of, &mut due).await?;
    }
    if !ended.is_empty() {
        let orders: Vec<i64> = ended.keys().copied().collect();
        for (order_id, replaced_by) in orders::successors(tx, &orders).await? {
            let texts = ended.get(&order_id).and_then(|user_id| due.get_mut(user_id)).map(|due| &mut due.texts);
            if let Some(ordered) = texts.and_then(|texts| texts.orders.get_mut(&order_id)) {
                ordered.replaced_by = Some(replaced_by);
            }
        }
    }
    if !past_end.is_empty() {
        for charged in db::charged_past_end(tx, &past_end).await? {
            if let Some(due) = ended.get(&charged.order_id).and_then(|user_id| due.get_mut(user_id)) {
                due.items.charged.push(charged);
            }
        }
    }
    add_numbers(tx, &mut due).await?;
    Ok(due)
}

/// Adds the items of staff and the corrections that are due.
async fn add_items(
    tx: &mut PgConnection,
    users: &[i64],
    as_of: DateTime<Utc>,
    due: &mut HashMap<i64, Due>,
) -> Result<(), Error> {
    for (user_id, item, description) in db::open_manual_items(tx, users, as_of).await? {
        let due = due.entry(user_id).or_default();
        due.texts.items.insert(item.item_id, description);
        due.items.manual.push(item);
    }
    for (user_id, correction, description) in db::open_corrections(tx, users).await? {
        let due = due.entry(user_id).or_default();
        due.texts.corrections.insert(correction.correction_id, description);
        due.items.corrections.push(correction);
    }
    Ok(())
}

/// Adds the numbers of the bills that credits and corrections name.
async fn add_numbers(tx: &mut PgConnection, due: &mut HashMap<i64, Due>) -> Result<(), Error> {
    let corrected = |due: &Due| -> Vec<i64> {
        let charged = due.items.charged.iter().map(|charged| charged.bill_id);
        let corrections = due.items.corrections.iter().map(|correction| correction.bill_id);
        let reversed = due.items.manual.iter().filter_map(|item| Some(item.reverses?.bill_id));
        charged.chain(corrections).chain(reversed).collect()
    };
    let all: BTreeSet<i64> = due.values().flat_map(corrected).collect();
    if all.is_empty() {
        return Ok(());
    }
    let numbers = db::numbers(tx, &all.into_iter().collect::<Vec<_>>()).await?;
    for due in due.values_mut() {
        for bill_id in corrected(due) {
            if let Some(number) = numbers.get(&bill_id) {
                due.texts.numbers.insert(bill_id, number.clone());
            }
        }
    }
    Ok(())
}
