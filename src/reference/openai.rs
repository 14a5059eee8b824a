//! OpenAI chat completions: the form messages have inside the agent too, so that there is little to translate.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::manifest::{Model, Settings};

/// Returns a request.
pub(crate) fn request(model: &Model, settings: &Settings, messages: &[Value], tools: &Value) -> Value {
    let mut body = json!({"model": model.model, "messages": messages, "tools": tools, "stream": settings.stream});
    if let Some(temperature) = settings.temperature {
        body["temperature"] = json!(temperature);
    }
    body
}

/// Returns the answer in a completion.
pub(crate) fn read(document: &Value) -> Result<Answer, String> {
    let message = &document["choices"][0]["message"];
    if !message.is_object() {
        return Err("answered without a message".to_owned());
    }
    let mut answer = Answer::default();
    add(&mut answer, message)?;
    Ok(answer)
}

/// Adds an event of a stream to the answer.
pub(crate) fn read_event(answer: &mut Answer, data: &str) -> Result<(), String> {
    if data == "[DONE]" {
        answer.is_done = true;
        return Ok(());
    }
    let event: Value = serde_json::from_str(data).map_err(|_| "sent an event that is no JSON".to_owned())?;
    if !event["error"].is_null() {
        // Its text is left out: providers quote what they were sent, keys among it.
        return Err("broke off its stream with an error".to_owned());
    }
    add(answer, &event["choices"][0]["delta"])
}

fn add(answer: &mut Answer, part: &Value) -> Result<(), String> {
    answer.add_text(part["content"].as_str().unwrap_or(""))?;
    for call in part["tool_calls"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let (id, name) = (text(&call["id"]), text(&call["function"]["name"]));
        let index = match call["index"].as_u64().and_then(|index| usize::try_from(index).ok()) {
            Some(index) if index == answer.calls() => answer.begin_call()?,
            Some(index) => index,
            // Without a number, what has an id is a call of its own: so in whole answers, and in some servers' streams.
            None if answer.calls() == 0 || !id.is_empty() => answer.begin_call()?,
            None => answer.calls() - 1,
        };
        answer.add_to_call(index, &id, &name, &text(&call["function"]["arguments"]))?;
    }
    Ok(())
}
