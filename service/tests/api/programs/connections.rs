//! Where a server listens, and how long its connections last.

use std::{net::SocketAddr, process::Command};

use crate::support::{Database, ServeProcess, get, program};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn listening(database: &Database, arguments: &[&str]) -> Command {
    let mut command = program("tally-serve", &database.url);
    command.args(arguments);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_listens_at_names_and_at_all_addresses() {
    for (listen, is_local) in [("localhost:0", true), (":0", false), ("0.0.0.0:0", false)] {
        let database = Database::sqlite();
        let arguments = ["--listen", listen, "--http", listen, "--insecure"];
        let process = ServeProcess::spawn(listening(&database, &arguments));
        let shown: SocketAddr = process.url().strip_prefix("http://").unwrap().parse().unwrap();
        assert_eq!(
            (shown.ip().is_loopback(), shown.ip().is_unspecified()),
            (is_local, !is_local),
            "{listen}"
        );
        TcpStream::connect(("127.0.0.1", shown.port())).await.unwrap();
        let http = process.http();
        let (head, _) = get(SocketAddr::new([127, 0, 0, 1].into(), http.port()), "/healthz").await;
        assert!(head.starts_with("HTTP/1.0 200"), "{listen}: {head}");
    }
}

#[test]
fn a_name_that_is_not_known_is_reported() {
    let database = Database::sqlite();
    let mut command = listening(&database, &["--listen", "no-such-host.invalid:0"]);
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("cannot listen on no-such-host.invalid:0"), "{message}");
}

/// Reads frames of HTTP/2 until the server closes the connection; returns their types.
async fn frame_types(stream: &mut TcpStream) -> Vec<u8> {
    let mut types = Vec::new();
    let mut header = [0; 9];
    while stream.read_exact(&mut header).await.is_ok() {
        types.push(header[3]);
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        // PING without ACK, as before the last GOAWAY.
        if header[3] == 6 && header[4] == 0 {
            header[4] = 1;
            stream.write_all(&[&header[..], &payload].concat()).await.unwrap();
        }
    }
    types
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_told_to_go_away_at_its_age() {
    const GOAWAY: u8 = 7;
    let database = Database::sqlite();
    let process = ServeProcess::start(&database.url, &["--max-connection-age", "1"]);
    let address: SocketAddr = process.url().strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The preface and empty SETTINGS.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let types = frame_types(&mut stream).await;
    assert!(types.contains(&GOAWAY), "{types:?}");
}
