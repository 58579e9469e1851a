//! Who may read what is sealed, and until when (R1).

use tonic::{Code, transport::Channel};
use votum_ids::{AttemptId, OutputName};
use votum_job::StagedOutput;
use votum_proto::worker::v1::artifact_service_client::ArtifactServiceClient;
use votum_wire::{
    ArtifactId, ArtifactPart, FromCoordinator, Problem, Translate,
    artifact::{GetArtifact, ReadArtifact},
};

use crate::{Session, World, attempt, attempt_with, start, start_as, until};

#[tokio::test]
async fn a_token_of_a_fenced_attempt_reads_nothing() {
    let mut world = World::new().await;
    let _daemon = world.start_daemon();
    let mut session = world.session().await;
    session.say(start("printf hello > \"$VOTUM_OUTPUT_ROWS\"")).await;
    let first = session.sealed().await;
    let mut reader = Reader::of(&session).await;
    assert_eq!(reader.list(attempt(), &first).await, Ok(1));
    assert_eq!(reader.read(attempt(), &first).await, Ok("hello".to_owned()));

    // The transfer is under way when the attempt is given up and its task runs again.
    session.say(FromCoordinator::Discard { attempt: attempt() }).await;
    until(|| !world.staging().join("sales-7/load.1.1").exists()).await;
    session.say(start_as(attempt_with(2), "printf again > \"$VOTUM_OUTPUT_ROWS\"")).await;
    let second = loop {
        if let votum_wire::FromWorker::Ended { attempt, end } = session.hear().await
            && attempt == attempt_with(2)
        {
            let votum_job::AttemptEnd::Sealed { mut outputs, .. } = end else { panic!("{end:?}") };
            break outputs.remove(0);
        }
    };

    let gone = (Code::NotFound, "OUTPUT_NOT_FOUND".to_owned());
    assert_eq!(reader.read(attempt(), &first).await, Err(gone.clone()));
    assert_eq!(reader.list(attempt(), &first).await, Err(gone));
    let refused = (Code::PermissionDenied, "NOT_ALLOWED".to_owned());
    assert_eq!(reader.read(attempt_with(2), &first).await, Err(refused.clone()));
    assert_eq!(reader.list(attempt_with(2), &first).await, Err(refused));
    assert_eq!(reader.read(attempt_with(2), &second).await, Ok("again".to_owned()));
}

/// A peer that reads what the worker serves.
struct Reader(ArtifactServiceClient<Channel>);

type Refusal = (Code, String);

impl Reader {
    async fn of(session: &Session) -> Self {
        let address = format!("http://{}", session.hello.artifact_address);
        Self(ArtifactServiceClient::connect(address).await.unwrap())
    }

    /// Returns how many pages the manifest has.
    async fn list(&mut self, of: AttemptId, presented: &StagedOutput) -> Result<usize, Refusal> {
        let wanted = GetArtifact { artifact: rows(of), read_token: presented.read_token.clone() };
        let response = self.0.get_artifact(wanted.to_proto()).await;
        let mut pages = response.map_err(|status| refusal(&status))?.into_inner();
        let mut count = 0;
        while let Some(_page) = pages.message().await.map_err(|status| refusal(&status))? {
            count += 1;
        }
        Ok(count)
    }

    /// Returns the text of the only file.
    async fn read(&mut self, of: AttemptId, presented: &StagedOutput) -> Result<String, Refusal> {
        let wanted = ReadArtifact {
            artifact: rows(of),
            read_token: presented.read_token.clone(),
            path: "rows.csv".to_owned(),
            offset: 0,
            limit: None,
        };
        let response = self.0.read_artifact(wanted.to_proto()).await;
        let mut pieces = response.map_err(|status| refusal(&status))?.into_inner();
        let mut text = Vec::new();
        while let Some(piece) = pieces.message().await.map_err(|status| refusal(&status))? {
            text.extend(piece.data);
        }
        Ok(String::from_utf8(text).unwrap())
    }
}

fn rows(attempt: AttemptId) -> ArtifactId {
    ArtifactId { attempt, part: ArtifactPart::Output(OutputName::new("rows").unwrap()) }
}

fn refusal(status: &tonic::Status) -> Refusal {
    let problem = Problem::from_status(status);
    (problem.code, problem.reason.as_str().to_owned())
}
