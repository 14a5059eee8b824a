//! Properties of interpolation and of env files, over generated texts.

use std::collections::BTreeMap;

use claw_compose::load::dotenv;
use claw_compose::template::Template;
use claw_types::diag::Diagnostics;
use claw_types::doc::Escape;
use claw_types::span::SourceMap;
use proptest::prelude::*;

fn resolved(text: &str, env: &BTreeMap<String, String>) -> Option<String> {
    Template::parse(text).ok()?.resolve(env, &mut |_| {}).ok()
}

fn value() -> impl Strategy<Value = Option<String>> {
    prop_oneof![Just(None), Just(Some(String::new())), "[a-z $]{1,6}".prop_map(Some)]
}

proptest! {
    #[test]
    fn a_literal_is_itself_whatever_is_in_it(text in any::<String>()) {
        let literal = Template::literal(text.as_str());
        prop_assert_eq!(literal.resolve(&BTreeMap::new(), &mut |_| {}), Ok(text.clone()));
        prop_assert_eq!(resolved(&literal.to_string(), &BTreeMap::new()), Some(text));
    }

    #[test]
    fn a_template_writes_itself_so_that_it_means_the_same(text in "([a-z ]|\\$|\\{|\\}|\\$\\{A|:-|\\?|\\+){0,24}", a in value()) {
        let env: BTreeMap<String, String> = a.map(|a| ("A".to_owned(), a)).into_iter().collect();
        if let Ok(template) = Template::parse(&text) {
            let written = template.to_string();
            prop_assert_eq!(resolved(&written, &env), template.resolve(&env, &mut |_| {}).ok(), "{}", written);
        }
    }

    #[test]
    fn the_six_operators_choose_by_unset_and_empty(a in value(), operand in "[a-z]{0,4}") {
        let env: BTreeMap<String, String> = a.clone().map(|a| ("A".to_owned(), a)).into_iter().collect();
        let form = |operator: &str| resolved(&format!("${{A{operator}{operand}}}"), &env);
        let plain = a.clone().unwrap_or_default();
        let is_set = a.is_some();
        let is_full = a.as_ref().is_some_and(|a| !a.is_empty());
        prop_assert_eq!(form("-"), Some(if is_set { plain.clone() } else { operand.clone() }));
        prop_assert_eq!(form(":-"), Some(if is_full { plain.clone() } else { operand.clone() }));
        prop_assert_eq!(form("+"), Some(if is_set { operand.clone() } else { String::new() }));
        prop_assert_eq!(form(":+"), Some(if is_full { operand.clone() } else { String::new() }));
        prop_assert_eq!(form("?"), is_set.then(|| plain.clone()));
        prop_assert_eq!(form(":?"), is_full.then_some(plain));
    }

    #[test]
    fn what_is_escaped_for_an_env_file_is_read_back(text in "[ -~\\n\u{e9}]{0,40}") {
        let mut sources = SourceMap::new();
        let file = sources.add(".env", format!("A=\"{}\"\nB=b\n", Escape::Dotenv.apply(&text)));
        let mut diag = Diagnostics::new();
        let read = dotenv::parse(sources.get(file).expect("added"), &BTreeMap::new(), false, &mut diag);
        prop_assert!(diag.iter().next().is_none());
        prop_assert_eq!(read.get("A"), Some(&Some(text)));
        prop_assert_eq!(read.get("B"), Some(&Some("b".to_owned())));
    }
}
