//! How `tally import` converts encodings, times and money.

use std::fs;

use tally_proto::v1::{Interaction, RecordInteractionsRequest};

use crate::fake::{Knowledge, serve, tally};

/// Imports a file of interactions into a server with this number of decimals; the requests, or the error.
async fn import(
    content: &[u8],
    options: &[&str],
    amount_decimals: Option<i32>,
) -> Result<Vec<RecordInteractionsRequest>, String> {
    let (fake, url) = serve().await;
    fake.0.lock().unwrap().knows = Some(Knowledge { amount_decimals, ..Default::default() });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.csv");
    fs::write(&path, content).unwrap();
    let args = ["import", "--interactions", path.to_str().unwrap()];
    tally(&url, &[&args, options].concat()).await.map_err(|error| error.to_string())?;
    let batches = fake.0.lock().unwrap().batches.clone();
    Ok(batches)
}

async fn imported(content: &[u8], options: &[&str]) -> Vec<Interaction> {
    import(content, options, None).await.unwrap().into_iter().flat_map(|batch| batch.interactions).collect()
}

/// The seconds of a time that is imported.
async fn time(text: &str, options: &[&str]) -> Result<i64, String> {
    let content = format!("interaction_id,customer_id,kind,occur_time\nI1,K1,visit,\"{text}\"\n");
    let batches = import(content.as_bytes(), options, None).await?;
    Ok(batches[0].interactions[0].occur_time.unwrap().seconds)
}

#[tokio::test]
async fn times_with_an_offset_are_read_as_products_export_them() {
    for text in [
        "2025-04-05 21:06:21 +0400",
        "2025-04-05T17:06:21.000+0000",
        "2025-04-05 17:06:21+00",
        "2025-04-05 17:06:21 UTC",
        "2025-04-05t17:06:21z",
        "Sat, 05 Apr 2025 17:06:21 GMT",
    ] {
        assert_eq!(time(text, &[]).await, Ok(1_743_872_781), "{text}");
    }
}

#[tokio::test]
async fn other_times_need_an_option_that_the_error_names() {
    let error = time("2025-04-05 17:06:21", &[]).await.unwrap_err();
    assert!(error.contains("--time-zone"), "{error}");
    assert_eq!(time("2025-04-05 19:06:21", &["--time-zone", "Europe/Berlin"]).await, Ok(1_743_872_781));
    assert_eq!(time("2025/4/6 1:06:21", &["--time-zone", "+08:00"]).await, Ok(1_743_872_781));
    let error = time("05.04.2025 19:06", &["--time-zone", "Europe/Berlin"]).await.unwrap_err();
    assert!(error.contains("--time-format"), "{error}");
    let german = ["--time-zone", "Europe/Berlin", "--time-format", "%d.%m.%Y %H:%M"];
    assert_eq!(time("05.04.2025 19:06", &german).await, Ok(1_743_872_760));
    assert_eq!(time("1743872781", &["--time-format", "unix"]).await, Ok(1_743_872_781));
    assert_eq!(time("1743872781000", &["--time-format", "unix-ms"]).await, Ok(1_743_872_781));
}

fn money(amounts: &[&str]) -> String {
    let row = |(n, amount): (usize, &&str)| format!("I{n},K1,purchase,2025-03-01,\"{amount}\"\n");
    let rows: String = amounts.iter().enumerate().map(row).collect();
    format!("interaction_id,customer_id,kind,occur_time,amount\n{rows}")
}

#[tokio::test]
async fn amounts_become_minor_units_of_the_deployment_or_of_the_file() {
    for (amounts, deployment, minor, sent) in [
        (&["500", "3"][..], None, &[500, 3][..], None),
        (&["500", "3"], Some(0), &[500, 3], Some(0)),
        (&["500", "3"], Some(2), &[50_000, 300], Some(2)),
        (&["12.5", "3"], None, &[1_250, 300], Some(2)),
        (&["12.5000", "3"], None, &[1_250, 300], Some(2)),
        (&["1.234", "3"], None, &[1_234, 3_000], Some(3)),
        (&["1.2", "3"], Some(3), &[1_200, 3_000], Some(3)),
    ] {
        let batches = import(money(amounts).as_bytes(), &[], deployment).await.unwrap();
        let got: Vec<_> = batches[0].interactions.iter().filter_map(|item| item.amount_minor).collect();
        assert_eq!((got.as_slice(), batches[0].amount_decimals), (minor, sent), "{amounts:?} {deployment:?}");
    }
    let error = import(money(&["12.50"]).as_bytes(), &[], Some(0)).await.unwrap_err();
    assert!(
        error.contains("line 2, column amount: `12.50` has 1 decimal, but the deployment's currency has 0"),
        "{error}"
    );
}

#[tokio::test]
async fn a_decimal_comma_is_an_option() {
    let error = import(money(&["12,50"]).as_bytes(), &[], None).await.unwrap_err();
    assert!(error.contains("--decimal-comma"), "{error}");
    let text =
        "interaction_id;customer_id;kind;occur_time;amount;weight\nI1;K1;purchase;2025-03-01;12,50;0,75\n";
    let item = &imported(text.as_bytes(), &["--decimal-comma"]).await[0];
    assert_eq!((item.amount_minor, item.properties["weight"].as_str()), (Some(1_250), "0.75"));
}

#[tokio::test]
async fn encodings_are_guessed_or_named() {
    let text = "interaction_id,customer_id,kind,occur_time,note\nI1,客户一,visit,2025-03-01,上海的客户来访\n";
    let gbk = encoding_rs::GBK.encode(text).0;
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content, options) in [
        (text.as_bytes(), &[][..]),
        (format!("\u{feff}{text}").as_bytes(), &[]),
        (&gbk, &[]),
        (&gbk, &["--encoding", "gb18030"]),
        (&utf16, &[]),
        (text.replace(',', "\t").as_bytes(), &[]),
        (text.replace(',', "#").as_bytes(), &["--delimiter", "#"]),
    ] {
        let items = imported(content, options).await;
        assert_eq!(
            (items[0].customer_id.as_str(), items[0].properties["note"].as_str()),
            ("客户一", "上海的客户来访")
        );
    }
}
