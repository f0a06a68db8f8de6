//! Settings in files that are read again when the files change, without a restart.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use sha2::{Digest, Sha256};

use crate::platform::error::{Error, Result};

/// The largest file, in bytes: far more than thousands of tokens or certificates take.
const FILE_BYTES: u64 = 4 << 20;

/// A file of settings.
pub struct SettingsFile {
    /// The flag that names it.
    flag: &'static str,
    path: PathBuf,
}

/// A file of settings and what it holds.
pub struct FileContent<'a> {
    file: &'a SettingsFile,
    /// The whole file.
    pub bytes: Vec<u8>,
}

impl SettingsFile {
    /// The file that a flag, such as `--tokens`, names.
    #[must_use]
    pub fn new(flag: &'static str, path: &Path) -> Self {
        Self { flag, path: path.to_owned() }
    }

    fn invalid(&self, what: &dyn Display) -> Error {
        Error::invalid(self.flag, format!("{}: {what}", self.path.display()))
    }

    fn read(&self) -> Result<FileContent<'_>> {
        let mut bytes = Vec::new();
        let read = |bytes: &mut Vec<u8>| -> io::Result<usize> {
            File::open(&self.path)?.take(FILE_BYTES + 1).read_to_end(bytes)
        };
        match read(&mut bytes) {
            Ok(size) if size as u64 > FILE_BYTES => {
                Err(self.invalid(&format_args!("is larger than {FILE_BYTES} bytes")))
            }
            Ok(_) => Ok(FileContent { file: self, bytes }),
            Err(error) => Err(self.invalid(&error)),
        }
    }
}

impl FileContent<'_> {
    /// An error that names the flag and the file.
    pub fn invalid(&self, what: impl Display) -> Error {
        self.file.invalid(&what)
    }
}

type Parse<T> = Box<dyn Fn(&[FileContent<'_>]) -> Result<T> + Send + Sync>;
/// The hash of the files, or why they cannot be read.
type Fingerprint = Result<[u8; 32], String>;

/// What some files say, as of their last good content.
pub struct Reloadable<T> {
    files: Vec<SettingsFile>,
    parse: Parse<T>,
    current: RwLock<Arc<T>>,
    seen: Mutex<Seen>,
}

struct Seen {
    /// What was last taken or refused.
    handled: Fingerprint,
    /// What was found since then, once.
    found: Option<Fingerprint>,
}

/// What [`Reloadable`]s of different types have in common.
pub trait Reload: Send + Sync {
    /// Reads the files. None when there is nothing new; otherwise whether the new content is good and taken.
    fn poll(&self) -> Option<Result<()>>;
    /// The flags that name the files.
    fn flags(&self) -> String;
}

impl<T> Reloadable<T> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names the flag and the file.
    pub fn open(
        files: Vec<SettingsFile>,
        parse: impl Fn(&[FileContent<'_>]) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Self> {
        let contents = read(&files)?;
        let handled = Ok(fingerprint(&contents));
        let current = RwLock::new(Arc::new(parse(&contents)?));
        drop(contents);
        let seen = Mutex::new(Seen { handled, found: None });
        Ok(Self { files, parse: Box::new(parse), current, seen })
    }

    /// What the files say.
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Send + Sync> Reload for Reloadable<T> {
    /// New content counts when two polls in a row find the same, since files may be read while they are written.
    fn poll(&self) -> Option<Result<()>> {
        let contents = read(&self.files);
        let print = match &contents {
            Ok(contents) => Ok(fingerprint(contents)),
            Err(error) => Err(error.to_string()),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if print == seen.handled {
            seen.found = None;
            return None;
        }
        if seen.found.as_ref() != Some(&print) {
            seen.found = Some(print);
            return None;
        }
        *seen = Seen { handled: print, found: None };
        let taken = contents.and_then(|contents| (self.parse)(&contents)).map(|new| {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        });
        Some(taken)
    }

    fn flags(&self) -> String {
        self.files.iter().map(|file| file.flag).collect::<Vec<_>>().join(" ")
    }
}

fn read(files: &[SettingsFile]) -> Result<Vec<FileContent<'_>>> {
    files.iter().map(SettingsFile::read).collect()
}

fn fingerprint(contents: &[FileContent<'_>]) -> [u8; 32] {
    let hash = contents.iter().fold(Sha256::new(), |hash, content| {
        hash.chain_update((content.bytes.len() as u64).to_le_bytes()).chain_update(&content.bytes)
    });
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn new_content_counts_when_it_is_good_and_found_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        let file = || SettingsFile::new("--number", &path);
        let parse = |files: &[FileContent<'_>]| {
            let number = std::str::from_utf8(&files[0].bytes).ok().and_then(|text| text.parse::<u32>().ok());
            number.ok_or_else(|| files[0].invalid("is no number"))
        };
        let missing = Reloadable::open(vec![file()], parse).err().unwrap().to_string();
        assert!(missing.starts_with(&format!("--number: {}: ", path.display())), "{missing}");
        fs::write(&path, "1").unwrap();
        let number = Reloadable::open(vec![file()], parse).unwrap();
        let polls = || [number.poll(), number.poll()].map(|poll| poll.map(|taken| taken.is_ok()));
        assert_eq!(polls(), [None, None]);
        // Each content, what two polls find, and what counts then.
        for (content, found, current) in [
            (Some("2"), [None, Some(true)], 2),
            (Some("x"), [None, Some(false)], 2),
            (Some("x"), [None, None], 2),
            (None, [None, Some(false)], 2),
            (Some("3"), [None, Some(true)], 3),
        ] {
            match content {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            assert_eq!((polls(), *number.current()), (found, current), "{content:?}");
        }
        // A file that is empty for a moment, while it is written.
        fs::write(&path, "").unwrap();
        assert!(number.poll().is_none());
        fs::write(&path, "3").unwrap();
        assert!(number.poll().is_none() && number.poll().is_none());
    }
}
