//! How many connections there are, and what becomes of those that say nothing.

use std::{net::SocketAddr, time::Duration};

use tally_proto::v1::{self, customer_service_client::CustomerServiceClient};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tonic::{Code, transport::Channel};

use crate::support::{Database, ServeProcess};

async fn connect(process: &ServeProcess) -> TcpStream {
    let address: SocketAddr = process.url().strip_prefix("http://").unwrap().parse().unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// Whether the server closes a connection within a minute. What it sends before is read.
async fn is_closed(mut stream: TcpStream) -> bool {
    let mut all = Vec::new();
    timeout(Duration::from_secs(60), stream.read_to_end(&mut all)).await.is_ok()
}

async fn answers(channel: Channel) -> bool {
    let request = v1::GetCustomerRequest { customer_id: "nobody".to_owned() };
    let answer = CustomerServiceClient::new(channel).get_customer(request).await;
    answer.unwrap_err().code() == Code::NotFound
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_give_way_to_those_that_speak() {
    let database = Database::sqlite();
    let process = ServeProcess::start(&database.url, &["--max-connections", "3"]);
    let silent = [connect(&process).await, connect(&process).await, connect(&process).await];
    let channels = || async { Channel::from_shared(process.url()).unwrap().connect().await.unwrap() };
    let mut speaking = Vec::new();
    for stream in silent {
        let channel = channels().await;
        assert!(answers(channel.clone()).await);
        assert!(is_closed(stream).await);
        speaking.push(channel);
    }
    // All that are open speak, so that the next is closed, and those that are open stay.
    assert!(is_closed(connect(&process).await).await);
    for channel in speaking {
        assert!(answers(channel).await);
    }
    // One that ends makes room.
    let channel = loop {
        if let Ok(channel) = Channel::from_shared(process.url()).unwrap().connect().await
            && answers(channel.clone()).await
        {
            break channel;
        }
    };
    assert!(answers(channel).await);
}
