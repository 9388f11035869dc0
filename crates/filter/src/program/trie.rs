//! A radix trie of texts and prefixes, searched from either side of a text.

use crate::matcher::Side;

/// Finds which of its texts a text equals, or else the longest of its prefixes that the text has.
///
/// Edges carry labels of one byte or more, and a search ends at the first byte that no text shares.
/// A trie for suffixes reads texts from their ends; "prefix" then means suffix.
#[derive(Debug)]
pub(super) struct Trie {
    from: Side,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// The first byte of each edge.
    firsts: Vec<u8>,
    /// Labels of the edges without their first bytes, in the order of the text.
    labels: Vec<u8>,
    /// For each node with many edges: by first byte, the position of the edge among them plus 1.
    jumps: Vec<[u8; 256]>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Value of the text that ends here.
    text: Option<u32>,
    /// Value of the prefix that ends here.
    prefix: Option<u32>,
    /// Its edges are those from `start` to `end`.
    start: u32,
    end: u32,
    /// Position in `jumps`, or [`NO_JUMP`].
    jump: u32,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    /// Range of `labels`.
    label: (u32, u32),
    to: u32,
}

/// Up to this number of edges a linear search is as fast as a jump table.
const LINEAR_SEARCH_MAX: usize = 4;
const NO_JUMP: u32 = u32::MAX;

/// The values of a text that is inserted.
#[derive(Clone, Copy, Debug, Default)]
struct Values {
    text: Option<u32>,
    prefix: Option<u32>,
}

impl Trie {
    /// A trie of texts and prefixes, each sorted and with its value. For [`Side::End`] they are
    /// given reversed.
    pub(super) fn new<'t>(
        from: Side,
        texts: impl Iterator<Item = (&'t [u8], u32)>,
        prefixes: impl Iterator<Item = (&'t [u8], u32)>,
    ) -> Self {
        let (mut texts, mut prefixes) = (texts.peekable(), prefixes.peekable());
        let mut all = Vec::new();
        while let Some(next) = match (texts.peek(), prefixes.peek()) {
            (Some((text, _)), Some((prefix, _))) => Some((*text).min(*prefix)),
            (next, other) => next.or(other).map(|(text, _)| *text),
        } {
            let text = texts.next_if(|(text, _)| *text == next).map(|(_, at)| at);
            let prefix = prefixes.next_if(|(text, _)| *text == next).map(|(_, at)| at);
            all.push((next, Values { text, prefix }));
        }
        let mut trie = Self {
            from,
            nodes: Vec::new(),
            edges: Vec::new(),
            firsts: Vec::new(),
            labels: Vec::new(),
            jumps: Vec::new(),
        };
        trie.nodes.push(Node { text: None, prefix: None, start: 0, end: 0, jump: NO_JUMP });
        trie.fill(0, &all, 0);
        trie
    }

    /// The value of the text, or of its longest prefix.
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        let (mut node, mut rest, mut best) = (self.nodes.first()?, text, None);
        loop {
            best = node.prefix.or(best);
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

    /// Inserts sorted texts, which share their first `depth` bytes, below a node.
    fn fill(&mut self, node: usize, texts: &[(&[u8], Values)], depth: usize) {
        let (ends, longer) = match texts.split_first() {
            Some(((text, values), longer)) if text.len() == depth => (*values, longer),
            _ => (Values::default(), texts),
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
            self.nodes.push(Node { text: None, prefix: None, start: 0, end: 0, jump: NO_JUMP });
            below.push((to, *group, common));
        }
        let mut jump = NO_JUMP;
        // A position plus 1 must fit a byte.
        if (LINEAR_SEARCH_MAX + 1..usize::from(u8::MAX)).contains(&groups.len()) {
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
            let Values { text, prefix } = ends;
            let (start, end) = (start as u32, self.edges.len() as u32);
            *node = Node { text, prefix, start, end, jump };
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

    fn by_linear_search(texts: &[Vec<u8>], prefixes: &[Vec<u8>], text: &[u8]) -> Option<u32> {
        let whole = texts.iter().position(|known| *known == *text);
        let prefix = (1000..).zip(prefixes).filter(|(_, known)| text.starts_with(known));
        let longest = prefix.max_by_key(|(_, known)| known.len()).map(|(index, _)| index);
        whole.map(|index| index as u32).or(longest)
    }

    fn sorted(texts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        texts.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
    }

    proptest! {
        #[test]
        fn a_search_finds_the_text_or_its_longest_prefix(
            texts in prop::collection::vec("[ab/]{0,5}", 0..12),
            prefixes in prop::collection::vec("[ab/]{0,4}", 0..12),
            many in prop::collection::vec(any::<u8>(), 0..300),
            searched in prop::collection::vec("[ab/]{0,7}", 1..20),
        ) {
            let mut texts: Vec<_> = texts.into_iter().map(String::into_bytes).collect();
            texts.extend(many.iter().map(|byte| vec![*byte, b'x']));
            let prefixes = prefixes.into_iter().map(String::into_bytes).collect();
            let (texts, prefixes) = (sorted(texts), sorted(prefixes));
            let [forward, backward] = [Side::Start, Side::End].map(|from| Trie::new(
                from,
                texts.iter().map(Vec::as_slice).zip(0..),
                prefixes.iter().map(Vec::as_slice).zip(1000..),
            ));
            let searched: Vec<_> = searched.into_iter().map(String::into_bytes).collect();
            for text in searched.iter().chain(&texts).chain(&prefixes) {
                let expected = by_linear_search(&texts, &prefixes, text);
                prop_assert_eq!(forward.find(text), expected, "{:?}", text);
                let reversed: Vec<_> = text.iter().rev().copied().collect();
                prop_assert_eq!(backward.find(&reversed), expected, "{:?}", text);
            }
        }
    }
}
