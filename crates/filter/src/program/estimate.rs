//! Guesses of what a node costs and how often it holds. Only the order of evaluation depends on
//! them.

/// Cost of evaluating a node, and the probability that it holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Estimate {
    pub(super) cost: f32,
    pub(super) probability: f32,
}

impl Estimate {
    /// Of a junction: operands are evaluated until one is `absorbing`, cheapest per chance first.
    pub(super) fn of(mut operands: Vec<Self>, absorbing: bool) -> Self {
        operands.sort_by(|a, b| a.rank(absorbing).total_cmp(&b.rank(absorbing)));
        let mut cost = 0.0;
        // Probability that evaluation gets this far.
        let mut reached = 1.0;
        for operand in operands {
            cost += reached * operand.cost;
            reached *= 1.0 - operand.chance(absorbing);
        }
        Self { cost, probability: if absorbing { 1.0 - reached } else { reached } }
    }

    /// Expected cost until the result is this one.
    pub(super) fn rank(self, result: bool) -> f32 {
        self.cost / self.chance(result)
    }

    fn chance(self, result: bool) -> f32 {
        let chance = if result { self.probability } else { 1.0 - self.probability };
        chance.clamp(0.01, 1.0)
    }
}
