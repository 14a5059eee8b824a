//! Requests of chat completions.

use serde_json::{Map, Value, json};

use super::super::details;
use super::super::fields::{Fields, elements, object, put, wrong};
use super::super::neutral::{Call, Choice, Format, Image, Item, Located, Part, Reasoning, Request, Role, Seal, Tool};
use super::super::{Result, Unsupported};
use super::{SCHEMA_NAME, mark_failed, only_text, read_choice, read_openai, write_openai};

/// Reads a request.
pub(crate) fn read(body: Value) -> Result<Request> {
    let mut fields = Fields::new(body, "")?;
    let mut request = Request::default();
    read_openai(&mut fields, &mut request)?;
    for message in fields.need_list("messages")? {
        read_message(message, &mut request.items)?;
    }
    for tool in fields.list("tools")? {
        request.tools.push(read_tool(tool)?);
    }
    request.choice = fields.take("tool_choice").map(|value| choice(value, "tool_choice")).transpose()?;
    request.stop = fields.take("stop").map(|value| stop(value, "stop")).transpose()?;
    request.max_tokens = fields.number("max_completion_tokens")?;
    if let Some(old) = fields.number("max_tokens")? {
        if request.max_tokens.as_ref().is_some_and(|new| *new != old) {
            return Err(fields.refuse("max_tokens", "contradicts `max_completion_tokens`"));
        }
        request.max_tokens = Some(old);
    }
    request.effort = fields.text("reasoning_effort")?.map(|value| Located { at: "reasoning_effort".to_owned(), value });
    request.verbosity = fields.text("verbosity")?.map(|value| Located { at: "verbosity".to_owned(), value });
    request.format = fields.object("response_format")?.map(read_format).transpose()?.flatten();
    // Usage is always there in the other formats.
    if let Some(mut options) = fields.object("stream_options")? {
        options.flag("include_usage")?;
        options.drop_default("include_obfuscation", &json!(false))?;
        options.finish()?;
    }
    for (key, default) in [
        ("n", json!(1)),
        ("presence_penalty", json!(0)),
        ("frequency_penalty", json!(0)),
        ("logprobs", json!(false)),
        ("top_logprobs", json!(0)),
        ("store", json!(false)),
        ("modalities", json!(["text"])),
    ] {
        fields.drop_default(key, &default)?;
    }
    fields.finish()?;
    Ok(request)
}

fn stop(value: Value, at: &str) -> Result<Located<Vec<String>>> {
    let list = match value {
        Value::String(one) => vec![one],
        list => {
            let text = |each: Located<Value>| match each.value {
                Value::String(text) => Ok(text),
                other => Err(wrong(&each.at, "a string", &other)),
            };
            elements(list, at)?.into_iter().map(text).collect::<Result<_>>()?
        }
    };
    Ok(Located { at: at.to_owned(), value: list })
}

fn choice(value: Value, at: &str) -> Result<Choice> {
    if let Value::String(word) = &value {
        return read_choice(word, at);
    }
    let mut fields = Fields::new(value, at)?;
    function_type(&mut fields)?;
    let mut function = fields.need_object("function")?;
    let name = function.need_text("name")?;
    function.finish()?;
    fields.finish()?;
    Ok(Choice::Named(name))
}

fn function_type(fields: &mut Fields) -> Result<()> {
    match fields.text("type")?.as_deref() {
        None | Some("function") => Ok(()),
        Some(other) => Err(fields.refuse("type", format!("`{other}` has no counterpart, only functions have"))),
    }
}

fn read_tool(tool: Located<Value>) -> Result<Tool> {
    let mut fields = Fields::new(tool.value, tool.at)?;
    function_type(&mut fields)?;
    let mut function = fields.need_object("function")?;
    let tool = Tool {
        name: function.need_text("name")?,
        description: function.text("description")?,
        parameters: function.take("parameters"),
        strict: function.flag("strict")?,
    };
    function.finish()?;
    fields.finish()?;
    Ok(tool)
}

fn read_format(mut fields: Fields) -> Result<Option<Located<Format>>> {
    let format = match fields.need_text("type")?.as_str() {
        "text" => None,
        "json_object" => Some(Format::JsonObject),
        "json_schema" => {
            let mut schema = fields.need_object("json_schema")?;
            let format = Format::Schema {
                name: Some(schema.need_text("name")?),
                description: schema.text("description")?,
                schema: schema.need("schema")?,
                strict: schema.flag("strict")?,
            };
            schema.finish()?;
            Some(format)
        }
        other => return Err(fields.refuse("type", format!("`{other}` has no counterpart"))),
    };
    let at = fields.at().to_owned();
    fields.finish()?;
    Ok(format.map(|value| Located { at, value }))
}

fn read_message(message: Located<Value>, items: &mut Vec<Located<Item>>) -> Result<()> {
    let at = message.at.clone();
    let mut fields = Fields::new(message.value, message.at)?;
    let role = fields.need_text("role")?;
    let parts = fields.take("content").map(|content| read_parts(content, &fields.path("content"))).transpose()?;
    if role == "tool" {
        let id = fields.need_text("tool_call_id")?;
        // Repeats the name of the call, which its id tells already.
        fields.drop(&["name"]);
        items.push(Located { at, value: Item::Output { id, parts: parts.unwrap_or_default(), is_failed: false } });
        return fields.finish();
    }
    let Some(role) = Role::parse(&role) else {
        return Err(fields.refuse("role", format!("`{role}` has no counterpart")));
    };
    if role != Role::Assistant {
        let parts = parts.ok_or_else(|| fields.refuse("content", "is missing"))?;
        items.push(Located { at, value: Item::Message { role, parts } });
        return fields.finish();
    }
    read_reasoning(&mut fields, items)?;
    let mut parts = parts.unwrap_or_default();
    if let Some(refusal) = fields.text("refusal")?.filter(|refusal| !refusal.is_empty()) {
        parts.push(Located { at: fields.path("refusal"), value: Part::Refusal(refusal) });
    }
    let calls = fields.list("tool_calls")?;
    // A call often comes with an empty text beside it.
    parts.retain(|part| calls.is_empty() || !matches!(&part.value, Part::Text(text) if text.is_empty()));
    if !parts.is_empty() {
        items.push(Located { at, value: Item::Message { role, parts } });
    }
    for call in calls {
        let at = call.at.clone();
        items.push(Located { at, value: Item::Call(read_call(call)?) });
    }
    fields.finish()
}

/// Takes the reasoning of a message: its details or, without them, their text.
fn read_reasoning(fields: &mut Fields, items: &mut Vec<Located<Item>>) -> Result<()> {
    let details = details::read(fields)?;
    for key in ["reasoning_content", "reasoning"] {
        if let Some(text) = fields.text(key)?.filter(|_| details.is_empty()) {
            let value = Item::Reasoning(Reasoning { text, seal: None });
            items.push(Located { at: fields.path(key), value });
            fields.drop(&["reasoning"]);
        }
    }
    items.extend(details.into_iter().map(|each| Located { at: each.at, value: Item::Reasoning(each.value) }));
    Ok(())
}

fn read_call(call: Located<Value>) -> Result<Call> {
    let mut fields = Fields::new(call.value, call.at)?;
    function_type(&mut fields)?;
    let id = fields.need_text("id")?;
    // Its place in a stream, which some clients keep.
    fields.drop(&["index"]);
    let mut function = fields.need_object("function")?;
    let call = Call { id, name: function.need_text("name")?, arguments: function.need_text("arguments")? };
    function.finish()?;
    fields.finish()?;
    Ok(call)
}

fn read_parts(content: Value, at: &str) -> Result<Vec<Located<Part>>> {
    match content {
        Value::String(text) => Ok(vec![Located { at: at.to_owned(), value: Part::Text(text) }]),
        list => elements(list, at)?.into_iter().map(read_part).collect(),
    }
}

fn read_part(part: Located<Value>) -> Result<Located<Part>> {
    let at = part.at.clone();
    let mut fields = Fields::new(part.value, part.at)?;
    let value = match fields.need_text("type")?.as_str() {
        "text" => Part::Text(fields.need_text("text")?),
        "refusal" => Part::Refusal(fields.need_text("refusal")?),
        "image_url" => {
            let mut image = fields.need_object("image_url")?;
            let source = Image::parse(image.need_text("url")?)
                .ok_or_else(|| image.refuse("url", "a `data:` URL must be base64"))?;
            let detail = image.text("detail")?.filter(|detail| detail != "auto");
            image.finish()?;
            Part::Image { source, detail }
        }
        other => return Err(fields.refuse("type", format!("`{other}` has no counterpart"))),
    };
    fields.finish()?;
    Ok(Located { at, value })
}

/// Writes a request.
pub(crate) fn write(request: Request) -> Result<Value> {
    let mut body = Map::new();
    let cap = cap_field(&request.model);
    put(&mut body, "messages", Some(write_items(request.items)?));
    put(&mut body, "model", Some(request.model));
    if !request.tools.is_empty() {
        put(&mut body, "tools", Some(request.tools.into_iter().map(write_tool).collect::<Vec<_>>()));
    }
    put(
        &mut body,
        "tool_choice",
        request.choice.map(|choice| match choice {
            Choice::Auto => json!("auto"),
            Choice::None => json!("none"),
            Choice::Required => json!("required"),
            Choice::Named(name) => json!({"type": "function", "function": {"name": name}}),
        }),
    );
    put(&mut body, "parallel_tool_calls", request.parallel);
    put(&mut body, "temperature", request.temperature.map(|each| each.value));
    put(&mut body, "top_p", request.top_p);
    put(&mut body, "stop", request.stop.map(|each| each.value));
    put(&mut body, cap, request.max_tokens);
    put(&mut body, "user", request.user);
    put(&mut body, "reasoning_effort", request.effort.map(|each| each.value));
    put(&mut body, "verbosity", request.verbosity.map(|each| each.value));
    put(&mut body, "response_format", request.format.map(|each| write_format(each.value)));
    write_openai(&mut body, request.openai);
    if request.stream {
        put(&mut body, "stream", Some(true));
        // The other formats always tell the usage of a stream.
        put(&mut body, "stream_options", Some(json!({"include_usage": true})));
    }
    Ok(Value::Object(body))
}

/// Returns the name of the output cap. OpenAI's reasoning models refuse `max_tokens`; Mistral and older local servers do not
/// know `max_completion_tokens`, and some of them ignore what they do not know.
fn cap_field(model: &str) -> &'static str {
    let name = model.rsplit('/').next().unwrap_or(model);
    let is_numbered = name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let is_gpt = name.starts_with("gpt-") && !name.starts_with("gpt-oss");
    if is_numbered || is_gpt || name.starts_with("chatgpt-") { "max_completion_tokens" } else { "max_tokens" }
}

fn write_tool(tool: Tool) -> Value {
    let mut function = Map::new();
    put(&mut function, "name", Some(tool.name));
    put(&mut function, "description", tool.description);
    put(&mut function, "parameters", tool.parameters);
    put(&mut function, "strict", tool.strict);
    json!({"type": "function", "function": function})
}

fn write_format(format: Format) -> Value {
    match format {
        Format::JsonObject => json!({"type": "json_object"}),
        Format::Schema { name, description, schema, strict } => {
            let mut fields = Map::new();
            put(&mut fields, "name", Some(name.unwrap_or_else(|| SCHEMA_NAME.to_owned())));
            put(&mut fields, "description", description);
            put(&mut fields, "schema", Some(schema));
            put(&mut fields, "strict", strict);
            json!({"type": "json_schema", "json_schema": fields})
        }
    }
}

/// An assistant message that is being put together.
#[derive(Default)]
struct Turn {
    content: Option<Value>,
    refusal: Option<String>,
    reasoning: Option<String>,
    calls: Vec<Value>,
}

impl Turn {
    fn has_message(&self) -> bool {
        self.content.is_some() || self.refusal.is_some()
    }

    fn flush(&mut self, messages: &mut Vec<Value>) {
        let turn = std::mem::take(self);
        if !turn.has_message() && turn.reasoning.is_none() && turn.calls.is_empty() {
            return;
        }
        let mut message = Map::new();
        put(&mut message, "role", Some("assistant"));
        put(&mut message, "content", Some(turn.content.unwrap_or(Value::Null)));
        put(&mut message, "refusal", turn.refusal);
        put(&mut message, "reasoning_content", turn.reasoning);
        put(&mut message, "tool_calls", Some(turn.calls).filter(|calls| !calls.is_empty()));
        messages.push(Value::Object(message));
    }
}

fn write_items(items: Vec<Located<Item>>) -> Result<Vec<Value>> {
    let mut messages = Vec::new();
    let mut turn = Turn::default();
    for Located { at, value } in items {
        match value {
            Item::Message { role: Role::Assistant, parts } => {
                if !turn.calls.is_empty() {
                    return Err(Unsupported::new(at, "chat has no text after the tool calls of a turn"));
                }
                if turn.has_message() {
                    turn.flush(&mut messages);
                }
                (turn.content, turn.refusal) = write_answer(parts)?;
            }
            Item::Reasoning(Reasoning { text, seal: None }) => {
                if turn.has_message() || !turn.calls.is_empty() {
                    turn.flush(&mut messages);
                }
                turn.reasoning = Some(match turn.reasoning.take() {
                    Some(before) => format!("{before}\n\n{text}"),
                    None => text,
                });
            }
            Item::Reasoning(Reasoning { seal: Some(Seal::Signature(_) | Seal::Redacted(_)), .. }) => {
                return Err(Unsupported::new(at, "chat has no signed or encrypted reasoning"));
            }
            Item::Call(call) => turn.calls.push(json!({
                "id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments},
            })),
            Item::Message { role, parts } => {
                turn.flush(&mut messages);
                messages.push(object([("role", role.name().into()), ("content", write_parts(parts))]));
            }
            Item::Output { id, mut parts, is_failed } => {
                turn.flush(&mut messages);
                if is_failed {
                    mark_failed(&mut parts);
                }
                if let Some(image) = parts.iter().find(|part| matches!(part.value, Part::Image { .. })) {
                    return Err(Unsupported::new(image.at.as_str(), "chat has no images in the output of a tool"));
                }
                let content = write_parts(parts);
                messages.push(object([("role", "tool".into()), ("tool_call_id", id.into()), ("content", content)]));
            }
        }
    }
    turn.flush(&mut messages);
    Ok(messages)
}

fn write_answer(parts: Vec<Located<Part>>) -> Result<(Option<Value>, Option<String>)> {
    let mut texts = Vec::new();
    let mut refusal: Option<String> = None;
    for part in parts {
        match part.value {
            Part::Refusal(text) => refusal.get_or_insert_default().push_str(&text),
            Part::Text(_) => texts.push(part),
            Part::Image { .. } => return Err(Unsupported::new(part.at, "chat has no images in an answer")),
        }
    }
    let content = if texts.is_empty() && refusal.is_some() { None } else { Some(write_parts(texts)) };
    Ok((content, refusal))
}

fn write_parts(parts: Vec<Located<Part>>) -> Value {
    match only_text(parts) {
        Ok(text) => Value::String(text),
        Err(parts) => parts.into_iter().map(|part| write_part(part.value)).collect(),
    }
}

fn write_part(part: Part) -> Value {
    match part {
        Part::Text(text) => object([("type", "text".into()), ("text", text.into())]),
        Part::Refusal(refusal) => json!({"type": "refusal", "refusal": refusal}),
        Part::Image { source, detail } => {
            let mut image = Map::new();
            put(&mut image, "url", Some(source.into_url()));
            put(&mut image, "detail", detail);
            object([("type", "image_url".into()), ("image_url", image.into())])
        }
    }
}
