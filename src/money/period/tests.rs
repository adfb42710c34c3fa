use super::*;

const ZURICH: Tz = Tz::Europe__Zurich;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("RFC 3339")
}

fn period(unit: Unit, count: i32) -> RecurringPeriod {
    RecurringPeriod::new(unit, count).expect("a period")
}

#[test]
fn boundary_of_days_across_summer_time_is_fixed_seconds() {
    let start = at("2025-03-15T00:00:00Z");
    assert_eq!(period(Unit::Day, 30).boundary(start, 1, ZURICH), at("2025-04-14T00:00:00Z"));
    assert_eq!(period(Unit::Hour, 5).boundary(start, 24, ZURICH), at("2025-03-20T00:00:00Z"));
}

#[test]
fn boundary_of_months_keeps_wall_time_and_clamps_the_day() {
    let (month, start) = (period(Unit::Month, 1), at("2024-01-30T23:00:00Z"));
    for (n, boundary) in [
        (0, "2024-01-30T23:00:00Z"),
        (1, "2024-02-28T23:00:00Z"),
        (2, "2024-03-30T23:00:00Z"),
        (3, "2024-04-29T22:00:00Z"),
        (13, "2025-02-27T23:00:00Z"),
    ] {
        assert_eq!(month.boundary(start, n, ZURICH), at(boundary), "{n}");
    }
    let leap = at("2024-02-28T23:00:00Z");
    assert_eq!(period(Unit::Year, 1).boundary(leap, 1, ZURICH), at("2025-02-27T23:00:00Z"));
    assert_eq!(period(Unit::Year, 1).boundary(leap, 4, ZURICH), at("2028-02-28T23:00:00Z"));
}

#[test]
fn boundary_at_skipped_or_repeated_wall_time_moves_forward_or_is_the_first() {
    // 02:30 is skipped on 30 March 2025 and occurs twice on 26 October.
    let month = period(Unit::Month, 1);
    assert_eq!(month.boundary(at("2025-02-28T01:30:00Z"), 1, ZURICH), at("2025-03-28T01:30:00Z"));
    assert_eq!(month.boundary(at("2025-01-30T01:30:00Z"), 2, ZURICH), at("2025-03-30T01:30:00Z"));
    assert_eq!(month.boundary(at("2025-09-26T00:30:00Z"), 1, ZURICH), at("2025-10-26T00:30:00Z"));
    // A start in the second occurrence keeps its exact time.
    let second = at("2025-10-26T01:30:00Z");
    assert_eq!(month.boundary(second, 0, ZURICH), second);
    assert_eq!(month.position(second, second, ZURICH).whole, 0);
    assert_eq!(period(Unit::Year, 1).boundary(second, 1, ZURICH), at("2026-10-26T01:30:00Z"));
    // Samoa skipped the whole of 30 December 2011.
    let apia = Tz::Pacific__Apia;
    let before = instant(at("2011-11-30T12:00:00Z").naive_utc(), apia);
    assert_eq!(month.boundary(before, 1, apia), instant(at("2011-12-31T12:00:00Z").naive_utc(), apia));
}

#[test]
fn position_of_a_boundary_is_in_the_period_that_it_starts() {
    let (month, start) = (period(Unit::Month, 1), at("2024-01-30T23:00:00Z"));
    let position = |t| month.position(start, at(t), ZURICH);
    let at_start = Position { whole: 0, into_seconds: 0, period_seconds: 2_505_600 };
    assert_eq!(position("2020-01-01T00:00:00Z"), at_start);
    assert_eq!(position("2024-01-30T23:00:00Z"), at_start);
    assert_eq!(position("2024-02-28T22:59:59Z"), Position { into_seconds: 2_505_599, ..at_start });
    assert_eq!(position("2024-02-28T23:00:00Z"), Position { whole: 1, into_seconds: 0, period_seconds: 2_678_400 });
    assert_eq!(month.boundary_from(start, at("2024-02-28T23:00:00Z"), ZURICH), at("2024-02-28T23:00:00Z"));
    assert_eq!(month.boundary_from(start, at("2024-02-28T23:00:01Z"), ZURICH), at("2024-03-30T23:00:00Z"));
    assert_eq!(month.boundary_from(start, at("2020-01-01T00:00:00Z"), ZURICH), start);
}

#[test]
fn boundary_beyond_year_9999_is_last() {
    let start = at("2025-01-01T00:00:00Z");
    for period in [period(Unit::Hour, 9999), period(Unit::Day, 9999), period(Unit::Month, 1), period(Unit::Year, 50)] {
        assert_eq!(period.boundary(start, u32::MAX, ZURICH), LAST);
        let position = period.position(start, DateTime::<Utc>::MAX_UTC, ZURICH);
        assert!(position.into_seconds < position.period_seconds);
        assert!(period.boundary_from(start, DateTime::<Utc>::MAX_UTC, ZURICH) >= LAST - TimeDelta::seconds(1));
    }
}

#[test]
fn nominal_seconds_of_a_year_equal_twelve_months_and_365_days() {
    assert_eq!(period(Unit::Year, 1).nominal_seconds(), period(Unit::Month, 12).nominal_seconds());
    assert_eq!(period(Unit::Year, 1).nominal_seconds(), period(Unit::Day, 365).nominal_seconds());
    assert!(period(Unit::Hour, 23).is_shorter_than_a_day() && !period(Unit::Hour, 24).is_shorter_than_a_day());
}

#[test]
fn period_with_invalid_count_is_refused() {
    for count in [0, -1, 10_000, i32::MAX] {
        assert_eq!(RecurringPeriod::new(Unit::Day, count), Err(PeriodError));
    }
    for (unit, most) in [(Unit::Year, 50), (Unit::Month, 600)] {
        assert!(RecurringPeriod::new(unit, most).is_ok());
        assert_eq!(RecurringPeriod::new(unit, most + 1), Err(PeriodError));
    }
    let json = serde_json::json!({"unit": "day", "count": 30});
    let read: RecurringPeriod = serde_json::from_value(json.clone()).expect("a period");
    assert_eq!((read, serde_json::to_value(read).expect("JSON")), (period(Unit::Day, 30), json));
    assert!(serde_json::from_value::<RecurringPeriod>(serde_json::json!({"unit": "week", "count": 1})).is_err());
}
