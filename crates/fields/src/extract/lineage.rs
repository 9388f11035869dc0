//! Ancestors of a thread, and who leads its session and its process group.

use peregrine_filter::Value;
use peregrine_state::Thread;

use crate::view::View;

/// One value of each ancestor, from the parent up; `None` when there is no ancestor.
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

/// A text of each ancestor, from the parent up, in one text; `None` when that is empty.
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

/// The process that gave its number to a session or group: the one with that number, or, when the
/// number is that of another pid namespace, the oldest of the ancestors that have it too.
pub(super) fn leader_of<'a>(
    view: &View<'a>,
    thread: &Thread,
    number: impl Fn(&Thread) -> i64,
    as_host_sees: bool,
) -> Option<&'a Thread> {
    let id = number(thread);
    if id == -1 {
        return None;
    }
    let direct = (as_host_sees || !thread.in_pid_namespace()).then(|| view.state.by_tid(id));
    direct.flatten().or_else(|| {
        view.state.ancestors(thread).take_while(|ancestor| number(ancestor) == id).last()
    })
}
