//! Attacks on HTTP/2, frame by frame. Each ends with its own connection; others go on.

use prost::Message;
use tally_proto::v1;
use tonic::Code;

use super::{framed, in_flight};
use crate::support::{
    Database, Tally, interaction,
    raw_http2::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, RST_STREAM,
        RawConnection, SETTINGS, WINDOW_UPDATE, frame, length, literal,
    },
};

const METHOD: &str = "CustomerService/GetCustomer";

/// Asserts that a server answers others.
async fn assert_alive(tally: &Tally) {
    let request = v1::GetCustomerRequest { customer_id: "nobody".to_owned() };
    let answer = tally.customers().get_customer(request).await;
    assert_eq!(answer.unwrap_err().code(), Code::NotFound);
}

/// Asserts that a server has ended a connection on which `sent` of `most` frames could be sent: it says why, or the client
/// was not done.
fn assert_ended((error, sent): (Option<u32>, u32), most: u32) {
    assert!(error == Some(ENHANCE_YOUR_CALM) || (error.is_none() && sent < most), "{error:?} after {sent}");
}

/// The stream of the call of a number.
const fn stream(number: u32) -> u32 {
    2 * number + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_opened_and_reset_end_the_connection() {
    let tally = Tally::start(Database::sqlite()).await;
    let connection = RawConnection::open(&tally.url).await;
    let call = connection.call(METHOD);
    let opened_and_reset = |number| {
        let open = frame(HEADERS, END_HEADERS, stream(number), &call);
        [open, frame(RST_STREAM, 0, stream(number), &8_u32.to_be_bytes())].concat()
    };
    assert_ended(connection.attack(100_000, opened_and_reset).await, 100_000);
    assert_alive(&tally).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_the_server_is_made_to_reset_end_the_connection() {
    let tally = Tally::start(Database::sqlite()).await;
    let connection = RawConnection::open(&tally.url).await;
    let call = connection.call(METHOD);
    let made_to_reset = |number| {
        let open = frame(HEADERS, END_HEADERS, stream(number), &call);
        // A window beyond 2³¹ − 1.
        [open, frame(WINDOW_UPDATE, 0, stream(number), &0x7fff_ffff_u32.to_be_bytes())].concat()
    };
    assert_ended(connection.attack(20_000, made_to_reset).await, 20_000);
    assert_alive(&tally).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_at_most_200_streams() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    let tally = Tally::start(Database::sqlite()).await;
    let mut connection = RawConnection::open(&tally.url).await;
    let settings = connection.read_until(|frame| frame.kind == SETTINGS && frame.flags == 0).await.unwrap();
    let streams =
        settings.payload.chunks(6).find(|one| one[..2] == MAX_CONCURRENT_STREAMS.to_be_bytes()).unwrap();
    assert_eq!(streams[2..], 200_u32.to_be_bytes());
    let call = connection.call(METHOD);
    for number in 0..201 {
        assert!(connection.send(HEADERS, END_HEADERS, stream(number), &call).await);
    }
    // REFUSED_STREAM: the client may call again.
    let reset = connection.read_until(|frame| frame.kind == RST_STREAM).await.unwrap();
    assert_eq!((reset.stream, reset.payload), (stream(200), 7_u32.to_be_bytes().to_vec()));
    assert_alive(&tally).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_an_end_end_the_connection() {
    let tally = Tally::start(Database::sqlite()).await;
    let mut connection = RawConnection::open(&tally.url).await;
    let call = connection.call(METHOD);
    assert!(connection.send(HEADERS, 0, 1, &call).await);
    let more = literal("x-more", &"x".repeat(16_000));
    assert_ended(connection.attack(10_000, |_| frame(CONTINUATION, 0, 1, &more)).await, 10_000);
    assert_alive(&tally).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_is_repeated_by_its_index_is_refused() {
    let tally = Tally::start(Database::sqlite()).await;
    let mut connection = RawConnection::open(&tally.url).await;
    // A header of 4,000 bytes that enters the table, where it is 62, and 4,000 references to it: 16 MB in 8 KB.
    let text = |text: &str| [length(text.len()), text.as_bytes().to_vec()].concat();
    let entry = [vec![0x40], text("x-bomb"), text(&"x".repeat(4_000))].concat();
    let bomb = [connection.call(METHOD), entry, vec![0x80 | 62; 4_000]].concat();
    assert!(connection.send(HEADERS, END_HEADERS | END_STREAM, 1, &bomb).await);
    // 431 is an answer with headers; a reset or an end of the connection is one without.
    let answer = connection.read_until(|frame| frame.stream == 1 || frame.goaway_error().is_some()).await;
    assert!(answer.is_none_or(|frame| frame.kind != DATA));
    assert_alive(&tally).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_not_read_does_not_grow() {
    let tally = Tally::start(Database::sqlite()).await;
    let customers = |from: usize| -> Vec<v1::Customer> {
        let name = "x".repeat(250);
        let customer = |n: usize| crate::support::customer(&format!("{n:06}"), "2024-01-01", &[]);
        (from..from + 1_000).map(|n| v1::Customer { name: name.clone(), ..customer(n) }).collect()
    };
    tally.upsert(customers(0)).await.unwrap();
    let mut connection = RawConnection::open(&tally.url).await;
    // SETTINGS_INITIAL_WINDOW_SIZE of 0: the server may send nothing.
    assert!(connection.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await);
    let call = connection.call("CustomerService/ListCustomers");
    // A page of 1,000 customers.
    let message = framed(0, &[8, 0xe8, 7]);
    for number in 0..200 {
        assert!(connection.send(HEADERS, END_HEADERS, stream(number), &call).await);
        assert!(connection.send(DATA, END_STREAM, stream(number), &message).await);
    }
    // Each answer has its headers, whether it is a page or a refusal, and what a page holds is counted.
    for _ in 0..200 {
        connection.read_until(|frame| frame.kind == HEADERS).await.unwrap();
    }
    // As many as run and wait on a single core are let in.
    let held = in_flight(&tally).await;
    assert!(held >= 48.0 * 250_000.0 && held <= f64::from(128 << 20), "{held}");
    assert_alive(&tally).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_messages_that_wait_do_not_end_the_connection() {
    let tally = Tally::start(Database::sqlite()).await;
    let mut connection = RawConnection::open(&tally.url).await;
    // The window of a stream follows from the settings; that of the connection counts once the server has told it.
    assert!(connection.read_until(|frame| frame.kind == WINDOW_UPDATE).await.is_some());
    assert!(connection.send(SETTINGS, ACK, 0, &[]).await);
    let call = connection.call("InteractionService/StreamInteractions");
    assert!(connection.send(HEADERS, END_HEADERS, 1, &call).await);
    let message = v1::RecordInteractionsRequest {
        interactions: vec![interaction("c", "i", "visit", "2024-01-01")],
        ..Default::default()
    };
    let message = framed(0, &message.encode_to_vec());
    // All that the window of a stream lets through, a frame a message: more than the server stores meanwhile.
    let frames: Vec<u8> =
        (0..(128 << 10) / message.len()).flat_map(|_| frame(DATA, 0, 1, &message)).collect();
    assert!(connection.write(&frames).await);
    let request = v1::GetCustomerRequest { customer_id: "nobody".to_owned() };
    let request = framed(0, &request.encode_to_vec());
    connection.call_and_wait((3, METHOD), &[], &request).await;
}
