//! The repository on both engines, its files in a folder.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use landbridge_database::testing::TestDatabase;
use ruma::user_id;

use super::*;
use crate::clock::TestClock;
use crate::feed::Feed;
use crate::storage::SCHEMA;

struct World {
    media: Media,
    clock: Arc<TestClock>,
    folder: std::path::PathBuf,
    _database: TestDatabase,
    _folder: tempfile::TempDir,
}

async fn world(change: impl FnOnce(&mut Config)) -> World {
    let database = TestDatabase::new();
    let db = database.open().await.unwrap();
    db.migrate(&SCHEMA).await.unwrap();
    let committer = Committer::start(db.clone(), Feed::new(1, 0, []), Vec::new()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    change(&mut config);
    let clock = Arc::new(TestClock::at(1_000_000));
    let media = Media::open(&config, db, committer, clock.clone()).unwrap();
    World {
        media,
        clock,
        folder: folder.path().join("media"),
        _database: database,
        _folder: folder,
    }
}

fn alice() -> Uploader<'static> {
    Uploader { user: user_id!("@alice:localhost"), exempt: false }
}

fn body(bytes: impl AsRef<[u8]>) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    let chunks: Vec<_> =
        bytes.as_ref().chunks(1 << 20).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    stream::iter(chunks)
}

async fn bytes_of(media: &Media, id: &str, range: Option<GetRange>) -> Vec<u8> {
    let file = media.find(id, false, Duration::ZERO).await.unwrap();
    let stream = media.read(&file, range).await.unwrap();
    stream.bytes.map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap()
}

fn files_in(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder).map_or(0, |entries| {
        entries
            .map(|entry| entry.unwrap().path())
            .map(|path| if path.is_dir() { files_in(&path) } else { 1 })
            .sum()
    })
}

#[tokio::test]
async fn files_small_and_large_come_back_whole_and_in_parts() {
    let world = world(|_| {}).await;
    for size in [0, 10, (5 << 20) + 1, 12 << 20] {
        let bytes: Vec<u8> = (0..size).map(|at: usize| (at % 251) as u8).collect();
        let about = Description {
            content_type: Some("text/plain".into()),
            filename: Some("../a/b.txt".into()),
        };
        let id = world.media.upload(alice(), about, None, body(bytes.clone())).await.unwrap();
        assert!(is_valid_id(&id));
        assert_eq!(bytes_of(&world.media, &id, None).await, bytes, "{size}");
        if size > 5 {
            assert_eq!(
                bytes_of(&world.media, &id, Some(GetRange::Bounded(2..5))).await,
                bytes[2..5]
            );
        }
        let file = world.media.find(&id, false, Duration::ZERO).await.unwrap();
        assert_eq!(
            (file.content_type.as_str(), file.filename.as_deref()),
            ("text/plain", Some("b.txt"))
        );
    }
    assert_eq!(files_in(&world.folder.join("incoming")), 0);
}

#[tokio::test]
async fn equal_files_are_kept_once() {
    let world = world(|_| {}).await;
    let one = world
        .media
        .upload(alice(), Description::default(), None, body(vec![7; 100]))
        .await
        .unwrap();
    let two = world
        .media
        .upload(alice(), Description::default(), None, body(vec![7; 100]))
        .await
        .unwrap();
    assert_ne!(one, two);
    assert_eq!(files_in(&world.folder), 1);
}

#[tokio::test]
async fn limits_hold_whether_or_not_the_length_is_told() {
    let world = world(|config| {
        config.media.max_upload_bytes = 1000;
        config.media.quota_bytes_per_user = 1500;
    })
    .await;
    let upload = async |length, size| {
        world.media.upload(alice(), Description::default(), length, body(vec![0; size])).await
    };
    assert!(matches!(upload(Some(1001), 1).await, Err(MediaError::TooLarge { limit: 1000 })));
    assert!(matches!(upload(None, 1001).await, Err(MediaError::TooLarge { limit: 1000 })));
    upload(None, 1000).await.unwrap();
    assert!(matches!(upload(Some(501), 501).await, Err(MediaError::QuotaExceeded)));
    assert!(matches!(upload(None, 501).await, Err(MediaError::QuotaExceeded)));
    upload(None, 500).await.unwrap();
    let bridge = Uploader { exempt: true, ..alice() };
    world.media.upload(bridge, Description::default(), None, body(vec![1; 900])).await.unwrap();
}

#[tokio::test]
async fn a_broken_upload_leaves_nothing() {
    let world = world(|_| {}).await;
    let broken = body(vec![0; 8 << 20]).chain(stream::iter([Err(std::io::Error::other("gone"))]));
    let result = world.media.upload(alice(), Description::default(), None, broken).await;
    assert!(matches!(result, Err(MediaError::BrokenOff)));
    assert_eq!(files_in(&world.folder), 0);
}

#[tokio::test]
async fn a_download_waits_for_its_upload() {
    let world = world(|_| {}).await;
    let reserved = world.media.create(alice()).await.unwrap();
    let none = world.media.find(&reserved.id, false, Duration::ZERO).await;
    assert!(matches!(none, Err(MediaError::NotYetUploaded)));
    let bob = Uploader { user: user_id!("@bob:localhost"), exempt: false };
    let about = Description::default;
    let stolen = world.media.fill(bob, &reserved.id, about(), None, body(vec![1])).await;
    assert!(matches!(stolen, Err(MediaError::NotYours)));
    let (waited, filled) = tokio::join!(
        world.media.find(&reserved.id, false, Duration::from_mins(1)),
        world.media.fill(alice(), &reserved.id, about(), None, body(vec![1, 2, 3])),
    );
    filled.unwrap();
    assert_eq!(waited.unwrap().bytes, 3);
    let again = world.media.fill(alice(), &reserved.id, about(), None, body(vec![4])).await;
    assert!(matches!(again, Err(MediaError::AlreadyUploaded)));
}

#[tokio::test]
async fn ids_expire_and_are_not_given_out_without_end() {
    let world = world(|config| config.media.async_upload_lifetime_seconds = 10).await;
    let first = world.media.create(alice()).await.unwrap();
    for _ in 1..MAX_PENDING {
        world.media.create(alice()).await.unwrap();
    }
    assert!(matches!(world.media.create(alice()).await, Err(MediaError::TooManyPending)));
    world.clock.pass(10_001);
    let late =
        world.media.fill(alice(), &first.id, Description::default(), None, body(vec![1])).await;
    assert!(matches!(late, Err(MediaError::NotFound)));
    world.media.create(alice()).await.unwrap();
}

#[tokio::test]
async fn old_paths_serve_only_what_was_uploaded_while_they_were_open() {
    for open in [false, true] {
        let world = world(|config| config.media.unauthenticated = open).await;
        let id =
            world.media.upload(alice(), Description::default(), None, body(vec![1])).await.unwrap();
        assert_eq!(world.media.find(&id, true, Duration::ZERO).await.is_ok(), open);
        assert!(world.media.find(&id, false, Duration::ZERO).await.is_ok());
    }
}

#[tokio::test]
async fn thumbnails_are_made_once() {
    let world = world(|_| {}).await;
    let mut picture = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(400, 300)
        .write_to(&mut picture, image::ImageFormat::Png)
        .unwrap();
    let id = world
        .media
        .upload(alice(), Description::default(), None, body(picture.into_inner()))
        .await
        .unwrap();
    let file = world.media.find(&id, false, Duration::ZERO).await.unwrap();
    let size = Size { width: 90, height: 90 };
    for _ in 0..2 {
        let request = ThumbnailRequest { size, method: Method::Crop, animated: false };
        let Thumbnail::Made(stream, kind) = world.media.thumbnail(&file, request).await.unwrap()
        else {
            panic!("the original is larger");
        };
        let bytes = stream.bytes.map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap();
        let small = image::load_from_memory(&bytes).unwrap();
        assert_eq!((small.width(), small.height(), kind), (96, 96, "image/png"));
    }
    assert_eq!(files_in(&world.folder.join("thumbnails")), 1);
}

#[test]
fn what_uploaders_say_is_made_harmless() {
    assert_eq!(filename("..\\..\\x\r\n.txt").as_deref(), Some("x.txt"));
    assert_eq!(filename("a/"), None);
    assert_eq!(filename(&"\u{fc}".repeat(200)).map(|name| name.len()), Some(254));
    assert_eq!(content_type(Some("a\nb/c".into())), "application/octet-stream");
    assert_eq!(content_type(Some("text/plain; charset=x".into())), "text/plain; charset=x");
    assert!(!is_valid_id("../etc/passwd") && !is_valid_id("") && is_valid_id("aZ09-_"));
}
