//! What the tasks of a job have made: what it consists of, and its bytes.

use bytes::Bytes;
use tonic::Streaming;
use votum_proto::v1::ReadOutputResponse;
use votum_wire::{
    Translate as _,
    output::{ListOutputFiles, OutputFiles, OutputId, OutputPiece, ReadOutput},
};

use crate::{
    Client, ClientError,
    backoff::Backoff,
    error::{broken, failed},
};

impl Client {
    /// Reads what an output consists of; with `staged`, also of one that is not published.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `OUTPUT_NOT_FOUND`, `OUTPUT_NOT_PUBLISHED` or
    /// `WORKER_UNREACHABLE`.
    pub async fn output_files(
        &self,
        output: &OutputId,
        staged: bool,
    ) -> Result<OutputFiles, ClientError> {
        let request = ListOutputFiles { output: output.clone(), staged }.to_proto();
        let mut pages = self
            .repeat(|| {
                let (mut jobs, request) = (self.jobs_service(), request.clone());
                async move { jobs.list_output_files(request).await }
            })
            .await?;
        let mut files = OutputFiles { single_file: false, entries: Vec::new(), target: None };
        loop {
            match pages.message().await {
                Ok(Some(page)) => {
                    let page = OutputFiles::from_proto(page)?;
                    files.single_file = page.single_file;
                    files.entries.extend(page.entries);
                    files.target = files.target.or(page.target);
                }
                Ok(None) => return Ok(files),
                Err(status) => return Err(failed(self.address(), &status)),
            }
        }
    }

    /// Reads the bytes of one file of an output.
    #[must_use]
    pub fn output_bytes(&self, wanted: ReadOutput) -> OutputBytes {
        OutputBytes { client: self.clone(), wanted, stream: None, failures: 0 }
    }
}

/// The bytes of one file, in order and each once, over broken connections.
#[derive(Debug)]
pub struct OutputBytes {
    client: Client,
    wanted: ReadOutput,
    stream: Option<Streaming<ReadOutputResponse>>,
    /// How often in a row a stream broke without a byte.
    failures: u32,
}

impl OutputBytes {
    /// Waits for the next bytes; `None` at the end of the file.
    ///
    /// # Errors
    /// [`ClientError`] when the worker or the coordinator refuses or stays away.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let mut backoff = Backoff::start();
        loop {
            let Some(stream) = &mut self.stream else {
                let request = self.wanted.to_proto();
                let call = || {
                    let (mut jobs, request) = (self.client.jobs_service(), request.clone());
                    async move { jobs.read_output(request).await }
                };
                self.stream = Some(self.client.repeat(call).await?);
                continue;
            };
            match stream.message().await {
                Ok(Some(piece)) => {
                    let OutputPiece { offset, data } = OutputPiece::from_proto(piece)?;
                    debug_assert_eq!(offset, self.wanted.offset, "pieces follow on one another");
                    let bytes = data.len() as u64;
                    self.failures = 0;
                    self.wanted.offset += bytes;
                    self.wanted.limit = self.wanted.limit.map(|limit| limit.saturating_sub(bytes));
                    return Ok(Some(data));
                }
                Ok(None) => return Ok(None),
                Err(status) => {
                    self.stream = None;
                    self.failures += 1;
                    if self.failures >= FAILURES_MAX {
                        return Err(failed(self.client.address(), &status));
                    }
                    broken(self.client.address(), &status)?;
                    backoff.pause(None).await;
                }
            }
        }
    }
}

/// So often in a row a stream may break without a byte.
const FAILURES_MAX: u32 = 5;
