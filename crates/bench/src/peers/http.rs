//! A caller over HTTP/1.1 that keeps its connection: as light as a load can be.

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufStream<TcpStream>,
    host: String,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) async fn opened(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufStream::new(stream), host: address.to_owned() })
    }

    /// Posts JSON and returns the answer.
    ///
    /// # Errors
    /// When the connection ends, or the answer is none of success.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> anyhow::Result<String> {
        let (host, length) = (&self.host, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.flush().await?;
        let status = self.line().await?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            match line.split_once(':') {
                None => break,
                Some(("content-length", value)) => length = value.trim().parse()?,
                Some(("transfer-encoding", value)) => chunked = value.contains("chunked"),
                Some(_) => {}
            }
        }
        let answer = if chunked { self.chunks().await? } else { self.bytes(length).await? };
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let code: u16 = status.split(' ').nth(1).context("no status")?.parse()?;
        ensure!((200..300).contains(&code), "{path}: {status}: {answer}");
        Ok(answer)
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            bail!("the connection ended");
        }
        Ok(line.trim_end().to_owned())
    }

    async fn bytes(&mut self, length: usize) -> anyhow::Result<Vec<u8>> {
        ensure!(length <= BODY_BYTES_MAX, "an answer of {length} bytes");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    async fn chunks(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line().await?, 16)?;
            ensure!(body.len() + length <= BODY_BYTES_MAX, "an answer that does not end");
            body.extend(self.bytes(length).await?);
            self.line().await?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
}

const BODY_BYTES_MAX: usize = 1 << 20;
