//! Files of the network, on their way to Matrix: fetched through the connector, uploaded once per source.

use serde_json::Value;

use super::envelope::File;
use crate::{
    NetError,
    engine::{Engine, Failure},
    event::MediaRef,
    format,
    media::Uploaded,
};

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
            let mime = mime.unwrap_or_default().to_owned();
            return Ok(Uploaded { mxc: media.0.clone(), mime, size: 0 });
        }
        if let Some(known) = self.transfer.known(&media.0).await? {
            return Ok(known);
        }
        let Some(account) = self.logins.any_account(via) else {
            return Err(NetError::temporary("no login is connected to fetch the file").into());
        };
        let mut file = account.open_media(media).await?;
        file.mime = mime.map(ToOwned::to_owned).or(file.mime);
        Ok(self.transfer.upload(&self.matrix.bot(), Some(&media.0), file, name).await?)
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
                said(&mut content, |content| put_file(content, &uploaded));
                Ok(content)
            }
            Err(failure) if failure.is_temporary() => Err(failure),
            Err(failure) => {
                tracing::warn!(file = file.name, error = %failure, "a file could not be bridged");
                let relates = content.get("m.relates_to").cloned();
                let body = format!("{} (the file could not be bridged: {failure})", file.name);
                let replaces = content.get("m.new_content").is_some();
                content = serde_json::json!({ "msgtype": "m.notice", "body": body });
                if replaces {
                    content["m.new_content"] = content.clone();
                }
                if let Some(relates) = relates {
                    content["m.relates_to"] = relates;
                }
                Ok(content)
            }
        }
    }

    /// A gallery's content with its files in it. Those that can't be had are left out, and named in its text.
    pub(super) async fn with_files(
        &self,
        mut content: Value,
        files: &[Option<File>],
        via: &str,
    ) -> Result<Value, Failure> {
        let mut lost = Vec::new();
        for (place, file) in files.iter().enumerate() {
            let Some(file) = file else { continue };
            let media = MediaRef(file.source.clone());
            match self.upload(&media, Some(via), Some(&file.name), file.mime.as_deref()).await {
                Ok(uploaded) => said(&mut content, |content| {
                    put_file(&mut content["itemtypes"][place], &uploaded);
                }),
                Err(failure) if failure.is_temporary() => return Err(failure),
                Err(failure) => {
                    tracing::warn!(file = file.name, error = %failure, "a file could not be bridged");
                    lost.push((place, format!("{} (not bridged: {failure})", file.name)));
                }
            }
        }
        if !lost.is_empty() {
            said(&mut content, |content| leave_out(content, &lost));
        }
        Ok(content)
    }
}

/// Takes items out of a gallery, and says which; what shows nothing then is text.
fn leave_out(content: &mut Value, lost: &[(usize, String)]) {
    if let Some(items) = content.get_mut("itemtypes").and_then(Value::as_array_mut) {
        let mut place = 0;
        items.retain(|_| {
            place += 1;
            !lost.iter().any(|(gone, _)| gone + 1 == place)
        });
        if items.is_empty() {
            content["msgtype"] = "m.notice".into();
        }
    }
    for (_, words) in lost {
        let body = content.get("body").and_then(Value::as_str).unwrap_or_default();
        content["body"] = format!("{body}\n{words}").into();
        if let Some(html) = content.get("formatted_body").and_then(Value::as_str) {
            let words = format::to_html(&format::Rich::plain(words));
            content["formatted_body"] = format!("{html}<br>{words}").into();
        }
    }
}

/// Does something to what an event says: in an edit, to both places where it says that.
fn said(content: &mut Value, mut work: impl FnMut(&mut Value)) {
    work(content);
    if let Some(new) = content.get_mut("m.new_content") {
        work(new);
    }
}

/// Puts a file into the content of its event.
fn put_file(content: &mut Value, file: &Uploaded) {
    content["url"] = file.mxc.clone().into();
    if content.get("info").is_some_and(Value::is_object) {
        let info = &mut content["info"];
        if info.get("mimetype").is_none() && !file.mime.is_empty() {
            info["mimetype"] = file.mime.clone().into();
        }
        if info.get("size").is_none() && file.size > 0 {
            info["size"] = file.size.into();
        }
    }
}
