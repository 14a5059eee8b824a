//! Requests: goldens, round trips, and what is refused by which path.

use claw_proxy::convert;
use claw_types::provider::WireFormat::{self, Anthropic, OpenAi, Responses};
use serde_json::{Value, json};

use super::{FORMATS, chat, messages, refused, request, responses, strangers, swap, with};

/// A conversation with everything the three formats have in common.
fn full_chat() -> Value {
    json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "what is it?"},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ]},
            {"role": "assistant", "content": "looking", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
                {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{\"at\":2}"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
            {"role": "tool", "tool_call_id": "c2", "content": "a dog"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "look", "description": "looks",
            "parameters": {"type": "object", "properties": {"at": {"type": "integer"}}},
        }}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": false,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 100,
        "user": "u1",
        "stream": true,
        "stream_options": {"include_usage": true},
    })
}

fn full_messages() -> Value {
    json!({
        "model": "m",
        "system": "be brief",
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "what is it?"},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "looking"},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}},
                {"type": "tool_use", "id": "c2", "name": "look", "input": {"at": 2}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "a cat"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "a dog"},
            ]},
        ],
        "tools": [{
            "name": "look", "description": "looks",
            "input_schema": {"type": "object", "properties": {"at": {"type": "integer"}}},
        }],
        "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": true},
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 100,
        "metadata": {"user_id": "u1"},
        "stream": true,
    })
}

fn full_responses() -> Value {
    json!({
        "model": "m",
        "instructions": "be brief",
        "input": [
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "what is it?"},
                {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
            ]},
            {"type": "message", "role": "assistant", "content": "looking"},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{\"at\":1}"},
            {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{\"at\":2}"},
            {"type": "function_call_output", "call_id": "c1", "output": "a cat"},
            {"type": "function_call_output", "call_id": "c2", "output": "a dog"},
        ],
        "tools": [{
            "type": "function", "name": "look", "description": "looks", "strict": false,
            "parameters": {"type": "object", "properties": {"at": {"type": "integer"}}},
        }],
        "tool_choice": {"type": "function", "name": "look"},
        "parallel_tool_calls": false,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 100,
        "user": "u1",
        "store": false,
        "stream": true,
    })
}

fn full(format: WireFormat) -> Value {
    match format {
        OpenAi => full_chat(),
        Anthropic => full_messages(),
        Responses => full_responses(),
    }
}

#[test]
fn chat_becomes_messages() {
    assert_eq!(request(OpenAi, Anthropic, &full_chat()), full_messages());
}

#[test]
fn chat_becomes_responses() {
    assert_eq!(request(OpenAi, Responses, &full_chat()), full_responses());
}

#[test]
fn messages_becomes_chat() {
    assert_eq!(request(Anthropic, OpenAi, &full_messages()), full_chat());
}

#[test]
fn messages_becomes_responses() {
    assert_eq!(request(Anthropic, Responses, &full_messages()), full_responses());
}

#[test]
fn responses_becomes_chat() {
    let mut expected = full_chat();
    expected["tools"][0]["function"]["strict"] = json!(false);
    assert_eq!(request(Responses, OpenAi, &full_responses()), expected);
}

#[test]
fn responses_becomes_messages() {
    assert_eq!(request(Responses, Anthropic, &full_responses()), full_messages());
}

#[test]
fn the_common_subset_survives_there_and_back() {
    for from in FORMATS {
        for to in FORMATS.into_iter().filter(|to| *to != from) {
            let mut back = request(to, from, &request(from, to, &full(from)));
            if from == OpenAi
                && let Some(function) = back["tools"][0]["function"].as_object_mut()
            {
                function.remove("strict");
            }
            assert_eq!(back, full(from), "{} by {}", from.name(), to.name());
        }
    }
}

#[test]
fn messages_gets_a_cap_when_there_is_none() {
    let expected = json!({"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(request(OpenAi, Anthropic, &chat()), expected);
}

#[test]
fn the_cap_has_the_name_the_model_accepts() {
    for (model, field) in [
        ("gpt-4o", "max_completion_tokens"),
        ("openai/o3-mini", "max_completion_tokens"),
        ("gpt-oss-20b", "max_tokens"),
        ("ollama", "max_tokens"),
        ("mistral-large", "max_tokens"),
    ] {
        let body = request(Anthropic, OpenAi, &with(messages(), "model", json!(model)));
        assert_eq!(body[field], 10, "{model}");
    }
}

#[test]
fn caps_that_contradict_each_other_are_refused() {
    let body = with(with(chat(), "max_tokens", json!(1)), "max_completion_tokens", json!(2));
    assert_eq!(refused(OpenAi, Anthropic, &body), "max_tokens");
}

#[test]
fn defaults_and_empty_fields_may_go() {
    let mut body = chat();
    for (key, field) in [
        ("n", json!(1)),
        ("presence_penalty", json!(0.0)),
        ("frequency_penalty", json!(0)),
        ("logit_bias", json!({})),
        ("logprobs", json!(false)),
        ("seed", json!(null)),
        ("store", json!(false)),
        ("stop", json!([])),
        ("tools", json!([])),
        ("tool_choice", json!("auto")),
        ("parallel_tool_calls", json!(true)),
        ("response_format", json!({"type": "text"})),
        ("service_tier", json!("auto")),
        ("modalities", json!(["text"])),
    ] {
        body[key] = field;
    }
    assert_eq!(request(OpenAi, Anthropic, &body), request(OpenAi, Anthropic, &chat()));
    assert_eq!(request(OpenAi, Responses, &body), request(OpenAi, Responses, &chat()));
}

#[test]
fn chat_fields_without_counterpart_are_named() {
    for (key, field) in [
        ("n", json!(2)),
        ("seed", json!(1)),
        ("presence_penalty", json!(0.5)),
        ("logit_bias", json!({"1": 1})),
        ("logprobs", json!(true)),
        ("store", json!(true)),
        ("audio", json!({"voice": "alloy"})),
        ("web_search_options", json!({"user_location": {"type": "approximate"}})),
        ("functions", json!([{"name": "f"}])),
        ("invented", json!("x")),
    ] {
        for to in [Anthropic, Responses] {
            assert_eq!(refused(OpenAi, to, &with(chat(), key, field.clone())), key);
        }
    }
}

#[test]
fn messages_fields_without_counterpart_are_named() {
    for (key, field, path) in [
        ("top_k", json!(5), "top_k"),
        ("container", json!("c"), "container"),
        ("mcp_servers", json!([{"type": "url"}]), "mcp_servers"),
        ("service_tier", json!("standard_only"), "service_tier"),
        ("metadata", json!({"user_id": "u", "other": "x"}), "metadata.other"),
        ("thinking", json!({"type": "enabled", "budget_tokens": 2000}), "thinking.type"),
        ("output_config", json!({"effort": "low"}), "output_config.effort"),
        ("tools", json!([{"type": "web_search_20250305", "name": "web_search"}]), "tools[0].type"),
        ("cache_control", json!({"type": "ephemeral", "ttl": "1h"}), "cache_control.ttl"),
    ] {
        for to in [OpenAi, Responses] {
            assert_eq!(refused(Anthropic, to, &with(messages(), key, field.clone())), path);
        }
    }
}

#[test]
fn responses_fields_without_counterpart_are_named() {
    for (key, field, path) in [
        ("previous_response_id", json!("resp_1"), "previous_response_id"),
        ("conversation", json!("conv_1"), "conversation"),
        ("background", json!(true), "background"),
        ("truncation", json!("auto"), "truncation"),
        ("max_tool_calls", json!(3), "max_tool_calls"),
        ("include", json!(["reasoning.encrypted_content", "file_search_call.results"]), "include[1]"),
        ("tools", json!([{"type": "web_search"}]), "tools[0].type"),
        ("tool_choice", json!({"type": "file_search"}), "tool_choice.type"),
        ("reasoning", json!({"summary": "detailed"}), "reasoning.summary"),
        ("input", json!([{"type": "item_reference", "id": "x"}]), "input[0].type"),
        ("input", json!([{"role": "user", "content": [{"type": "input_file"}]}]), "input[0].content[0].type"),
    ] {
        for to in [OpenAi, Anthropic] {
            assert_eq!(refused(Responses, to, &with(responses(), key, field.clone())), path);
        }
    }
}

#[test]
fn openai_settings_cross_between_chat_and_responses_only() {
    for (key, field) in [
        ("metadata", json!({"run": "7"})),
        ("service_tier", json!("flex")),
        ("prompt_cache_key", json!("k")),
        ("safety_identifier", json!("s")),
    ] {
        assert_eq!(request(OpenAi, Responses, &with(chat(), key, field.clone()))[key], field);
        assert_eq!(request(Responses, OpenAi, &with(responses(), key, field.clone()))[key], field);
        assert_eq!(refused(OpenAi, Anthropic, &with(chat(), key, field.clone())), key);
    }
}

#[test]
fn parts_without_counterpart_are_named_by_their_path() {
    let audio =
        json!([{"type": "text", "text": "a"}, {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]);
    let mut body = chat();
    body["messages"] = json!([{"role": "user", "content": "a"}, {"role": "user", "content": audio}]);
    assert_eq!(refused(OpenAi, Anthropic, &body), "messages[1].content[1].type");
    let document = json!([{"type": "document", "source": {"type": "text", "data": "x"}}]);
    let body = with(messages(), "messages", json!([{"role": "user", "content": document}]));
    assert_eq!(refused(Anthropic, OpenAi, &body), "messages[0].content[0].type");
    let body = with(chat(), "messages", json!([{"role": "user", "name": "bob", "content": "a"}]));
    assert_eq!(refused(OpenAi, Responses, &body), "messages[0].name");
}

#[test]
fn stop_sequences_are_one_or_many() {
    let body = request(OpenAi, Anthropic, &with(chat(), "stop", json!("END")));
    assert_eq!(body["stop_sequences"], json!(["END"]));
    let body = request(Anthropic, OpenAi, &with(messages(), "stop_sequences", json!(["A", "B"])));
    assert_eq!(body["stop"], json!(["A", "B"]));
    assert_eq!(refused(OpenAi, Responses, &with(chat(), "stop", json!("END"))), "stop");
    assert_eq!(refused(OpenAi, Responses, &with(chat(), "stop", json!(["A", 1]))), "stop[1]");
}

#[test]
fn a_temperature_above_one_is_not_clamped() {
    assert_eq!(refused(OpenAi, Anthropic, &with(chat(), "temperature", json!(1.5))), "temperature");
    assert_eq!(request(OpenAi, Responses, &with(chat(), "temperature", json!(1.5)))["temperature"], 1.5);
}

#[test]
fn numbers_keep_their_precision() {
    let body = br#"{"model":"m","max_tokens":18446744073709551615,"top_p":0.1234567890123456,"messages":[]}"#;
    let out = convert::request(OpenAi, Responses, body).unwrap();
    let expected =
        r#"{"input":[],"max_output_tokens":18446744073709551615,"model":"m","store":false,"top_p":0.1234567890123456}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn tool_choices_have_their_words() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (word, expected, responses) in [
        (json!("auto"), json!({"type": "auto"}), json!("auto")),
        (json!("none"), json!({"type": "none"}), json!("none")),
        (json!("required"), json!({"type": "any"}), json!("required")),
        (
            json!({"type": "function", "function": {"name": "f"}}),
            json!({"type": "tool", "name": "f"}),
            json!({"type": "function", "name": "f"}),
        ),
    ] {
        let body = with(with(chat(), "tools", tools.clone()), "tool_choice", word.clone());
        let out = request(OpenAi, Anthropic, &body);
        assert_eq!(out["tool_choice"], expected);
        assert_eq!(request(Anthropic, OpenAi, &out)["tool_choice"], word);
        assert_eq!(request(OpenAi, Responses, &body)["tool_choice"], responses);
    }
}

#[test]
fn one_call_at_a_time_needs_a_choice_in_messages() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let body = with(with(chat(), "tools", tools), "parallel_tool_calls", json!(false));
    let out = request(OpenAi, Anthropic, &body);
    assert_eq!(out["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert_eq!(out["tools"], json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]));
}

#[test]
fn strictness_of_tools_is_said_where_the_default_differs() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}, "strict": true}]);
    let body = with(messages(), "tools", tools.clone());
    assert_eq!(request(Anthropic, Responses, &body)["tools"][0]["strict"], true);
    assert_eq!(request(Responses, Anthropic, &request(Anthropic, Responses, &body))["tools"], tools);
}

#[test]
fn a_developer_prompt_goes_first_or_not_at_all() {
    let prompt = json!({"role": "developer", "content": "d"});
    let user = json!({"role": "user", "content": "u"});
    let first = with(chat(), "messages", json!([prompt, user]));
    assert_eq!(request(OpenAi, Anthropic, &first)["system"], "d");
    let expected = json!([
        {"type": "message", "role": "developer", "content": "d"},
        {"type": "message", "role": "user", "content": "u"},
    ]);
    assert_eq!(request(OpenAi, Responses, &first)["input"], expected);
    let later = with(chat(), "messages", json!([user, prompt]));
    assert_eq!(refused(OpenAi, Anthropic, &later), "messages[1]");
    let back = request(Responses, OpenAi, &request(OpenAi, Responses, &later));
    assert_eq!(back["messages"], later["messages"]);
}

#[test]
fn system_blocks_stay_apart() {
    let system = json!([
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "b"},
    ]);
    let body = with(messages(), "system", system);
    let expected = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    assert_eq!(request(Anthropic, OpenAi, &body)["messages"][0]["content"], expected);
}

#[test]
fn a_prefilled_answer_is_refused() {
    let list = json!([{"role": "user", "content": "u"}, {"role": "assistant", "content": "{"}]);
    assert_eq!(refused(Anthropic, OpenAi, &with(messages(), "messages", list.clone())), "messages[1]");
    assert_eq!(refused(OpenAi, Anthropic, &with(chat(), "messages", list)), "messages[1]");
}

#[test]
fn a_failed_tool_says_so() {
    let result = |content: &str| {
        json!([
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": content, "is_error": true},
                {"type": "text", "text": "go on"},
            ]},
        ])
    };
    let body = request(Anthropic, OpenAi, &with(messages(), "messages", result("no such file")));
    let expected = json!([
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "c", "content": "Error: no such file"},
        {"role": "user", "content": "go on"},
    ]);
    assert_eq!(body["messages"], expected);
    let body = request(Anthropic, Responses, &with(messages(), "messages", result("error 7")));
    assert_eq!(body["input"][2]["output"], "error 7");
}

#[test]
fn an_image_from_a_tool_reaches_responses_but_not_chat() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}});
    let list = json!([
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [image]}]},
    ]);
    let body = with(messages(), "messages", list);
    let expected = json!([{"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "auto"}]);
    assert_eq!(request(Anthropic, Responses, &body)["input"][1]["output"], expected);
    assert_eq!(refused(Anthropic, OpenAi, &body), "messages[1].content[0].content[0]");
}

#[test]
fn an_image_detail_is_not_dropped() {
    let part = |detail| json!([{"type": "image_url", "image_url": {"url": "https://e/a", "detail": detail}}]);
    let body = |detail| with(chat(), "messages", json!([{"role": "user", "content": part(detail)}]));
    assert_eq!(refused(OpenAi, Anthropic, &body("high")), "messages[0].content[0]");
    assert_eq!(request(OpenAi, Responses, &body("high"))["input"][0]["content"][0]["detail"], "high");
    let expected = json!([{"type": "image", "source": {"type": "url", "url": "https://e/a"}}]);
    assert_eq!(request(OpenAi, Anthropic, &body("auto"))["messages"][0]["content"], expected);
}

#[test]
fn arguments_that_are_no_object_are_refused_by_messages_alone() {
    let call = json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":"}}]);
    let list = json!([{"role": "assistant", "tool_calls": call}, {"role": "tool", "tool_call_id": "c", "content": ""}]);
    let body = with(chat(), "messages", list);
    assert_eq!(refused(OpenAi, Anthropic, &body), "messages[0].tool_calls[0]");
    assert_eq!(request(OpenAi, Responses, &body)["input"][0]["arguments"], "{\"a\":");
}

#[test]
fn effort_is_adaptive_thinking() {
    let body = with(chat(), "reasoning_effort", json!("low"));
    let out = request(OpenAi, Anthropic, &body);
    assert_eq!(out["thinking"], json!({"type": "adaptive"}));
    assert_eq!(out["output_config"], json!({"effort": "low"}));
    assert_eq!(request(Anthropic, OpenAi, &out)["reasoning_effort"], "low");
    assert_eq!(request(OpenAi, Responses, &body)["reasoning"], json!({"effort": "low"}));
    assert_eq!(refused(OpenAi, Anthropic, &with(chat(), "reasoning_effort", json!("minimal"))), "reasoning_effort");
    let none = request(Responses, Anthropic, &with(responses(), "reasoning", json!({"effort": "none"})));
    assert_eq!(none["thinking"], json!({"type": "disabled"}));
}

#[test]
fn thinking_asks_responses_for_what_it_must_send_back() {
    let body = with(messages(), "thinking", json!({"type": "adaptive", "display": "summarized"}));
    let out = request(Anthropic, Responses, &body);
    assert_eq!(out["reasoning"], json!({"effort": "high", "summary": "auto"}));
    assert_eq!(out["include"], json!(["reasoning.encrypted_content"]));
}

#[test]
fn signed_thinking_survives_responses_and_is_refused_by_chat() {
    let list = json!([
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "ZGF0YQ=="},
            {"type": "tool_use", "id": "c", "name": "f", "input": {}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "ok"}]},
    ]);
    let body = with(messages(), "messages", list.clone());
    let out = request(Anthropic, Responses, &body);
    let expected = json!({
        "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "c2ln",
    });
    assert_eq!(out["input"][1], expected);
    assert_eq!(request(Responses, Anthropic, &out)["messages"], list);
    assert_eq!(refused(Anthropic, OpenAi, &body), "messages[1].content[0]");
}

#[test]
fn unsigned_reasoning_goes_back_as_it_came() {
    let list = json!([
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a", "reasoning_content": "hm"},
        {"role": "user", "content": "v"},
    ]);
    let body = with(chat(), "messages", list.clone());
    let out = request(OpenAi, Responses, &body);
    assert_eq!(out["input"][1], json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}));
    assert_eq!(request(Responses, OpenAi, &out)["messages"], list);
    assert_eq!(refused(OpenAi, Anthropic, &body), "messages[1].reasoning_content");
}

#[test]
fn a_schema_crosses_to_all_and_plain_json_to_openai_alone() {
    let schema = json!({"type": "object", "properties": {}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}});
    let body = with(chat(), "response_format", format);
    let expected = json!({"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}});
    assert_eq!(request(OpenAi, Responses, &body)["text"], expected);
    let out = request(OpenAi, Anthropic, &with(body, "reasoning_effort", json!("low")));
    let expected = json!({"effort": "low", "format": {"type": "json_schema", "schema": schema}});
    assert_eq!(out["output_config"], expected);
    let back = request(Anthropic, OpenAi, &out);
    let expected =
        json!({"type": "json_schema", "json_schema": {"name": "response", "schema": schema, "strict": true}});
    assert_eq!(back["response_format"], expected);
    let body = with(chat(), "response_format", json!({"type": "json_object"}));
    assert_eq!(refused(OpenAi, Anthropic, &body), "response_format");
    assert_eq!(request(OpenAi, Responses, &body)["text"], json!({"format": {"type": "json_object"}}));
}

#[test]
fn verbosity_moves_below_text() {
    let body = with(chat(), "verbosity", json!("low"));
    let out = request(OpenAi, Responses, &body);
    assert_eq!(out["text"], json!({"verbosity": "low"}));
    assert_eq!(request(Responses, OpenAi, &out)["verbosity"], "low");
    assert_eq!(refused(Responses, Anthropic, &out), "text.verbosity");
}

#[test]
fn replayed_output_items_are_input() {
    let input = json!([
        {"role": "user", "content": "u"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
         "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}]},
        {"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "ok"}]},
    ]);
    let out = request(Responses, Anthropic, &with(responses(), "input", input));
    let expected = json!([
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": [
            {"type": "text", "text": "a"},
            {"type": "tool_use", "id": "c", "name": "f", "input": {}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "ok"}]},
    ]);
    assert_eq!(out["messages"], expected);
}

#[test]
fn text_after_a_call_has_no_place_in_chat() {
    let input = json!([
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"role": "assistant", "content": "a"},
        {"type": "function_call_output", "call_id": "c", "output": "ok"},
    ]);
    assert_eq!(refused(Responses, OpenAi, &with(responses(), "input", input)), "input[1]");
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    for body in [&b""[..], b"{", b"[]", b"\xff", b"{} x", &[b'['; 5000]] {
        for from in FORMATS {
            for to in FORMATS {
                assert_eq!(convert::request(from, to, body).unwrap_err().field, "body");
                assert_eq!(convert::reply(from, to, body).unwrap_err().field, "body");
            }
        }
    }
}

/// A wrong type is refused by its path or means nothing; it never panics.
#[test]
fn wrong_types_at_any_place_do_not_panic() {
    for other in strangers() {
        for from in FORMATS {
            for to in FORMATS {
                for body in swap(&full(from), &other) {
                    if let Err(error) = convert::request(from, to, body.to_string().as_bytes()) {
                        assert!(!error.field.is_empty() && !error.why.is_empty());
                    }
                }
            }
        }
    }
}

#[test]
fn truncated_bodies_are_refused() {
    for from in FORMATS {
        let body = full(from).to_string();
        for length in 0..body.len() {
            assert_eq!(convert::request(from, OpenAi, &body.as_bytes()[..length]).unwrap_err().field, "body");
        }
    }
}

#[test]
fn a_wrong_type_is_named_by_its_path() {
    for (from, path, body) in [
        (OpenAi, "messages", with(chat(), "messages", json!("x"))),
        (OpenAi, "messages[0]", with(chat(), "messages", json!(["x"]))),
        (OpenAi, "messages[0].role", with(chat(), "messages", json!([{"role": 1}]))),
        (OpenAi, "model", json!({"messages": []})),
        (OpenAi, "stream", with(chat(), "stream", json!("true"))),
        (Anthropic, "max_tokens", with(messages(), "max_tokens", json!("5"))),
        (Anthropic, "system[0].text", with(messages(), "system", json!([{"type": "text", "text": 1}]))),
        (Responses, "input", with(responses(), "input", json!(1))),
        (Responses, "text.format.type", with(responses(), "text", json!({"format": {"type": "xml"}}))),
        (Responses, "input[0].call_id", with(responses(), "input", json!([{"type": "function_call"}]))),
    ] {
        for to in FORMATS.into_iter().filter(|to| *to != from) {
            assert_eq!(refused(from, to, &body), path);
        }
    }
}
