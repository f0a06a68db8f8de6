//! A client that writes HTTP/2 frame by frame (RFC 9113), to send what no library would.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

/// Types of frames.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags of frames.
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The code of an error by which a server ends a connection that is too much for it.
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame as it was read.
#[derive(Debug)]
pub struct RawFrame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl RawFrame {
    /// The error of a GOAWAY frame.
    pub fn goaway_error(&self) -> Option<u32> {
        let code = (self.kind == GOAWAY).then(|| self.payload[4..8].try_into().unwrap());
        code.map(u32::from_be_bytes)
    }
}

/// A connection whose preface has been sent. Pings and settings of the server are acknowledged by nobody.
pub struct RawConnection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    authority: String,
}

impl RawConnection {
    pub async fn open(url: &str) -> Self {
        let authority = url.strip_prefix("http://").unwrap().to_owned();
        let address: SocketAddr = authority.parse().unwrap();
        let (reader, writer) = TcpStream::connect(address).await.unwrap().into_split();
        let mut connection = Self { reader, writer, authority };
        assert!(connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await);
        assert!(connection.send(SETTINGS, 0, 0, &[]).await);
        connection
    }

    /// Sends a frame. Returns whether the connection is open.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.write(&frame(kind, flags, stream, payload)).await
    }

    /// Sends bytes as they are. Returns whether the connection is open.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.writer.write_all(bytes).await.is_ok()
    }

    /// Calls a method with these headers and this body. Returns once the server has answered.
    pub async fn call_and_wait(
        &mut self,
        (stream, method): (u32, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let more = headers.iter().flat_map(|(name, value)| literal(name, value));
        let block: Vec<u8> = self.call(method).into_iter().chain(more).collect();
        assert!(self.send(HEADERS, END_HEADERS, stream, &block).await);
        assert!(self.send(DATA, END_STREAM, stream, body).await);
        let answer = self.read_until(|frame| frame.stream == stream && frame.kind == HEADERS).await;
        assert!(answer.is_some(), "the server answers");
    }

    /// The header block of a call of this method.
    pub fn call(&self, method: &str) -> Vec<u8> {
        let path = format!("/tally.v1.{method}");
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", &path),
            (":authority", &self.authority),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        headers.iter().flat_map(|(name, value)| literal(name, value)).collect()
    }

    /// The next frame; None when the server has closed the connection.
    pub async fn read(&mut self) -> Option<RawFrame> {
        let read = async {
            let mut header = [0; 9];
            self.reader.read_exact(&mut header).await.ok()?;
            let mut payload = vec![0; u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize];
            self.reader.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
            Some(RawFrame { kind: header[3], flags: header[4], stream, payload })
        };
        timeout(Duration::from_secs(60), read).await.expect("a frame or an end within a minute")
    }

    /// Reads until a frame that `is` one; None when the server closes the connection before.
    pub async fn read_until(&mut self, is: impl Fn(&RawFrame) -> bool) -> Option<RawFrame> {
        while let Some(frame) = self.read().await {
            if is(&frame) {
                return Some(frame);
            }
        }
        None
    }

    /// Writes frames of `attack` by numbers until the server ends the connection or says that it will, up to `most` times.
    /// Returns the error that it gives and how many were sent; no error when it ends the connection without a word.
    pub async fn attack(self, most: u32, attack: impl Fn(u32) -> Vec<u8>) -> (Option<u32>, u32) {
        let Self { mut reader, mut writer, .. } = self;
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            // An error stands for an end: the server closes a connection of which it has not read everything.
            let _ = reader.read_to_end(&mut all).await;
            all
        });
        let mut sent = 0;
        while sent < most && !reading.is_finished() && writer.write_all(&attack(sent)).await.is_ok() {
            sent += 1;
        }
        drop(writer);
        let all = timeout(Duration::from_secs(60), reading).await.expect("an end within a minute").unwrap();
        let mut rest = &all[..];
        while let Some((header, after)) = rest.split_at_checked(9) {
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            let frame = RawFrame { kind: header[3], flags: header[4], stream: 0, payload: payload.to_vec() };
            if let Some(error) = frame.goaway_error().filter(|error| *error != 0) {
                return (Some(error), sent);
            }
            rest = after;
        }
        (None, sent)
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header field without indexing and without Huffman coding (RFC 7541, section 6.2.2).
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [length(text.len()), text.as_bytes().to_vec()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// An integer with a prefix of seven bits (RFC 7541, section 5.1).
pub fn length(mut value: usize) -> Vec<u8> {
    if value < 127 {
        return vec![value as u8];
    }
    value -= 127;
    let mut bytes = vec![127];
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
