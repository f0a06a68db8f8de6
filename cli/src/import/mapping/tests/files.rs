//! What mapping files may say.

use super::*;

const INTERACTIONS: &str = r#"
[interactions]
interaction_id = "id"
customer_id = "who"
kind = { value = "visit" }
occur_time = "at"
"#;

fn error(mapping: &str) -> String {
    Mapping::parse(Path::new("my.toml"), mapping).unwrap_err().to_string()
}

/// The error of applying a mapping to a header.
fn refused(mapping: &str, header: &str) -> String {
    let mapping = Mapping::parse(Path::new("my.toml"), mapping).unwrap();
    let rows = Box::new(Csv::new(header.as_bytes()));
    let result = mapping.apply(Table::Interactions, Path::new("x.csv"), rows, Arc::default());
    result.err().unwrap().to_string()
}

#[test]
fn cells_are_made_of_columns_constants_and_values() {
    let mapping = r#"
        [[interactions]]
        interaction_id = { join = ["id", { value = "x" }], with = "-" }
        customer_id = { columns = ["who", "email"], split = ";" }
        occur_time = ["at", "day"]
        amount = { column = "sum", strip = "$," }
        kind = { column = "stage", values = { "Closed Won" = "purchase", "" = "none" }, otherwise = "stage_change" }
        properties = { stage = { column = "stage", snake_case = true }, size = { column = "size", values = { S = "1" } } }
    "#;
    let csv = "id,who,email,at,day,sum,stage,size\n\
               1,a;b,,2025-01-01,,\"$1,250.00\", closed won ,s\n\
               2,,c,,2025-01-02,5,In Talks,XL\n\
               ,d,,2025-01-03,,,,\n";
    let (lines, left_out) = mapped(mapping, Table::Interactions, csv);
    assert_eq!(
        lines,
        [
            "interaction_id|customer_id|kind|occur_time|amount|size|stage",
            "1-x|a|purchase|2025-01-01|1250.00|1|closed_won",
            "2-x|c|stage_change|2025-01-02|5||in_talks",
            "|d|none|2025-01-03|||",
        ]
    );
    assert_eq!(left_out, []);
}

#[test]
fn rows_without_a_value_or_condition_are_left_out_and_counted() {
    let mapping = r#"
        [interactions]
        interaction_id = "id"
        customer_id = "who"
        kind = { column = "stage", values = { won = "purchase" } }
        occur_time = "at"
        where = { test = ["no", ""] }
        unless = { who = ["bot"] }
        skip_empty = ["customer_id"]
    "#;
    let csv = "id,who,stage,at,test\n1,a,won,1,no\n2,a,lost,2,\n3,a,won,3,yes\n4,BOT,won,4,\n5,,won,5,\n6,b,Won,6,NO\n";
    let (lines, left_out) = mapped(mapping, Table::Interactions, csv);
    assert_eq!(lines[1..], ["1|a|purchase|1", "6|b|purchase|6"]);
    let reasons = [
        ("`customer_id` is empty", 1),
        ("`kind` is made of none of: won", 1),
        ("`test` is not no or empty", 1),
        ("`who` is bot", 1),
    ];
    assert_eq!(left_out, reasons.map(|(reason, count)| (reason.to_owned(), count)));
}

#[test]
fn the_rest_is_what_nothing_else_takes() {
    let rest = format!("{INTERACTIONS}properties = \"rest\"\nignore = [\"note\"]\n");
    let (lines, _) = mapped(&rest, Table::Interactions, "x,id,note,who,at,y.z\n1,2,3,4,5,6\n");
    assert_eq!(lines, ["interaction_id|customer_id|kind|occur_time|x|y.z", "2|4|visit|5|1|6"]);
    let list = format!("{INTERACTIONS}properties = [\"y.z\"]\n");
    let (lines, _) = mapped(&list, Table::Interactions, "x,id,who,at,y.z\n1,2,4,5,6\n");
    assert_eq!(lines, ["interaction_id|customer_id|kind|occur_time|y.z", "2|4|visit|5|6"]);
    let taken = refused(&rest, "id,who,at,note,amount\n");
    assert_eq!(
        taken,
        "x.csv: would get a second column `amount`; give it another name in the mapping, or ignore it"
    );
    let prefix = format!("{INTERACTIONS}properties = \"p.*\"\n");
    let twice = refused(&prefix, "id,who,at,p.a.b,p.a_b\n");
    assert_eq!(twice, "x.csv: would get two columns `a_b`; rename or ignore one in the mapping");
}

#[test]
fn rows_of_one_order_become_one() {
    let mapping = format!(
        "group_by = \"id\"\nsum = [\"units\"]\n{INTERACTIONS}amount = \"total\"\nproperties = [\"units\"]\n"
    );
    let csv = "id,who,at,total,units\n\
               1,a,t,9.5,2\n1,,,,1\n1,b,,,\n2,c,t,4,1.5\n1,d,t,3,1\n3,e,t,1,2\n3,,,,x\n3,,,,1\n,f,t,,1\n,g,t,,1\n";
    let (lines, _) = mapped(&mapping, Table::Interactions, csv);
    assert_eq!(
        lines[1..],
        [
            "1|a|visit|t|9.5|3",
            "2|c|visit|t|4|1.5",
            "1|d|visit|t|3|1",
            "x.csv line 8, column units: `2` and `x` cannot be summed; the mapping sums this column",
            "|f|visit|t||1",
            "|g|visit|t||1",
        ]
    );
}

#[test]
fn money_is_summed_as_it_is_written() {
    let mapping = format!(
        "group_by = \"id\"\nsum = [\"total\"]\ndecimal_comma = true\n{INTERACTIONS}\
         amount = {{ column = \"total\", strip = \"€. \" }}\n"
    );
    let csv = "id,who,at,total\n1,a,t,\"370,36 €\"\n1,,,\"1.393,51 €\"\n2,b,t,\"1.000,00 €\"\n3,c,t,\"1,5\"\n3,,,\"1,23,4\"\n";
    let (lines, _) = mapped(&mapping, Table::Interactions, csv);
    assert_eq!(lines[1..3], ["1|a|visit|t|1763,87", "2|b|visit|t|1000,00"]);
    assert!(lines[3].contains("cannot be summed"), "{lines:?}");
}

#[test]
fn an_error_comes_without_the_row_before() {
    let text = format!("group_by = \"id\"\nsum = [\"total\"]\n{INTERACTIONS}amount = \"total\"\n");
    let mapping = Mapping::parse(Path::new("my.toml"), &text).unwrap();
    let csv = "id,who,at,total\n1,a,t,1\n2,b,t,1\n2,,,x\n";
    let rows = Box::new(Csv::new(csv.as_bytes()));
    let mut rows = mapping.apply(Table::Interactions, Path::new("x.csv"), rows, Arc::default()).unwrap();
    let mut record = StringRecord::new();
    assert_eq!(rows.next(&mut record).unwrap(), Some(2));
    assert_eq!(&record[0], "1");
    assert_eq!(rows.next(&mut record).unwrap_err().line, Some(4));
    assert!(record.is_empty(), "{record:?}");
}

#[test]
fn an_error_in_a_group_loses_no_other_row() {
    let mapping = format!("group_by = \"id\"\n{INTERACTIONS}amount = \"total\"\n");
    let csv = "id,who,at,total\n1,a,t,\n1,too,few\n1,,,7\n2,b,t,\n";
    let (lines, _) = mapped(&mapping, Table::Interactions, csv);
    let error = "x.csv line 3: has fields too many or too few";
    assert_eq!(lines[1..], [error, "1|a|visit|t|7", "2|b|visit|t|"]);
}

#[test]
fn rows_of_one_customer_become_one() {
    let mapping = r#"
        [customers]
        customer_id = "id"
        create_time = "at"
        name = "name"
        merge = true
        attributes = ["plan", "city"]
    "#;
    let csv = "id,at,name,plan,city\n\
               1,2025-03-01,New,b,\n2,2025-01-01,Two,,\n1,2025-01-01,Old,a,Rome\n1,2025-02-01,,c,Oslo\n\
               ,2025-01-01,x,,\n,2025-01-02,y,,\n3,1/2/2025,z,,\n1,2025-04-01,,,\n";
    let (lines, _) = mapped(mapping, Table::Customers, csv);
    let error = "x.csv line 8, column create_time: `1/2/2025` does not begin with the year, such as 2026-01-31; \
                 where a mapping has `merge = true`, it must, so that the earliest is found";
    assert_eq!(lines[1], error);
    assert_eq!(
        lines[2..],
        ["1|2025-01-01|New|b|Oslo", "2|2025-01-01|Two||", "|2025-01-01|x||", "|2025-01-02|y||"]
    );
}

#[test]
fn columns_that_a_file_lacks_are_named() {
    assert_eq!(
        refused(INTERACTIONS, "id,at,x\n"),
        "x.csv: lacks `who` that `customer_id` is made of in the mapping; found: id, at, x"
    );
    let filtered = format!("{INTERACTIONS}where = {{ status = [\"paid\"] }}\n");
    assert_eq!(
        refused(&filtered, "id,who,at\n"),
        "x.csv: lacks `status`, a condition of the mapping; found: id, who, at"
    );
    let property = format!("{INTERACTIONS}properties = [\"units\"]\n");
    assert!(refused(&property, "id,who,at\n").contains("lacks `units`"));
    let (lines, _) = mapped(&format!("allow_missing = true\n{property}"), Table::Interactions, "id,who,at\n");
    assert_eq!(lines, ["interaction_id|customer_id|kind|occur_time"]);
    let grouped = format!("group_by = \"order\"\n{INTERACTIONS}");
    assert!(refused(&grouped, "id,who,at\n").contains("lacks `order`, which `group_by` names"));
}

#[test]
fn errors_of_the_file_name_the_line_the_key_and_what_is_allowed() {
    let unknown = error("time_zon = \"UTC\"\n");
    assert!(
        unknown.starts_with("my.toml line 1: `time_zon = \"UTC\"`: unknown field `time_zon`"),
        "{unknown}"
    );
    assert!(unknown.contains("`time_zone`"), "{unknown}");
    let wrong = error(&INTERACTIONS.replace("\"at\"", "5"));
    assert!(
        wrong.contains("line 6: `occur_time = 5`: invalid type: integer `5`, expected a column name"),
        "{wrong}"
    );
    let no_source = error(&INTERACTIONS.replace("{ value = \"visit\" }", "{ strip = \"x\" }"));
    assert!(no_source.contains("line 5: "), "{no_source}");
    assert!(no_source.contains("needs one of `column`, `columns`, `value` and `join`"), "{no_source}");
    let lacks = error(&INTERACTIONS.replace("occur_time = \"at\"", ""));
    assert!(lacks.contains("missing field `occur_time`"), "{lacks}");
    let several = error("\n[[customers]]\ncustomer_id = \"id\"");
    assert!(several.contains("line 2: `[[customers]]`: there is one table [customers]"), "{several}");
    let nul = error("\n\ngroup_by = \"\0\"");
    assert!(nul.contains("line 3: has a NUL character"), "{nul}");
    let skip = error(&format!("{INTERACTIONS}skip_empty = [\"who\"]\n"));
    assert_eq!(
        skip,
        "my.toml: skip_empty has `who`; allowed are interaction_id, customer_id, kind, occur_time, amount, channel"
    );
    assert!(error("").contains("has neither [customers] nor [interactions]"));
    assert!(error(&format!("sum = [\"units\"]\n{INTERACTIONS}")).contains("`sum` without `group_by`"));
    let absent = Mapping::load("no-such-mapping").unwrap_err().to_string();
    assert!(absent.contains("mappings by name are fxiaoke-customers, "), "{absent}");
}

#[test]
fn the_example_of_the_documentation_is_right() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mappings.md")).unwrap();
    let block = |language: &str, n: usize| {
        let after = page.split(&format!("```{language}\n")).nth(n).unwrap();
        after.split("```").next().unwrap().to_owned()
    };
    let (export, expected) = (block("csv", 1).replace(';', "\t"), block("csv", 2).replace(';', "|"));
    // The test's reader of CSV knows commas only, of which the amounts have some.
    let export =
        export.lines().map(|line| format!("\"{}\"\n", line.replace('\t', "\",\""))).collect::<String>();
    let (lines, left_out) = mapped(&block("toml", 1), Table::Interactions, &export);
    assert_eq!(lines, expected.lines().collect::<Vec<_>>());
    assert_eq!(left_out, [("`Status` is storniert".to_owned(), 1)]);
}
