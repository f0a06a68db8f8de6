//! `tally admin` against a small server.

use tally_proto::v1::BackupDatabaseResponse;

use crate::fake::{Knowledge, serve, tally};

#[tokio::test]
async fn a_copy_that_is_cut_off_leaves_no_file() {
    let (fake, url) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    let part = |content: &[u8]| BackupDatabaseResponse { content: content.to_vec(), total_bytes: 8 };
    let knows = |backup| fake.0.lock().unwrap().knows = Some(Knowledge { backup, ..Knowledge::default() });
    let arguments = ["admin", "backup", file.to_str().unwrap()];
    knows(vec![part(b"data")]);
    let error = tally(&url, &arguments).await.unwrap_err().to_string();
    assert!(error.contains("4 of 8 bytes came; there is no backup"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    knows(vec![part(b"data"), part(b"base")]);
    tally(&url, &arguments).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"database");
}
