//! A backup of the coordinator's store, part by part, and whether it is whole.

use std::str::FromStr;

use tonic::Streaming;
use votum_ids::Digest;
use votum_proto::v1::{
    BackupStoreRequest, BackupStoreResponse, admin_service_client::AdminServiceClient,
};

use crate::{Client, ClientError, error::failed};

/// A backup on its way.
#[derive(Debug)]
pub struct Backup {
    client: Client,
    parts: Streaming<BackupStoreResponse>,
    bytes: u64,
}

/// What comes next of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupPart {
    /// The next bytes of the file.
    Data(Vec<u8>),
    /// Everything has come; nothing follows.
    End(BackupEnd),
}

/// What a whole backup came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupEnd {
    /// The last record of the store that is in it.
    pub last_record: u64,
    /// BLAKE3 of the store's copy, which is all bytes but the last 40.
    pub digest: Digest,
    /// How many bytes there were in all.
    pub bytes: u64,
}

impl Client {
    /// Begins a backup of everything that is durable at this moment; tried once.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `QUOTA_EXCEEDED` while too many are under way.
    pub async fn backup(&self) -> Result<Backup, ClientError> {
        let parts = self
            .once(|| {
                let mut service = AdminServiceClient::new(self.channel());
                async move { service.backup_store(BackupStoreRequest {}).await }
            })
            .await?;
        Ok(Backup { client: self.clone(), parts, bytes: 0 })
    }
}

impl Backup {
    /// Waits for the next part; what came before its end is no backup.
    ///
    /// # Errors
    /// [`ClientError`] when the stream breaks, or ends before everything has come.
    pub async fn next(&mut self) -> Result<BackupPart, ClientError> {
        let address = self.client.address();
        let part = self.parts.message().await.map_err(|status| failed(address, &status))?;
        let ended = || failed(address, &tonic::Status::unavailable("the backup ended early"));
        let part = part.ok_or_else(ended)?;
        let Some(end) = part.end else {
            self.bytes += part.data.len() as u64;
            return Ok(BackupPart::Data(part.data.into()));
        };
        let said = (u64::try_from(end.last_record), Digest::from_str(&end.digest));
        match said {
            (Ok(last_record), Ok(digest)) if u64::try_from(end.bytes) == Ok(self.bytes) => {
                Ok(BackupPart::End(BackupEnd { last_record, digest, bytes: self.bytes }))
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => {
                Err(failed(address, &tonic::Status::data_loss("the backup lacks parts")))
            }
        }
    }
}
