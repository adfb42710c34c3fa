//! Exports bills with their VAT for accounting, as CSV or JSON. Bills are read by number, one page at a time, so that
//! memory use does not grow with the period.

use chrono::NaiveDate;
use futures_util::{Stream, stream::try_unfold};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{
    bill::{BillVat, document},
    db,
};
use crate::{billing::exported_bill::ExportedBill, error::Error};

/// The number of bills in one page.
const PART: i64 = 1000;

/// The format of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, poem_openapi::Enum)]
#[oai(rename_all = "lowercase")]
pub enum Format {
    /// A line for each bill and VAT rate, with a header.
    #[default]
    Csv,
    /// An array with an object for each bill.
    Json,
}

/// Streams the numbered bills with an issue date in `[from, to)`.
pub fn export(
    pool: PgPool,
    from: NaiveDate,
    to: NaiveDate,
    format: Format,
) -> impl Stream<Item = Result<Vec<u8>, Error>> {
    let next = move |state: State| {
        let pool = pool.clone();
        async move {
            if state.done {
                return Ok(None);
            }
            let bills = part(&pool, (from, to), state.after).await?;
            let done = i64::try_from(bills.len()).is_ok_and(|bills| bills < PART);
            let after = bills.last().map_or(state.after, |bill| bill.place);
            let text = match format {
                Format::Csv => csv(&bills, state.is_first)?,
                Format::Json => json_array(&bills, state.is_first, done),
            };
            Ok(Some((text, State { after, is_first: false, done })))
        }
    };
    try_unfold(State { after: (0, 0), is_first: true, done: false }, next)
}

/// The position of an export.
struct State {
    after: (i16, i32),
    is_first: bool,
    done: bool,
}

async fn part(pool: &PgPool, period: (NaiveDate, NaiveDate), after: (i16, i32)) -> Result<Vec<ExportedBill>, Error> {
    let mut bills = db::exported(pool, period, after, PART).await?;
    bills.sort_unstable_by_key(|bill| bill.bill_id);
    let ids: Vec<i64> = bills.iter().map(|bill| bill.bill_id).collect();
    for group in db::vat(pool, &ids).await? {
        if let Ok(place) = bills.binary_search_by_key(&group.bill_id, |bill| bill.bill_id) {
            bills[place].vat.push(group);
        }
    }
    bills.sort_unstable_by_key(|bill| bill.place);
    Ok(bills)
}

const COLUMNS: [&str; 21] = [
    "number",
    "document",
    "issue_date",
    "due_date",
    "customer_id",
    "customer",
    "name",
    "company",
    "country",
    "vat_number",
    "currency",
    "vat_category",
    "vat_territory",
    "vat_rate",
    "vat_taxable_amount",
    "vat_tax_amount",
    "bill_net",
    "bill_tax",
    "bill_gross",
    "bill_rounding",
    "bill_amount_due",
];

fn csv(bills: &[ExportedBill], header: bool) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |row: &[String; 21]| writer.write_record(row).map_err(anyhow::Error::new);
    if header {
        write(&COLUMNS.map(str::to_owned))?;
    }
    for bill in bills {
        for group in &bill.vat {
            write(&[
                bill.number.clone(),
                document(bill.gross).to_owned(),
                bill.issue_date.to_string(),
                bill.due_date().map(|date| date.to_string()).unwrap_or_default(),
                bill.user_id.to_string(),
                cell(&bill.username),
                cell(&bill.customer.name),
                cell(bill.customer.company.as_deref().unwrap_or_default()),
                bill.customer.country.clone(),
                cell(bill.customer.vat_number.as_deref().unwrap_or_default()),
                bill.currency.clone(),
                group.category.to_string(),
                group.territory.clone().unwrap_or_default(),
                group.rate.to_string(),
                group.taxable_amount.to_string(),
                group.tax_amount.to_string(),
                bill.net.to_string(),
                bill.tax.to_string(),
                bill.gross.to_string(),
                bill.rounding.to_string(),
                bill.amount_due.to_string(),
            ])?;
        }
    }
    Ok(writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?)
}

/// Returns a cell with a customer's text. Spreadsheets open the file, so a text that would start a formula gets an
/// apostrophe.
fn cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text.to_owned() }
}

fn json_array(bills: &[ExportedBill], is_first: bool, is_last: bool) -> Vec<u8> {
    let mut text = String::from(if is_first { "[" } else { "" });
    for (place, bill) in bills.iter().enumerate() {
        text.push_str(if is_first && place == 0 { "\n" } else { ",\n" });
        text.push_str(&object(bill).to_string());
    }
    text.push_str(if is_last { "\n]\n" } else { "" });
    text.into_bytes()
}

fn object(bill: &ExportedBill) -> Value {
    let group = |group: &BillVat| json!({ "category": group.category, "territory": group.territory, "rate": group.rate, "taxable_amount": group.taxable_amount, "tax_amount": group.tax_amount });
    json!({
        "id": bill.bill_id,
        "number": bill.number,
        "document": document(bill.gross),
        "issue_date": bill.issue_date,
        "due_date": bill.due_date(),
        "customer_id": bill.user_id,
        "customer": bill.username,
        "name": bill.customer.name,
        "company": bill.customer.company,
        "country": bill.customer.country,
        "vat_number": bill.customer.vat_number,
        "currency": bill.currency,
        "vat": bill.vat.iter().map(group).collect::<Vec<Value>>(),
        "net": bill.net,
        "tax": bill.tax,
        "gross": bill.gross,
        "rounding": bill.rounding,
        "amount_due": bill.amount_due,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::content::Party;

    fn bill(name: &str) -> ExportedBill {
        let amount = |text: &str| text.parse().expect("an amount");
        let group = |rate: &str, base, tax| BillVat {
            bill_id: 1,
            category: "S".parse().expect("a category"),
            territory: Some("CH".into()),
            rate: rate.parse().expect("a rate"),
            taxable_amount: amount(base),
            tax_amount: amount(tax),
        };
        ExportedBill {
            bill_id: 1,
            place: (2026, 1),
            number: "2026-000001".into(),
            issue_date: "2026-01-01".parse().expect("a date"),
            payment_days: Some(30),
            user_id: 7,
            username: "alice".into(),
            customer: Party {
                name: name.into(),
                company: None,
                street: "Weg 1".into(),
                postal_code: "8000".into(),
                city: "Zurich".into(),
                country: "CH".into(),
                ..Party::default()
            },
            currency: "CHF".into(),
            net: amount("7.00"),
            tax: amount("0.57"),
            gross: amount("7.57"),
            rounding: amount("0.00"),
            amount_due: amount("7.57"),
            vat: vec![group("0.077", "-3.00", "-0.23"), group("0.081", "10.00", "0.80")],
        }
    }

    #[test]
    fn csv_with_formula_texts_escapes_them_and_keeps_amounts_numeric() {
        let text =
            String::from_utf8(csv(&[bill("=HYPERLINK(\"x\";\"a, b\")")], true).expect("in memory")).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0], COLUMNS.join(","));
        assert!(lines[1].contains("\"'=HYPERLINK(\"\"x\"\";\"\"a, b\"\")\""), "{text}");
        assert!(lines[1].starts_with("2026-000001,invoice,2026-01-01,2026-01-31,7,"), "{text}");
        assert!(lines[1].ends_with("S,CH,0.077,-3.00,-0.23,7.00,0.57,7.57,0.00,7.57"), "{text}");
        for (name, expected) in
            [("+41", "'+41"), ("-1", "'-1"), ("@SUM", "'@SUM"), ("\t=1", "'\t=1"), ("O'Hara", "O'Hara")]
        {
            assert_eq!(cell(name), expected);
        }
    }

    #[test]
    fn json_array_in_several_parts_forms_one_array() {
        let parts = [
            json_array(&[bill("a"), bill("b")], true, false),
            json_array(&[bill("c")], false, false),
            json_array(&[], false, true),
        ];
        let bills: Vec<Value> = serde_json::from_slice(&parts.concat()).expect("an array");
        assert_eq!(
            bills.iter().map(|bill| bill["name"].as_str()).collect::<Vec<_>>(),
            [Some("a"), Some("b"), Some("c")]
        );
        assert_eq!(
            bills[0]["vat"][0],
            json!({ "category": "S", "territory": "CH", "rate": "0.077", "taxable_amount": "-3.00", "tax_amount": "-0.23" })
        );
        assert_eq!(serde_json::from_slice::<Vec<Value>>(&json_array(&[], true, true)).expect("an array").len(), 0);
    }
}
