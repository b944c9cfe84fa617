//! Between Slack's forms (mrkdwn, Block Kit, attachments, files) and the framework's neutral one. Pure: nothing is fetched here.

pub mod from_matrix;
pub mod to_matrix;

use crate::raw::Names;

/// What reading a workspace's messages needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The workspace.
    pub team: &'a str,
    /// The names of those who are named.
    pub names: &'a Names,
}

impl Context<'_> {
    /// How a user who is mentioned is shown.
    pub(crate) fn user(&self, id: &str, label: Option<&str>) -> String {
        let name = self.names.users.get(id).map(String::as_str).or(label).unwrap_or(id);
        format!("@{}", name.trim_start_matches('@'))
    }

    /// How a channel that is mentioned is shown.
    pub(crate) fn channel(&self, id: &str, label: Option<&str>) -> String {
        let name = self.names.channels.get(id).map(String::as_str).or(label).unwrap_or(id);
        format!("#{}", name.trim_start_matches('#'))
    }

    /// How a user group that is mentioned is shown.
    pub(crate) fn group(&self, id: &str, label: Option<&str>) -> String {
        let name = self.names.groups.get(id).map(String::as_str).or(label).unwrap_or(id);
        format!("@{}", name.trim_start_matches('@'))
    }
}
