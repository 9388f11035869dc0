//! The state that a call of a plugin may use.

use std::borrow::Cow;
use std::cell::Cell;
use std::ptr::NonNull;

use peregrine_state::State;

#[derive(Clone, Copy)]
enum Access {
    None,
    Read(NonNull<State>),
    Write(NonNull<State>),
}

thread_local! {
    static ACCESS: Cell<Access> = const { Cell::new(Access::None) };
}

/// Sets the access of this thread again when it goes.
struct Restore(Access);

impl Drop for Restore {
    fn drop(&mut self) {
        ACCESS.set(self.0);
    }
}

fn with<R>(access: Access, call: impl FnOnce() -> R) -> R {
    let _restore = Restore(ACCESS.replace(access));
    call()
}

/// Runs calls of plugins that may read the tables of this state.
pub fn reading<R>(state: &State, call: impl FnOnce() -> R) -> R {
    with(Access::Read(NonNull::from(state)), call)
}

/// Runs calls of plugins that may read and write the tables of this state.
pub fn writing<R>(state: &mut State, call: impl FnOnce() -> R) -> R {
    with(Access::Write(NonNull::from(state)), call)
}

const NO_STATE: &str = "the tables of the host can only be used during a call of the host, by the \
                        thread that makes it";

/// Uses the state of this thread. Within `read` there is none, so it is not lent twice.
pub(super) fn read<R>(read: impl FnOnce(&State) -> R) -> Result<R, Cow<'static, str>> {
    let access = ACCESS.replace(Access::None);
    let _restore = Restore(access);
    let (Access::Read(state) | Access::Write(state)) = access else {
        return Err(NO_STATE.into());
    };
    // SAFETY: the state is borrowed by `reading` or `writing`, which are further up the stack of
    // this thread, and nothing else uses it meanwhile: the access was taken out.
    Ok(read(unsafe { state.as_ref() }))
}

/// The same for changes.
pub(super) fn write<R>(write: impl FnOnce(&mut State) -> R) -> Result<R, Cow<'static, str>> {
    let access = ACCESS.replace(Access::None);
    let _restore = Restore(access);
    match access {
        Access::None => Err(NO_STATE.into()),
        Access::Read(_) => Err("tables can only be read during this call".into()),
        // SAFETY: as in `read`; `writing` has borrowed it for writing.
        Access::Write(mut state) => Ok(write(unsafe { state.as_mut() })),
    }
}

#[cfg(test)]
mod tests {
    use peregrine_state::Config;

    use super::*;

    #[test]
    fn a_state_is_lent_once_and_by_the_thread_that_has_it() {
        let mut state = State::new(Config::default());
        assert!(read(|_| ()).is_err() && write(|_| ()).is_err());
        writing(&mut state, || {
            assert!(write(|_| read(|_| ()).is_err() && write(|_| ()).is_err()).unwrap());
            assert!(read(|_| ()).is_ok());
            assert!(std::thread::spawn(|| read(|_| ()).is_err()).join().unwrap());
        });
        reading(&state, || assert!(read(|_| ()).is_ok() && write(|_| ()).is_err()));
        assert!(read(|_| ()).is_err());
    }
}
