//! Inputs that can be read only once.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use tempfile::{NamedTempFile, TempPath};

/// The path that stands for standard input.
pub(super) const STDIN: &str = "-";

/// A file with all that the input has, if it is standard input or a pipe; it is deleted when dropped.
pub(super) fn spooled(path: &Path) -> io::Result<Option<TempPath>> {
    let mut input: Box<dyn Read> = if path == Path::new(STDIN) {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() {
            return Ok(None);
        }
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Box::new(file)
    };
    let mut file = NamedTempFile::new()?;
    io::copy(&mut input, &mut file)?;
    Ok(Some(file.into_temp_path()))
}
