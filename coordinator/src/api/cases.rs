//! What only a person can decide.

use tonic::{Request, Response, Status};
use votum_proto::v1::{
    GetCaseRequest, GetCaseResponse, ListCasesRequest, ListCasesResponse, ResolveCaseRequest,
    ResolveCaseResponse, case_service_server::CaseService,
};
use votum_wire::{
    CaseName, CaseView, Translate,
    case::{CasePage, GetCase, ListCases, ResolveCase},
    status,
};

use super::{Desk, caller, read};
use crate::{action::Answer, question::Question};

/// The service about cases.
#[derive(Debug)]
pub(crate) struct CaseApi(pub(crate) Desk);

#[tonic::async_trait]
impl CaseService for CaseApi {
    async fn list_cases(
        &self,
        request: Request<ListCasesRequest>,
    ) -> Result<Response<ListCasesResponse>, Status> {
        let page = ListCases::read(request.get_ref())?.page;
        let after = page.after.unwrap_or_default();
        let mut cases = self.0.cases().await?;
        cases.sort_by_key(position);
        cases.retain(|case| position(case).as_str() > after.as_str());
        let is_last = cases.len() <= page.size;
        cases.truncate(page.size);
        let last = cases.last().filter(|_| !is_last);
        let next = last.map(|case| ListCases::token_after(&position(case)));
        for case in &mut cases {
            case.evidence.clear();
        }
        Ok(Response::new(CasePage { cases, next }.to_proto()))
    }

    async fn get_case(
        &self,
        request: Request<GetCaseRequest>,
    ) -> Result<Response<GetCaseResponse>, Status> {
        let GetCase { name } = read(request)?;
        let cases = self.0.cases().await?;
        let case = cases.into_iter().find(|case| case.name == name);
        let case = case.ok_or_else(|| status::case_not_found(&name))?;
        Ok(Response::new(GetCaseResponse { case: Some(case.to_proto()) }))
    }

    async fn resolve_case(
        &self,
        request: Request<ResolveCaseRequest>,
    ) -> Result<Response<ResolveCaseResponse>, Status> {
        let by = caller(&request);
        let ResolveCase { name: CaseName { job, subject }, action, reason } = read(request)?;
        let question = match job {
            Some(job) => Question::Resolve { job, subject, action, by, reason },
            None => Question::TrustLog { action, by, reason },
        };
        let Answer::Resolved = self.0.ask(question).await? else {
            return Err(status::shutting_down());
        };
        Ok(Response::new(ResolveCaseResponse {}))
    }
}

impl Desk {
    async fn cases(&self) -> Result<Vec<CaseView>, Status> {
        let Answer::Cases(cases) = self.ask(Question::ShowCases).await? else {
            return Err(status::shutting_down());
        };
        Ok(cases)
    }
}

/// Where a case stands in the list.
fn position(case: &CaseView) -> String {
    case.name.to_string()
}
