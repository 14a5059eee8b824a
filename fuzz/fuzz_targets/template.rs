//! Any text as a template: no panic, and it writes itself so that it reads the same.
#![no_main]

use claw_compose::template::Template;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(template) = Template::parse(text) else { return };
    let again = Template::parse(&template.to_string()).expect("its own words");
    assert_eq!(template.to_string(), again.to_string());
    let none = std::collections::BTreeMap::<String, String>::new();
    let value = |template: &Template| template.resolve(&none, &mut |_| {}).ok();
    assert_eq!(value(&template), value(&again));
});
