//! The agent itself: its prompt, its memory, and its turns. The door and the schedules both speak to it through [`Agent::say`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::manifest::{Manifest, read_file};
use crate::memory::Memory;
use crate::{ReferenceError, http, model, tools};

pub(crate) struct Agent {
    pub(crate) manifest: Manifest,
    pub(crate) memory: Memory,
    prompt: String,
    client: reqwest::Client,
    /// One turn at a time: a conversation's order is its meaning. It holds why the last turn failed.
    turn: Mutex<Option<String>>,
    /// It is about to be stopped and begins nothing new.
    is_draining: AtomicBool,
}

impl Agent {
    pub(crate) fn new(manifest: Manifest) -> Result<Self, ReferenceError> {
        let prompt = prompt(&manifest)?;
        let memory = Memory::open(&manifest.state)?;
        let client = http(Duration::from_secs(120))?;
        Ok(Self { manifest, memory, prompt, client, turn: Mutex::new(None), is_draining: AtomicBool::new(false) })
    }

    /// Says something to the agent, after whoever came before.
    pub(crate) async fn say(&self, conversation: &str, text: &str) -> Result<Turn, ReferenceError> {
        if self.is_draining() {
            return Err(ReferenceError::Draining);
        }
        let mut last_error = self.turn.lock().await;
        let result = turn(self, conversation, text).await;
        *last_error = result.as_ref().err().map(ToString::to_string);
        result
    }

    /// Begins nothing new from now on, and returns once what was begun is done: who came before is heard first.
    pub(crate) async fn drain(&self) {
        self.is_draining.store(true, Ordering::SeqCst);
        drop(self.turn.lock().await);
    }

    /// Returns whether it is about to be stopped.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::SeqCst)
    }

    /// Returns why the last turn failed; nothing while one runs.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.turn.try_lock().ok().and_then(|turn| turn.clone())
    }
}

/// A turn that ended with an answer.
pub(crate) struct Turn {
    pub(crate) reply: String,
    /// The model that gave it.
    pub(crate) model: String,
    /// How often a model was asked.
    pub(crate) steps: u32,
}

/// The contract, the letter, and the index of skills.
fn prompt(manifest: &Manifest) -> Result<String, ReferenceError> {
    let mut prompt = read_file(&manifest.contract)?;
    if !prompt.contains("--- BEGIN: CLAWDAPUS.md") {
        prompt.push_str(&read_file(&manifest.letter)?);
    }
    prompt.push_str("\nRead a skill with the tool `read_skill` before you use what it describes.\n");
    prompt.extend(manifest.settings.system_note.as_deref());
    Ok(prompt)
}

/// One turn: the model answers, its tools run, until it has nothing more to ask for. Only a finished turn is remembered.
async fn turn(agent: &Agent, conversation: &str, text: &str) -> Result<Turn, ReferenceError> {
    let settings = &agent.manifest.settings;
    let said = json!({"role": "user", "content": text});
    let earlier = agent.memory.read(conversation);
    let skipped = earlier.len().saturating_sub(settings.history);
    let mut messages = vec![json!({"role": "system", "content": agent.prompt})];
    messages.extend_from_slice(&earlier[skipped..]);
    messages.push(said.clone());
    let tools = tools::described();
    for steps in 1..=settings.max_steps.max(1) {
        let (answer, model) =
            model::complete(&agent.manifest.models, settings, &messages, &tools, &agent.client).await?;
        let calls = answer["tool_calls"].as_array().cloned().unwrap_or_default();
        if calls.is_empty() {
            let reply = answer["content"].as_str().unwrap_or("").to_owned();
            agent.memory.append(conversation, &[said, json!({"role": "assistant", "content": reply})])?;
            return Ok(Turn { reply, model, steps });
        }
        messages.push(answer);
        for call in calls {
            let arguments = call["function"]["arguments"].as_str().unwrap_or("{}");
            let arguments = serde_json::from_str(arguments).unwrap_or(Value::Null);
            let name = call["function"]["name"].as_str().unwrap_or("");
            let result = tools::run(name, &arguments, &agent.manifest, &agent.client).await;
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": result}));
        }
    }
    Err(ReferenceError::Model(format!("no answer after {} steps", settings.max_steps)))
}
