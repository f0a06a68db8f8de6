//! Opens files.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

use encoding_rs::{Encoding, UTF_8};
use indicatif::ProgressBar;
use tempfile::TempPath;

use super::{
    compression::{decompressed, peek},
    delimited::DelimitedRows,
    encoding::{self, Decoded},
    json_lines::JsonLines,
    scan::{TextShape, scan},
    sheet::SheetRows,
    spool::{STDIN, spooled},
};
use crate::{error::CsvError, import::rows::Rows};

/// The byte order mark in UTF-8.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// How files are to be read. None is what the file itself shows.
#[derive(Clone, Debug, Default)]
pub(in crate::import) struct FileOptions {
    /// Whether each line is a JSON object.
    pub(in crate::import) json_lines: bool,
    pub(in crate::import) encoding: Option<&'static Encoding>,
    pub(in crate::import) delimiter: Option<u8>,
    /// The sheet of a workbook; the first one if None.
    pub(in crate::import) sheet: Option<String>,
}

/// A file that can be read several times.
pub(in crate::import) struct InputFile {
    /// As messages name it.
    name: PathBuf,
    path: PathBuf,
    /// Standard input or a pipe, as a file.
    _spooled: Option<TempPath>,
    content: Content,
    /// Its size and when it was last written, as it was opened.
    state: (u64, Option<SystemTime>),
}

/// What the file contains.
enum Content {
    Text { encoding: &'static Encoding, guessed: bool, shape: TextShape },
    JsonLines { encoding: &'static Encoding },
    Workbook { sheet: Option<String> },
}

impl InputFile {
    /// Opens a file, `-` for standard input, and reads it once to find out how it is written.
    ///
    /// # Errors
    /// If it cannot be read, is empty, or is not a file of rows.
    pub(in crate::import) fn open(path: &Path, options: &FileOptions) -> Result<Self, CsvError> {
        let name = if path == Path::new(STDIN) { PathBuf::from("standard input") } else { path.to_owned() };
        let cannot_read = |error: io::Error| CsvError::of_file(&name, format!("cannot be read: {error}"));
        let spooled = spooled(path).map_err(cannot_read)?;
        let path = spooled.as_ref().map_or_else(|| path.to_owned(), |spooled| spooled.to_path_buf());
        let state = state(&path).map_err(cannot_read)?;
        let content = content(&name, &path, options).map_err(|problem| match problem {
            Unreadable::Io(error) => cannot_read(error),
            Unreadable::Content(message) => CsvError::of_file(&name, message),
        })?;
        Ok(Self { name, path, _spooled: spooled, content, state })
    }

    /// # Errors
    /// If the file has been written to since it was opened.
    pub(in crate::import) fn check_unchanged(&self) -> Result<(), CsvError> {
        if state(&self.path).is_ok_and(|state| state == self.state) {
            return Ok(());
        }
        Err(CsvError::of_file(&self.name, "has been changed since it was checked; import it again"))
    }

    /// The file as messages name it.
    pub(in crate::import) fn name(&self) -> &Path {
        &self.name
    }

    /// Its size, for progress.
    pub(in crate::import) fn bytes(&self) -> u64 {
        self.path.metadata().map_or(0, |metadata| metadata.len())
    }

    /// How it was read, for people.
    pub(in crate::import) fn description(&self) -> String {
        match &self.content {
            Content::Text { encoding, guessed, shape } => {
                let encoding = if *guessed {
                    format!("not UTF-8, but probably {} (--encoding names another)", encoding.name())
                } else {
                    encoding.name().to_owned()
                };
                let separator = match shape.delimiter {
                    b',' => "commas".to_owned(),
                    b';' => "semicolons".to_owned(),
                    b'\t' => "tabs".to_owned(),
                    other => format!("`{}`", char::from(other)),
                };
                format!("{encoding}, separated by {separator}")
            }
            Content::JsonLines { encoding } => format!("{}, a JSON object a line", encoding.name()),
            Content::Workbook { sheet } => {
                sheet.as_ref().map_or("the first sheet".to_owned(), |sheet| format!("sheet `{sheet}`"))
            }
        }
    }

    /// The first line in which text follows a closing quote, so that a quote before it was probably left open and has
    /// swallowed rows.
    pub(in crate::import) fn loose_quote_line(&self) -> Option<u64> {
        let Content::Text { shape, .. } = &self.content else { return None };
        shape.loose_quote.map(|byte| self.line_of(byte).unwrap_or_default())
    }

    /// The encoding that was guessed, if any text would be valid in it: the file shows nothing, and the user says nothing.
    pub(in crate::import) fn guessed_encoding(&self) -> Option<&'static str> {
        match &self.content {
            Content::Text { encoding, guessed: true, .. } if encoding.is_single_byte() => {
                Some(encoding.name())
            }
            _ => None,
        }
    }

    /// Its rows from the first one on. `bar` shows the bytes read.
    pub(in crate::import) fn rows(&self, bar: &ProgressBar) -> Result<Box<dyn Rows>, CsvError> {
        match &self.content {
            Content::Text { encoding, shape, .. } => {
                let cannot_read =
                    |error: io::Error| CsvError::of_file(&self.name, format!("cannot be read: {error}"));
                if let Some(at) = shape.open_quote {
                    let lines = self.line_of(at).map_err(cannot_read)?;
                    let message = "has an opening quote that is never closed";
                    return Err(CsvError { line: Some(lines), ..CsvError::of_file(&self.name, message) });
                }
                let input = bar.wrap_read(File::open(&self.path).map_err(cannot_read)?);
                let text = text(input, encoding).map_err(cannot_read)?;
                Ok(Box::new(DelimitedRows::new(&self.name, text, shape)?))
            }
            Content::JsonLines { encoding } => {
                // It is read twice: the first time for the keys.
                let open = || {
                    bar.set_position(0);
                    text(bar.wrap_read(File::open(&self.path)?), encoding)
                };
                Ok(Box::new(JsonLines::open(&self.name, open)?))
            }
            Content::Workbook { sheet } => {
                Ok(Box::new(SheetRows::open(&self.name, &self.path, sheet.as_deref())?))
            }
        }
    }

    /// The line of a byte of the text.
    fn line_of(&self, byte: u64) -> io::Result<u64> {
        let Content::Text { encoding, shape, .. } = &self.content else { return Ok(1) };
        let end = if shape.cr { b'\r' } else { b'\n' };
        let text = text(File::open(&self.path)?, encoding)?;
        let ends =
            io::BufReader::new(text.take(byte)).bytes().filter(|byte| byte.as_ref().is_ok_and(|b| *b == end));
        Ok(ends.count() as u64 + 1)
    }
}

/// The size of a file and when it was last written, where that is known.
fn state(path: &Path) -> io::Result<(u64, Option<SystemTime>)> {
    let metadata = path.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// Why a file is not read.
enum Unreadable {
    Io(io::Error),
    /// A sentence without its subject, the file.
    Content(String),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn content(name: &Path, path: &Path, options: &FileOptions) -> Result<Content, Unreadable> {
    let refused = |message: &str| Err(Unreadable::Content(message.to_owned()));
    let (start, _) = peek(File::open(path)?, 8)?;
    if options.json_lines {
        let (start, _) = peek(decompressed(File::open(path)?)?, 4)?;
        if start.is_empty() {
            return refused("is empty");
        }
        let encoding = encoding::of_start(&start).or(options.encoding).unwrap_or(UTF_8);
        return Ok(Content::JsonLines { encoding });
    }
    if start.starts_with(b"PK\x03\x04") {
        // An error here is better than one after the questions of the import.
        SheetRows::open(name, path, options.sheet.as_deref())
            .map_err(|error| Unreadable::Content(error.message))?;
        return Ok(Content::Workbook { sheet: options.sheet.clone() });
    }
    if start.starts_with(b"\xd0\xcf\x11\xe0") {
        return refused("is a workbook of Excel 97 to 2003 (.xls); save it as .xlsx or as CSV");
    }
    if start.starts_with(b"%PDF") {
        return refused("is a PDF document; export the data as CSV or .xlsx");
    }
    if options.sheet.is_some() {
        return refused("is not an .xlsx workbook, so it has no sheets; leave --sheet out");
    }
    let (start, _) = peek(decompressed(File::open(path)?)?, 4)?;
    let known = encoding::of_start(&start);
    let mut encoding = known.or(options.encoding).unwrap_or(UTF_8);
    let mut shape = scan(text(File::open(path)?, encoding)?, options.delimiter)?;
    if shape.empty {
        return refused("is empty");
    }
    let guessed = encoding == UTF_8 && !shape.utf8 && options.encoding.is_none() && known.is_none();
    if guessed {
        encoding = encoding::guess(decompressed(File::open(path)?)?)?;
        shape = scan(text(File::open(path)?, encoding)?, options.delimiter)?;
    }
    Ok(Content::Text { encoding, guessed, shape })
}

/// The text of a file in UTF-8, without its byte order mark.
fn text(file: impl Read + Send + 'static, encoding: &'static Encoding) -> io::Result<Box<dyn Read + Send>> {
    let input = decompressed(file)?;
    if encoding != UTF_8 {
        return Ok(Box::new(Decoded::new(input, encoding)));
    }
    let (start, whole) = peek(input, UTF8_MARK.len())?;
    let mut whole = whole;
    if start == UTF8_MARK {
        whole.by_ref().take(UTF8_MARK.len() as u64).read_exact(&mut [0; UTF8_MARK.len()])?;
    }
    Ok(Box::new(whole))
}
