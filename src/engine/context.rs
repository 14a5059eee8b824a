//! Build contexts: a directory as a byte-stable archive, without what `.dockerignore` names and without what is claw's.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::files::entries;
use crate::ignore::{BadPattern, Ignore};

/// Why a context cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A file cannot be read.
    #[error("cannot read `{path}` of the build context: {source}")]
    Read {
        /// Which.
        path: String,
        /// What the host said.
        source: io::Error,
    },
    /// A line of `.dockerignore` is none.
    #[error("`{0}` in `{1}` is not a pattern")]
    Pattern(String, String),
    /// A name that no archive of text names can hold.
    #[error("the name `{0}` in the build context is not UTF-8")]
    Name(String),
}

/// What is never sent, whatever `.dockerignore` says.
#[derive(Clone, Debug, Default)]
pub struct Never {
    /// Names of files and directories at any depth.
    pub names: BTreeSet<String>,
    /// Paths on the host.
    pub paths: BTreeSet<PathBuf>,
}

/// A context, ready to be sent.
pub(crate) struct Context {
    folder: PathBuf,
    names: Vec<String>,
    /// The Dockerfile that is sent instead of a file, or beside them: its path in the context, its text.
    dockerfile: Option<(String, String)>,
}

impl Context {
    /// Opens a folder; `dockerfile` is the path of the Dockerfile in the context, `generated` its text where claw made it.
    pub(crate) fn open(
        folder: &Path,
        dockerfile: &str,
        generated: Option<&str>,
        never: &Never,
    ) -> Result<Self, ContextError> {
        let ignore = ignore(folder, dockerfile)?;
        let mut names = Vec::new();
        collect(folder, "", never, &mut names)?;
        names.sort();
        // The builder needs the Dockerfile, whatever the patterns say of it.
        names.retain(|name| name == dockerfile || !ignore.has(name));
        let dockerfile = generated.map(|text| (dockerfile.to_owned(), text.to_owned()));
        if let Some((own, _)) = &dockerfile {
            names.retain(|name| name != own);
        }
        Ok(Self { folder: folder.to_owned(), names, dockerfile })
    }

    /// Returns the digest of what is read of the archive, and of everything else that shapes the image.
    pub(crate) fn digest(&self, seed: &str, reads: Option<&[String]>) -> Result<String, ContextError> {
        let mut hash = Hash(Sha256::new());
        hash.0.update(seed);
        self.write(&mut hash, &self.read(reads))?;
        Ok(hash.0.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns the archive: the same bytes from the same files, whoever owns them and whenever they were written.
    pub(crate) fn archive(&self) -> Result<Vec<u8>, ContextError> {
        let mut archive = Vec::new();
        self.write(&mut archive, &self.names.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(archive)
    }

    /// Returns the names that are read: below the paths, and what leads there. A link may lead anywhere: then all of them.
    fn read(&self, reads: Option<&[String]>) -> Vec<&str> {
        let all = || self.names.iter().map(String::as_str);
        let Some(paths) = reads else { return all().collect() };
        let is_below = |name: &str, path: &str| {
            name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_read = |name: &&str| paths.iter().any(|path| is_below(name, path) || is_below(path, name));
        let read: Vec<&str> = all().filter(is_read).collect();
        let is_link = |name: &&str| self.folder.join(name).is_symlink();
        if read.iter().any(is_link) { all().collect() } else { read }
    }

    fn write(&self, out: &mut dyn Write, names: &[&str]) -> Result<(), ContextError> {
        let mut builder = tar::Builder::new(out);
        builder.follow_symlinks(false);
        for name in names {
            let failed = |source| ContextError::Read { path: (*name).to_owned(), source };
            append(&mut builder, &self.folder.join(name), name).map_err(failed)?;
        }
        let failed = |source| ContextError::Read { path: "Dockerfile".to_owned(), source };
        if let Some((name, text)) = &self.dockerfile {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            builder.append_data(&mut header, name, text.as_bytes()).map_err(failed)?;
        }
        builder.finish().map_err(failed)
    }
}

struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `<Dockerfile>.dockerignore` wins over `.dockerignore`, as in BuildKit.
fn ignore(folder: &Path, dockerfile: &str) -> Result<Ignore, ContextError> {
    for name in [format!("{dockerfile}.dockerignore"), ".dockerignore".to_owned()] {
        match fs::read_to_string(folder.join(&name)) {
            Ok(text) => {
                return Ignore::parse(&text).map_err(|BadPattern(line)| ContextError::Pattern(line, name));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ContextError::Read { path: name, source }),
        }
    }
    Ok(Ignore::default())
}

fn append(builder: &mut tar::Builder<&mut dyn Write>, path: &Path, name: &str) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    let mut header = tar::Header::new_gnu();
    header.set_metadata_in_mode(&metadata, tar::HeaderMode::Deterministic);
    header.set_mtime(0);
    if metadata.is_symlink() {
        return builder.append_link(&mut header, name, fs::read_link(path)?);
    }
    if metadata.is_dir() {
        return builder.append_data(&mut header, format!("{name}/"), io::empty());
    }
    builder.append_data(&mut header, name, fs::File::open(path)?)
}

fn collect(folder: &Path, below: &str, never: &Never, names: &mut Vec<String>) -> Result<(), ContextError> {
    let failed = |source| ContextError::Read { path: below.to_owned(), source };
    for entry in entries(&folder.join(below)).map_err(failed)? {
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| ContextError::Name(name.to_string_lossy().into_owned()))?;
        if never.names.contains(name) || never.paths.contains(&entry.path()) {
            continue;
        }
        let name = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            collect(folder, &name, never, names)?;
        }
        // Sockets and devices cannot be sent; docker leaves them out too.
        if kind.is_dir() || kind.is_file() || kind.is_symlink() {
            names.push(name);
        }
    }
    Ok(())
}
