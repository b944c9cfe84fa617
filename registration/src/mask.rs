//! A set of application services, as bits.

/// A set of services, each by its place in the [`NamespaceIndex`](crate::NamespaceIndex) it comes from.
///
/// Room tasks count and combine these for every event, so a set is one machine word and no more.
///
/// ```
/// use landbridge_registration::Mask;
/// let both = Mask::single(0) | Mask::single(5);
/// assert_eq!(both.iter().collect::<Vec<_>>(), [0, 5]);
/// assert!(!both.contains(1) && (both & Mask::single(1)).is_empty());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mask(u64);

impl Mask {
    /// How many services one set can tell apart, and one homeserver therefore have.
    pub const CAPACITY: usize = 64;
    /// The set of none.
    pub const EMPTY: Self = Self(0);

    /// The set of one service. A place beyond the capacity gives the empty set; an index refuses
    /// to be built with one.
    pub const fn single(place: usize) -> Self {
        if place < Self::CAPACITY { Self(1 << place) } else { Self(0) }
    }

    /// The set as bits, the service at place 0 lowest.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the service at `place` is in it.
    pub const fn contains(self, place: usize) -> bool {
        Self::single(place).0 & self.0 != 0
    }

    /// How many services it holds.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// This set without the services of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The places of its services, lowest first.
    pub const fn iter(self) -> MaskIter {
        MaskIter(self.0)
    }
}

impl std::ops::BitOr for Mask {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Mask {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl std::ops::BitAnd for Mask {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl IntoIterator for Mask {
    type Item = usize;
    type IntoIter = MaskIter;
    fn into_iter(self) -> MaskIter {
        self.iter()
    }
}

/// The places of the services in a [`Mask`].
#[derive(Clone, Debug)]
pub struct MaskIter(u64);

impl Iterator for MaskIter {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(place)
    }
}
