//! What only a person can decide: listed, shown and decided.

use votum_proto::v1::ListCasesRequest;
use votum_wire::{
    CaseView, Fault, Malformed, Translate as _,
    case::{CasePage, GetCase, ResolveCase},
};

use crate::{Client, ClientError, client::PAGE_SIZE};

impl Client {
    /// Lists every open case, by job.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] and what the coordinator refuses.
    pub async fn cases(&self) -> Result<Vec<CaseView>, ClientError> {
        let mut cases = Vec::new();
        let mut token = Some(String::new());
        while let Some(page_token) = token {
            let page = self.case_page(PAGE_SIZE, Some(page_token)).await?;
            cases.extend(page.cases);
            token = page.next;
        }
        Ok(cases)
    }

    /// Reads one page of the open cases; a token is of the page before.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] and what the coordinator refuses.
    pub async fn case_page(
        &self,
        size: usize,
        token: Option<String>,
    ) -> Result<CasePage, ClientError> {
        let page_size = i32::try_from(size).unwrap_or(i32::MAX);
        let request = ListCasesRequest { page_size, page_token: token.unwrap_or_default() };
        let answer = self
            .repeat(|| {
                let (mut service, request) = (self.cases_service(), request.clone());
                async move { service.list_cases(request).await }
            })
            .await?;
        Ok(CasePage::from_proto(answer)?)
    }

    /// Reads one open case with its evidence.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `CASE_NOT_FOUND`.
    pub async fn case(&self, wanted: &GetCase) -> Result<CaseView, ClientError> {
        let request = wanted.to_proto();
        let answer = self
            .repeat(|| {
                let (mut service, request) = (self.cases_service(), request.clone());
                async move { service.get_case(request).await }
            })
            .await?;
        let missing = || Malformed { field: "case".to_owned(), fault: Fault::Missing };
        Ok(CaseView::from_proto(answer.case.ok_or_else(missing)?)?)
    }

    /// Decides a case; durable when this returns. Tried once: a repeat would find it decided.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `CASE_NOT_FOUND` or `ILLEGAL_RESOLUTION`.
    pub async fn resolve_case(&self, wish: &ResolveCase) -> Result<(), ClientError> {
        let request = wish.to_proto();
        self.once(|| {
            let (mut service, request) = (self.cases_service(), request.clone());
            async move { service.resolve_case(request).await }
        })
        .await?;
        Ok(())
    }
}
