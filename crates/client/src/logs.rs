//! What tasks wrote, over broken connections and restarts.

use std::collections::BTreeMap;

use tonic::Streaming;
use votum_proto::v1::TailLogsResponse;
use votum_wire::{LogPiece, LogStream, Translate, names::AttemptName, request::TailLogs};

use crate::{Client, ClientError, backoff::Backoff, error::broken};

/// Pieces of logs, each once and those of one stream in order.
#[derive(Debug)]
pub struct Logs {
    client: Client,
    wanted: TailLogs,
    stream: Option<Streaming<TailLogsResponse>>,
    /// How far each stream was seen.
    seen: BTreeMap<(AttemptName, LogStream), u64>,
    over: bool,
    /// Pauses between streams that bring nothing.
    backoff: Backoff,
}

impl Client {
    /// Reads logs of a job, a task or an attempt.
    #[must_use]
    pub fn logs(&self, wanted: TailLogs) -> Logs {
        Logs {
            client: self.clone(),
            wanted,
            stream: None,
            seen: BTreeMap::new(),
            over: false,
            backoff: Backoff::start(),
        }
    }
}

impl Logs {
    /// Waits for the next piece; `None` when everything that was asked for has come.
    ///
    /// After an error the logs may be asked again, and go on where they broke off.
    pub async fn next(&mut self) -> Option<Result<LogPiece, ClientError>> {
        while !self.over {
            match self.step().await {
                Ok(Some(piece)) => {
                    if let Some(piece) = self.unseen(piece) {
                        self.backoff = Backoff::start();
                        return Some(Ok(piece));
                    }
                }
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// Receives one piece, or opens the stream again when it broke.
    async fn step(&mut self) -> Result<Option<LogPiece>, ClientError> {
        let Some(stream) = &mut self.stream else {
            let request = self.wanted.to_proto();
            let call = || {
                let (mut jobs, request) = (self.client.jobs_service(), request.clone());
                async move { jobs.tail_logs(request).await }
            };
            let stream = self.client.repeat(call).await?;
            self.stream = Some(stream);
            return Ok(None);
        };
        match stream.message().await {
            Ok(Some(answer)) => Ok(Some(LogPiece::from_proto(answer)?)),
            Ok(None) => {
                self.over = true;
                Ok(None)
            }
            Err(status) => {
                self.stream = None;
                tracing::debug!(
                    reason = status.message(),
                    "the logs broke off, and are asked for again"
                );
                broken(self.client.address(), &status)?;
                self.backoff.pause(None).await;
                Ok(None)
            }
        }
    }

    /// Cuts off what was seen before the connection broke.
    fn unseen(&mut self, mut piece: LogPiece) -> Option<LogPiece> {
        // From here on the last lines are others: what was seen is cut off instead.
        self.wanted.tail_lines = None;
        let seen = self.seen.entry((piece.attempt.clone(), piece.stream)).or_default();
        let end = piece.offset + piece.data.len() as u64;
        let known = usize::try_from(seen.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
        if known >= piece.data.len() {
            return None;
        }
        piece.data = piece.data.slice(known..);
        piece.offset += known as u64;
        *seen = end;
        Some(piece)
    }
}
