//! Interpolation: every form, against a table made with two real docker compose versions, and rules of our own.

use std::collections::BTreeMap;

use claw_compose::template::{Lookup, Template};

fn resolve(text: &str, env: &dyn Lookup) -> Result<(String, Vec<String>), ()> {
    let mut unset = Vec::new();
    let template = Template::parse(text).map_err(|_| ())?;
    let value = template.resolve(env, &mut |variable| unset.push(variable.name.clone())).map_err(|_| ())?;
    Ok((value, unset))
}

#[test]
fn every_form_of_the_table_is_as_compose_has_it() {
    let Some(corpora) = crate::corpora() else { return };
    let text = std::fs::read_to_string(corpora.join("compose/interpolation-table.json")).expect("the table");
    let table: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let text_of = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let env: BTreeMap<String, String> =
        table["env"].as_object().expect("env").iter().map(|(name, value)| (name.clone(), text_of(value))).collect();
    let cases = table["cases"].as_array().expect("cases");
    let mut wrong = Vec::new();
    for case in cases {
        let form = case["form"].as_str().expect("form");
        let ours = resolve(form, &env);
        let warnings = case["dc240"]["warn"].as_array().map_or(0, Vec::len);
        let is_right = match (&ours, case["dc240"]["ok"].as_str()) {
            (Ok((value, unset)), Some(expected)) => {
                value.replace('$', "$$") == expected && unset.is_empty() == (warnings == 0)
            }
            (Err(()), None) => true,
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{form}: ours {ours:?}, theirs {}", case["dc240"]));
        }
    }
    println!("interpolation: {}/{}", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn operands_nest_and_are_evaluated_even_where_unused() {
    let env = BTreeMap::from([("A".to_owned(), "a".to_owned())]);
    assert_eq!(resolve("${B:-x${A}y}", &env), Ok(("xay".to_owned(), vec![])));
    assert_eq!(resolve("${A:-${B:?needed}}", &env), Err(()));
    assert_eq!(resolve("${B:-{\"k\":1}}", &env), Ok(("{\"k\":1}".to_owned(), vec![])));
}

#[test]
fn a_template_writes_itself_so_that_it_reads_the_same() {
    for text in ["a$$b", "${A:-b${C+d}}", "$A.$B", "plain", "$1 $( x"] {
        let template = Template::parse(text).expect("valid");
        let again = Template::parse(&template.to_string()).expect("valid again");
        assert_eq!(template.to_string(), again.to_string());
    }
    assert_eq!(Template::literal("a$b").to_string(), "a$$b");
}

#[test]
fn a_wrong_form_is_found_where_it_stands() {
    let bad = Template::parse("ok ${FOO!} rest").expect_err("no operator");
    assert_eq!((bad.start, bad.end), (3, 10));
    let inner = Template::parse("${A:-${1}}").expect_err("no name");
    assert_eq!((inner.start, inner.end), (5, 9));
    assert!(Template::parse(&"${A:-".repeat(10_000)).is_err());
}
