//! A receiver of webhooks that the tests let answer as they like.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use votum_tests::eventually;

/// A receiver of webhooks that answers as it is told and remembers every request.
pub(crate) struct Receiver {
    scheme: &'static str,
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

/// What a receiver does with a request.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    /// Answers with this status.
    Status(u16),
    /// Reads it and says nothing.
    HangUp,
}

impl Receiver {
    /// Listens on a port of this machine.
    pub(crate) fn start(replies: Vec<Reply>) -> Self {
        Self::listen("http", replies, |stream| Box::new(stream))
    }

    /// Listens for TLS and shows the certificate of this configuration.
    pub(crate) fn start_tls(replies: Vec<Reply>, config: Arc<ServerConfig>) -> Self {
        Self::listen("https", replies, move |stream| {
            let session = ServerConnection::new(config.clone()).unwrap();
            Box::new(StreamOwned::new(session, stream))
        })
    }

    fn listen(
        scheme: &'static str,
        replies: Vec<Reply>,
        wrap: impl Fn(TcpStream) -> Box<dyn Wire> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if stream.set_read_timeout(Some(LIMIT)).is_err() {
                    continue;
                }
                let mut stream = wrap(stream);
                let Some(request) = read_request(stream.as_mut()) else { continue };
                let mut seen = seen.lock().unwrap();
                let reply = replies.get(seen.len()).or(replies.last()).copied().unwrap();
                seen.push(request);
                drop(seen);
                if let Reply::Status(status) = reply {
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    );
                    let _ = stream.write_all(answer.as_bytes());
                    let _ = stream.flush();
                }
            }
        });
        Self { scheme, port, requests }
    }

    /// Returns where it listens.
    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/hook", self.scheme, self.port)
    }

    /// Returns every request so far, in lower case.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    pub(crate) fn wait_for(&self, count: usize) {
        eventually("requests", LIMIT, || (self.requests().len() >= count).then_some(()));
    }
}

fn read_request(stream: &mut dyn Wire) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() >= length.trim().parse().ok()? {
                return Some(text.clone());
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

/// A connection, with or without TLS.
trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

const LIMIT: Duration = Duration::from_mins(1);
