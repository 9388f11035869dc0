//! The place where a profiler looks in.

/// Follows how things of one kind are decided. `()` follows nothing, and costs nothing.
pub trait Meter<Thing> {
    /// What it keeps of the beginning until the end.
    type Mark;

    /// It is about to be decided.
    fn enter(&mut self, thing: Thing) -> Self::Mark;

    /// It was decided. `mark` is what [`enter`](Self::enter) gave for it.
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
