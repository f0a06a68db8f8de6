//! Files as people and programs write them.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use csv::StringRecord;
use encoding_rs::{Encoding, GB18030, WINDOWS_1251, WINDOWS_1252};
use indicatif::ProgressBar;

use super::{FileOptions, InputFile};

mod sheets;

const TEXT: &str = "id,note\n1,plain\n2,\"two\nlines\"\n";

/// A file in a folder of its own.
fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

/// The header and the rows of a file with their lines, fields separated by bars; or the first error.
fn read(path: &Path, options: &FileOptions) -> Result<Vec<String>, String> {
    let source = InputFile::open(path, options).map_err(|error| error.to_string())?;
    let mut rows = source.rows(&ProgressBar::hidden()).map_err(|error| error.to_string())?;
    let fields = |record: &StringRecord| record.iter().collect::<Vec<_>>().join("|");
    let mut lines = vec![fields(rows.header())];
    let mut record = StringRecord::new();
    while let Some(line) = rows.next(&mut record).map_err(|error| error.to_string())? {
        lines.push(format!("{line}: {}", fields(&record)));
    }
    Ok(lines)
}

fn read_bytes(content: &[u8]) -> Result<Vec<String>, String> {
    let (_folder, path) = file("x.csv", content);
    read(&path, &FileOptions::default())
}

fn description(content: &[u8]) -> String {
    let (_folder, path) = file("x.csv", content);
    InputFile::open(&path, &FileOptions::default()).unwrap().description()
}

fn utf16(text: &str, mark: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    format!("{mark}{text}").encode_utf16().flat_map(to_bytes).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zipped.write_all(text).unwrap();
    zipped.finish().unwrap()
}

#[test]
fn all_ways_to_write_a_file_are_read_alike() {
    let wanted = ["id|note", "2: 1|plain", "3: 2|two\nlines"].map(str::to_owned).to_vec();
    let (head, tail) = TEXT.as_bytes().split_at(10);
    // Compressed files may be joined.
    let joined = |pack: fn(&[u8]) -> Vec<u8>| [pack(head), pack(tail)].concat();
    let zstd = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
    for (what, content) in [
        ("plain", TEXT.as_bytes().to_vec()),
        ("byte order mark", format!("\u{feff}{TEXT}").into_bytes()),
        ("semicolons", TEXT.replace(',', ";").into_bytes()),
        ("tabs", TEXT.replace(',', "\t").into_bytes()),
        ("UTF-16LE with mark", utf16(TEXT, "\u{feff}", u16::to_le_bytes)),
        ("UTF-16BE with mark", utf16(TEXT, "\u{feff}", u16::to_be_bytes)),
        ("UTF-16LE", utf16(TEXT, "", u16::to_le_bytes)),
        ("UTF-16BE", utf16(TEXT, "", u16::to_be_bytes)),
        ("gzip", joined(gzip)),
        ("gzip with a mark", gzip(format!("\u{feff}{TEXT}").as_bytes())),
        ("zstd", joined(zstd)),
    ] {
        assert_eq!(read_bytes(&content), Ok(wanted.clone()), "{what}");
    }
    assert_eq!(read_bytes(TEXT.replace('\n', "\r\n").as_bytes()).unwrap()[1], "2: 1|plain");
    assert_eq!(read_bytes(TEXT.replace('\n', "\r").as_bytes()), Ok(wanted));
    let with_sep = format!("sep=;\r\n{}", TEXT.replace(',', ";").replace('\n', "\r\n"));
    assert_eq!(read_bytes(with_sep.as_bytes()).unwrap()[..2], ["id|note", "3: 1|plain"]);
}

#[test]
fn other_encodings_are_guessed_and_said() {
    let chinese = "编号,姓名,备注\n1,王小明,上海市浦东新区\n2,李雷,北京市海淀区\n";
    let german = "id,name\n1,Jürgen Müller\n2,Käthe Größ\n";
    for (encoding, text) in [(GB18030, chinese), (WINDOWS_1252, german)] {
        let content = encoding.encode(text).0.into_owned();
        let rows = read_bytes(&content).unwrap();
        assert_eq!(rows[1], format!("2: {}", text.lines().nth(1).unwrap().replace(',', "|")));
        let name = if encoding == GB18030 { "gb18030" } else { "windows-1252" };
        let shown = description(&content);
        assert!(shown.starts_with(&format!("not UTF-8, but probably {name} (")), "{shown}");
    }
    // A single character, of which the statistics of languages know nothing.
    assert_eq!(read_bytes(&GB18030.encode("id,note\n1,好\n").0).unwrap()[1], "2: 1|好");
    assert_eq!(read_bytes(&WINDOWS_1252.encode("id,note\n1,Müller\n").0).unwrap()[1], "2: 1|Müller");
    let (_folder, path) = file("x.csv", &GB18030.encode("id,note\n1,好\n").0);
    let options = FileOptions { encoding: Some(WINDOWS_1252), ..Default::default() };
    assert_eq!(read(&path, &options).unwrap()[1], "2: 1|ºÃ");
    assert_eq!(description(TEXT.as_bytes()), "UTF-8, separated by commas");
}

#[test]
fn a_broken_character_is_a_bad_row_of_a_text_in_utf8() {
    let mut content = "id,note\n1,王小明\n2,Müller\n3,李雷\n".as_bytes().to_vec();
    content.pop();
    content.pop();
    content.push(b'\n');
    let error = read_bytes(&content).unwrap_err();
    assert!(error.ends_with("line 4, column note: is not UTF-8 text"), "{error}");
    assert_eq!(description(&content), "UTF-8, separated by commas");
}

#[test]
fn letters_of_other_alphabets_are_not_taken_for_chinese() {
    let russian = "id,name\n1,ПЕТР\n2,ИВАН\n3,ОЛЕГ\n4,НИНА\n";
    assert_eq!(read_bytes(&WINDOWS_1251.encode(russian).0).unwrap()[1], "2: 1|ПЕТР");
    assert_eq!(read_bytes(&WINDOWS_1252.encode("id,name\n1,ÄÄNEKOSKI\n").0).unwrap()[1], "2: 1|ÄÄNEKOSKI");
}

#[test]
fn a_file_that_is_written_to_is_told() {
    let (_folder, path) = file("x.csv", b"a,b\n1,2\n");
    let source = InputFile::open(&path, &FileOptions::default()).unwrap();
    assert!(source.check_unchanged().is_ok());
    fs::write(&path, b"a,b\n1,2\n3,4\n").unwrap();
    assert!(
        source.check_unchanged().unwrap_err().to_string().contains("has been changed since it was checked")
    );
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let with = |encoding: &str, content: &[u8]| {
        let (_folder, path) = file("x.csv", content);
        let encoding = Encoding::for_label(encoding.as_bytes());
        read(&path, &FileOptions { encoding, ..Default::default() }).unwrap_err()
    };
    assert!(with("gb18030", b"id,note\n1,\xff\xff\n").contains("not text in gb18030"));
    let error = with("utf-8", b"id,note\n1,a\n2,\xe4\n");
    assert!(error.ends_with("line 3, column note: is not UTF-8 text"), "{error}");
}

#[test]
fn lines_are_those_of_an_editor() {
    let lines = |text: &str| {
        let rows = read_bytes(text.as_bytes()).unwrap();
        rows[1..].iter().map(|row| row.split(':').next().unwrap().parse().unwrap()).collect::<Vec<u64>>()
    };
    assert_eq!(lines("a,b\n1,2\n\n\n3,4\n\"x\ny\",5\n6,7"), [2, 5, 6, 8]);
    assert_eq!(lines("a,b\r\n1,2\r\n\r\n3,4\r\n\"x\r\ny\",5\r\n6,7\r\n8,9"), [2, 4, 5, 7, 8]);
    assert_eq!(lines("\"a\nc\",b\n1,2\n"), [3]);
    assert_eq!(lines("a,b\n1,2\n,\n3,4\n"), [2, 4], "rows of delimiters alone are empty");
    assert!(lines("a,b").is_empty());
}

#[test]
fn what_cannot_be_read_is_told() {
    for (content, message) in [
        (&b""[..], "is empty"),
        (b"\xef\xbb\xbf\r\n \n", "is empty"),
        (b"a,b\n1,2\n3\n", "line 3: has 1 fields, but the header has 2"),
        (b"a,b\n1,\"2\n3,4\n", "line 2: has an opening quote that is never closed"),
        (b"a,b\r\n1,2\r\n\"3,4\r\n", "line 3: has an opening quote that is never closed"),
        (b"a,b\n1,\"2\n3,\"two\nlines\"\n", "is a quote left open"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "save it as .xlsx"),
        (b"%PDF-1.7\n", "is a PDF document"),
        (b"PK\x03\x04 a zip archive", ".xlsx"),
        (b"\x1f\x8b\x08\x00", "cannot be read"),
    ] {
        let error = read_bytes(content).unwrap_err();
        assert!(error.contains(message), "{message}: {error}");
    }
    let (_folder, path) = file("x.csv", b"a,b\n");
    let with_sheet = FileOptions { sheet: Some("Orders".to_owned()), ..Default::default() };
    assert!(read(&path, &with_sheet).unwrap_err().contains("no sheets"));
    assert!(read(Path::new("/nowhere.csv"), &FileOptions::default()).is_err());
    assert!(read(path.parent().unwrap(), &FileOptions::default()).is_err());
}
