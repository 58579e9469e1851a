//! What the coordinator of the tests says about cases, and what clients make of it.

use std::time::Duration;

use tonic::{Request, Response, Status};
use votum_client::{Client, ClientError, Options};
use votum_machine::WallTime;
use votum_proto::v1::{
    GetCaseRequest, GetCaseResponse, ListCasesRequest, ListCasesResponse, ResolveCaseRequest,
    ResolveCaseResponse, case_service_server::CaseService,
};
use votum_wire::{
    CaseAction, CaseKind, CaseName, CaseView, EvidenceView, Translate,
    case::{CasePage, GetCase, ListCases, ResolveCase},
    status,
};

use crate::coordinator::{Coordinator, Desk};

#[tonic::async_trait]
impl CaseService for Desk {
    async fn list_cases(
        &self,
        request: Request<ListCasesRequest>,
    ) -> Result<Response<ListCasesResponse>, Status> {
        let page = ListCases::read(&request.into_inner())?.page;
        let script = self.0.lock().unwrap();
        let after = page.after.as_deref();
        let from = after.map_or(0, |after| {
            1 + script.cases.iter().position(|case| case.name.subject.to_string() == after).unwrap()
        });
        let cases: Vec<_> = script.cases[from..].iter().take(page.size).cloned().collect();
        let ends = from + cases.len() == script.cases.len();
        let last = cases.last().filter(|_| !ends);
        let next = last.map(|case| ListCases::token_after(&case.name.subject.to_string()));
        Ok(Response::new(CasePage { cases, next }.to_proto()))
    }

    async fn get_case(
        &self,
        request: Request<GetCaseRequest>,
    ) -> Result<Response<GetCaseResponse>, Status> {
        let wanted = GetCase::from_proto(request.into_inner())?;
        let script = self.0.lock().unwrap();
        let found = script.cases.iter().find(|case| case.name == wanted.name);
        let found = found.ok_or_else(|| status::case_not_found(&wanted.name))?;
        Ok(Response::new(GetCaseResponse { case: Some(found.to_proto()) }))
    }

    async fn resolve_case(
        &self,
        request: Request<ResolveCaseRequest>,
    ) -> Result<Response<ResolveCaseResponse>, Status> {
        let wish = ResolveCase::from_proto(request.into_inner())?;
        let mut script = self.0.lock().unwrap();
        script.resolutions += 1;
        if let Some(refusal) = script.refusals.pop_front() {
            return Err(refusal);
        }
        let at = script.cases.iter().position(|case| case.name == wish.name);
        let at = at.ok_or_else(|| status::case_not_found(&wish.name))?;
        let legal: Vec<&str> =
            script.cases[at].actions.iter().map(|action| action.word()).collect();
        if !legal.contains(&wish.action.word()) {
            return Err(status::illegal_resolution(&wish.name, &legal));
        }
        script.cases.remove(at);
        Ok(Response::new(ResolveCaseResponse {}))
    }
}

fn case(number: usize) -> CaseView {
    CaseView {
        name: CaseName::hook(
            "sales-1".parse().unwrap(),
            format!("effect-{number}").parse().unwrap(),
        ),
        kind: CaseKind::Effect,
        reason: "RETRIES_EXHAUSTED".to_owned(),
        message: "the receiver answered 503".to_owned(),
        since: WallTime(5),
        evidence: vec![EvidenceView { at: WallTime(5), text: "try 1".to_owned() }],
        actions: vec![CaseAction::Retry, CaseAction::Done],
    }
}

fn wanted(number: usize) -> GetCase {
    GetCase { name: case(number).name }
}

fn wish(number: usize, action: CaseAction) -> ResolveCase {
    ResolveCase { name: wanted(number).name, action, reason: "mended".to_owned() }
}

fn client(coordinator: &Coordinator) -> Client {
    let options = Options { timeout: Duration::from_secs(5), patience: Duration::from_secs(20) };
    Client::connect(&coordinator.address, options).unwrap()
}

fn reason(error: &ClientError) -> &str {
    error.problem().unwrap().reason.as_str()
}

#[tokio::test]
async fn cases_are_listed_over_all_pages() {
    let coordinator = Coordinator::start().await;
    coordinator.has_cases((0..450).map(case));
    let client = client(&coordinator);
    assert_eq!(client.cases().await.unwrap().len(), 450);
    let page = client.case_page(10, None).await.unwrap();
    assert_eq!((page.cases.len(), page.next.is_some()), (10, true));
}

#[tokio::test]
async fn a_case_is_shown_and_resolved_once() {
    let coordinator = Coordinator::start().await;
    coordinator.has_cases([case(1)]);
    let client = client(&coordinator);
    assert_eq!(client.case(&wanted(1)).await.unwrap(), case(1));
    client.resolve_case(&wish(1, CaseAction::Done)).await.unwrap();
    let gone = client.case(&wanted(1)).await.unwrap_err();
    assert_eq!(reason(&gone), "CASE_NOT_FOUND");
    let again = client.resolve_case(&wish(1, CaseAction::Done)).await.unwrap_err();
    assert_eq!(reason(&again), "CASE_NOT_FOUND");
}

#[tokio::test]
async fn an_action_that_the_log_forbids_is_refused() {
    let coordinator = Coordinator::start().await;
    coordinator.has_cases([case(1)]);
    let refused = client(&coordinator).resolve_case(&wish(1, CaseAction::GiveUp)).await;
    let refused = refused.unwrap_err();
    assert_eq!(reason(&refused), "ILLEGAL_RESOLUTION");
    assert!(refused.to_string().contains("retry, done"), "{refused}");
}

#[tokio::test]
async fn a_resolution_is_never_repeated_unasked() {
    let coordinator = Coordinator::start().await;
    coordinator.has_cases([case(1)]);
    coordinator.answer_next_with([status::shutting_down()]);
    let failed = client(&coordinator).resolve_case(&wish(1, CaseAction::Retry)).await;
    assert!(matches!(failed, Err(ClientError::Unavailable { .. })), "{failed:?}");
    assert_eq!(coordinator.resolutions(), 1);
}
