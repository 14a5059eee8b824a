//! Prices: the table that comes with claw, and what it says of a call.

use claw_proxy::money::Money;
use claw_proxy::price::Prices;
use claw_proxy::wire::usage::Usage;

#[test]
fn the_table_that_comes_with_claw_can_be_read_and_knows_what_people_use() {
    let prices = Prices::built_in().expect("a table");
    for (provider, model) in [
        ("openai", "gpt-4o"),
        ("openai", "gpt-5"),
        ("anthropic", "claude-haiku-4-5"),
        ("gemini", "gemini-2.5-pro"),
        ("google", "gemini-2.5-pro"),
        ("xai", "grok-4.20"),
        ("mistral", "mistral-large-latest"),
        ("deepseek", "deepseek-chat"),
    ] {
        assert!(prices.row(provider, model).is_some(), "{provider}/{model}");
    }
    for (provider, model) in [("openai", "gpt"), ("openai", "gpt-4o-latest"), ("nobody", "gpt-4o"), ("openai", "")] {
        assert!(prices.row(provider, model).is_none(), "{provider}/{model}: nothing is guessed");
    }
    assert!(!prices.is_stale(1_795_000_000_000) && prices.is_stale(1_850_000_000_000));
}

fn table(row: &str) -> Prices {
    Prices::parse(&format!(r#"{{"schema":"claw.prices.v1","as_of":"2026-11-20","source":"a test","models":[{row}]}}"#))
        .expect("a table")
}

#[test]
fn a_long_request_and_another_service_have_prices_of_their_own_and_never_less_by_mistake() {
    let prices = table(
        r#"{"provider":"p","model":"m","input":10,"output":20,"cache_read":1,"tiers":[{"above":100,"input":30,"output":60}],"flex":{"input":5,"output":10},"search":7}"#,
    );
    let row = prices.row("p", "m").expect("a row");
    let cost = |input, output, tier| row.cost(&Usage { input_uncached: input, output, ..Usage::default() }, tier);
    assert_eq!(cost(100, 1, None), Money(1000 + 20));
    assert_eq!(cost(101, 1, None), Money(101 * 30 + 60));
    assert_eq!(cost(100, 1, Some("flex")), Money(500 + 10));
    assert_eq!(
        cost(101, 1, Some("flex")),
        Money(101 * 30 + 60),
        "a service that says nothing of sizes is no cheaper than the size"
    );
    assert_eq!(cost(100, 1, Some("default")), Money(1000 + 20));
    let searched = Usage { search_calls: 2, cache_read: 3, ..Usage::default() };
    assert_eq!(row.cost(&searched, None), Money(14 + 3));
    assert_eq!(
        row.cost(&Usage { output: u64::MAX, ..Usage::default() }, None),
        Money(u64::MAX),
        "too much is the most there is"
    );
}

#[test]
fn a_dated_name_and_an_undated_one_find_each_other() {
    let prices = table(
        r#"{"provider":"p","model":"a","input":1,"output":1},{"provider":"p","model":"b-20250101","input":2,"output":1},{"provider":"p","model":"b-20260101","input":3,"output":1}"#,
    );
    let input = |model: &str| {
        prices.row("p", model).map(|row| row.cost(&Usage { input_uncached: 1, ..Usage::default() }, None))
    };
    assert_eq!(input("a-20251001"), Some(Money(1)));
    assert_eq!(input("a-2025-10-01"), Some(Money(1)));
    assert_eq!(input("b"), Some(Money(3)), "the latest");
    assert_eq!(input("b-20250101"), Some(Money(2)));
    assert_eq!((input("a-2510"), input("c"), input("a-")), (None, None, None));
}

#[test]
fn a_table_that_is_none_is_refused() {
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"schema":"claw.prices.v2","as_of":"2026-11-20","source":"x","models":[]}"#,
        r#"{"schema":"claw.prices.v1","as_of":"yesterday","source":"x","models":[]}"#,
        r#"{"schema":"claw.prices.v1","as_of":"2026-11-20","source":"x","models":[{"provider":"p","model":"m","input":-1}]}"#,
        r#"{"schema":"claw.prices.v1","as_of":"2026-11-20","source":"x","models":[{"provider":"p","model":"m","input":0.5}]}"#,
    ] {
        assert!(Prices::parse(bad).is_err(), "{bad}");
    }
}
