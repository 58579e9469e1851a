//! For how long participants may have been in doubt.

use votum_commit::Decision;
use votum_wire::view::JobView;

use super::amount;

/// Returns how long the deciding round of a committed job lasted, in words.
///
/// No participant was prepared before the round was opened, so none was in doubt for longer at
/// the decision; hearing it comes on top, and each worker logs that.
pub(crate) fn window(view: &JobView) -> Option<String> {
    let (prepared, decided) = (view.prepared?, view.decided?);
    let committed = view.decision == Some(Decision::Commit) && decided >= prepared;
    let lasted = decided.since(prepared);
    let words = match lasted.as_millis() {
        millis @ 0..10_000 => format!("{millis} ms"),
        _ => amount::duration(lasted),
    };
    committed.then(|| format!("in doubt for {words}"))
}
