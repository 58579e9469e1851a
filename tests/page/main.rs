//! The page in a real browser, against real daemons.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod browser;
mod crowded;
mod damaged;
mod guarded;
mod pictures;
mod scripts;

use std::time::Duration;

use serde_json::json;
use votum_ids::JobId;
use votum_job::{EffectWork, JobSpec, Placement, Program, Trigger};
use votum_tests::{Cluster, JobDraft, Stopwatch, TaskDraft, Timing, eventually, programs};
use votum_wire::{HookState, JobState};

use browser::{Browser, Scheme};

#[test]
fn a_job_runs_to_its_commit_before_ones_eyes() {
    let Some((cluster, mut browser)) = stage() else { return };
    browser.open(&address(&cluster, "/"));
    browser.until_it_says("No job has been handed in yet");
    let job = cluster.submit(&gated(&cluster, "live"));
    browser.until_it_says(job.as_str());
    browser.eval("window.unloaded = false, addEventListener('pagehide', () => window.unloaded = true), window.same = 1");
    browser.key("j");
    browser.key("Enter");
    browser.until("the graph is drawn", "document.querySelectorAll('svg .node').length === 3");
    browser.until(
        "its words live",
        "document.querySelector('[data-task=t1] .word').textContent.includes('running')",
    );
    browser.press("Logs");
    browser.until_it_says("it waits at the gate");
    open_gate(&cluster);
    browser.until(
        "it is committed",
        "document.querySelector('.jobhead').innerText.includes('committed')",
    );
    browser.until("everybody has applied it", "document.querySelectorAll('.commit tbody tr').length === 3 && [...document.querySelectorAll('.commit tbody tr')].every(row => row.innerText.includes('YES') && row.innerText.includes('applied'))");
    browser.press("Timeline");
    browser
        .until("a bar for each attempt", "document.querySelectorAll('.timeline .run').length >= 3");
    browser.press("Outputs");
    browser.until_it_says("visible");
    browser.press("Events");
    browser.until_it_says("commit_decided");
    assert_eq!(browser.eval("window.same"), json!(1), "without a reload");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_job_is_shown_as_of_each_of_its_events() {
    let Some((cluster, mut browser)) = stage() else { return };
    let job = cluster.submit(&gated(&cluster, "replayed"));
    browser.open(&address(&cluster, &format!("/jobs/{job}")));
    let stands = |task: &str, word: &str| {
        format!(
            "document.querySelector('[data-task={task}] .word')?.textContent.includes('{word}') === true"
        )
    };
    browser.until("it runs", &stands("t1", "running"));
    browser.key("h");
    browser.until_it_says("As of event 3 of 3");
    // What happens meanwhile does not move the past, but makes the slider longer.
    open_gate(&cluster);
    cluster.ended(&job);
    browser.until_it_says("the job is now committed");
    browser.until("it is as it was", &stands("t1", "running"));
    let slide = |to: &str| {
        format!(
            "(slider => {{ slider.value = {to}; slider.dispatchEvent(new Event('input')); }})(document.querySelector('.past input'))"
        )
    };
    browser.until("all events are known", "document.querySelector('.past input').max > 10");
    let last = cluster.block_on(cluster.client().events(&job, 0)).unwrap();
    browser.eval(&slide("slider.max"));
    browser.until_it_says(&format!("As of event {} of {}", last.len(), last.len()));
    let states = "JSON.stringify([...document.querySelectorAll('.node')].map(one => one.getAttribute('aria-label')))";
    let told = browser.eval(states);
    browser.press("Back to live");
    browser.until("the bar is gone", "document.querySelector('.looking-back').hidden");
    assert_eq!(told, browser.eval(states), "the fold of all events is what stands");

    let decided = last.iter().position(|one| one.kind == "commit_decided").unwrap();
    browser.open(&address(&cluster, &format!("/jobs/{job}?event={decided}&tab=events")));
    browser.until_it_says("preparing");
    browser.until(
        "no later event",
        &format!("document.querySelectorAll('.events tbody tr').length === {decided}"),
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('.jobhead button').length"),
        json!(0),
        "nothing acts on the past"
    );
    browser.press("›");
    browser.until_it_says("all YES");
    browser.press("1");
    browser.until(
        "nothing has begun",
        &format!("{} && {}", stands("t1", "ready"), stands("t2", "waiting")),
    );
    for (tab, says) in [
        ("Timeline", "No attempt has begun"),
        ("Outputs", "No output was staged by then"),
        ("Logs", "Logs are not among the events"),
    ] {
        browser.press(tab);
        browser.until_it_says(says);
    }
    browser.key("h");
    browser.until(
        "it is live again",
        "document.querySelector('.looking-back').hidden && !location.search.includes('event')",
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn however_a_job_ended_its_events_tell_the_same() {
    let Some((cluster, mut browser)) = stage() else { return };
    let failing = TaskDraft::new("t1").on("s1").runs("exit 3").writes("rows", "a").publishes("a");
    let cancelled = cluster.submit(&gated(&cluster, "cancelled"));
    let jobs = [
        cluster.submit(&JobDraft::trio("whole", "whole", &cluster.runs()).spec()),
        cluster.submit(&JobDraft::new("failing").task(failing).spec()),
        cluster.submit(&cased("cased")),
        cluster.submit(&approved("approved")),
    ];
    cluster.block_on(cluster.client().cancel(&cancelled, "not wanted")).unwrap();
    for job in jobs[..2].iter().chain([&cancelled]) {
        cluster.ended(job);
    }
    cluster.wait_for("its effect needs a person", &jobs[2], |view| {
        view.hooks.iter().any(|hook| hook.state == HookState::Parked)
    });
    cluster.wait_for("it waits", &jobs[3], |view| view.state == JobState::AwaitingApproval);
    let stands = "[document.querySelector('.jobhead .chip').innerText, document.querySelectorAll('.phases b')[2].innerText, document.querySelectorAll('.phases time').length > 2]";
    for job in jobs.iter().chain([&cancelled]) {
        browser.open(&address(&cluster, &format!("/jobs/{job}")));
        browser.until("it is drawn", "document.querySelector('.node') !== null");
        let live = browser.eval(stands);
        browser.open(&address(&cluster, &format!("/jobs/{job}?event=9999")));
        browser.until("it is drawn", "document.querySelector('.node') !== null");
        assert_eq!(browser.eval(stands), live, "{job}");
        let at_the_end =
            "location.search === '?event=' + document.querySelector('.past input').max";
        assert_eq!(browser.eval(at_the_end), json!(true), "it ends at the last event");
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn workers_and_targets_follow_what_happens() {
    let Some((cluster, mut browser)) = stage() else { return };
    let job = cluster.submit(&gated(&cluster, "moving"));
    browser.open(&address(&cluster, "/workers"));
    browser.until_it_says(&format!("{job}/t1"));
    browser.until_it_says("live");
    browser.open(&address(&cluster, "/targets"));
    browser.until_it_says("Nothing has been published yet");
    open_gate(&cluster);
    browser.until("three targets", "document.querySelectorAll('tr[data-row]').length === 3");
    browser.until_it_says(job.as_str());
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_job_is_cancelled_only_when_its_name_was_typed() {
    let Some((cluster, mut browser)) = stage() else { return };
    let job = cluster.submit(&gated(&cluster, "unwanted"));
    browser.open(&address(&cluster, &format!("/jobs/{job}")));
    browser.press("Cancel…");
    browser.until_it_says("Nothing becomes visible");
    let is_locked = "[...document.querySelectorAll('dialog button')].find(one => one.textContent === 'Cancel the job').disabled";
    assert_eq!(browser.eval(is_locked), json!(true));
    browser.fill("dialog input[name=reason]", "wrong day");
    browser.fill("dialog input[name=typed]", job.as_str());
    browser.press("Cancel the job");
    browser
        .until("it is aborted", "document.querySelector('.jobhead').innerText.includes('aborted')");
    let view = cluster.ended(&job);
    assert_eq!(view.state, JobState::Aborted);
    assert!(view.cause.unwrap().message.contains("wrong day"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_commit_is_reverted_when_its_name_was_typed() {
    let Some((cluster, mut browser)) = stage() else { return };
    let rows = TaskDraft::new("t").on("s1").writes("rows", "rows.txt").publishes("rows.txt");
    let [first, second] = ["first", "second"].map(|name| {
        let job = cluster.submit(&JobDraft::new(name).task(rows.clone()).spec());
        assert_eq!(cluster.ended(&job).state, JobState::Committed);
        cluster.wait_until_staging_is_empty();
        job
    });
    browser.open(&address(&cluster, &format!("/jobs/{second}")));
    browser.press("Revert…");
    browser.until_it_says(&format!("rows.txt shows {first} again"));
    browser.fill("dialog input[name=reason]", "wrong prices");
    browser.fill("dialog input[name=typed]", second.as_str());
    browser.press("Revert");
    browser.until("its page is open", "location.pathname.startsWith('/jobs/revert-second-')");
    browser.until_it_says("wrong prices");
    browser.until(
        "it is committed",
        "document.querySelector('.jobhead').innerText.includes('committed')",
    );
    browser.until_it_says("No program ran");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn what_needs_a_person_is_shown_and_decided() {
    let Some((cluster, mut browser)) = stage() else { return };
    let asked = cluster.submit(&approved("to-approve"));
    let cased = cluster.submit(&cased("cased"));
    browser.open(&address(&cluster, "/"));
    browser.until_it_says("Needs a person");
    browser.until_it_says("waits for an approval");
    browser.until_it_says(&format!("{cased}/cases/notify"));

    browser.open(&address(&cluster, &format!("/jobs/{asked}")));
    browser.press("Approve…");
    browser.until_it_says("this becomes visible");
    browser.press("Approve");
    assert_eq!(cluster.ended(&asked).state, JobState::Committed);

    browser.open(&address(&cluster, "/cases"));
    browser.until_it_says("no route");
    browser.press("It is done…");
    browser.fill("dialog input[name=reason]", "told them by telephone");
    browser.press("It is done");
    browser.until_it_says("No case is open");
    let hook = cluster.job(&cased).hooks.into_iter().next().unwrap();
    assert_eq!(hook.resolution.unwrap().reason, "told them by telephone");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_list_is_filtered_and_paged_by_the_coordinator() {
    let Some((cluster, mut browser)) = stage() else { return };
    for _ in 0..60 {
        let task = TaskDraft::new("t1").runs("true");
        cluster.submit(&JobDraft::new("many").task(task).spec());
    }
    let other = cluster.submit(&gated(&cluster, "other"));
    let watch = Stopwatch::start();
    browser.open(&address(&cluster, "/"));
    let rows = "document.querySelectorAll('tr[data-row]').length";
    browser.until("a page of rows", &format!("{rows} === 50"));
    println!("first page of the list after {:?}", watch.elapsed());
    browser.until("nothing moves any more", "[...document.querySelectorAll('tr[data-row]')].filter(row => row.innerText.includes('committed')).length === 49");
    browser.press("Older →");
    browser.until("the rest", &format!("{rows} === 11"));
    browser.press("← Newer");
    browser.until("a page of rows", &format!("{rows} === 50"));
    browser.key("/");
    browser.fill("input[type=search]", "state:running name:other");
    browser.until("one row", &format!("{rows} === 1"));
    browser.until_it_says(other.as_str());
    browser.fill("input[type=search]", "state:flying");
    browser.until_it_says("there is no state flying");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_runs_of_a_name_are_one_grid() {
    let Some((cluster, mut browser)) = stage() else { return };
    let often = |exit: &str| {
        let script = format!("[ $VOTUM_ATTEMPT -gt 1 ] || exit 7; exit {exit}");
        let first = TaskDraft::new("extract").on("s1").runs(&script);
        let second = TaskDraft::new("load").on("s2").runs("true").needs("extract");
        JobDraft::new("nightly").task(first).task(second).spec()
    };
    let jobs: Vec<JobId> = (0..22).map(|_| cluster.submit(&often("0"))).collect();
    for job in &jobs {
        assert_eq!(cluster.ended(job).state, JobState::Committed);
    }
    let failed = cluster.submit(&often("9"));
    assert_eq!(cluster.ended(&failed).state, JobState::Aborted);
    cluster.submit(&gated(&cluster, "other"));
    browser.open(&address(&cluster, &format!("/jobs/{failed}")));
    browser.press_link("all runs");
    browser.until_it_says("20 runs on this page have ended, 19 with COMMIT: 95 %");
    let rows = "document.querySelectorAll('.grid tr[data-row]').length";
    assert_eq!(browser.eval(rows), json!(20));
    let cells = "document.querySelectorAll('.grid [aria-label^=\"extract: committed on s1, 2 attempts\"]').length";
    assert_eq!(browser.eval(cells), json!(19));
    browser.draw("runs");
    browser.press("Older →");
    browser.until("the rest", &format!("{rows} === 3"));
    browser.press("← Newer");
    browser.until("a page of runs", &format!("{rows} === 20"));

    // What begins meanwhile stands on top.
    let running = cluster.submit(&gated(&cluster, "nightly"));
    browser.until_it_says("running");
    browser.key("j");
    browser.key("Enter");
    browser.until("it is open", &format!("location.pathname === '/jobs/{running}'"));
    browser.open(&address(&cluster, "/names/never"));
    browser.until_it_says("There is no run of never");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn what_a_job_says_is_text_and_nothing_else() {
    let Some((cluster, mut browser)) = stage() else { return };
    let hostile = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>";
    let script = format!("echo '{hostile}'; echo '{hostile}' >&2; exit 3");
    let task = TaskDraft::new("t1").on("s1").runs(&script).writes("rows", "a").publishes("a");
    let mut spec = JobDraft::new("hostile").task(task).spec();
    spec.description = hostile.to_owned();
    spec.labels.insert("label".to_owned(), hostile.to_owned());
    let job = cluster.submit(&spec);
    cluster.ended(&job);
    browser.open(&address(&cluster, "/"));
    browser.until_it_says(job.as_str());
    for tab in ["timeline", "tasks", "logs", "events", "spec"] {
        browser.open(&address(&cluster, &format!("/jobs/{job}?task=t1&tab={tab}")));
        browser.until_it_says(hostile);
        browser.until("the tab is filled", "document.querySelector('.tab').innerText.length > 0");
    }
    for event in 1..8 {
        browser.open(&address(&cluster, &format!("/jobs/{job}?event={event}&task=t1&tab=tasks")));
        browser.until_it_says(&format!("As of event {event}"));
        browser.until_it_says(hostile);
    }
    assert_eq!(
        browser.eval("[window.pwned === undefined, document.querySelectorAll('img').length]"),
        json!([true, 0])
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn every_view_fits_a_phone_in_light_and_dark() {
    let Some((cluster, mut browser)) = stage() else { return };
    let job = cluster.submit(&JobDraft::trio("fitting", "fitting", &cluster.runs()).spec());
    cluster.ended(&job);
    cluster.submit(&cased("told"));
    let paper = "getComputedStyle(document.body).backgroundColor";
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.looks(390, scheme);
        for path in views(&job) {
            browser.open(&address(&cluster, &path));
            browser.until("it is filled", "document.querySelector('main').innerText.length > 20");
            let width = browser.eval("document.documentElement.scrollWidth");
            assert!(width.as_u64().unwrap() <= 390, "{path} is {width} wide");
        }
        let light = browser.eval(&format!("{paper} === 'rgb(247, 247, 245)'"));
        assert_eq!(light, json!(scheme == Scheme::Light));
    }
    // Whoever chooses is not bound by the machine.
    browser.press("◑ auto");
    assert_eq!(browser.eval(&format!("{paper} === 'rgb(247, 247, 245)'")), json!(true));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn who_has_no_token_is_asked_for_one() {
    let Some(mut browser) = browser() else { return };
    let mut cluster = Cluster::prepared(&programs!(), Timing::PATIENT);
    let tokens = cluster.home().join("tokens");
    let hash = blake3::hash(b"votum_vera").to_hex();
    std::fs::write(&tokens, format!("vera:{hash}:viewer\n")).unwrap();
    cluster.coordinator().add_argument(&format!("--tokens={}", tokens.display()));
    cluster.coordinator().start();
    let address = address(&cluster, "/");
    eventually("it listens", Duration::from_secs(30), || {
        std::net::TcpStream::connect(cluster.address()).ok()
    });
    browser.open(&address);
    browser.until_it_says("This coordinator asks who you are");
    browser.fill("input[name=token]", "votum_mallory");
    browser.press("Go on");
    browser.until_it_says("The token that this tab has was not accepted");
    browser.fill("input[name=token]", "votum_vera");
    browser.press("Go on");
    browser.until_it_says("No job has been handed in yet");
    assert_eq!(browser.eval("document.cookie"), json!(""));
}

#[test]
fn a_job_is_found_and_read_with_keys_alone() {
    let Some((cluster, mut browser)) = stage() else { return };
    let job = cluster.submit(&JobDraft::trio("typed", "typed", &cluster.runs()).spec());
    cluster.ended(&job);
    browser.open(&address(&cluster, "/"));
    browser.until_it_says(job.as_str());
    let focus = |selector: &str| format!("document.activeElement.matches('{selector}')");
    browser.key("?");
    browser.until("the list of keys", "document.querySelectorAll('dialog kbd').length > 10");
    browser.key("Enter");
    browser.until("it is closed", "document.querySelector('dialog') === null");
    browser.key("/");
    browser.until("the filter", &focus("input[type=search]"));
    browser.key("Escape");
    browser.key("j");
    browser.until("the first row", &focus("tr[data-row]"));
    browser.key("Enter");
    browser.until("the graph", "document.querySelectorAll('.node').length === 3");
    browser.key("g");
    browser.until("a node", &focus(".node"));
    browser.key("Enter");
    browser.until("its panel", "!document.querySelector('.panel').hidden");
    for (key, tab) in [
        ("l", "logs"),
        ("a", "tasks"),
        ("o", "outputs"),
        ("e", "events"),
        ("s", "spec"),
        ("t", "timeline"),
    ] {
        browser.key(key);
        browser
            .until(tab, &format!("document.querySelector('#tab-{tab}').ariaSelected === 'true'"));
    }
    browser.key("e");
    browser.until("its events", "document.querySelectorAll('.events tr[data-row]').length > 5");
    browser.key("k");
    browser.key("Enter");
    browser
        .until("the last row is looked back to", "!document.querySelector('.looking-back').hidden");
    let at = "Number(document.querySelector('.past input').value)";
    let last = browser.eval(at).as_u64().unwrap();
    browser.key("ArrowLeft");
    browser.until("one event back", &format!("{at} === {last} - 1"));
    browser.until_it_says(&format!("As of event {} of {last}", last - 1));
    browser.key("h");
    browser.until("it is live", "document.querySelector('.looking-back').hidden");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// The views that there are.
fn views(job: &JobId) -> Vec<String> {
    let tabs = ["timeline", "tasks", "outputs", "logs", "events", "spec"];
    let tabs = tabs.map(|tab| format!("/jobs/{job}?tab={tab}&task=t3"));
    let others =
        ["/", "/names/nightly-sales", "/workers", "/cases", "/txns", "/targets", "/nowhere"];
    let past = [format!("/jobs/{job}?event=6&task=t3"), format!("/jobs/{job}?event=9&tab=events")];
    others.map(str::to_owned).into_iter().chain(tabs).chain(past).collect()
}

/// A cluster and a browser, where there is one.
fn stage() -> Option<(Cluster, Browser)> {
    let browser = browser()?;
    Some((Cluster::started(&programs!(), Timing::PATIENT), browser))
}

fn browser() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        not_run("the page in a browser needs chromium");
    }
    browser
}

#[expect(clippy::print_stdout, reason = "whoever counts the tests wants to know")]
fn not_run(reason: &str) {
    println!("NOT RUN: {reason}");
}

fn address(cluster: &Cluster, path: &str) -> String {
    format!("http://{}{path}", cluster.address())
}

/// A job of three tasks whose first waits for a file.
fn gated(cluster: &Cluster, name: &str) -> JobSpec {
    let wait = wait_at_the_gate(cluster);
    let publishes =
        |id: &str, worker: &str| TaskDraft::new(id).on(worker).writes("rows", id).publishes(name);
    JobDraft::new(name)
        .task(TaskDraft::new("t1").on("s1").runs(&wait).writes("rows", "a").publishes(name))
        .task(publishes("t2", "s2").needs("t1"))
        .task(publishes("t3", "s3").needs("t1"))
        .spec()
}

fn wait_at_the_gate(cluster: &Cluster) -> String {
    let gate = cluster.home().join("gate");
    format!("echo it waits at the gate; while [ ! -e {} ]; do sleep 0.05; done", gate.display())
}

fn open_gate(cluster: &Cluster) {
    std::fs::write(cluster.home().join("gate"), "").unwrap();
}

/// A job that asks before it commits.
fn approved(name: &str) -> JobSpec {
    let task = TaskDraft::new("t1").on("s1").writes("rows", "a").publishes(name);
    JobSpec { approval: Some(Duration::from_hours(1)), ..JobDraft::new(name).task(task).spec() }
}

/// A job whose effect after the commit fails, so that a person has to decide.
fn cased(name: &str) -> JobSpec {
    let task = TaskDraft::new("t1").on("s1").writes("rows", "a").publishes(name);
    let failing = EffectWork::Program {
        placement: Placement::default(),
        program: Program::Script {
            text: "echo no route >&2; exit 7".to_owned(),
            interpreter: vec!["sh".to_owned()],
        },
        env: std::collections::BTreeMap::new(),
    };
    JobDraft::new(name).task(task).effect_of("notify", Trigger::Commit, failing, 1).spec()
}
