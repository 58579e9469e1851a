//! Requests of webhooks: sent once each, and their answers brought back as events.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, ClientBuilder, Error, redirect::Policy};
use tokio::sync::Semaphore;
use votum_driver::Inbox;
use votum_settle::{Post, Trial};

use crate::event::Event;

/// Sends requests; at most [`POSTS_MAX`] are under way, the others wait.
#[derive(Debug, Clone)]
pub(crate) struct Webhooks {
    /// None, and why, if nothing can be sent: jobs still run.
    client: Result<Client, String>,
    inbox: Inbox<Event>,
    room: Arc<Semaphore>,
}

impl Webhooks {
    /// Makes a sender that answers into this inbox.
    ///
    /// A machine without certificates can reach no `https`; every try says so, and is tried again.
    pub(crate) fn new(inbox: Inbox<Event>) -> Self {
        Self { client: client(), inbox, room: Arc::new(Semaphore::new(POSTS_MAX)) }
    }

    /// Sends a request and brings its end back; the same request may be sent twice.
    pub(crate) fn send(&self, post: Post) {
        let this = self.clone();
        tokio::spawn(async move {
            let Ok(_permit) = this.room.acquire().await else { return };
            let trial = this.post(&post).await;
            let Post { job, hook, number, .. } = post;
            this.inbox.send(Event::Answered { job, hook, number, trial }).await;
        });
    }

    async fn post(&self, post: &Post) -> Trial {
        let client = match &self.client {
            Ok(client) => client,
            Err(problem) => {
                let message = format!("webhooks cannot be sent: {problem}");
                return Trial::Failed { message, hopeless: false };
            }
        };
        let mut request = client
            .post(&post.url)
            .timeout(post.timeout)
            .header("content-type", "application/json")
            .header("idempotency-key", &post.key)
            .body(post.body.clone());
        for (name, value) in &post.headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) => Trial::of_status(answer.status().as_u16()),
            Err(error) => unanswered(&error),
        }
    }
}

/// Says what a request came to that got no answer: before it could leave nothing happened.
fn unanswered(error: &Error) -> Trial {
    let what = if error.is_timeout() { "no answer in time".to_owned() } else { innermost(error) };
    let message = match error.url().and_then(|url| url.host_str()) {
        Some(host) => format!("{host}: {what}"),
        None => what,
    };
    if error.is_builder() {
        Trial::Failed { message, hopeless: true }
    } else if error.is_connect() {
        Trial::Failed { message, hopeless: false }
    } else {
        Trial::Unknown { message }
    }
}

/// Makes what sends requests; says why if nothing can be sent.
pub(crate) fn client() -> Result<Client, String> {
    // Another part of the process may have chosen the same before.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let client = prepared().build().or_else(|error| {
        // Whoever has no certificates trusts nobody; what needs no trust is sent.
        tracing::warn!(problem = innermost(&error), "nothing can be sent to https");
        prepared().tls_certs_only([]).build()
    });
    client.map_err(|error| innermost(&error))
}

fn prepared() -> ClientBuilder {
    Client::builder()
        .user_agent("votum")
        .connect_timeout(CONNECT_TIMEOUT)
        // What stands elsewhere has not agreed to the key.
        .redirect(Policy::none())
}

/// Returns the innermost words, which say what is wrong; the outer ones repeat the address.
fn innermost(error: &Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}

/// So many requests are under way at a time.
const POSTS_MAX: usize = 64;
/// A receiver that cannot be reached is tried again later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
