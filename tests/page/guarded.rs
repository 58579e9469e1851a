//! The page under certificates and tokens: who shows none is asked, and a role bounds what one may do.

use std::{fs, time::Duration};

use serde_json::json;
use votum_tests::{Cluster, Pki, Timing, eventually, programs};
use votum_wire::JobState;

use crate::{browser, browser::Browser, gated};

#[test]
fn under_certificates_a_token_says_what_the_page_may_do() {
    let Some(mut browser) = browser() else { return };
    let pki = Pki::made();
    let mut cluster = Cluster::prepared_with(&programs!(), Timing::PATIENT, &pki);
    let tokens = cluster.home().join("tokens");
    let line = |name: &str, role: &str| {
        let hash = blake3::hash(format!("votum_{name}").as_bytes()).to_hex();
        format!("{name}:{hash}:{role}\n")
    };
    fs::write(&tokens, [line("vera", "viewer"), line("olga", "operator")].concat()).unwrap();
    cluster.coordinator().add_argument(&format!("--tokens={}", tokens.display()));
    cluster.start_all();
    let job = cluster.submit(&gated(&cluster, "guarded"));
    let address = format!("https://{}/jobs/{job}", cluster.address());

    let refused = browser.open_in_vain(&address);
    assert!(refused.contains("ERR_CERT_AUTHORITY_INVALID"), "{refused}");
    browser.trust();
    browser.open(&address);
    browser.until_it_says("This coordinator asks who you are");
    browser.draw("token");
    browser.fill("input[name=token]", "votum_vera");
    browser.press("Go on");
    browser.until("the graph is drawn", "document.querySelectorAll('svg .node').length === 3");
    let spoken = "performance.getEntriesByType('navigation')[0].nextHopProtocol";
    assert_eq!(browser.eval(spoken), json!("h2"), "streams do not take up the six connections");
    browser.press("Logs");
    browser.until_it_says("it waits at the gate");

    // A viewer sees everything and changes nothing, and is told so in the dialog.
    cancelled(&mut browser, job.as_str());
    browser.until_it_says("Your role does not cover this");
    browser.draw("refused");
    browser.press("Leave it");
    assert_eq!(cluster.job(&job).state, JobState::Running);

    browser.press("Forget token");
    browser.until_it_says("This coordinator asks who you are");
    browser.fill("input[name=token]", "votum_olga");
    browser.press("Go on");
    cancelled(&mut browser, job.as_str());
    browser.until(
        "it is aborted",
        "document.querySelector('.jobhead')?.innerText.includes('aborted')",
    );
    assert_eq!(cluster.ended(&job).cause.unwrap().by, "olga");

    // Who is taken off the list is asked again, whatever is open.
    fs::write(&tokens, line("vera", "viewer")).unwrap();
    cluster.coordinator().hang_up();
    let is_refused = "fetch('/api/v1/cluster', {headers: {authorization: 'Bearer votum_olga'}}).then(answer => answer.status === 401)";
    eventually("the token is refused", Duration::from_secs(30), || {
        (browser.eval(is_refused) == json!(true)).then_some(())
    });
    browser.eval("document.querySelector('nav a[href=\"/workers\"]').click()");
    browser.until_it_says("The token that this tab has was not accepted");
    assert_eq!(browser.eval("document.cookie"), json!(""));
    let mut complaints = browser.complaints();
    complaints.retain(|one| !one.contains("status of 401") && !one.contains("status of 403"));
    assert_eq!(complaints, [""; 0]);
}

fn cancelled(browser: &mut Browser, job: &str) {
    browser.press("Cancel…");
    browser.fill("dialog input[name=typed]", job);
    browser.press("Cancel the job");
}
