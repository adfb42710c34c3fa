use super::*;

#[test]
fn round_of_a_half_is_away_from_zero() {
    for (numerator, denominator, rounded) in
        [(1, 2, 1), (-1, 2, -1), (5, 2, 3), (-5, 2, -3), (49, 100, 0), (-49, 100, 0), (10, 3, 3), (0, 7, 0)]
    {
        assert_eq!(round(numerator, denominator), rounded, "{numerator}/{denominator}");
    }
}

#[test]
fn amount_in_exact_form_is_written_as_read_and_others_are_refused() {
    for (text, cents) in [("10.00", 1000), ("-3.33", -333), ("0.05", 5), ("-0.05", -5), ("0.00", 0)] {
        assert_eq!(text.parse::<Amount>().map(Amount::cents), Ok(cents));
        assert_eq!(Amount::try_from(cents).map(|amount| amount.to_string()), Ok(text.into()));
    }
    assert_eq!("999999999999.99".parse::<Amount>(), Ok(Amount(MAX_CENTS)));
    for text in
        ["", "-", ".", ".50", "1.", "+1.00", "01.00", "1,00", "1.0a", "1e2", " 1.00", "1.00\n", "--1.00", "٣.00"]
    {
        assert_eq!(text.parse::<Amount>(), Err(AmountError::Form), "{text:?}");
    }
    for text in ["1", "-1", "1.0", "1.005", "1.000"] {
        assert_eq!(text.parse::<Amount>(), Err(AmountError::Decimals), "{text:?}");
    }
    for text in ["1000000000000.00", "-1000000000000.00", "99999999999999999999999999999.00"] {
        assert_eq!(text.parse::<Amount>(), Err(AmountError::TooLarge), "{text:?}");
    }
}

#[test]
fn sum_beyond_the_largest_amount_is_refused() {
    let (largest, cent) = (Amount(MAX_CENTS), Amount(1));
    assert_eq!(largest.try_add(cent), Err(AmountError::TooLarge));
    assert_eq!((-largest).try_sub(cent), Err(AmountError::TooLarge));
    assert_eq!(largest.try_mul(i64::MAX), Err(AmountError::TooLarge));
    assert_eq!(Amount::rounded(i128::MAX / 4, 1), Err(AmountError::TooLarge));
    assert_eq!(Amount::try_from(i64::MIN), Err(AmountError::TooLarge));
    assert_eq!(Amount::try_sum([largest, -largest, cent]), Ok(cent));
}

#[test]
fn amount_to_five_cents_is_the_nearest_multiple() {
    for (exact, cash) in
        [("10.82", "10.80"), ("10.83", "10.85"), ("10.85", "10.85"), ("-0.03", "-0.05"), ("0.02", "0.00")]
    {
        let amount: Amount = exact.parse().expect("an amount");
        assert_eq!(amount.to_five_cents().map(|amount| amount.to_string()), Ok(cash.into()));
    }
}

#[test]
fn rate_in_exact_form_shows_three_decimals_or_more() {
    for (text, ppm, formatted) in [
        ("0.081", 81_000, "0.081"),
        ("0.2", 200_000, "0.200"),
        ("0", 0, "0.000"),
        ("1", 1_000_000, "1.000"),
        ("0.0825", 82_500, "0.0825"),
        ("0.000001", 1, "0.000001"),
    ] {
        let rate: Rate = text.parse().expect("a rate");
        assert_eq!((rate.ppm(), rate.to_string()), (ppm, formatted.into()));
        assert_eq!(Rate::try_from(i32::from(rate)), Ok(rate));
    }
    for text in ["", "8.1", "0.", ".081", "-0.1", "1.000001", "0.0000001", "8.1%", "0,081", "00.1"] {
        assert_eq!(text.parse::<Rate>(), Err(RateError), "{text:?}");
    }
    assert_eq!(Rate::try_from(-1), Err(RateError));
    assert_eq!(Rate::try_from(1_000_001), Err(RateError));
}

#[test]
fn rate_of_amount_is_rounded_half_away_from_zero() {
    for (rate, base, tax) in
        [("0.081", "10.00", "0.81"), ("0.081", "20.33", "1.65"), ("0.081", "25.00", "2.03"), ("0.1", "-0.05", "-0.01")]
    {
        let (rate, base): (Rate, Amount) = (rate.parse().expect("a rate"), base.parse().expect("an amount"));
        assert_eq!(rate.of(base).to_string(), tax, "{base} x {rate}");
    }
    assert_eq!(Rate(PPM).of(Amount(-MAX_CENTS)), Amount(-MAX_CENTS));
}

#[test]
fn currency_other_than_three_uppercase_letters_is_refused() {
    assert_eq!("CHF".parse::<Currency>().map(|currency| currency.to_string()), Ok("CHF".into()));
    for text in ["", "chf", "CH", "CHFR", "C1F", "CHÄ"] {
        assert_eq!(text.parse::<Currency>(), Err(CurrencyError), "{text:?}");
    }
}

#[test]
fn amount_rate_and_currency_in_json_are_strings() {
    let json = serde_json::json!(["10.00", "0.081", "CHF"]);
    let read: (Amount, Rate, Currency) = serde_json::from_value(json.clone()).expect("texts");
    assert_eq!(serde_json::to_value(read).expect("texts"), json);
    assert!(serde_json::from_value::<Amount>(serde_json::json!(10.0)).is_err());
}
