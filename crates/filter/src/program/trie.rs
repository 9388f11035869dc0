//! Texts and beginnings of texts, found by one walk along a text; or its ends, by one from there.

use crate::matcher::Side;

/// Tells which of its texts a text is, or else the longest of its beginnings that it has.
///
/// A tree of labels: what several texts begin with stands once, so that a text is left at the first byte in which it
/// differs from all of them. Read from its end, a text begins with its last byte.
#[derive(Debug)]
pub(super) struct Trie {
    from: Side,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    // First bytes of the edges, in their order.
    firsts: Vec<u8>,
    // Labels of the edges without their first bytes, one after the other, as they stand in texts.
    labels: Vec<u8>,
    // For each node with many edges: by first byte, the edge after the start, and one more.
    jumps: Vec<[u8; 256]>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Found where a text ends here.
    text: Option<u32>,
    /// Found where a text ends here or goes on.
    beginning: Option<u32>,
    start: u32,
    end: u32,
    jump: u32,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    label: (u32, u32),
    to: u32,
}

/// Fewer edges are looked through as quickly.
const MANY: usize = 4;
const NO_JUMP: u32 = u32::MAX;

/// What is to be found with a text.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    text: Option<u32>,
    beginning: Option<u32>,
}

impl Trie {
    /// Of texts and beginnings, each in their order, with what is to be found for each. They are given from where texts are
    /// read.
    pub(super) fn new<'t>(
        from: Side,
        texts: impl Iterator<Item = (&'t [u8], u32)>,
        beginnings: impl Iterator<Item = (&'t [u8], u32)>,
    ) -> Self {
        let (mut texts, mut beginnings) = (texts.peekable(), beginnings.peekable());
        let mut all = Vec::new();
        while let Some(next) = match (texts.peek(), beginnings.peek()) {
            (Some((text, _)), Some((beginning, _))) => Some((*text).min(*beginning)),
            (next, other) => next.or(other).map(|(text, _)| *text),
        } {
            let text = texts.next_if(|(text, _)| *text == next).map(|(_, at)| at);
            let beginning = beginnings.next_if(|(text, _)| *text == next).map(|(_, at)| at);
            all.push((next, Found { text, beginning }));
        }
        let mut trie = Self {
            from,
            nodes: Vec::new(),
            edges: Vec::new(),
            firsts: Vec::new(),
            labels: Vec::new(),
            jumps: Vec::new(),
        };
        trie.nodes.push(Node { text: None, beginning: None, start: 0, end: 0, jump: NO_JUMP });
        trie.fill(0, &all, 0);
        trie
    }

    /// What is found with this text.
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        let (mut node, mut rest, mut best) = (self.nodes.first()?, text, None);
        loop {
            best = node.beginning.or(best);
            let split = match self.from {
                Side::Start => rest.split_first(),
                Side::End => rest.split_last(),
            };
            let Some((first, tail)) = split else { return node.text.or(best) };
            let Some(edge) = self.edge(node, *first) else { return best };
            let (start, end) = edge.label;
            let Some(label) = self.labels.get(start as usize..end as usize) else { return best };
            let split = match self.from {
                Side::Start => tail.strip_prefix(label),
                Side::End => tail.strip_suffix(label),
            };
            let Some(after) = split else { return best };
            rest = after;
            let Some(next) = self.nodes.get(edge.to as usize) else { return best };
            node = next;
        }
    }

    #[inline]
    fn edge(&self, node: &Node, first: u8) -> Option<&Edge> {
        let start = node.start as usize;
        let index = match self.jumps.get(node.jump as usize) {
            Some(jump) => usize::from(*jump.get(usize::from(first))?).checked_sub(1)?,
            None => {
                let firsts = self.firsts.get(start..node.end as usize)?;
                firsts.iter().position(|byte| *byte == first)?
            }
        };
        self.edges.get(start + index)
    }

    /// Hangs these sorted texts, which have their first `depth` bytes in common, below a node.
    fn fill(&mut self, node: usize, texts: &[(&[u8], Found)], depth: usize) {
        let (ends, longer) = match texts.split_first() {
            Some(((text, found), longer)) if text.len() == depth => (*found, longer),
            _ => (Found::default(), texts),
        };
        let groups: Vec<_> =
            longer.chunk_by(|(a, _), (b, _)| a.get(depth) == b.get(depth)).collect();
        let start = self.edges.len();
        let mut below = Vec::new();
        for group in &groups {
            let (Some((low, _)), Some((high, _))) = (group.first(), group.last()) else { continue };
            let common = low.iter().zip(*high).take_while(|(a, b)| a == b).count();
            let (to, label) = (self.nodes.len(), self.labels.len());
            self.firsts.extend(low.get(depth));
            self.labels.extend_from_slice(low.get(depth + 1..common).unwrap_or_default());
            if self.from == Side::End {
                self.labels.get_mut(label..).unwrap_or_default().reverse();
            }
            let label = (label as u32, self.labels.len() as u32);
            self.edges.push(Edge { label, to: to as u32 });
            self.nodes.push(Node { text: None, beginning: None, start: 0, end: 0, jump: NO_JUMP });
            below.push((to, *group, common));
        }
        let mut jump = NO_JUMP;
        // An index must fit beside the mark for none.
        if (MANY + 1..usize::from(u8::MAX)).contains(&groups.len()) {
            jump = self.jumps.len() as u32;
            let mut by_first = [0; 256];
            for (index, first) in (1..).zip(self.firsts.iter().skip(start)) {
                if let Some(place) = by_first.get_mut(usize::from(*first)) {
                    *place = index;
                }
            }
            self.jumps.push(by_first);
        }
        if let Some(node) = self.nodes.get_mut(node) {
            let Found { text, beginning } = ends;
            let (start, end) = (start as u32, self.edges.len() as u32);
            *node = Node { text, beginning, start, end, jump };
        }
        below.into_iter().for_each(|(node, group, depth)| self.fill(node, group, depth));
    }
}

impl Default for Trie {
    fn default() -> Self {
        Self::new(Side::Start, [].into_iter(), [].into_iter())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn plainly(texts: &[Vec<u8>], beginnings: &[Vec<u8>], text: &[u8]) -> Option<u32> {
        let whole = texts.iter().position(|known| *known == *text);
        let beginning = (1000..).zip(beginnings).filter(|(_, known)| text.starts_with(known));
        let longest = beginning.max_by_key(|(_, known)| known.len()).map(|(index, _)| index);
        whole.map(|index| index as u32).or(longest)
    }

    fn in_order(texts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        texts.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
    }

    proptest! {
        #[test]
        fn a_walk_finds_what_a_search_finds(
            texts in prop::collection::vec("[ab/]{0,5}", 0..12),
            beginnings in prop::collection::vec("[ab/]{0,4}", 0..12),
            many in prop::collection::vec(any::<u8>(), 0..300),
            asked in prop::collection::vec("[ab/]{0,7}", 1..20),
        ) {
            let mut texts: Vec<_> = texts.into_iter().map(String::into_bytes).collect();
            texts.extend(many.iter().map(|byte| vec![*byte, b'x']));
            let beginnings = beginnings.into_iter().map(String::into_bytes).collect();
            let (texts, beginnings) = (in_order(texts), in_order(beginnings));
            let [forward, backward] = [Side::Start, Side::End].map(|from| Trie::new(
                from,
                texts.iter().map(Vec::as_slice).zip(0..),
                beginnings.iter().map(Vec::as_slice).zip(1000..),
            ));
            let asked: Vec<_> = asked.into_iter().map(String::into_bytes).collect();
            for text in asked.iter().chain(&texts).chain(&beginnings) {
                let expected = plainly(&texts, &beginnings, text);
                prop_assert_eq!(forward.find(text), expected, "{:?}", text);
                let reversed: Vec<_> = text.iter().rev().copied().collect();
                prop_assert_eq!(backward.find(&reversed), expected, "{:?}", text);
            }
        }
    }
}
