//! Ancestors of a thread, and the leaders of its session and process group.

use peregrine_filter::Value;
use peregrine_state::Thread;

use crate::view::View;

/// A list with one value per ancestor, from the parent up; `None` without an ancestor.
pub(super) fn each<'a>(
    view: &View<'a>,
    thread: &'a Thread,
    of: impl Fn(&'a Thread) -> Value<'a>,
) -> Option<Value<'a>> {
    let leader = view.state.leader(thread)?;
    match view.list(view.state.ancestors(leader).map(of)) {
        Value::List([]) => None,
        list => Some(list),
    }
}

/// The texts of all ancestors, from the parent up, joined by spaces; `None` when that is empty.
pub(super) fn joined<'a>(
    view: &View<'a>,
    thread: &'a Thread,
    of: impl Fn(&'a Thread) -> &'a [u8],
) -> Option<Value<'a>> {
    let leader = view.state.leader(thread)?;
    let text = view.text(|out| {
        for ancestor in view.state.ancestors(leader) {
            if !out.is_empty() {
                out.push(b' ');
            }
            out.extend_from_slice(of(ancestor));
        }
    });
    (!text.is_empty()).then_some(Value::Text(text))
}

/// The leader of a session or process group: the process with its number or, when the number
/// belongs to another pid namespace, the oldest ancestor in the same session or group.
pub(super) fn leader_of<'a>(
    view: &View<'a>,
    thread: &Thread,
    number: impl Fn(&Thread) -> i64,
    as_host_sees: bool,
    host_id: i64,
) -> Option<&'a Thread> {
    let id = number(thread);
    if id == -1 {
        return None;
    }
    let direct = (as_host_sees || !thread.in_pid_namespace()).then(|| view.state.by_tid(id));
    // Inside a namespace, the id of the host leads to the process if both ids are its own.
    let known = view.state.is_own().then_some(host_id).filter(|_| direct.is_none());
    let inside = || view.state.by_tid(known?).filter(|leader| number(leader) == id);
    direct.flatten().or_else(inside).or_else(|| {
        view.state.ancestors(thread).take_while(|ancestor| number(ancestor) == id).last()
    })
}
