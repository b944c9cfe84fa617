//! Albums: files that are sent as one.

use super::{Message, Place, World};
use crate::build;

impl World {
    /// Somebody sends several files as one; gives their numbers.
    pub fn send_album(&mut self, from: i64, place: Place, files: &[(&str, &str)]) -> Vec<i32> {
        let album = self.next_album();
        let each = |(name, text): &(&str, &str)| {
            let number = self.files.len() as i64 + 1;
            self.files.insert(number, name.as_bytes().to_vec());
            let media = build::file(number, name, name.len() as i64);
            let (media, album) = (Some(media), Some(album));
            self.add(place, Message { media, album, ..Message::plain(from, text) })
        };
        files.iter().map(each).collect()
    }

    pub(crate) fn next_album(&mut self) -> i64 {
        self.counts.albums += 1;
        self.counts.albums
    }
}
