//! Files of the network, on their way to Matrix: fetched through the connector, uploaded once per source.

use serde_json::Value;

use super::envelope::File;
use crate::{
    NetError,
    engine::{Engine, Failure},
    event::MediaRef,
    matrix::MatrixError,
    store::Batch,
};

/// A file that is on Matrix.
pub(crate) struct Uploaded {
    pub(crate) mxc: String,
    pub(crate) mime: Option<String>,
    pub(crate) size: Option<i64>,
}

impl Engine {
    /// Uploads a file of the network, unless it is uploaded already.
    pub(crate) async fn upload(
        &self,
        media: &MediaRef,
        via: Option<&str>,
        name: Option<&str>,
        mime: Option<&str>,
    ) -> Result<Uploaded, Failure> {
        if media.0.starts_with("mxc://") {
            return Ok(Uploaded { mxc: media.0.clone(), mime: None, size: None });
        }
        if let Some((mxc, size, mime)) = self.store.media(&media.0).await? {
            return Ok(Uploaded { mxc, mime, size });
        }
        let Some(account) = self.logins.any_account(via) else {
            return Err(NetError::temporary("no login is connected to fetch the file").into());
        };
        let limit = self.matrix.max_media_bytes();
        let file = account.open_media(media).await?;
        if file.size.is_some_and(|size| size > limit) {
            return Err(MatrixError::TooLarge { limit }.into());
        }
        let mime = mime
            .map(ToOwned::to_owned)
            .or(file.mime)
            .unwrap_or_else(|| "application/octet-stream".into());
        let size = file.size.map(|size| size as i64);
        let mxc = self.matrix.bot().upload(file.bytes, file.size, &mime, name).await?;
        let mut batch = Batch::new();
        batch.save_media(&media.0, &mxc, size, Some(&mime), self.now());
        self.store.commit(batch).await?;
        Ok(Uploaded { mxc, mime: Some(mime), size })
    }

    /// An event's content with its file in it. A file that can't be had becomes readable text: it must not hold up, or
    /// silence, what was said.
    pub(super) async fn with_file(
        &self,
        mut content: Value,
        file: Option<&File>,
        via: &str,
    ) -> Result<Value, Failure> {
        let Some(file) = file else { return Ok(content) };
        let media = MediaRef(file.source.clone());
        match self.upload(&media, Some(via), Some(&file.name), file.mime.as_deref()).await {
            Ok(uploaded) => {
                content["url"] = uploaded.mxc.into();
                if content.get("info").is_some_and(Value::is_object) {
                    if let (None, Some(mime)) = (content.pointer("/info/mimetype"), uploaded.mime) {
                        content["info"]["mimetype"] = mime.into();
                    }
                    if let (None, Some(size)) = (content.pointer("/info/size"), uploaded.size) {
                        content["info"]["size"] = size.into();
                    }
                }
                Ok(content)
            }
            Err(failure) if failure.is_temporary() => Err(failure),
            Err(failure) => {
                tracing::warn!(file = file.name, error = %failure, "a file could not be bridged");
                let relates = content.get("m.relates_to").cloned();
                let body = format!("{} (the file could not be bridged: {failure})", file.name);
                content = serde_json::json!({ "msgtype": "m.notice", "body": body });
                if let Some(relates) = relates {
                    content["m.relates_to"] = relates;
                }
                Ok(content)
            }
        }
    }
}
