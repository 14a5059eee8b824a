//! Streams by the public interface: whole event sequences per pair, errors, ends, and hostile bodies of all kinds.

use claw_proxy::convert::{self, Stream};
use claw_types::provider::WireFormat::{self, Anthropic, OpenAi, Responses};
use serde_json::{Value, json};

use super::FORMATS;

/// An event: its name and its data, a string when that is not JSON.
type Event = (String, Value);

fn event(name: &str, data: Value) -> Event {
    (name.to_owned(), data)
}

/// An event of messages or responses, named as its type.
fn typed(data: Value) -> Event {
    (data["type"].as_str().unwrap_or_default().to_owned(), data)
}

fn data(event: &Event) -> Vec<u8> {
    match &event.1 {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// Parses SSE text; a comment is an event named `:`.
#[track_caller]
fn parse(text: &[u8]) -> Vec<Event> {
    let text = std::str::from_utf8(text).expect("sound");
    assert!(text.is_empty() || text.ends_with("\n\n"), "{text}");
    let parse_one = |block: &str| {
        if block.starts_with(':') {
            return event(":", Value::Null);
        }
        let (name, data) = match block.strip_prefix("event: ").and_then(|rest| rest.split_once('\n')) {
            Some((name, rest)) => (name, rest),
            None => ("", block),
        };
        let data = data.strip_prefix("data: ").expect("sound");
        assert!(!data.contains('\n'), "{data}");
        event(name, serde_json::from_str(data).unwrap_or_else(|_| json!(data)))
    };
    text.split_terminator("\n\n").map(parse_one).collect()
}

#[track_caller]
fn translate(from: WireFormat, to: WireFormat, events: &[Event]) -> Vec<Event> {
    let mut stream = Stream::new(from, to);
    let mut out = Vec::new();
    for each in events {
        stream.event(&each.0, &data(each), &mut out).expect("sound");
    }
    stream.end(&mut out);
    let length = out.len();
    stream.end(&mut out);
    stream.fail("api_error", "late", &mut out);
    assert_eq!(out.len(), length, "nothing follows the end");
    parse(&out)
}

fn chunk(created: u64, choices: Value) -> Event {
    event(
        "",
        json!({"id": "r1", "object": "chat.completion.chunk", "created": created, "model": "m", "choices": choices}),
    )
}

fn delta(created: u64, delta: Value, finish: Value) -> Event {
    chunk(created, json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]))
}

fn done() -> Event {
    event("", json!("[DONE]"))
}

fn chat_usage(created: u64) -> Event {
    let (name, mut data) = chunk(created, json!([]));
    data["usage"] = json!({
        "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 800}, "completion_tokens_details": {"reasoning_tokens": 0},
    });
    (name, data)
}

/// An answer of two texts' pieces and two calls.
fn chat_stream(created: u64) -> Vec<Event> {
    let call = |index: u64, id: &str| {
        json!({"tool_calls": [
            {"index": index, "id": id, "type": "function", "function": {"name": "f", "arguments": ""}},
        ]})
    };
    let arguments = |index: u64, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
    vec![
        delta(created, json!({"role": "assistant", "content": ""}), Value::Null),
        delta(created, json!({"content": "hel"}), Value::Null),
        delta(created, json!({"content": "lo"}), Value::Null),
        delta(created, call(0, "c1"), Value::Null),
        delta(created, arguments(0, "{\"a\":"), Value::Null),
        delta(created, arguments(0, "1}"), Value::Null),
        delta(created, call(1, "c2"), Value::Null),
        delta(created, arguments(1, "{}"), Value::Null),
        delta(created, json!({}), json!("tool_calls")),
        chat_usage(created),
        done(),
    ]
}

fn block_start(index: u64, block: Value) -> Event {
    typed(json!({"type": "content_block_start", "index": index, "content_block": block}))
}

fn block_delta(index: u64, delta: Value) -> Event {
    typed(json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

fn block_stop(index: u64) -> Event {
    typed(json!({"type": "content_block_stop", "index": index}))
}

fn message_start(usage: Value) -> Event {
    typed(json!({"type": "message_start", "message": {
        "id": "r1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": usage,
    }}))
}

fn no_usage() -> Value {
    json!({
        "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0,
    })
}

fn message_end(reason: &str, usage: Value) -> Vec<Event> {
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    vec![
        typed(json!({"type": "message_delta", "delta": delta, "usage": usage})),
        typed(json!({"type": "message_stop"})),
    ]
}

/// The same answer as [`chat_stream`].
fn messages_stream() -> Vec<Event> {
    let tool = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let json_delta = |text: &str| json!({"type": "input_json_delta", "partial_json": text});
    let mut events = vec![
        message_start(no_usage()),
        block_start(0, json!({"type": "text", "text": ""})),
        block_delta(0, json!({"type": "text_delta", "text": "hel"})),
        block_delta(0, json!({"type": "text_delta", "text": "lo"})),
        block_stop(0),
        block_start(1, tool("c1")),
        block_delta(1, json_delta("{\"a\":")),
        block_delta(1, json_delta("1}")),
        block_stop(1),
        block_start(2, tool("c2")),
        block_delta(2, json_delta("{}")),
        block_stop(2),
    ];
    let usage = json!({
        "input_tokens": 200, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 800, "output_tokens": 100,
    });
    events.extend(message_end("tool_use", usage));
    events
}

fn response(created: u64, status: &str, output: &Value, usage: Value) -> Value {
    json!({
        "id": "r1", "object": "response", "created_at": created, "status": status, "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "model": "m", "output": output,
        "parallel_tool_calls": true, "previous_response_id": null, "store": false, "tool_choice": "auto", "tools": [],
        "usage": usage,
    })
}

/// The same answer as [`chat_stream`].
fn responses_stream(created: u64) -> Vec<Event> {
    let text = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let message = |status: &str, content: Value| json!({"type": "message", "id": "msg_r1_0", "status": status, "role": "assistant", "content": content});
    let call = |id: &str, status: &str, call: &str, arguments: &str| json!({"type": "function_call", "id": id, "status": status, "call_id": call, "name": "f", "arguments": arguments});
    let output = json!([
        message("completed", json!([text("hello")])),
        call("fc_r1_1", "completed", "c1", "{\"a\":1}"),
        call("fc_r1_2", "completed", "c2", "{}"),
    ]);
    let usage = json!({
        "input_tokens": 1000, "input_tokens_details": {"cached_tokens": 800},
        "output_tokens": 100, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1100,
    });
    let start = response(created, "in_progress", &json!([]), Value::Null);
    let of_text = |kind: &str, extra: Value| {
        let mut event = json!({"type": kind, "item_id": "msg_r1_0", "output_index": 0, "content_index": 0});
        event.as_object_mut().expect("sound").extend(extra.as_object().expect("sound").clone());
        event
    };
    let of_call = |kind: &str, index: u64, extra: Value| {
        let mut event = json!({"type": kind, "item_id": format!("fc_r1_{index}"), "output_index": index});
        event.as_object_mut().expect("sound").extend(extra.as_object().expect("sound").clone());
        event
    };
    let arguments_delta = "response.function_call_arguments.delta";
    let arguments_done = "response.function_call_arguments.done";
    let added =
        |index: u64, item: Value| json!({"type": "response.output_item.added", "output_index": index, "item": item});
    let ended = |index: u64| json!({"type": "response.output_item.done", "output_index": index, "item": output[index as usize]});
    let events = [
        json!({"type": "response.created", "response": start}),
        json!({"type": "response.in_progress", "response": start}),
        added(0, message("in_progress", json!([]))),
        of_text("response.content_part.added", json!({"part": text("")})),
        of_text("response.output_text.delta", json!({"delta": "hel", "logprobs": []})),
        of_text("response.output_text.delta", json!({"delta": "lo", "logprobs": []})),
        of_text("response.output_text.done", json!({"text": "hello", "logprobs": []})),
        of_text("response.content_part.done", json!({"part": text("hello")})),
        ended(0),
        added(1, call("fc_r1_1", "in_progress", "c1", "")),
        of_call(arguments_delta, 1, json!({"delta": "{\"a\":"})),
        of_call(arguments_delta, 1, json!({"delta": "1}"})),
        of_call(arguments_done, 1, json!({"name": "f", "arguments": "{\"a\":1}"})),
        ended(1),
        added(2, call("fc_r1_2", "in_progress", "c2", "")),
        of_call(arguments_delta, 2, json!({"delta": "{}"})),
        of_call(arguments_done, 2, json!({"name": "f", "arguments": "{}"})),
        ended(2),
        json!({"type": "response.completed", "response": response(created, "completed", &output, usage)}),
    ];
    let number = |(sequence, mut event): (usize, Value)| {
        event["sequence_number"] = json!(sequence);
        typed(event)
    };
    events.into_iter().enumerate().map(number).collect()
}

fn sample(format: WireFormat, created: u64) -> Vec<Event> {
    match format {
        OpenAi => chat_stream(created),
        Anthropic => messages_stream(),
        Responses => responses_stream(created),
    }
}

#[test]
fn a_chat_stream_becomes_messages() {
    assert_eq!(translate(OpenAi, Anthropic, &chat_stream(1700)), messages_stream());
}

#[test]
fn a_chat_stream_becomes_responses() {
    assert_eq!(translate(OpenAi, Responses, &chat_stream(1700)), responses_stream(1700));
}

#[test]
fn a_messages_stream_becomes_chat() {
    assert_eq!(translate(Anthropic, OpenAi, &messages_stream()), chat_stream(0));
}

#[test]
fn a_messages_stream_becomes_responses() {
    assert_eq!(translate(Anthropic, Responses, &messages_stream()), responses_stream(0));
}

#[test]
fn a_responses_stream_becomes_chat() {
    assert_eq!(translate(Responses, OpenAi, &responses_stream(1700)), chat_stream(1700));
}

#[test]
fn a_responses_stream_becomes_messages() {
    assert_eq!(translate(Responses, Anthropic, &responses_stream(1700)), messages_stream());
}

#[test]
fn usage_of_messages_comes_in_two_parts() {
    let mut events = vec![
        message_start(json!({
            "input_tokens": 100, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 700, "output_tokens": 1,
        })),
        block_start(0, json!({"type": "text", "text": ""})),
        block_delta(0, json!({"type": "text_delta", "text": "a"})),
        block_stop(0),
    ];
    events.extend(message_end("end_turn", json!({"output_tokens": 100})));
    let chat = translate(Anthropic, OpenAi, &events);
    let expected = json!({
        "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 700, "cache_write_tokens": 200},
        "completion_tokens_details": {"reasoning_tokens": 0},
    });
    assert_eq!(chat[chat.len() - 2].1["usage"], expected);
    let back = translate(OpenAi, Anthropic, &chat);
    let expected = json!({
        "input_tokens": 100, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 700, "output_tokens": 100,
    });
    assert_eq!(back[back.len() - 2].1["usage"], expected);
}

#[test]
fn thinking_streams_to_all_formats() {
    let mut events = vec![
        message_start(no_usage()),
        block_start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        block_delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        block_delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
        block_stop(0),
        block_start(1, json!({"type": "redacted_thinking", "data": "ZGF0YQ=="})),
        block_stop(1),
        block_start(2, json!({"type": "text", "text": ""})),
        block_delta(2, json!({"type": "text_delta", "text": "a"})),
        block_stop(2),
    ];
    events.extend(message_end("end_turn", no_usage()));
    let chat = translate(Anthropic, OpenAi, &events);
    assert_eq!(chat[1], delta(0, json!({"reasoning_content": "hm"}), Value::Null));
    let signed = json!({"type": "reasoning.text", "text": "hm", "signature": "c2ln", "index": 0});
    assert_eq!(chat[2], delta(0, json!({"reasoning_details": [signed]}), Value::Null));
    let redacted = json!({"type": "reasoning.encrypted", "data": "ZGF0YQ==", "index": 1});
    assert_eq!(chat[3], delta(0, json!({"reasoning_details": [redacted]}), Value::Null));
    assert_eq!(chat[4], delta(0, json!({"content": "a"}), Value::Null));
    let responses = translate(Anthropic, Responses, &events);
    let names: Vec<&str> = responses.iter().map(|event| event.0.as_str()).collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(names, expected);
    assert_eq!(translate(Responses, Anthropic, &responses), events);
}

#[test]
fn a_refusal_streams_as_one() {
    let events = [
        delta(1, json!({"role": "assistant", "content": null, "refusal": ""}), Value::Null),
        delta(1, json!({"refusal": "no"}), Value::Null),
        delta(1, json!({}), json!("stop")),
        done(),
    ];
    let mut expected = vec![
        message_start(no_usage()),
        block_start(0, json!({"type": "text", "text": ""})),
        block_delta(0, json!({"type": "text_delta", "text": "no"})),
        block_stop(0),
    ];
    expected.extend(message_end("refusal", no_usage()));
    assert_eq!(translate(OpenAi, Anthropic, &events), expected);
    let responses = translate(OpenAi, Responses, &events);
    let back = translate(Responses, OpenAi, &responses);
    assert_eq!(back[1..], events[1..]);
}

#[test]
fn a_cut_answer_is_incomplete_in_responses() {
    let events = [delta(1, json!({"content": "a"}), json!("length")), done()];
    let last = translate(OpenAi, Responses, &events).pop().unwrap();
    assert_eq!(last.0, "response.incomplete");
    assert_eq!(last.1["response"]["status"], "incomplete");
    assert_eq!(last.1["response"]["incomplete_details"], json!({"reason": "max_output_tokens"}));
}

#[test]
fn calls_of_loose_servers_are_told_apart() {
    let call = |call: Value| delta(1, json!({"tool_calls": [call]}), Value::Null);
    let function = |arguments: &str| json!({"name": "f", "arguments": arguments});
    for second in [
        json!({"index": 0, "id": "c2", "function": function("{\"b\":2}")}),
        json!({"id": "c2", "function": function("{\"b\":2}")}),
    ] {
        let events = [
            call(json!({"index": 0, "id": "c1", "function": function("{\"a\":")})),
            call(json!({"index": 0, "id": "c1", "function": {"arguments": "1}"}})),
            call(second),
            delta(1, json!({}), json!("stop")),
            done(),
        ];
        let last = translate(OpenAi, Responses, &events).pop().unwrap();
        assert_eq!(last.1["response"]["output"][0]["arguments"], "{\"a\":1}");
        assert_eq!(last.1["response"]["output"][1]["call_id"], "c2");
        assert_eq!(last.1["response"]["output"][1]["arguments"], "{\"b\":2}");
        let end = translate(OpenAi, Anthropic, &events);
        assert_eq!(end[end.len() - 2].1["delta"]["stop_reason"], "tool_use");
    }
}

#[test]
fn a_call_without_arguments_has_empty_ones() {
    let mut events = vec![
        message_start(no_usage()),
        block_start(0, json!({"type": "tool_use", "id": "c", "name": "f", "input": {}})),
        block_delta(0, json!({"type": "input_json_delta", "partial_json": ""})),
        block_stop(0),
    ];
    events.extend(message_end("tool_use", no_usage()));
    let chat = translate(Anthropic, OpenAi, &events);
    assert_eq!(chat[2].1["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"], "{}");
    let none = [
        delta(
            1,
            json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}),
            Value::Null,
        ),
        done(),
    ];
    let last = translate(OpenAi, Responses, &none).pop().unwrap();
    assert_eq!(last.1["response"]["output"][0]["arguments"], "{}");
}

#[test]
fn arguments_sent_whole_are_not_lost() {
    let call = json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"});
    let start = json!({"type": "response.created", "response": {"id": "r1", "model": "m", "created_at": 1}});
    let events = [
        typed(start),
        typed(json!({"type": "response.output_item.added", "output_index": 0, "item": call})),
        typed(json!({"type": "response.output_item.done", "output_index": 0, "item": call})),
        typed(json!({"type": "response.completed", "response": {"status": "completed"}})),
    ];
    let chat = translate(Responses, OpenAi, &events);
    assert_eq!(chat[2].1["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"], "{\"a\":1}");
    assert_eq!(chat[3], delta(1, json!({}), json!("tool_calls")));
}

#[test]
fn a_text_sent_whole_is_not_lost() {
    let events = [
        typed(json!({"type": "response.created", "response": {"id": "r1", "model": "m", "created_at": 1}})),
        typed(json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "a"})),
        typed(json!({"type": "response.completed", "response": {"status": "completed"}})),
    ];
    assert_eq!(translate(Responses, OpenAi, &events)[1], delta(1, json!({"content": "a"}), Value::Null));
}

#[test]
fn an_empty_event_says_nothing() {
    let mut out = Vec::new();
    Stream::new(OpenAi, Anthropic).event("", b" ", &mut out).unwrap();
    assert!(out.is_empty());
}

#[test]
fn an_answer_is_complete_with_its_stop_reason() {
    let mut stream = Stream::new(OpenAi, Anthropic);
    let mut out = Vec::new();
    stream.event("", &data(&delta(1, json!({"content": "a"}), Value::Null)), &mut out).unwrap();
    assert!(!stream.is_complete());
    stream.event("", &data(&delta(1, json!({}), json!("stop"))), &mut out).unwrap();
    assert!(stream.is_complete() && !stream.is_closed());
    stream.event("", b"[DONE]", &mut out).unwrap();
    assert!(stream.is_complete() && stream.is_closed());
}

#[test]
fn late_arguments_of_an_ended_call_break_the_stream() {
    let call = |index: u64, id: Value, name: Value, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        delta(1, json!({"tool_calls": [{"index": index, "id": id, "function": function}]}), Value::Null)
    };
    let events = [
        call(0, json!("c1"), json!("f"), "{"),
        call(1, json!("c2"), json!("f"), "{}"),
        call(0, Value::Null, Value::Null, "}"),
    ];
    let mut stream = Stream::new(OpenAi, Anthropic);
    let mut out = Vec::new();
    stream.event("", &data(&events[0]), &mut out).unwrap();
    stream.event("", &data(&events[1]), &mut out).unwrap();
    let error = stream.event("", &data(&events[2]), &mut out).unwrap_err();
    assert_eq!(error.field, "arguments");
    out.clear();
    stream.end(&mut out);
    assert!(out.is_empty(), "a broken stream has no proper end");
    stream.fail("unsupported_conversion", "late", &mut out);
    stream.fail("unsupported_conversion", "late", &mut out);
    let error = json!({"type": "error", "error": {"type": "unsupported_conversion", "message": "late"}});
    assert_eq!(parse(&out), [typed(error)]);
}

#[test]
fn pings_become_signs_of_life() {
    let events = [message_start(no_usage()), typed(json!({"type": "ping"}))];
    assert_eq!(translate(Anthropic, OpenAi, &events)[1].0, ":");
    assert_eq!(translate(Anthropic, Responses, &events)[2].0, ":");
}

#[test]
fn usage_may_come_anywhere() {
    let mut with_finish = delta(1, json!({"content": "a"}), json!("stop"));
    with_finish.1["usage"] = json!({"prompt_tokens": 7, "completion_tokens": 2});
    let mut early = delta(1, json!({"content": "a"}), Value::Null);
    early.1["usage"] = json!({"prompt_tokens": 7, "completion_tokens": 1});
    let empty = event("", json!({"id": "", "model": "", "choices": [], "usage": null, "prompt_filter_results": []}));
    let out = translate(OpenAi, Anthropic, &[empty, early, with_finish, done(), done()]);
    assert_eq!(out[0].1["message"]["id"], "r1");
    assert_eq!(out[out.len() - 2].1["usage"]["input_tokens"], 7);
    assert_eq!(out[out.len() - 2].1["usage"]["output_tokens"], 2);
}

#[test]
fn a_stream_may_end_without_its_marker() {
    for from in FORMATS {
        for to in FORMATS {
            let mut events = sample(from, 0);
            // Messages and responses tell the usage in the last event but one and in the last.
            let kept = events.len() - 1;
            events.truncate(kept);
            let out = translate(from, to, &events);
            let last = out.last().unwrap();
            match to {
                OpenAi => assert_eq!(*last, done()),
                Anthropic => assert_eq!(last.0, "message_stop"),
                Responses => assert_eq!(last.0, "response.completed"),
            }
        }
    }
}

#[test]
fn a_stream_of_nothing_is_an_empty_answer() {
    let names = |to| translate(OpenAi, to, &[]).into_iter().map(|event| event.0).collect::<Vec<_>>();
    assert_eq!(names(OpenAi).len(), 3);
    assert_eq!(names(Anthropic), ["message_start", "message_delta", "message_stop"]);
    assert_eq!(names(Responses), ["response.created", "response.in_progress", "response.completed"]);
}

#[test]
fn an_upstream_error_ends_the_stream_in_the_callers_format() {
    let errors = [
        (OpenAi, event("", json!({"error": {"message": "boom", "type": "server_error", "code": null}}))),
        (OpenAi, event("", json!({"object": "error", "message": "boom", "type": "server_error", "code": 500}))),
        (Anthropic, typed(json!({"type": "error", "error": {"type": "overloaded_error", "message": "boom"}}))),
        (Responses, typed(json!({"type": "error", "code": "server_error", "message": "boom", "param": null}))),
        (
            Responses,
            typed(json!({"type": "response.failed", "response": {
                "id": "r1", "status": "failed", "error": {"code": "server_error", "message": "boom"},
            }})),
        ),
    ];
    for (from, error) in errors {
        for to in FORMATS.into_iter().filter(|to| *to != from) {
            let mut events = sample(from, 0);
            let rest = events.split_off(4);
            let before = {
                let mut stream = Stream::new(from, to);
                let mut out = Vec::new();
                events.iter().for_each(|each| stream.event(&each.0, &data(each), &mut out).unwrap());
                parse(&out).len()
            };
            events.push(error.clone());
            events.extend(rest);
            let out = translate(from, to, &events);
            let kind = if to == Anthropic { "api_error" } else { "server_error" };
            let expected = match to {
                OpenAi => event("", json!({"error": {"message": "boom", "type": kind, "param": null, "code": kind}})),
                Anthropic => typed(json!({"type": "error", "error": {"type": kind, "message": "boom"}})),
                Responses => typed(json!({
                    "type": "error", "code": kind, "message": "boom", "param": null, "sequence_number": before,
                })),
            };
            assert_eq!(out[before..], [expected]);
        }
    }
}

#[test]
fn blocks_of_no_other_format_break_the_stream() {
    let mut out = Vec::new();
    let block = block_start(0, json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}));
    let error = Stream::new(Anthropic, OpenAi).event("", &data(&block), &mut out).unwrap_err();
    assert_eq!(error.field, "content_block.type");
    let item = json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "web_search_call"}});
    let error = Stream::new(Responses, OpenAi).event("", &data(&typed(item)), &mut out).unwrap_err();
    assert_eq!(error.field, "item.type");
    let second = chunk(1, json!([{"index": 1, "delta": {"content": "b"}}]));
    let error = Stream::new(OpenAi, Anthropic).event("", &data(&second), &mut out).unwrap_err();
    assert_eq!(error.field, "choices[0]");
    assert!(out.is_empty());
}

#[test]
fn errors_have_the_body_of_their_format() {
    let parse = |body: Vec<u8>| serde_json::from_slice::<Value>(&body).unwrap();
    let chat = json!({"error": {"message": "m", "type": "budget_exceeded", "param": null, "code": "budget_exceeded"}});
    assert_eq!(parse(convert::error_body(OpenAi, "budget_exceeded", "m")), chat);
    assert_eq!(parse(convert::error_body(Responses, "budget_exceeded", "m")), chat);
    let messages = json!({"type": "error", "error": {"type": "budget_exceeded", "message": "m"}});
    assert_eq!(parse(convert::error_body(Anthropic, "budget_exceeded", "m")), messages);
}

#[test]
fn errors_have_the_event_of_their_format() {
    let text = |format| String::from_utf8(convert::error_event(format, "k", "a\nb")).unwrap();
    let chat = "data: {\"error\":{\"code\":\"k\",\"message\":\"a\\nb\",\"param\":null,\"type\":\"k\"}}\n\n";
    assert_eq!(text(OpenAi), chat);
    let messages = "event: error\ndata: {\"error\":{\"message\":\"a\\nb\",\"type\":\"k\"},\"type\":\"error\"}\n\n";
    assert_eq!(text(Anthropic), messages);
    let responses = "event: error\ndata: {\"code\":\"k\",\"message\":\"a\\nb\",\"param\":null,\"sequence_number\":0,\
                     \"type\":\"error\"}\n\n";
    assert_eq!(text(Responses), responses);
}

#[test]
fn upstream_errors_of_any_shape_become_the_callers() {
    let messages = |from, body: &str| {
        let out: Value = serde_json::from_slice(&convert::error_reply(from, Anthropic, body.as_bytes())).unwrap();
        assert_eq!(out["type"], "error");
        format!("{} {}", out["error"]["type"].as_str().unwrap(), out["error"]["message"].as_str().unwrap())
    };
    for (body, expected) in [
        (r#"{"error":{"message":"m","type":"requests","code":"rate_limit_exceeded"}}"#, "rate_limit_error m"),
        (r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#, "billing_error m"),
        (r#"{"error":{"message":"m","type":"invalid_request_error","code":null}}"#, "invalid_request_error m"),
        (r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]"#, "INVALID_ARGUMENT m"),
        (r#"{"error":"m"}"#, "api_error m"),
        (r#"{"object":"error","message":"m","type":"invalid_request_error"}"#, "invalid_request_error m"),
        (r#"{"detail":"m"}"#, "api_error m"),
        ("\"m\"", "api_error m"),
        ("<html>bad gateway</html>\n", "api_error <html>bad gateway</html>"),
        ("", "api_error the upstream gave no reason"),
        ("{}", "api_error the upstream gave no reason"),
        ("[]", "api_error []"),
    ] {
        assert_eq!(messages(OpenAi, body), expected, "{body}");
    }
    let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":"r"}"#;
    let out: Value = serde_json::from_slice(&convert::error_reply(Anthropic, OpenAi, body)).unwrap();
    let expected =
        json!({"error": {"message": "m", "type": "server_error", "param": null, "code": "overloaded_error"}});
    assert_eq!(out, expected);
    let body = br#"{"error":{"message":"m","type":"invalid_request_error","param":"input","code":"bad"}}"#;
    let out: Value = serde_json::from_slice(&convert::error_reply(Responses, OpenAi, body)).unwrap();
    assert_eq!(out, serde_json::from_slice::<Value>(body).unwrap());
}

/// All bodies that differ from one in a single place: something of another type there, or nothing.
fn mutants(value: &Value) -> Vec<Value> {
    let others = [json!(null), json!(-1.5), json!(u64::MAX), json!("é"), json!([null]), json!({"type": "text"})];
    let mut all: Vec<Value> = others.into();
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let mut without = map.clone();
                without.remove(key);
                all.push(Value::Object(without));
                for mutant in mutants(inner) {
                    let mut changed = map.clone();
                    changed.insert(key.clone(), mutant);
                    all.push(Value::Object(changed));
                }
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                for mutant in mutants(inner) {
                    let mut changed = list.clone();
                    changed[index] = mutant;
                    all.push(Value::Array(changed));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all
}

/// Every event in every state of damage, at its place in an otherwise sound stream.
#[test]
fn damaged_streams_end_and_do_not_panic() {
    for from in FORMATS {
        let events = sample(from, 0);
        for to in FORMATS.into_iter().filter(|to| *to != from) {
            for place in 0..events.len() {
                for mutant in mutants(&events[place].1) {
                    let mut stream = Stream::new(from, to);
                    let mut out = Vec::new();
                    let mut is_sound = true;
                    for (index, each) in events.iter().enumerate() {
                        let mutant = event(&each.0, mutant.clone());
                        let each = if index == place { &mutant } else { each };
                        is_sound = is_sound && stream.event(&each.0, &data(each), &mut out).is_ok();
                    }
                    stream.end(&mut out);
                    if !is_sound {
                        stream.fail("api_error", "damaged", &mut out);
                    }
                    assert!(stream.is_closed());
                    check_grammar(to, &parse(&out));
                }
            }
        }
    }
}

/// What holds of any stream in a format, whether it ends well or with an error.
#[track_caller]
fn check_grammar(format: WireFormat, events: &[Event]) {
    match format {
        OpenAi => {
            let is_end = |event: &Event| *event == done() || !event.1["error"].is_null();
            assert_eq!(events.iter().filter(|event| is_end(event)).count(), 1);
            assert!(events.last().is_some_and(is_end));
        }
        Anthropic => {
            let mut open = None;
            let mut count = 0;
            for (place, (name, event)) in events.iter().enumerate() {
                let is_last = place == events.len() - 1;
                assert_eq!(name == "message_stop" || name == "error", is_last, "{name}");
                assert!(place > 0 || name == "message_start" || name == "error");
                match name.as_str() {
                    "content_block_start" => {
                        assert_eq!((open, &event["index"]), (None, &json!(count)));
                        open = Some(count);
                        count += 1;
                    }
                    "content_block_delta" => assert_eq!(open.map(|index| json!(index)), Some(event["index"].clone())),
                    "content_block_stop" => {
                        assert_eq!(open.take().map(|index| json!(index)), Some(event["index"].clone()));
                    }
                    "message_delta" => assert_eq!(open, None),
                    _ => {}
                }
            }
        }
        Responses => {
            let mut added = 0;
            let mut ended = Vec::new();
            for (place, (name, event)) in events.iter().enumerate() {
                assert_eq!(event["sequence_number"], json!(place));
                match name.as_str() {
                    "response.output_item.added" => {
                        assert_eq!(added, ended.len());
                        added += 1;
                    }
                    "response.output_item.done" => {
                        ended.push(event["item"].clone());
                        assert_eq!(added, ended.len());
                    }
                    "response.completed" | "response.incomplete" => {
                        assert_eq!(event["response"]["output"], json!(ended));
                    }
                    _ => {}
                }
            }
        }
    }
}
