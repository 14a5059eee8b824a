//! What the agent remembers: one file of JSON lines a conversation, on its state volume.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::ReferenceError;

/// The conversations of an agent.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    folder: PathBuf,
}

impl Memory {
    pub(crate) fn open(state: &str) -> Result<Self, ReferenceError> {
        let folder = PathBuf::from(state).join("conversations");
        std::fs::create_dir_all(&folder)
            .map_err(|source| ReferenceError::File { path: folder.display().to_string(), source })?;
        Ok(Self { folder })
    }

    /// Returns the messages of a conversation. A last line that was cut off by a crash is left out.
    pub(crate) fn read(&self, conversation: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(conversation)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Appends messages; they are on the disk when this returns.
    pub(crate) fn append(&self, conversation: &str, messages: &[Value]) -> Result<(), ReferenceError> {
        append_lines(&self.path(conversation), messages)
    }

    /// Returns how many conversations there are.
    pub(crate) fn count(&self) -> usize {
        std::fs::read_dir(&self.folder).map_or(0, |entries| entries.count())
    }

    fn path(&self, conversation: &str) -> PathBuf {
        self.folder.join(format!("{conversation}.jsonl"))
    }
}

/// Appends lines of JSON to a file; they are on the disk when this returns.
pub(crate) fn append_lines(path: &Path, lines: &[Value]) -> Result<(), ReferenceError> {
    let failed = |source| ReferenceError::File { path: path.display().to_string(), source };
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(failed)?;
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if is_torn(&mut file).map_err(failed)? {
        // Else the first new line would become part of what a crash left, and be lost with it.
        text.insert(0, '\n');
    }
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// Returns whether a file's last line has no end.
fn is_torn(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Returns whether a text may name a conversation: it becomes a file's name.
pub(crate) fn is_conversation(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.len() <= 64 && name.bytes().all(is_word)
}
