//! A few things by number, where some may go and others come: a number stays that of its thing.

/// See the module.
#[derive(Debug)]
pub(super) struct Spots<T>(Vec<Option<T>>);

impl<T> Default for Spots<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Spots<T> {
    /// The number that the next thing will have.
    pub(super) fn next(&self) -> usize {
        self.0.iter().position(Option::is_none).unwrap_or(self.0.len())
    }

    pub(super) fn add(&mut self, it: T) {
        let next = self.next();
        match self.0.get_mut(next) {
            Some(free) => *free = Some(it),
            None => self.0.push(Some(it)),
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.0.get_mut(number)?.as_mut()
    }

    /// All numbers are below this.
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten()
    }

    /// Drops one.
    pub(super) fn remove(&mut self, number: usize) {
        if let Some(spot) = self.0.get_mut(number) {
            *spot = None;
        }
    }

    /// Drops those for which that does not hold.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&mut T) -> bool) {
        for spot in &mut self.0 {
            if spot.as_mut().is_some_and(|it| !stays(it)) {
                *spot = None;
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
