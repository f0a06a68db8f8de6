//! Files that a program writes. Each is written beside its place and renamed when it is complete, so that a program
//! that ends early leaves what was there before.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// A file that is being written.
pub struct OutputFile(Place);

enum Place {
    Beside {
        file: NamedTempFile,
        path: PathBuf,
    },
    /// What is not a regular file, such as a pipe, cannot be replaced.
    Direct(File),
}

impl OutputFile {
    /// Begins a file; nothing is at `path` before [`finish`](Self::finish).
    ///
    /// # Errors
    /// When the folder does not exist or cannot be written to.
    pub fn create(path: &Path) -> io::Result<Self> {
        // The file that a link leads to is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if path.exists() && !path.is_file() {
            return File::create(path).map(|file| Self(Place::Direct(file)));
        }
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        // As readable as other new files, of which the umask decides.
        let permissions = Permissions::from_mode(0o666);
        let mut beside = tempfile::Builder::new();
        beside.prefix(".").suffix(".partial").permissions(permissions);
        let file = beside.tempfile_in(folder)?;
        Ok(Self(Place::Beside { file, path }))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// When it cannot be written or renamed.
    pub fn finish(self) -> io::Result<()> {
        match self.0 {
            Place::Beside { file, path } => file.persist(path).map(drop).map_err(|error| error.error),
            Place::Direct(_) => Ok(()),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Place::Beside { file, .. } => file.write(bytes),
            Place::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Place::Beside { file, .. } => file.flush(),
            Place::Direct(file) => file.flush(),
        }
    }
}
