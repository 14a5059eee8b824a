//! Complete replies: goldens, stop reasons, usage, and what is refused.

use claw_proxy::convert;
use claw_types::provider::WireFormat::{Anthropic, OpenAi, Responses};
use serde_json::{Value, json};

use super::{FORMATS, chat, reply, request, strangers, swap, with};

fn chat_reply() -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1700, "model": "m",
        "system_fingerprint": "fp",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
            "role": "assistant", "content": "hello", "refusal": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            ],
        }}],
        "usage": {
            "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
            "prompt_tokens_details": {"cached_tokens": 800}, "completion_tokens_details": {"reasoning_tokens": 0},
        },
    })
}

fn messages_reply() -> Value {
    json!({
        "id": "chatcmpl-1", "type": "message", "role": "assistant", "model": "m",
        "content": [
            {"type": "text", "text": "hello"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {
            "input_tokens": 200, "cache_read_input_tokens": 800, "cache_creation_input_tokens": 0,
            "output_tokens": 100,
        },
    })
}

fn responses_reply(created: u64) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "response", "created_at": created, "status": "completed", "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "model": "m",
        "output": [
            {"type": "message", "id": "msg_chatcmpl-1_0", "status": "completed", "role": "assistant",
             "content": [{"type": "output_text", "text": "hello", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc_chatcmpl-1_1", "status": "completed", "call_id": "c1", "name": "f",
             "arguments": "{\"a\":1}"},
        ],
        "parallel_tool_calls": true, "previous_response_id": null, "store": false, "tool_choice": "auto", "tools": [],
        "usage": {
            "input_tokens": 1000, "input_tokens_details": {"cached_tokens": 800},
            "output_tokens": 100, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1100,
        },
    })
}

#[test]
fn a_chat_reply_becomes_messages() {
    assert_eq!(reply(OpenAi, Anthropic, &chat_reply()), messages_reply());
}

#[test]
fn a_chat_reply_becomes_responses() {
    assert_eq!(reply(OpenAi, Responses, &chat_reply()), responses_reply(1700));
}

#[test]
fn a_messages_reply_becomes_chat() {
    let mut expected = with(chat_reply(), "created", json!(0));
    expected.as_object_mut().unwrap().remove("system_fingerprint");
    assert_eq!(reply(Anthropic, OpenAi, &messages_reply()), expected);
}

#[test]
fn a_messages_reply_becomes_responses() {
    assert_eq!(reply(Anthropic, Responses, &messages_reply()), responses_reply(0));
}

#[test]
fn a_responses_reply_becomes_chat() {
    let mut expected = chat_reply();
    expected.as_object_mut().unwrap().remove("system_fingerprint");
    assert_eq!(reply(Responses, OpenAi, &responses_reply(1700)), expected);
}

#[test]
fn a_responses_reply_becomes_messages() {
    assert_eq!(reply(Responses, Anthropic, &responses_reply(1700)), messages_reply());
}

#[test]
fn cache_writes_are_part_of_an_openai_prompt() {
    let usage = json!({
        "input_tokens": 100, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 700, "output_tokens": 9,
    });
    let out = reply(Anthropic, OpenAi, &with(messages_reply(), "usage", usage.clone()));
    let expected = json!({
        "prompt_tokens": 1000, "completion_tokens": 9, "total_tokens": 1009,
        "prompt_tokens_details": {"cached_tokens": 700, "cache_write_tokens": 200},
        "completion_tokens_details": {"reasoning_tokens": 0},
    });
    assert_eq!(out["usage"], expected);
    assert_eq!(reply(OpenAi, Anthropic, &out)["usage"], usage);
}

#[test]
fn stop_reasons_cross() {
    for (chat, messages, status, reason) in [
        ("stop", "end_turn", "completed", json!(null)),
        ("length", "max_tokens", "incomplete", json!({"reason": "max_output_tokens"})),
        ("content_filter", "refusal", "incomplete", json!({"reason": "content_filter"})),
    ] {
        let choice = json!([{"index": 0, "message": {"content": "a"}, "finish_reason": chat}]);
        let body = with(chat_reply(), "choices", choice);
        let as_messages = reply(OpenAi, Anthropic, &body);
        let as_responses = reply(OpenAi, Responses, &body);
        assert_eq!(as_messages["stop_reason"], messages);
        assert_eq!((&as_responses["status"], &as_responses["incomplete_details"]), (&json!(status), &reason));
        assert_eq!(reply(Anthropic, OpenAi, &as_messages)["choices"][0]["finish_reason"], chat);
        assert_eq!(reply(Responses, OpenAi, &as_responses)["choices"][0]["finish_reason"], chat);
    }
}

#[test]
fn a_refusal_stays_a_refusal() {
    let message = json!({"role": "assistant", "content": null, "refusal": "no"});
    let body = with(chat_reply(), "choices", json!([{"index": 0, "message": message, "finish_reason": "stop"}]));
    let out = reply(OpenAi, Anthropic, &body);
    assert_eq!(out["content"], json!([{"type": "text", "text": "no"}]));
    assert_eq!(out["stop_reason"], "refusal");
    let out = reply(OpenAi, Responses, &body);
    assert_eq!(out["output"][0]["content"], json!([{"type": "refusal", "refusal": "no"}]));
    assert_eq!(reply(Responses, OpenAi, &out)["choices"][0]["message"], message);
}

#[test]
fn visible_reasoning_is_not_lost() {
    let content = json!([
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "text", "text": "a"},
    ]);
    let body = with(messages_reply(), "content", content.clone());
    assert_eq!(reply(Anthropic, OpenAi, &body)["choices"][0]["message"]["reasoning_content"], "hm");
    let out = reply(Anthropic, Responses, &body);
    let expected = json!({
        "type": "reasoning", "id": "rs_chatcmpl-1_0", "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "c2ln",
    });
    assert_eq!(out["output"][0], expected);
    assert_eq!(reply(Responses, Anthropic, &out)["content"], content);
}

#[test]
fn replies_with_content_of_no_other_format_are_refused() {
    let refused = |from, to, body: &Value| convert::reply(from, to, body.to_string().as_bytes()).unwrap_err().field;
    let body = with(messages_reply(), "content", json!([{"type": "server_tool_use", "id": "s"}]));
    assert_eq!(refused(Anthropic, OpenAi, &body), "content[0].type");
    let body = with(responses_reply(0), "output", json!([{"type": "web_search_call", "id": "s"}]));
    assert_eq!(refused(Responses, Anthropic, &body), "output[0].type");
    let body = json!({"error": {"message": "overloaded"}});
    assert_eq!(refused(OpenAi, Anthropic, &body), "error");
}

#[test]
fn sealed_thinking_comes_back_from_a_chat_caller() {
    let content = json!([
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
    ]);
    let answer = reply(Anthropic, OpenAi, &with(messages_reply(), "content", content.clone()));
    let message = answer["choices"][0]["message"].clone();
    let expected = json!({
        "role": "assistant", "content": null, "refusal": null, "reasoning_content": "hm",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "hm", "signature": "c2ln", "index": 0},
            {"type": "reasoning.encrypted", "data": "ZGF0YQ==", "index": 1},
        ],
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    });
    assert_eq!(message, expected);
    let output = json!({"role": "tool", "tool_call_id": "c1", "content": "ok"});
    let next = request(OpenAi, Anthropic, &with(chat(), "messages", json!([message, output])));
    assert_eq!(next["messages"][0], json!({"role": "assistant", "content": content}));
}

/// A wrong type is refused by its path or means nothing; it never panics.
#[test]
fn wrong_types_in_a_reply_do_not_panic() {
    let replies = [(OpenAi, chat_reply()), (Anthropic, messages_reply()), (Responses, responses_reply(1))];
    for other in strangers() {
        for (from, sound) in &replies {
            for to in FORMATS {
                for body in swap(sound, &other) {
                    if let Err(error) = convert::reply(*from, to, body.to_string().as_bytes()) {
                        assert!(!error.field.is_empty() && !error.why.is_empty());
                    }
                }
            }
        }
    }
}
