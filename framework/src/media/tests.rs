//! Files over the simulated homeserver.

use axum::Router;
use tower::ServiceExt;

use super::*;
use crate::clock::Clock;
use crate::commands::tests::World;

fn stream(chunks: Vec<std::io::Result<Bytes>>, mime: Option<&str>) -> MediaStream {
    MediaStream {
        mime: mime.map(ToOwned::to_owned),
        size: None,
        bytes: futures::stream::iter(chunks).boxed(),
    }
}

fn of(parts: &[&'static [u8]]) -> Vec<std::io::Result<Bytes>> {
    parts.iter().map(|part| Ok(Bytes::from_static(part))).collect()
}

#[tokio::test(start_paused = true)]
async fn the_same_content_is_uploaded_once_and_named_by_its_look() {
    let world = World::new();
    let transfer = Transfer::new(world.kv.clone());
    let bot = world.matrix.bot();
    let png: &[&[u8]] = &[b"\x89PNG\r\n", b"\x1a\n and more"];
    let first =
        transfer.upload(&bot, Some("a"), stream(of(png), None), Some("x.png")).await.unwrap();
    assert_eq!((first.mime.as_str(), first.size), ("image/png", 17));
    let vague = stream(of(png), Some("application/octet-stream"));
    assert_eq!(transfer.upload(&bot, Some("b"), vague, None).await.unwrap(), first);
    assert_eq!(transfer.known("b").await.unwrap(), Some(first.clone()));
    assert_eq!(transfer.known("c").await.unwrap(), None);
    let other = transfer
        .upload(&bot, None, stream(of(&[b"text"]), Some("text/x-rust")), None)
        .await
        .unwrap();
    assert_ne!(other.mxc, first.mxc);
    assert_eq!(other.mime, "text/x-rust");
}

#[tokio::test]
async fn large_files_go_over_the_disk_and_too_large_ones_nowhere() {
    let world = World::new();
    let transfer = Transfer::new(world.kv.clone());
    let block = Bytes::from(vec![7u8; 100_000]);
    let chunks = |n: usize| (0..n).map(|_| Ok(block.clone())).collect::<Vec<_>>();
    let uploaded =
        transfer.upload(&world.matrix.bot(), None, stream(chunks(9), None), None).await.unwrap();
    assert_eq!(uploaded.size, 900_000);
    let mut got = world.matrix.bot().download(&uploaded.mxc).await.unwrap().bytes;
    let mut size = 0;
    while let Some(chunk) = got.next().await {
        let chunk = chunk.unwrap();
        assert!(chunk.iter().all(|b| *b == 7));
        size += chunk.len();
    }
    assert_eq!(size, 900_000);
    let error = transfer
        .upload(&world.matrix.bot(), None, stream(chunks(600), None), None)
        .await
        .unwrap_err();
    assert!(matches!(error, MediaError::TooLarge { .. }) && !error.is_temporary());
    let broken = vec![Ok(block.clone()), Err(std::io::Error::other("reset"))];
    let error =
        transfer.upload(&world.matrix.bot(), None, stream(broken, None), None).await.unwrap_err();
    assert!(matches!(error, MediaError::Broken(_)) && error.is_temporary());
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_tried_again() {
    let world = World::new();
    world.faults.set_homeserver_up(false);
    let faults = world.faults.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        faults.set_homeserver_up(true);
    });
    let transfer = Transfer::new(world.kv.clone());
    transfer.upload(&world.matrix.bot(), None, stream(of(&[b"x"]), None), None).await.unwrap();
}

/// A clock that stands where it is put.
struct At(i64);
impl Clock for At {
    fn now_ms(&self) -> i64 {
        self.0
    }
}

fn public(now: i64) -> Arc<PublicMedia> {
    let base = url::Url::parse("https://bridge.example/irc/").unwrap();
    Arc::new(PublicMedia::new(base, [9; 32], 1_000, Arc::new(At(now))))
}

async fn fetch(router: &Router, url: &str) -> (u16, String, Bytes) {
    let path = url.strip_prefix("https://bridge.example/irc").unwrap();
    let request = http::Request::builder().uri(path).body(axum::body::Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let how = answer
        .headers()
        .get("content-disposition")
        .map_or(String::new(), |v| v.to_str().unwrap().to_owned());
    (status, how, axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn links_are_good_for_their_file_and_time_only() {
    let world = World::new();
    let files = Files::new(world.matrix.clone(), world.kv.clone(), Some(public(5_000)));
    let url = files
        .publish(Bytes::from_static(b"<script>"), "a b/ü.html", "text/html")
        .await
        .unwrap()
        .unwrap();
    assert!(url.starts_with("https://bridge.example/irc/_landbridge/media/hs/"), "{url}");
    let router = |now| public_router(public(now), world.matrix.clone());
    assert_eq!(
        fetch(&router(5_500), &url).await,
        (200, "attachment".into(), Bytes::from_static(b"<script>"))
    );
    assert_eq!(fetch(&router(6_001), &url).await.0, 404);
    assert_eq!(fetch(&router(5_500), &url.replace("/hs/media", "/hs/other")).await.0, 404);
    assert_eq!(fetch(&router(5_500), &url.replace("/6000/", "/9000/")).await.0, 404);
    let silent = Files::new(world.matrix.clone(), world.kv.clone(), None);
    assert!(silent.publish(Bytes::new(), "x", "text/plain").await.unwrap().is_none());
    assert!(silent.open("nonsense").await.is_err());
}

#[test]
fn beginnings_tell_what_a_file_is() {
    assert_eq!(sniff(b"GIF89a..."), Some("image/gif"));
    assert_eq!(sniff(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
    assert_eq!(sniff(b"\0\0\0\x20ftypisom"), Some("video/mp4"));
    assert_eq!(sniff(b"hello"), None);
    assert_eq!(sniff::better(Some("image/png"), b"\xff\xd8\xff\xe0"), "image/jpeg");
    assert_eq!(sniff::better(Some("video/mp4"), b"hello"), "video/mp4");
    assert_eq!(sniff::better(Some("bad\r\nheader/x"), b"hello"), "application/octet-stream");
}
