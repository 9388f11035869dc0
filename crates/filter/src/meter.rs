//! The interface of profilers.

/// Follows the evaluation of things of one kind. `()` follows nothing, at no cost.
pub trait Meter<Thing> {
    /// What it passes from the start of an evaluation to its end, such as a time.
    type Mark;

    /// The evaluation of a thing starts.
    fn enter(&mut self, thing: Thing) -> Self::Mark;

    /// It ended with a result. `mark` is what [`enter`](Self::enter) returned.
    fn leave(&mut self, thing: Thing, mark: Self::Mark, holds: bool);
}

impl<Thing> Meter<Thing> for () {
    type Mark = ();

    fn enter(&mut self, _: Thing) {}

    fn leave(&mut self, _: Thing, (): (), _: bool) {}
}

impl<Thing, M: Meter<Thing>> Meter<Thing> for &mut M {
    type Mark = M::Mark;

    fn enter(&mut self, thing: Thing) -> Self::Mark {
        (**self).enter(thing)
    }

    fn leave(&mut self, thing: Thing, mark: Self::Mark, holds: bool) {
        (**self).leave(thing, mark, holds);
    }
}
