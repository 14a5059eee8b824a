//! Requests of responses.

use serde_json::{Map, Value, json};

use super::super::fields::{Fields, elements, object, put, wrong};
use super::super::neutral::{Call, Choice, Format, Image, Item, Located, Part, Reasoning, Request, Role, Seal, Tool};
use super::super::{Result, Unsupported};
use super::{SCHEMA_NAME, mark_failed, only_text, read_choice, read_openai, write_openai};

/// The only `include` with a counterpart.
const SEALED: &str = "reasoning.encrypted_content";

/// Reads a request.
pub(crate) fn read(body: Value) -> Result<Request> {
    let mut fields = Fields::new(body, "")?;
    for key in ["previous_response_id", "conversation", "prompt"] {
        if fields.take(key).is_some() {
            return Err(fields.refuse(key, "refers to what only the responses API keeps: send the whole conversation"));
        }
    }
    let mut request = Request::default();
    read_openai(&mut fields, &mut request)?;
    if let Some(text) = fields.text("instructions")? {
        let at = fields.path("instructions");
        let parts = vec![Located { at: at.clone(), value: Part::Text(text) }];
        request.items.push(Located { at, value: Item::Message { role: Role::System, parts } });
    }
    match fields.need("input")? {
        Value::String(text) => {
            let parts = vec![Located { at: "input".to_owned(), value: Part::Text(text) }];
            let value = Item::Message { role: Role::User, parts };
            request.items.push(Located { at: "input".to_owned(), value });
        }
        list => {
            for item in elements(list, "input")? {
                request.items.push(read_item(item)?);
            }
        }
    }
    for tool in fields.list("tools")? {
        request.tools.push(read_tool(tool)?);
    }
    request.choice = fields.take("tool_choice").map(|value| choice(value, "tool_choice")).transpose()?;
    request.max_tokens = fields.number("max_output_tokens")?;
    read_reasoning_settings(&mut fields, &mut request)?;
    if let Some(mut text) = fields.object("text")? {
        request.verbosity = text.text("verbosity")?.map(|value| Located { at: "text.verbosity".to_owned(), value });
        request.format = text.object("format")?.map(read_format).transpose()?.flatten();
        text.finish()?;
    }
    if let Some(mut options) = fields.object("stream_options")? {
        options.drop_default("include_obfuscation", &json!(false))?;
        options.finish()?;
    }
    // `true` is the default; what it is for, `previous_response_id`, is refused, and the reply says `false`.
    fields.flag("store")?;
    fields.drop_default("background", &json!(false))?;
    fields.drop_default("truncation", &json!("disabled"))?;
    fields.drop_default("top_logprobs", &json!(0))?;
    fields.finish()?;
    Ok(request)
}

fn read_reasoning_settings(fields: &mut Fields, request: &mut Request) -> Result<()> {
    if let Some(mut reasoning) = fields.object("reasoning")? {
        let at = reasoning.path("effort");
        request.effort = reasoning.text("effort")?.map(|value| Located { at, value });
        match reasoning.text("summary")?.as_deref() {
            None => {}
            Some("auto") => request.is_reasoning_shown = true,
            Some(other) => return Err(reasoning.refuse("summary", format!("`{other}` has no counterpart"))),
        }
        reasoning.finish()?;
    }
    for include in fields.list("include")? {
        if include.value != SEALED {
            return Err(Unsupported::new(include.at, "has no counterpart in the other format"));
        }
        request.is_reasoning_sealed = true;
    }
    Ok(())
}

fn choice(value: Value, at: &str) -> Result<Choice> {
    if let Value::String(word) = &value {
        return read_choice(word, at);
    }
    let mut fields = Fields::new(value, at)?;
    function_type(&mut fields)?;
    let name = fields.need_text("name")?;
    fields.finish()?;
    Ok(Choice::Named(name))
}

fn function_type(fields: &mut Fields) -> Result<()> {
    match fields.need_text("type")?.as_str() {
        "function" => Ok(()),
        other => Err(fields.refuse("type", format!("`{other}` has no counterpart, only functions have"))),
    }
}

fn read_tool(tool: Located<Value>) -> Result<Tool> {
    let mut fields = Fields::new(tool.value, tool.at)?;
    function_type(&mut fields)?;
    let tool = Tool {
        name: fields.need_text("name")?,
        description: fields.text("description")?,
        parameters: fields.take("parameters"),
        strict: fields.flag("strict")?,
    };
    fields.finish()?;
    Ok(tool)
}

fn read_format(mut fields: Fields) -> Result<Option<Located<Format>>> {
    let format = match fields.need_text("type")?.as_str() {
        "text" => None,
        "json_object" => Some(Format::JsonObject),
        "json_schema" => Some(Format::Schema {
            name: Some(fields.need_text("name")?),
            description: fields.text("description")?,
            schema: fields.need("schema")?,
            strict: fields.flag("strict")?,
        }),
        other => return Err(fields.refuse("type", format!("`{other}` has no counterpart"))),
    };
    let at = fields.at().to_owned();
    fields.finish()?;
    Ok(format.map(|value| Located { at, value }))
}

fn read_item(item: Located<Value>) -> Result<Located<Item>> {
    let at = item.at.clone();
    let mut fields = Fields::new(item.value, item.at)?;
    let kind = fields.text("type")?;
    // They name a place in the API's own store.
    if kind.as_deref() != Some("item_reference") {
        fields.drop(&["id", "status"]);
    }
    let value = match kind.as_deref() {
        None | Some("message") => {
            let role = fields.need_text("role")?;
            let role = Role::parse(&role).ok_or_else(|| fields.refuse("role", format!("unknown role `{role}`")))?;
            let content = fields.need("content")?;
            Item::Message { role, parts: read_parts(content, &fields.path("content"))? }
        }
        Some("function_call") => Item::Call(Call {
            id: fields.need_text("call_id")?,
            name: fields.need_text("name")?,
            arguments: fields.need_text("arguments")?,
        }),
        Some("function_call_output") => {
            let output = fields.need("output")?;
            let parts = read_parts(output, &fields.path("output"))?;
            Item::Output { id: fields.need_text("call_id")?, parts, is_failed: false }
        }
        Some("reasoning") => Item::Reasoning(read_reasoning(&mut fields)?),
        Some(other) => return Err(fields.refuse("type", format!("`{other}` has no counterpart"))),
    };
    fields.finish()?;
    Ok(Located { at, value })
}

/// Takes the texts and the seal of a reasoning item.
pub(in super::super) fn read_reasoning(fields: &mut Fields) -> Result<Reasoning> {
    let mut texts = Vec::new();
    for part in fields.list("summary")?.into_iter().chain(fields.list("content")?) {
        let mut part = Fields::new(part.value, part.at)?;
        match part.need_text("type")?.as_str() {
            "summary_text" | "reasoning_text" => texts.push(part.need_text("text")?),
            other => return Err(part.refuse("type", format!("`{other}` has no counterpart"))),
        }
        part.finish()?;
    }
    let seal = fields.text("encrypted_content")?.filter(|content| !content.is_empty()).map(Seal::parse);
    Ok(Reasoning { text: texts.join("\n\n"), seal })
}

fn read_parts(content: Value, at: &str) -> Result<Vec<Located<Part>>> {
    match content {
        Value::String(text) => Ok(vec![Located { at: at.to_owned(), value: Part::Text(text) }]),
        Value::Array(_) => elements(content, at)?.into_iter().map(read_part).collect(),
        other => Err(wrong(at, "a string or an array", &other)),
    }
}

fn read_part(part: Located<Value>) -> Result<Located<Part>> {
    let at = part.at.clone();
    let mut fields = Fields::new(part.value, part.at)?;
    let value = match fields.need_text("type")?.as_str() {
        "input_text" | "output_text" | "text" => Part::Text(fields.need_text("text")?),
        "refusal" => Part::Refusal(fields.need_text("refusal")?),
        "input_image" => {
            let url = fields.need_text("image_url")?;
            let source = Image::parse(url).ok_or_else(|| fields.refuse("image_url", "a `data:` URL must be base64"))?;
            Part::Image { source, detail: fields.text("detail")?.filter(|detail| detail != "auto") }
        }
        other => return Err(fields.refuse("type", format!("`{other}` has no counterpart"))),
    };
    fields.finish()?;
    Ok(Located { at, value })
}

/// Writes a request.
pub(crate) fn write(request: Request) -> Result<Value> {
    if let Some(stop) = request.stop {
        return Err(Unsupported::new(stop.at, "responses has no stop sequences"));
    }
    let mut body = Map::new();
    write_items(&mut body, request.items)?;
    put(&mut body, "model", Some(request.model));
    // The default is `true`, which the caller's format does not have.
    put(&mut body, "store", Some(false));
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
            Choice::Named(name) => json!({"type": "function", "name": name}),
        }),
    );
    put(&mut body, "parallel_tool_calls", request.parallel);
    put(&mut body, "temperature", request.temperature.map(|each| each.value));
    put(&mut body, "top_p", request.top_p);
    put(&mut body, "max_output_tokens", request.max_tokens);
    put(&mut body, "user", request.user);
    let mut reasoning = Map::new();
    put(&mut reasoning, "effort", request.effort.map(|each| each.value));
    put(&mut reasoning, "summary", request.is_reasoning_shown.then_some("auto"));
    put(&mut body, "reasoning", Some(reasoning).filter(|reasoning| !reasoning.is_empty()));
    put(&mut body, "include", request.is_reasoning_sealed.then(|| json!([SEALED])));
    let mut text = Map::new();
    put(&mut text, "format", request.format.map(|each| write_format(each.value)));
    put(&mut text, "verbosity", request.verbosity.map(|each| each.value));
    put(&mut body, "text", Some(text).filter(|text| !text.is_empty()));
    write_openai(&mut body, request.openai);
    put(&mut body, "stream", request.stream.then_some(true));
    Ok(Value::Object(body))
}

fn write_tool(tool: Tool) -> Value {
    let mut fields = Map::new();
    put(&mut fields, "type", Some("function"));
    put(&mut fields, "name", Some(tool.name));
    put(&mut fields, "description", tool.description);
    let nothing = || json!({"type": "object", "properties": {}});
    put(&mut fields, "parameters", Some(tool.parameters.unwrap_or_else(nothing)));
    // The default is `true` here and `false` in the other formats.
    put(&mut fields, "strict", Some(tool.strict.unwrap_or(false)));
    Value::Object(fields)
}

fn write_format(format: Format) -> Value {
    match format {
        Format::JsonObject => json!({"type": "json_object"}),
        Format::Schema { name, description, schema, strict } => {
            let mut fields = Map::new();
            put(&mut fields, "type", Some("json_schema"));
            put(&mut fields, "name", Some(name.unwrap_or_else(|| SCHEMA_NAME.to_owned())));
            put(&mut fields, "description", description);
            put(&mut fields, "schema", Some(schema));
            put(&mut fields, "strict", strict);
            Value::Object(fields)
        }
    }
}

fn write_items(body: &mut Map<String, Value>, items: Vec<Located<Item>>) -> Result<()> {
    let is_system = |item: &Located<Item>| matches!(item.value, Item::Message { role: Role::System, .. });
    let is_single = items.iter().filter(|item| is_system(item)).count() == 1;
    let mut input = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match item.value {
            Item::Message { role: Role::System, parts } if index == 0 && is_single => match only_text(parts) {
                Ok(text) => put(body, "instructions", Some(text)),
                Err(parts) => input.push(write_message(Role::System, parts)?),
            },
            Item::Message { role, parts } => input.push(write_message(role, parts)?),
            Item::Call(call) => input.push(json!({
                "type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments,
            })),
            Item::Output { id, mut parts, is_failed } => {
                if is_failed {
                    mark_failed(&mut parts);
                }
                let output = write_parts(Role::User, parts)?;
                input.push(json!({"type": "function_call_output", "call_id": id, "output": output}));
            }
            Item::Reasoning(reasoning) => input.push(write_reasoning(reasoning)),
        }
    }
    put(body, "input", Some(input));
    Ok(())
}

/// Writes a reasoning item without an id.
pub(in super::super) fn write_reasoning(reasoning: Reasoning) -> Value {
    let mut fields = Map::new();
    put(&mut fields, "type", Some("reasoning"));
    let summary =
        if reasoning.text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": reasoning.text}]) };
    put(&mut fields, "summary", Some(summary));
    put(&mut fields, "encrypted_content", reasoning.seal.map(Seal::into_content));
    Value::Object(fields)
}

fn write_message(role: Role, parts: Vec<Located<Part>>) -> Result<Value> {
    let content = write_parts(role, parts)?;
    Ok(object([("type", "message".into()), ("role", role.name().into()), ("content", content)]))
}

fn write_parts(role: Role, parts: Vec<Located<Part>>) -> Result<Value> {
    let text_type = if role == Role::Assistant { "output_text" } else { "input_text" };
    match only_text(parts) {
        Ok(text) => Ok(Value::String(text)),
        Err(parts) => parts.into_iter().map(|part| write_part(text_type, part)).collect(),
    }
}

fn write_part(text_type: &str, part: Located<Part>) -> Result<Value> {
    match part.value {
        Part::Text(text) => Ok(object([("type", text_type.into()), ("text", text.into())])),
        Part::Refusal(refusal) => Ok(json!({"type": "refusal", "refusal": refusal})),
        Part::Image { .. } if text_type == "output_text" => {
            Err(Unsupported::new(part.at, "responses has no images in an answer"))
        }
        Part::Image { source, detail } => {
            let mut image = Map::new();
            put(&mut image, "type", Some("input_image"));
            put(&mut image, "image_url", Some(source.into_url()));
            put(&mut image, "detail", Some(detail.unwrap_or_else(|| "auto".to_owned())));
            Ok(Value::Object(image))
        }
    }
}
