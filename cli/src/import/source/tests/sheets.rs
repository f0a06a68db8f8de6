//! Workbooks.

use std::path::Path;

use super::{file, read};
use crate::import::source::FileOptions;

/// Packs files into a zip archive without compression.
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let crc = {
            let mut crc = flate2::Crc::new();
            crc.update(content.as_bytes());
            crc.sum()
        };
        let size = (content.len() as u32).to_le_bytes();
        // Version, flags, method, time, date, checksum, both sizes, lengths of the name and of what follows it.
        let mut facts = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        facts.extend(crc.to_le_bytes());
        facts.extend([size, size].concat());
        facts.extend((name.len() as u16).to_le_bytes());
        facts.extend([0, 0]);
        let offset = archive.len() as u32;
        archive.extend([&b"PK\x03\x04"[..], facts.as_slice(), name.as_bytes(), content.as_bytes()].concat());
        directory.extend([&b"PK\x01\x02"[..], &[20, 0], facts.as_slice()].concat());
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let begin = archive.len() as u32;
    let count = (files.len() as u16).to_le_bytes();
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([count, count].concat());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(begin.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

/// A workbook with the sheets `Orders` and `Empty`. Cells of the style 1 are times.
fn workbook(rows: &str) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    let sheet =
        |rows: &str| format!(r#"<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>"#);
    zip(&[
        (
            "[Content_Types].xml",
            &format!(
                r#"<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>"#
            ),
        ),
        (
            "_rels/.rels",
            &format!(
                r#"<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/workbook.xml",
            &format!(
                r#"<workbook xmlns="{main}" xmlns:r="{relations}"><sheets><sheet name="Orders" sheetId="1" r:id="r1"/><sheet name="Empty" sheetId="2" r:id="r2"/></sheets></workbook>"#
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            &format!(
                r#"<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{relations}/worksheet" Target="worksheets/sheet2.xml"/><Relationship Id="r3" Type="{relations}/styles" Target="styles.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/styles.xml",
            &format!(
                r#"<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs></styleSheet>"#
            ),
        ),
        ("xl/worksheets/sheet1.xml", &sheet(rows)),
        ("xl/worksheets/sheet2.xml", &sheet("")),
    ])
}

fn text(cell: &str, text: &str) -> String {
    format!(r#"<c r="{cell}" t="inlineStr"><is><t>{text}</t></is></c>"#)
}

#[test]
fn cells_are_read_as_csv_would_have_them() {
    let header = [text("A1", " id "), text("B1", "when"), text("C1", "amount"), text("D1", "paid")].concat();
    let rows = format!(
        r#"<row r="1">{header}</row>
        <row r="2">{}<c r="B2" s="1"><v>45752.712743055556</v></c><c r="C2"><v>12.300000000000001</v></c><c r="D2" t="b"><v>1</v></c></row>
        <row r="4"><c r="A4"><v>17850</v></c><c r="B4" s="1"><v>45752</v></c><c r="D4" t="e"><v>#N/A</v></c></row>"#,
        text("A2", "王 &amp; Co")
    );
    let (_folder, path) = file("orders.xlsx", &workbook(&rows));
    assert_eq!(
        read(&path, &FileOptions::default()).unwrap(),
        ["id|when|amount|paid", "2: 王 & Co|2025-04-05 17:06:21|12.3|true", "4: 17850|2025-04-05||#N/A"]
    );
    let sheet = |name: &str| {
        let options = FileOptions { sheet: Some(name.to_owned()), ..Default::default() };
        read(Path::new(&path), &options)
    };
    assert_eq!(sheet("Orders").unwrap().len(), 3);
    assert!(sheet("Empty").unwrap_err().contains("the empty sheet `Empty`"));
    assert!(sheet("Customers").unwrap_err().contains("no sheet `Customers`; it has: Orders, Empty"));
}
