//! Requests of messages.

use serde_json::{Map, Number, Value, json};

use super::super::fields::{Fields, elements, object, put, wrong};
use super::super::neutral::{Call, Choice, Format, Image, Item, Located, Part, Reasoning, Request, Role, Seal, Tool};
use super::super::{Result, Unsupported};
use super::read_sampling;

/// What a request without a cap gets, as messages demands one: the largest that every Claude model accepts (Claude 3 Haiku
/// ends at 4096).
const MAX_TOKENS: u64 = 4096;

/// Efforts that mean the same here and at OpenAI.
const EFFORTS: [&str; 4] = ["low", "medium", "high", "xhigh"];

/// Reads a request.
pub(crate) fn read(body: Value) -> Result<Request> {
    let mut fields = Fields::new(body, "")?;
    let mut request = Request { model: fields.need_text("model")?, ..Request::default() };
    read_sampling(&mut fields, &mut request)?;
    if let Some(system) = fields.take("system") {
        let parts = match system {
            Value::String(text) => vec![Located { at: "system".to_owned(), value: Part::Text(text) }],
            list => elements(list, "system")?.into_iter().map(read_part).collect::<Result<_>>()?,
        };
        let at = "system".to_owned();
        request.items.push(Located { at, value: Item::Message { role: Role::System, parts } });
    }
    for message in fields.need_list("messages")? {
        read_message(message, &mut request.items)?;
    }
    refuse_prefill(&request.items)?;
    for tool in fields.list("tools")? {
        request.tools.push(read_tool(tool)?);
    }
    if let Some(choice) = fields.object("tool_choice")? {
        read_choice(choice, &mut request)?;
    }
    let stop = fields.list("stop_sequences")?;
    if !stop.is_empty() {
        let text = |each: Located<Value>| match each.value {
            Value::String(text) => Ok(text),
            other => Err(wrong(&each.at, "a string", &other)),
        };
        let value = stop.into_iter().map(text).collect::<Result<_>>()?;
        request.stop = Some(Located { at: "stop_sequences".to_owned(), value });
    }
    request.max_tokens = fields.number("max_tokens")?;
    if let Some(mut metadata) = fields.object("metadata")? {
        request.user = metadata.text("user_id")?;
        metadata.finish()?;
    }
    read_effort(&mut fields, &mut request)?;
    drop_cache_control(&mut fields)?;
    fields.drop_default("service_tier", &json!("auto"))?;
    fields.finish()?;
    Ok(request)
}

/// The other formats answer after a last assistant message, this one goes on with it.
fn refuse_prefill(items: &[Located<Item>]) -> Result<()> {
    match items.last() {
        Some(Located { at, value: Item::Message { role: Role::Assistant, .. } }) => {
            Err(Unsupported::new(at.as_str(), "only messages can go on with the beginning of an answer"))
        }
        _ => Ok(()),
    }
}

/// The other formats cache prefixes without being asked, for about as long.
fn drop_cache_control(fields: &mut Fields) -> Result<()> {
    if let Some(mut cache) = fields.object("cache_control")? {
        cache.drop_default("type", &json!("ephemeral"))?;
        cache.drop_default("ttl", &json!("5m"))?;
        cache.finish()?;
    }
    Ok(())
}

fn read_effort(fields: &mut Fields, request: &mut Request) -> Result<()> {
    let mut is_thinking = false;
    if let Some(mut thinking) = fields.object("thinking")? {
        match thinking.need_text("type")?.as_str() {
            "disabled" => {}
            "adaptive" => is_thinking = true,
            other => return Err(thinking.refuse("type", format!("`{other}` has no counterpart, `adaptive` has"))),
        }
        match thinking.text("display")?.as_deref() {
            None | Some("omitted") => {}
            Some("summarized") => request.is_reasoning_shown = true,
            Some(other) => return Err(thinking.refuse("display", format!("`{other}` has no counterpart"))),
        }
        thinking.finish()?;
    }
    let mut effort = None;
    if let Some(mut config) = fields.object("output_config")? {
        effort = config.text("effort")?;
        if let Some(word) = &effort {
            // `high` is the default.
            if !is_thinking && word != "high" {
                return Err(config.refuse("effort", "has a counterpart only with adaptive thinking"));
            }
            if !EFFORTS.contains(&word.as_str()) {
                return Err(config.refuse("effort", format!("`{word}` has no counterpart")));
            }
        }
        if let Some(mut format) = config.object("format")? {
            format.drop_default("type", &json!("json_schema"))?;
            let schema = format.need("schema")?;
            let value = Format::Schema { name: None, description: None, schema, strict: Some(true) };
            request.format = Some(Located { at: format.at().to_owned(), value });
            format.finish()?;
        }
        config.finish()?;
    }
    if is_thinking {
        // `high` is what adaptive thinking does when not told.
        let value = effort.unwrap_or_else(|| "high".to_owned());
        request.effort = Some(Located { at: "thinking".to_owned(), value });
        request.is_reasoning_sealed = true;
    }
    Ok(())
}

fn read_choice(mut fields: Fields, request: &mut Request) -> Result<()> {
    request.choice = Some(match fields.need_text("type")?.as_str() {
        "auto" => Choice::Auto,
        "none" => Choice::None,
        "any" => Choice::Required,
        "tool" => Choice::Named(fields.need_text("name")?),
        other => return Err(fields.refuse("type", format!("unknown choice `{other}`"))),
    });
    request.parallel = fields.flag("disable_parallel_tool_use")?.map(|is_disabled| !is_disabled);
    fields.finish()
}

fn read_tool(tool: Located<Value>) -> Result<Tool> {
    let mut fields = Fields::new(tool.value, tool.at)?;
    match fields.text("type")?.as_deref() {
        None | Some("custom") => {}
        Some(other) => return Err(fields.refuse("type", format!("`{other}` is a tool of the provider"))),
    }
    let tool = Tool {
        name: fields.need_text("name")?,
        description: fields.text("description")?,
        parameters: Some(fields.need("input_schema")?),
        strict: fields.flag("strict")?,
    };
    drop_cache_control(&mut fields)?;
    fields.finish()?;
    Ok(tool)
}

fn read_message(message: Located<Value>, items: &mut Vec<Located<Item>>) -> Result<()> {
    let message_at = message.at.clone();
    let mut fields = Fields::new(message.value, message.at)?;
    let role = match fields.need_text("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        // Between turns, as newer models take it.
        "system" => Role::System,
        other => return Err(fields.refuse("role", format!("unknown role `{other}`"))),
    };
    let content = fields.need("content")?;
    let at = fields.path("content");
    fields.finish()?;
    if let Value::String(text) = content {
        let parts = vec![Located { at, value: Part::Text(text) }];
        items.push(Located { at: message_at, value: Item::Message { role, parts } });
        return Ok(());
    }
    let mut parts = Vec::new();
    for block in elements(content, &at)? {
        let kind = block.value.get("type").and_then(Value::as_str).unwrap_or_default();
        if !matches!(kind, "tool_use" | "tool_result" | "thinking" | "redacted_thinking") {
            parts.push(read_part(block)?);
            continue;
        }
        if !parts.is_empty() {
            let parts = std::mem::take(&mut parts);
            items.push(Located { at: message_at.clone(), value: Item::Message { role, parts } });
        }
        items.push(read_block(block)?);
    }
    if !parts.is_empty() {
        items.push(Located { at: message_at, value: Item::Message { role, parts } });
    }
    Ok(())
}

fn read_block(block: Located<Value>) -> Result<Located<Item>> {
    let at = block.at.clone();
    let mut fields = Fields::new(block.value, block.at)?;
    let value = match fields.need_text("type")?.as_str() {
        "tool_use" => {
            let (id, name) = (fields.need_text("id")?, fields.need_text("name")?);
            let input = fields.need("input")?;
            if !input.is_object() {
                return Err(wrong(&fields.path("input"), "an object", &input));
            }
            fields.drop_default("caller", &json!({"type": "direct"}))?;
            Item::Call(Call { id, name, arguments: input.to_string() })
        }
        "tool_result" => {
            let parts = match fields.take("content") {
                None => Vec::new(),
                Some(Value::String(text)) => {
                    vec![Located { at: fields.path("content"), value: Part::Text(text) }]
                }
                Some(list) => {
                    elements(list, &fields.path("content"))?.into_iter().map(read_part).collect::<Result<_>>()?
                }
            };
            let is_failed = fields.flag("is_error")?.unwrap_or(false);
            Item::Output { id: fields.need_text("tool_use_id")?, parts, is_failed }
        }
        "thinking" => {
            let text = fields.need_text("thinking")?;
            let signature = fields.text("signature")?.filter(|signature| !signature.is_empty());
            Item::Reasoning(Reasoning { text, seal: signature.map(Seal::Signature) })
        }
        _ => {
            let seal = Some(Seal::Redacted(fields.need_text("data")?));
            Item::Reasoning(Reasoning { text: String::new(), seal })
        }
    };
    drop_cache_control(&mut fields)?;
    fields.finish()?;
    Ok(Located { at, value })
}

fn read_part(part: Located<Value>) -> Result<Located<Part>> {
    let at = part.at.clone();
    let mut fields = Fields::new(part.value, part.at)?;
    let value = match fields.need_text("type")?.as_str() {
        "text" => Part::Text(fields.need_text("text")?),
        "image" => {
            let mut source = fields.need_object("source")?;
            let image = match source.need_text("type")?.as_str() {
                "url" => Image::Url(source.need_text("url")?),
                "base64" => {
                    Image::Inline { media_type: source.need_text("media_type")?, data: source.need_text("data")? }
                }
                other => return Err(source.refuse("type", format!("`{other}` has no counterpart"))),
            };
            source.finish()?;
            Part::Image { source: image, detail: None }
        }
        other => return Err(fields.refuse("type", format!("`{other}` has no counterpart"))),
    };
    drop_cache_control(&mut fields)?;
    fields.finish()?;
    Ok(Located { at, value })
}

/// Writes a request.
pub(crate) fn write(request: Request) -> Result<Value> {
    if let Some(field) = request.openai.first() {
        return Err(Unsupported::new(field.at.as_str(), "has no counterpart in messages"));
    }
    if let Some(verbosity) = request.verbosity {
        return Err(Unsupported::new(verbosity.at, "has no counterpart in messages"));
    }
    refuse_prefill(&request.items)?;
    let mut body = Map::new();
    put(&mut body, "tool_choice", write_choice(&request));
    write_effort(&mut body, &request)?;
    if let Some(format) = request.format {
        let format = write_format(format)?;
        match body.get_mut("output_config") {
            Some(Value::Object(config)) => drop(config.insert("format".to_owned(), format)),
            _ => put(&mut body, "output_config", Some(json!({"format": format}))),
        }
    }
    write_items(&mut body, request.items)?;
    put(&mut body, "model", Some(request.model));
    put(&mut body, "max_tokens", Some(request.max_tokens.unwrap_or_else(|| Number::from(MAX_TOKENS))));
    if !request.tools.is_empty() {
        put(&mut body, "tools", Some(request.tools.into_iter().map(write_tool).collect::<Vec<_>>()));
    }
    if let Some(temperature) = request.temperature {
        if temperature.value.as_f64().is_some_and(|value| value > 1.0) {
            return Err(Unsupported::new(temperature.at, "messages ends at 1"));
        }
        put(&mut body, "temperature", Some(temperature.value));
    }
    put(&mut body, "top_p", request.top_p);
    put(&mut body, "stop_sequences", request.stop.map(|each| each.value));
    put(&mut body, "metadata", request.user.map(|user| json!({"user_id": user})));
    put(&mut body, "stream", request.stream.then_some(true));
    Ok(Value::Object(body))
}

fn write_choice(request: &Request) -> Option<Value> {
    let is_single = request.parallel == Some(false);
    let mut choice = match &request.choice {
        None if is_single => json!({"type": "auto"}),
        None => return None,
        Some(Choice::None) => return Some(json!({"type": "none"})),
        Some(Choice::Auto) => json!({"type": "auto"}),
        Some(Choice::Required) => json!({"type": "any"}),
        Some(Choice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if let (true, Value::Object(choice)) = (is_single, &mut choice) {
        put(choice, "disable_parallel_tool_use", Some(true));
    }
    Some(choice)
}

fn write_effort(body: &mut Map<String, Value>, request: &Request) -> Result<()> {
    let Some(effort) = &request.effort else { return Ok(()) };
    if effort.value == "none" {
        put(body, "thinking", Some(json!({"type": "disabled"})));
        return Ok(());
    }
    if !EFFORTS.contains(&effort.value.as_str()) {
        return Err(Unsupported::new(effort.at.as_str(), format!("messages has no effort `{}`", effort.value)));
    }
    let mut thinking = Map::new();
    put(&mut thinking, "type", Some("adaptive"));
    put(&mut thinking, "display", request.is_reasoning_shown.then_some("summarized"));
    put(body, "thinking", Some(thinking));
    put(body, "output_config", Some(json!({"effort": effort.value})));
    Ok(())
}

fn write_format(format: Located<Format>) -> Result<Value> {
    match format.value {
        Format::JsonObject => Err(Unsupported::new(format.at, "messages has no JSON output without a schema")),
        Format::Schema { description: Some(_), .. } => {
            Err(Unsupported::new(format.at, "messages has no description of a schema"))
        }
        // The name only labels it. Messages always enforces a schema, so `strict` is met either way.
        Format::Schema { schema, .. } => Ok(json!({"type": "json_schema", "schema": schema})),
    }
}

fn write_tool(tool: Tool) -> Value {
    let mut fields = Map::new();
    put(&mut fields, "name", Some(tool.name));
    put(&mut fields, "description", tool.description);
    let nothing = || json!({"type": "object", "properties": {}});
    put(&mut fields, "input_schema", Some(tool.parameters.unwrap_or_else(nothing)));
    put(&mut fields, "strict", tool.strict.filter(|strict| *strict));
    Value::Object(fields)
}

/// Writes `system` and `messages`. What one side says in a row becomes one message: all outputs of a turn must be in the
/// message that follows it.
fn write_items(body: &mut Map<String, Value>, items: Vec<Located<Item>>) -> Result<()> {
    let mut system = Vec::new();
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for Located { at, value } in items {
        let (side, blocks) = match value {
            Item::Message { role: Role::System | Role::Developer, parts } => {
                if !turns.is_empty() {
                    return Err(Unsupported::new(at, "messages has system prompts only before the conversation"));
                }
                if let Some(image) = parts.iter().find(|part| matches!(part.value, Part::Image { .. })) {
                    return Err(Unsupported::new(image.at.as_str(), "messages has no images in a system prompt"));
                }
                system.extend(write_parts(parts)?);
                continue;
            }
            Item::Message { role: Role::User, parts } => ("user", write_parts(parts)?),
            Item::Message { role: Role::Assistant, parts } => ("assistant", write_parts(parts)?),
            Item::Call(call) => ("assistant", vec![write_call(call, &at)?]),
            Item::Output { id, parts, is_failed } => ("user", vec![write_output(&id, parts, is_failed)?]),
            Item::Reasoning(reasoning) => ("assistant", vec![write_reasoning(reasoning, at)?]),
        };
        match turns.last_mut() {
            Some((last, list)) if *last == side => list.extend(blocks),
            _ => turns.push((side, blocks)),
        }
    }
    put(body, "system", Some(simple(system)).filter(|system| *system != json!([])));
    let turns = turns.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    let message = |(side, blocks): (&str, _)| object([("role", side.into()), ("content", simple(blocks))]);
    put(body, "messages", Some(turns.map(message).collect::<Vec<_>>()));
    Ok(())
}

/// Says a single text the short way.
fn simple(mut blocks: Vec<Value>) -> Value {
    match blocks.as_mut_slice() {
        [one] if one["type"] == "text" => one["text"].take(),
        _ => Value::Array(blocks),
    }
}

pub(in super::super) fn write_call(call: Call, at: &str) -> Result<Value> {
    let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let input: Value = serde_json::from_str(text)
        .map_err(|error| Unsupported::new(at, format!("the arguments of the call are not JSON: {error}")))?;
    if !input.is_object() {
        return Err(wrong(at, "an object as the arguments of the call", &input));
    }
    Ok(object([("type", "tool_use".into()), ("id", call.id.into()), ("name", call.name.into()), ("input", input)]))
}

fn write_output(id: &str, parts: Vec<Located<Part>>, is_failed: bool) -> Result<Value> {
    let mut fields = Map::new();
    put(&mut fields, "type", Some("tool_result"));
    put(&mut fields, "tool_use_id", Some(id));
    put(&mut fields, "content", Some(simple(write_parts(parts)?)).filter(|content| *content != json!([])));
    put(&mut fields, "is_error", is_failed.then_some(true));
    Ok(Value::Object(fields))
}

fn write_reasoning(reasoning: Reasoning, at: String) -> Result<Value> {
    match reasoning.seal {
        Some(Seal::Signature(signature)) => {
            Ok(json!({"type": "thinking", "thinking": reasoning.text, "signature": signature}))
        }
        Some(Seal::Redacted(data)) => Ok(json!({"type": "redacted_thinking", "data": data})),
        None => Err(Unsupported::new(at, "messages takes reasoning only with its signature")),
    }
}

/// Returns blocks without empty texts, which messages refuses.
fn write_parts(parts: Vec<Located<Part>>) -> Result<Vec<Value>> {
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        match part.value {
            Part::Text(text) | Part::Refusal(text) if text.is_empty() => {}
            // A refusal is what the assistant said.
            Part::Text(text) | Part::Refusal(text) => {
                blocks.push(object([("type", "text".into()), ("text", text.into())]))
            }
            Part::Image { detail: Some(_), .. } => {
                return Err(Unsupported::new(part.at, "messages has no detail of an image but `auto`"));
            }
            Part::Image { source: Image::Url(url), .. } => {
                blocks.push(json!({"type": "image", "source": {"type": "url", "url": url}}));
            }
            Part::Image { source: Image::Inline { media_type, data }, .. } => {
                let kind = ("type", "base64".into());
                let source = object([kind, ("media_type", media_type.into()), ("data", data.into())]);
                blocks.push(object([("type", "image".into()), ("source", source)]));
            }
        }
    }
    Ok(blocks)
}
