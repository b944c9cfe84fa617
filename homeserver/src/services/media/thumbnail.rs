//! Small pictures of large ones (Client-Server API, "Thumbnails").
//!
//! Decoding runs off the async threads, few at a time, within limits of pixels and memory. Sizes are
//! rounded up to a few steps, so that nobody can fill the disk by asking for every size there is.

use std::io::{BufReader, Cursor, Read as _, Seek as _};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader, Limits};
use tokio::sync::Semaphore;

use super::{BlobStream, Blobs, MediaError};
use crate::storage::media::FileRow;

/// How many pictures are decoded at once.
const AT_ONCE: usize = 2;
/// Bytes a decoder may take for one picture, its output included.
const DECODE_MEMORY: u64 = 512 << 20;
/// The sizes made: first the spec's, then two more for large screens.
const STEPS: [(u32, u32); 7] =
    [(32, 32), (96, 96), (320, 240), (640, 480), (800, 600), (1280, 960), (1920, 1440)];
/// Cropped sizes are rounded up to a multiple of this, which keeps the shape asked for.
const CROP_STEP: u32 = 32;
const CROP_MAX: u32 = 1920;

/// How a picture is made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Keeps its proportions and lies within the size.
    Scale,
    /// Fills the size; what sticks out is cut off.
    Crop,
}

/// Width and height, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// Which thumbnail is wanted.
#[derive(Clone, Copy, Debug)]
pub struct ThumbnailRequest {
    /// The smallest size the client would like.
    pub size: Size,
    /// How the picture is made to fit.
    pub method: Method,
    /// Whether it may move. Only pictures that need no shrinking stay animated.
    pub animated: bool,
}

/// A thumbnail.
pub enum Thumbnail {
    /// The file itself: it is small enough.
    Original,
    /// One that was made, and its type.
    Made(BlobStream, &'static str),
}

/// Makes and keeps thumbnails.
pub(super) struct Thumbnailer {
    blobs: Blobs,
    max_pixels: u64,
    turns: Arc<Semaphore>,
}

/// What one decoding gave.
enum Rendered {
    Original,
    Bytes(Bytes, &'static str),
}

const KINDS: [(&str, &str); 2] = [("jpg", "image/jpeg"), ("png", "image/png")];

impl Thumbnailer {
    pub(super) fn new(blobs: Blobs, max_pixels: u64) -> Self {
        Self { blobs, max_pixels, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub(super) async fn get(
        &self,
        file: &FileRow,
        request: ThumbnailRequest,
    ) -> Result<Thumbnail, MediaError> {
        let size = step(request.size, request.method);
        let method = match request.method {
            Method::Scale => "scale",
            Method::Crop => "crop",
        };
        let animated = if request.animated { "-animated" } else { "" };
        let name = format!("{}x{}-{method}{animated}", size.width, size.height);
        if let Some(made) = self.kept(file, &name).await? {
            return Ok(made);
        }
        // The permit moves into the work, so that a client that hangs up does not free a turn too early.
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| MediaError::NoThumbnail)?;
        if let Some(made) = self.kept(file, &name).await? {
            return Ok(made);
        }
        let source = self.blobs.seekable(&file.sha256).await?;
        let max_pixels = self.max_pixels;
        let rendered = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            render(source, size, request, max_pixels)
        })
        .await
        .map_err(|_| MediaError::NoThumbnail)??;
        match rendered {
            Rendered::Original => Ok(Thumbnail::Original),
            Rendered::Bytes(bytes, kind) => {
                let extension = KINDS
                    .iter()
                    .find(|(_, name)| *name == kind)
                    .map_or("png", |(extension, _)| extension);
                self.blobs
                    .put_thumbnail(&file.sha256, &format!("{name}.{extension}"), bytes.clone())
                    .await?;
                let total = bytes.len() as u64;
                let stream = stream::iter([Ok(bytes)]).boxed();
                Ok(Thumbnail::Made(BlobStream { total, range: 0..total, bytes: stream }, kind))
            }
        }
    }

    async fn kept(&self, file: &FileRow, name: &str) -> Result<Option<Thumbnail>, MediaError> {
        for (extension, kind) in KINDS {
            if let Some(stream) =
                self.blobs.thumbnail(&file.sha256, &format!("{name}.{extension}")).await?
            {
                return Ok(Some(Thumbnail::Made(stream, kind)));
            }
        }
        Ok(None)
    }
}

/// The size that is made for one asked for: the next step that is not smaller.
fn step(asked: Size, method: Method) -> Size {
    match method {
        Method::Crop => {
            let up = |side: u32| side.clamp(1, CROP_MAX).div_ceil(CROP_STEP) * CROP_STEP;
            Size { width: up(asked.width), height: up(asked.height) }
        }
        Method::Scale => {
            let fitting = STEPS
                .iter()
                .find(|(width, height)| *width >= asked.width && *height >= asked.height);
            let (width, height) = *fitting.unwrap_or(&STEPS[STEPS.len() - 1]);
            Size { width, height }
        }
    }
}

fn render(
    mut source: std::fs::File,
    size: Size,
    request: ThumbnailRequest,
    max_pixels: u64,
) -> Result<Rendered, MediaError> {
    let mut magic = [0; 32];
    let read = source.read(&mut magic)?;
    source.rewind()?;
    let format = image::guess_format(&magic[..read]).map_err(|_| MediaError::NoThumbnail)?;
    let mut reader = ImageReader::with_format(BufReader::new(source), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODE_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| refused(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(MediaError::TooLargeForThumbnail);
    }
    let small = width <= size.width && height <= size.height;
    // Only a JPEG can't move and can be served as it is; the others might be animated.
    if small && (format == ImageFormat::Jpeg || (request.animated && is_web(format))) {
        return Ok(Rendered::Original);
    }
    let orientation = decoder.orientation().map_err(|error| refused(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| refused(&error))?;
    picture.apply_orientation(orientation);
    let picture = fit(picture, size, request.method);
    encode(&picture, format)
}

/// Formats that a thumbnail may have when it may be animated.
fn is_web(format: ImageFormat) -> bool {
    matches!(format, ImageFormat::Gif | ImageFormat::Png | ImageFormat::WebP)
}

fn refused(error: &ImageError) -> MediaError {
    match error {
        ImageError::Limits(_) => MediaError::TooLargeForThumbnail,
        _ => MediaError::NoThumbnail,
    }
}

fn fit(picture: DynamicImage, size: Size, method: Method) -> DynamicImage {
    let (width, height) = (picture.width(), picture.height());
    match method {
        Method::Scale if width <= size.width && height <= size.height => picture,
        Method::Scale => picture.thumbnail(size.width, size.height),
        Method::Crop => {
            let target = without_enlarging(Size { width, height }, size);
            picture.resize_to_fill(
                target.width,
                target.height,
                image::imageops::FilterType::Triangle,
            )
        }
    }
}

/// The largest size of the shape of `wanted` that lies in `source`, if `wanted` itself does not.
fn without_enlarging(source: Size, wanted: Size) -> Size {
    let factor = (f64::from(source.width) / f64::from(wanted.width))
        .min(f64::from(source.height) / f64::from(wanted.height))
        .min(1.0);
    let side = |length: u32| ((f64::from(length) * factor).round() as u32).max(1);
    Size { width: side(wanted.width), height: side(wanted.height) }
}

fn encode(picture: &DynamicImage, source: ImageFormat) -> Result<Rendered, MediaError> {
    let mut bytes = Cursor::new(Vec::new());
    let (format, kind) = if source == ImageFormat::Jpeg {
        (ImageFormat::Jpeg, "image/jpeg")
    } else {
        (ImageFormat::Png, "image/png")
    };
    // JPEG knows no transparency and PNG no floating point: both take eight bits a channel.
    let plain = if format == ImageFormat::Jpeg {
        DynamicImage::ImageRgb8(picture.to_rgb8())
    } else if picture.color().has_alpha() {
        DynamicImage::ImageRgba8(picture.to_rgba8())
    } else {
        DynamicImage::ImageRgb8(picture.to_rgb8())
    };
    plain.write_to(&mut bytes, format).map_err(|error| refused(&error))?;
    Ok(Rendered::Bytes(Bytes::from(bytes.into_inner()), kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn png(width: u32, height: u32) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgba8(width, height).write_to(&mut bytes, ImageFormat::Png).unwrap();
        std::io::Write::write_all(&mut file, bytes.get_ref()).unwrap();
        file.rewind().unwrap();
        file
    }

    fn request(width: u32, height: u32, method: Method) -> ThumbnailRequest {
        ThumbnailRequest { size: Size { width, height }, method, animated: false }
    }

    fn size_of(source: std::fs::File, request: ThumbnailRequest) -> (u32, u32) {
        match render(source, step(request.size, request.method), request, 1 << 24).unwrap() {
            Rendered::Original => panic!("made none"),
            Rendered::Bytes(bytes, _) => {
                let picture = image::load_from_memory(&bytes).unwrap();
                (picture.width(), picture.height())
            }
        }
    }

    #[test]
    fn scaling_keeps_the_shape_and_cropping_fills() {
        assert_eq!(size_of(png(1000, 500), request(32, 32, Method::Scale)), (32, 16));
        assert_eq!(size_of(png(1000, 500), request(96, 96, Method::Crop)), (96, 96));
        assert_eq!(size_of(png(1000, 500), request(300, 200, Method::Scale)), (320, 160));
    }

    #[test]
    fn nothing_is_enlarged() {
        assert_eq!(size_of(png(20, 10), request(96, 96, Method::Scale)), (20, 10));
        assert_eq!(size_of(png(20, 10), request(96, 96, Method::Crop)), (10, 10));
    }

    #[test]
    fn too_many_pixels_are_refused_before_decoding() {
        let size = Size { width: 32, height: 32 };
        let error = render(png(2000, 2000), size, request(32, 32, Method::Scale), 1_000_000).err();
        assert!(matches!(error, Some(MediaError::TooLargeForThumbnail)));
    }

    #[test]
    fn what_is_no_picture_has_no_thumbnail() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"\x89PNG\r\n\x1a\nnonsense").unwrap();
        file.rewind().unwrap();
        let error =
            render(file, Size { width: 1, height: 1 }, request(1, 1, Method::Scale), 1).err();
        assert!(matches!(error, Some(MediaError::NoThumbnail)));
    }

    proptest! {
        #[test]
        fn steps_are_few_and_not_smaller_than_asked(width in 1_u32..1920, height in 1_u32..1440) {
            for method in [Method::Scale, Method::Crop] {
                let made = step(Size { width, height }, method);
                prop_assert!(made.width >= width && made.height >= height);
                prop_assert!(made.width <= CROP_MAX && made.height <= CROP_MAX);
            }
        }

        #[test]
        fn a_crop_never_leaves_its_source(w in 1_u32..4000, h in 1_u32..4000, tw in 1_u32..1920, th in 1_u32..1920) {
            let target = without_enlarging(Size { width: w, height: h }, Size { width: tw, height: th });
            prop_assert!(target.width <= w.max(1) && target.height <= h.max(1));
        }
    }
}
