//! A job of more tasks than a picture holds.

use votum_tests::{JobDraft, TaskDraft};

use crate::{address, open_gate, stage, wait_at_the_gate};

#[test]
fn a_job_of_many_tasks_is_a_table_that_is_filtered() {
    let Some((cluster, mut browser)) = stage() else { return };
    let mut draft = JobDraft::new("crowd")
        .task(TaskDraft::new("first").on("s1").runs(&wait_at_the_gate(&cluster)));
    for number in 0..TASKS {
        let task = TaskDraft::new(&format!("part-{number:03}")).runs("exit 7").needs("first");
        draft = draft.task(task);
    }
    let job = cluster.submit(&draft.spec());
    browser.open(&address(&cluster, &format!("/jobs/{job}")));
    browser.until_it_says("351 tasks are too many for a picture");
    let rows = "document.querySelectorAll('.tab tr[data-row]').length";
    browser.until("all tasks are listed", &format!("{rows} === 351"));
    browser.draw("crowded");
    browser.key("/");
    browser.fill(".tab input[type=search]", "part-34");
    browser.until("ten tasks are left", &format!("{rows} === 10"));
    browser.fill(".tab input[type=search]", "");
    browser.eval("[...document.querySelectorAll('.counts button')].find(one => one.textContent.includes('running')).click()");
    browser.until("one runs", &format!("{rows} === 1"));

    open_gate(&cluster);
    cluster.ended(&job);
    browser.until_it_says("No task matches");
    browser.press("Timeline");
    browser
        .until("bars of many attempts", "document.querySelectorAll('.timeline .run').length > 20");
    browser.until("as tall as a screen", "document.querySelector('.timeline').clientHeight < 700");
    browser.draw("crowded-ended");
    browser.eval("document.querySelector('.tabs').scrollIntoView()");
    browser.key("h");
    browser.until_it_says("As of event");
    assert_eq!(browser.complaints(), [""; 0]);
}

const TASKS: usize = 350;
