//! The files of a persona, and the one archive they are: sorted, without owners and times, so that the same files are the same bytes.
//!
//! What comes out of an archive that somebody else made is looked at entry by entry: regular files and directories below one directory, and
//! nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use claw_types::path::PodPath;
use claw_types::persona::Archive;
use sha2::{Digest, Sha256};

use super::PersonaError;

/// The most files of a persona.
pub(super) const MOST_FILES: usize = 1000;

/// The most bytes of its files together.
pub(super) const MOST_BYTES: usize = 8 * 1024 * 1024;

/// The most bytes of an archive of so many files: headers, and what fills blocks up.
pub(super) const MOST_ARCHIVE: usize = MOST_BYTES + MOST_FILES * 4096;

/// The most bytes of a path.
const MOST_PATH: usize = 255;

/// How deep directories may lie in each other.
const MOST_DEEP: usize = 16;

/// Names that a persona does not hold: secrets lie there, or what a tool keeps.
const NEVER: [&str; 3] = [".claw", ".env", ".git"];

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    bytes: Vec<u8>,
    is_program: bool,
}

/// Files by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    all: BTreeMap<PodPath, File>,
    bytes: usize,
    /// Links and other things that were left out.
    left: usize,
}

impl Files {
    /// Returns how many files there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the bytes of all files together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many links and other things that are no files were left out.
    pub fn left_out(&self) -> usize {
        self.left
    }

    /// Returns the files that are texts, by path.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&PodPath, &str)> {
        let texts = self.all.iter().filter(|(_, file)| !file.bytes.contains(&0));
        texts.filter_map(|(path, file)| Some((path, std::str::from_utf8(&file.bytes).ok()?)))
    }

    fn add(&mut self, path: PodPath, bytes: Vec<u8>, is_program: bool) -> Result<(), PersonaError> {
        let text = path.as_str();
        if is_long(&path) {
            return Err(PersonaError::new(format!("has a path that is too long: `{text}`")));
        }
        if let Some(name) = never(&path) {
            return Err(PersonaError::new(format!("holds `{name}`, which no agent should have: `{text}`")));
        }
        let below = format!("{text}/");
        let is_above = |other: &PodPath| other.as_str().starts_with(&below) || text.starts_with(&format!("{other}/"));
        if self.all.contains_key(&path) || self.all.keys().any(is_above) {
            return Err(PersonaError::new(format!("has two things at `{text}`")));
        }
        self.bytes += bytes.len();
        if self.all.len() == MOST_FILES {
            return Err(PersonaError::new(format!("has more than {MOST_FILES} files")));
        }
        if self.bytes > MOST_BYTES {
            return Err(too_big());
        }
        self.all.insert(path, File { bytes, is_program });
        Ok(())
    }

    /// Reads a file or a directory below a root; nothing where there is none. A link that leads to a file of the same persona is that file.
    pub(super) fn read(root: &Path, path: &PodPath) -> Result<Option<Self>, PersonaError> {
        let Some(real) = inside(root, path)? else { return Ok(None) };
        Self::read_at(&real).map(Some)
    }

    /// Reads a file or a directory anywhere on the host.
    ///
    /// # Errors
    /// Where the host refuses, or it is no persona.
    pub fn read_at(path: &Path) -> Result<Self, PersonaError> {
        let mut files = Self::default();
        let real = path.canonicalize().map_err(|error| PersonaError::host(path, &error))?;
        let metadata = fs::metadata(&real).map_err(|error| PersonaError::host(path, &error))?;
        if metadata.is_dir() {
            files.walk(&real, &real, 0)?;
        } else if metadata.is_file() {
            let name = real.file_name().and_then(|name| name.to_str()).unwrap_or("");
            let path = PodPath::parse(name).map_err(|bad| PersonaError::new(format!("has a name that {bad}")))?;
            files.take(&real, path)?;
        } else {
            return Err(PersonaError::new("is neither a file nor a directory"));
        }
        match files.is_empty() {
            true => Err(PersonaError::new("holds no file")),
            false => Ok(files),
        }
    }

    fn walk(&mut self, top: &Path, directory: &Path, depth: usize) -> Result<(), PersonaError> {
        if depth > MOST_DEEP {
            return Err(PersonaError::new("has directories that lie too deep in each other"));
        }
        let failed = |error: io::Error| PersonaError::host(directory, &error);
        for entry in crate::files::entries(directory).map_err(failed)? {
            let path = entry.path();
            let shown = path.strip_prefix(top).unwrap_or(&path);
            let below = shown.to_str().and_then(|text| PodPath::parse(text).ok());
            let below = below.ok_or_else(|| {
                PersonaError::new(format!(
                    "has a name that is no plain text: `{}`",
                    shown.display().to_string().escape_debug()
                ))
            })?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                self.walk(top, &path, depth + 1)?;
                continue;
            }
            let real = path.canonicalize();
            let is_inside = real.as_ref().is_ok_and(|real| real.starts_with(top) && real.is_file());
            if kind.is_symlink() && !is_inside {
                return Err(PersonaError::new(format!("has a link that leads to no file of it: `{below}`")));
            }
            if !kind.is_symlink() && !kind.is_file() {
                return Err(PersonaError::new(format!("has something that is no file: `{below}`")));
            }
            self.take(&real.map_err(failed)?, below)?;
        }
        Ok(())
    }

    fn take(&mut self, real: &Path, path: PodPath) -> Result<(), PersonaError> {
        let failed = |error: io::Error| PersonaError::host(real, &error);
        let file = fs::OpenOptions::new().read(true).custom_flags(NO_WAIT).open(real).map_err(failed)?;
        let is_program = file.metadata().map_err(failed)?.permissions().mode() & 0o100 != 0;
        let mut bytes = Vec::new();
        file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        self.add(path, bytes, is_program)
    }

    /// Reads a tar. `prefix` is a directory whose content is meant, where one is. Where `is_lenient`, what no persona holds is left out, and
    /// refused otherwise.
    pub(super) fn unpack(archive: impl Read, prefix: &str, is_lenient: bool) -> Result<Self, PersonaError> {
        let broken = |error: io::Error| PersonaError::new(format!("is no archive: {error}"));
        let mut files = Self::default();
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let name = entry.path_bytes().into_owned();
            let shown = String::from_utf8_lossy(&name).escape_debug().to_string();
            let path = match below(&name, prefix) {
                Err(_) if is_lenient => {
                    files.left += 1;
                    continue;
                }
                other => other.map_err(|why| PersonaError::new(format!("{why}: `{shown}`")))?,
            };
            let kind = entry.header().entry_type();
            if kind.is_dir() || kind.is_pax_global_extensions() {
                continue;
            }
            let Some(path) = path else { continue };
            let is_kept = kind.is_file() && !(is_lenient && (never(&path).is_some() || is_long(&path)));
            if !is_kept {
                if is_lenient {
                    files.left += 1;
                    continue;
                }
                return Err(PersonaError::new(format!("has a link or a device: `{shown}`")));
            }
            // Neither what a header says nor what follows it is believed.
            if entry.size() > MOST_BYTES as u64 {
                return Err(too_big());
            }
            let is_program = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
            let mut bytes = Vec::new();
            (&mut entry).take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(broken)?;
            files.add(path, bytes, is_program)?;
        }
        Ok(files)
    }

    /// Returns the archive: directories and files in the order of their paths, each root's and without a time.
    pub fn archive(&self) -> Archive {
        Archive::new(self.packed("", (0, 0)))
    }

    /// Returns the archive of a directory of this name, all of which belongs to a user.
    pub(super) fn packed(&self, directory: &str, (uid, gid): (u32, u32)) -> Vec<u8> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let mut names: BTreeMap<String, Option<&File>> = BTreeMap::new();
        if !directory.is_empty() {
            names.insert(prefix.clone(), None);
        }
        for (path, file) in &self.all {
            let text = path.as_str();
            names.extend(text.match_indices('/').map(|(end, _)| (format!("{prefix}{}", &text[..=end]), None)));
            names.insert(format!("{prefix}{text}"), Some(file));
        }
        let mut archive = tar::Builder::new(Vec::new());
        for (name, file) in names {
            let mut header = tar::Header::new_gnu();
            let bytes = file.map_or(&[][..], |file| &file.bytes);
            header.set_entry_type(if file.is_some() { tar::EntryType::Regular } else { tar::EntryType::Directory });
            header.set_mode(file.map_or(0o755, |file| if file.is_program { 0o755 } else { 0o644 }));
            header.set_uid(u64::from(uid));
            header.set_gid(u64::from(gid));
            header.set_mtime(0);
            header.set_size(bytes.len() as u64);
            // Writing into memory does not fail, and no path is one that a tar cannot hold.
            let _ = archive.append_data(&mut header, &name, bytes);
        }
        archive.into_inner().unwrap_or_default()
    }

    /// Writes the files into a directory that is not there yet.
    ///
    /// # Errors
    /// Where something is there, or the host refuses.
    pub fn write(&self, folder: &Path) -> Result<(), PersonaError> {
        whole(folder, |folder| self.write_into(folder))
    }

    fn write_into(&self, folder: &Path) -> Result<(), PersonaError> {
        let failed = |error: io::Error| PersonaError::host(folder, &error);
        let directory = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
        directory(folder).map_err(failed)?;
        for (path, file) in &self.all {
            let place = folder.join(path.as_str());
            directory(place.parent().unwrap_or(folder)).map_err(failed)?;
            let mode = if file.is_program { 0o755 } else { 0o644 };
            let mut options = fs::OpenOptions::new();
            let mut open = options.write(true).create_new(true).mode(mode).open(&place).map_err(failed)?;
            io::Write::write_all(&mut open, &file.bytes).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes the archive of the files into a file that is not there yet.
    ///
    /// # Errors
    /// Where something is there, or the host refuses.
    pub fn write_tar(&self, place: &Path) -> Result<(), PersonaError> {
        whole(place, |at| fs::write(at, self.archive().bytes()).map_err(|error| PersonaError::host(place, &error)))
    }
}

/// Looks whether nothing is at a place where something is to be written.
///
/// # Errors
/// Where something is.
pub fn free(place: &Path) -> Result<(), PersonaError> {
    match place.symlink_metadata() {
        Ok(_) => Err(PersonaError::new(format!("is not written: `{}` is there already", place.display()))),
        Err(_) => Ok(()),
    }
}

/// Makes something beside its place and moves it there: what is there under its name is whole.
pub(super) fn whole<T>(place: &Path, make: impl FnOnce(&Path) -> Result<T, PersonaError>) -> Result<T, PersonaError> {
    free(place)?;
    let failed = |error: io::Error| PersonaError::host(place, &error);
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = place.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let made = make(&temporary).and_then(|made| {
        free(place)?;
        fs::rename(&temporary, place).map_err(failed)?;
        Ok(made)
    });
    if made.is_err() {
        let _ = fs::remove_dir_all(&temporary).or_else(|_| fs::remove_file(&temporary));
    }
    made
}

/// Returns where a path below a root really lies; nothing where there is none. Neither the path nor what it leads to lies in what no
/// persona holds.
pub(super) fn inside(root: &Path, path: &PodPath) -> Result<Option<PathBuf>, PersonaError> {
    let refused = |name: &str| PersonaError::new(format!("lies in `{name}`, which no agent should have"));
    if let Some(name) = never(path) {
        return Err(refused(name));
    }
    let whole = root.join(path.as_str());
    let (Ok(real), Ok(real_root)) = (whole.canonicalize(), root.canonicalize()) else { return Ok(None) };
    let Ok(below) = real.strip_prefix(&real_root) else {
        return Err(PersonaError::new("leads out of the pod's directory"));
    };
    if below.as_os_str().is_empty() {
        return Err(PersonaError::new("is the pod's directory itself, which holds more than a persona"));
    }
    match NEVER.iter().find(|name| below.iter().any(|part| part == **name)) {
        Some(name) => Err(refused(name)),
        None => Ok(Some(real)),
    }
}

/// Returns whether a path is longer or lies deeper than one of a persona may.
fn is_long(path: &PodPath) -> bool {
    path.as_str().len() > MOST_PATH || path.as_str().split('/').count() > MOST_DEEP
}

/// Returns the part of a path that no persona holds.
fn never(path: &PodPath) -> Option<&'static str> {
    NEVER.iter().find(|name| path.as_str().split('/').any(|part| part == **name)).copied()
}

/// `O_NONBLOCK`: what became a pipe meanwhile is not waited for.
const NO_WAIT: i32 = 0o4000;

pub(super) fn too_big() -> PersonaError {
    PersonaError::new(format!("is larger than {} MiB", MOST_BYTES / 1024 / 1024))
}

/// Returns a path of an archive below a prefix; nothing for the top itself, and for what is beside the prefix.
fn below(name: &[u8], prefix: &str) -> Result<Option<PodPath>, &'static str> {
    let text = std::str::from_utf8(name).map_err(|_| "has a name that is no plain text")?;
    if text.starts_with('/') {
        return Err("has an absolute path");
    }
    if text.split('/').any(|part| part == "..") {
        return Err("has a path that leads out of it");
    }
    let text = text.trim_start_matches("./").trim_end_matches('/');
    let text = match prefix.is_empty() {
        true => text,
        false => match text.strip_prefix(prefix) {
            Some(rest) if rest.starts_with('/') => &rest[1..],
            _ => return Ok(None),
        },
    };
    if text.is_empty() || text == "." {
        return Ok(None);
    }
    PodPath::parse(text).map(Some).map_err(|_| "has a name that is no plain text")
}

/// Returns the digest of bytes: `sha256:…`.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a tar of one entry with any name, as no well-behaved tool writes it.
    fn entry(name: &str, kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("/etc/passwd").expect("a link");
        }
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, content).expect("added");
        archive.into_inner().expect("an archive")
    }

    fn refused(archive: &[u8]) -> String {
        Files::unpack(archive, "", false).expect_err("refused").to_string()
    }

    #[test]
    fn what_leads_out_of_an_archive_is_refused() {
        use tar::EntryType;
        let file = EntryType::Regular;
        let rows = [
            (entry("../x", file, b"x"), "has a path that leads out of it: `../x`"),
            (entry("a/../../x", file, b"x"), "has a path that leads out of it: `a/../../x`"),
            (entry("/etc/x", file, b"x"), "has an absolute path: `/etc/x`"),
            (entry("x", EntryType::Symlink, b""), "has a link or a device: `x`"),
            (entry("x", EntryType::Link, b""), "has a link or a device: `x`"),
            (entry("x", EntryType::Char, b""), "has a link or a device: `x`"),
            (entry("x", EntryType::Fifo, b""), "has a link or a device: `x`"),
            (entry("a\nb", file, b"x"), "has a name that is no plain text: `a\\nb`"),
            (entry("a/.env", file, b"x"), "holds `.env`, which no agent should have: `a/.env`"),
        ];
        for (archive, expected) in rows {
            assert_eq!(refused(&archive), expected);
        }
        assert!(refused(b"not a tar at all, but long enough to be looked at").starts_with("is no archive: "));
    }

    #[test]
    fn the_same_files_are_the_same_bytes_and_come_back() {
        let mut files = Files::default();
        for (path, text) in [("SOUL.md", "calm\n"), ("notes/b.md", "b"), ("notes/a.md", "")] {
            files.add(PodPath::parse(path).expect("a path"), text.into(), path.ends_with("b.md")).expect("added");
        }
        let archive = files.archive();
        assert_eq!(Files::unpack(archive.bytes(), "", false).expect("read"), files);
        let mut other = Files::default();
        for (path, file) in files.all.iter().rev() {
            other.add(path.clone(), file.bytes.clone(), file.is_program).expect("added");
        }
        assert_eq!(other.archive(), archive);
        let owned = files.packed("bot-persona", (7, 8));
        assert_eq!(Files::unpack(owned.as_slice(), "bot-persona", false).expect("read"), files);
        assert!(Files::unpack(owned.as_slice(), "bot", false).expect("read").is_empty(), "another directory's");
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_left_out_of_a_snapshot_and_counted() {
        let mut archive = tar::Builder::new(Vec::new());
        for name in ["SOUL.md".to_owned(), "n".repeat(256), format!("{}/x", ["d"; 16].join("/"))] {
            let mut header = tar::Header::new_gnu();
            header.set_size(1);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, &b"x"[..]).expect("added");
        }
        let archive = archive.into_inner().expect("an archive");
        let files = Files::unpack(archive.as_slice(), "", true).expect("read");
        assert_eq!((files.len(), files.left_out()), (1, 2));
        assert!(refused(&archive).starts_with("has a path that is too long: `nnn"), "what others made is refused");
    }

    #[test]
    fn what_is_written_is_whole_or_not_there() {
        let root = std::env::temp_dir().join(format!("claw-persona-whole-{}", std::process::id()));
        fs::create_dir_all(&root).expect("made");
        let place = root.join("new/out");
        let why = whole(&place, |at| {
            fs::create_dir_all(at.join("half")).expect("made");
            Err::<(), _>(PersonaError::new("is cut off"))
        });
        assert_eq!(why, Err(PersonaError::new("is cut off")));
        assert_eq!(fs::read_dir(root.join("new")).expect("there").count(), 0, "nothing is left of it");
        let mut files = Files::default();
        files.add(PodPath::parse("a/SOUL.md").expect("a path"), b"calm".to_vec(), false).expect("added");
        files.write(&place).expect("written");
        assert_eq!(fs::read(place.join("a/SOUL.md")).expect("read"), b"calm");
        files.write_tar(&root.join("out.tar")).expect("written");
        assert_eq!(fs::read(root.join("out.tar")).expect("read"), files.archive().bytes());
        for there in ["new/out", "out.tar"] {
            let why = files.write(&root.join(there)).expect_err("refused").to_string();
            assert!(why.ends_with("is there already") && files.write_tar(&root.join(there)).is_err(), "{why}");
        }
        fs::remove_dir_all(root).expect("removed");
    }

    #[test]
    fn sizes_and_numbers_are_bounded() {
        let mut files = Files::default();
        let path = |number: usize| PodPath::parse(&format!("f{number}")).expect("a path");
        for number in 0..MOST_FILES {
            files.add(path(number), Vec::new(), false).expect("added");
        }
        assert_eq!(
            files.add(path(MOST_FILES), Vec::new(), false).expect_err("refused").to_string(),
            "has more than 1000 files"
        );
        let mut big = Files::default();
        big.add(path(0), vec![0; MOST_BYTES], false).expect("added");
        assert_eq!(big.add(path(1), vec![0], false).expect_err("refused").to_string(), "is larger than 8 MiB");
        let mut header = tar::Header::new_gnu();
        header.set_path("x").expect("a path");
        header.set_size(1 << 40);
        header.set_cksum();
        assert_eq!(refused(header.as_bytes()), "is larger than 8 MiB");
    }

    #[test]
    fn links_of_a_directory_lead_to_its_own_files_or_are_refused() {
        let root = std::env::temp_dir().join(format!("claw-persona-files-{}", std::process::id()));
        let pod = root.join("pod");
        fs::create_dir_all(pod.join("p")).expect("made");
        fs::write(root.join("outside"), "x").expect("written");
        fs::write(pod.join("p/SOUL.md"), "calm").expect("written");
        std::os::unix::fs::symlink("SOUL.md", pod.join("p/same.md")).expect("linked");
        let path = |text: &str| PodPath::parse(text).expect("a path");
        let read = |name: &str| Files::read(&pod, &path(name));
        assert_eq!(read("p").expect("read").expect("there").len(), 2);
        assert_eq!(read("p/SOUL.md").expect("read").expect("there").len(), 1);
        assert_eq!(read("q").expect("looked for"), None);
        std::os::unix::fs::symlink("../../outside", pod.join("p/out.md")).expect("linked");
        assert_eq!(read("p").expect_err("refused").to_string(), "has a link that leads to no file of it: `out.md`");
        std::os::unix::fs::symlink(&root, pod.join("up")).expect("linked");
        assert_eq!(read("up").expect_err("refused").to_string(), "leads out of the pod's directory");
        // What no persona holds is none, however it is come to.
        fs::create_dir_all(pod.join(".claw/pod/state")).expect("made");
        fs::write(pod.join(".claw/pod/state/keys"), "canary").expect("written");
        std::os::unix::fs::symlink(".claw/pod/state", pod.join("calm")).expect("linked");
        for name in [".claw", ".claw/pod/state", ".claw/pod/state/keys", ".claw/none", "calm"] {
            let why = read(name).expect_err("refused").to_string();
            assert_eq!(why, "lies in `.claw`, which no agent should have", "{name}");
        }
        fs::remove_dir_all(root).expect("removed");
    }
}
