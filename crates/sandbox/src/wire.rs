//! Decides how answers and errors look on the wire: each service's own XML.

use std::borrow::Cow;
use std::fmt::Write;

/// The services the sandbox speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Sts,
    S3,
    Rds,
}

/// An XML element: a leaf with text, or a tree.
#[derive(Debug)]
pub(crate) struct Node {
    name: &'static str,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Text(String),
    Children(Vec<Node>),
}

/// A refusal or a failure, before it is written in a service's form.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) retry_after_seconds: Option<u32>,
}

/// A served operation's answer, before it is written in its service's form.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) operation: &'static str,
    pub(crate) result: Vec<Node>,
}

// === impl Service ===

impl Service {
    /// The name in a credential scope.
    pub(crate) fn from_scope(name: &str) -> Option<Self> {
        match name {
            "sts" => Some(Self::Sts),
            "s3" => Some(Self::S3),
            "rds" => Some(Self::Rds),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::S3 => "s3",
            Self::Rds => "rds",
        }
    }

    /// The API version its query protocol asks for.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Sts => "2011-06-15",
            Self::S3 => "2006-03-01",
            Self::Rds => "2014-10-31",
        }
    }

    fn namespace(self) -> String {
        match self {
            Self::Sts => format!("https://sts.amazonaws.com/doc/{}/", self.version()),
            Self::S3 => format!("http://s3.amazonaws.com/doc/{}/", self.version()),
            Self::Rds => format!("http://rds.amazonaws.com/doc/{}/", self.version()),
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::S3 => "application/xml",
            Self::Sts | Self::Rds => "text/xml",
        }
    }

    /// Writes an answer, without the element `missing` if one is told.
    pub(crate) fn write_answer(
        self,
        answer: Answer,
        request_id: &str,
        missing: Option<&str>,
    ) -> String {
        let mut result = answer.result;
        if let Some(missing) = missing {
            remove(&mut result, missing);
        }
        let mut out = String::with_capacity(1024);
        let namespace = self.namespace();
        if self == Self::S3 {
            out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
            let _ = write!(out, "<ListAllMyBucketsResult xmlns=\"{namespace}\">");
            result.iter().for_each(|node| node.write(&mut out));
            out.push_str("</ListAllMyBucketsResult>");
            return out;
        }
        let operation = answer.operation;
        let _ = write!(out, "<{operation}Response xmlns=\"{namespace}\">\n<{operation}Result>");
        result.iter().for_each(|node| node.write(&mut out));
        let _ = write!(out, "</{operation}Result>\n<ResponseMetadata><RequestId>{request_id}");
        let _ = write!(out, "</RequestId></ResponseMetadata>\n</{operation}Response>\n");
        out
    }

    pub(crate) fn write_refusal(self, refusal: &Refusal, request_id: &str) -> String {
        let mut out = String::with_capacity(512);
        let mut error = Vec::with_capacity(5);
        if self == Self::S3 {
            out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
            error.push(leaf("Code", &*refusal.code));
            error.push(leaf("Message", &*refusal.message));
            error.push(leaf("RequestId", request_id));
            error.push(leaf("HostId", "rolekeeper-sandbox"));
            tree("Error", error).write(&mut out);
            return out;
        }
        let at_fault = if refusal.status < 500 { "Sender" } else { "Receiver" };
        error.push(leaf("Type", at_fault));
        error.push(leaf("Code", &*refusal.code));
        error.push(leaf("Message", &*refusal.message));
        let _ = writeln!(out, "<ErrorResponse xmlns=\"{}\">", self.namespace());
        tree("Error", error).write(&mut out);
        let _ = writeln!(out, "\n<RequestId>{request_id}</RequestId>\n</ErrorResponse>");
        out
    }
}

// === impl Node ===

pub(crate) fn leaf(name: &'static str, text: impl Into<String>) -> Node {
    Node { name, content: Content::Text(text.into()) }
}

pub(crate) fn tree(name: &'static str, children: Vec<Node>) -> Node {
    Node { name, content: Content::Children(children) }
}

impl Node {
    fn write(&self, out: &mut String) {
        let name = self.name;
        let _ = write!(out, "<{name}>");
        match &self.content {
            Content::Text(text) => escape(text, out),
            Content::Children(children) => children.iter().for_each(|child| child.write(out)),
        }
        let _ = write!(out, "</{name}>");
    }
}

fn remove(nodes: &mut Vec<Node>, name: &str) {
    nodes.retain(|node| node.name != name);
    for node in nodes {
        if let Content::Children(children) = &mut node.content {
            remove(children, name);
        }
    }
}

fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(letter),
            '\r' => out.push_str("&#xD;"),
            // XML 1.0 has no way to write these; a caller's text may hold them.
            letter if letter < ' ' || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}');
            }
            letter => out.push(letter),
        }
    }
}

// === impl Refusal ===

impl Refusal {
    pub(crate) fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code: code.into(), message: message.into(), retry_after_seconds: None }
    }

    pub(crate) fn access_denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    /// What AWS answers when it is AWS that failed.
    pub(crate) fn internal() -> Self {
        let why = "The request processing has failed because of an unknown error.";
        Self::new(500, "InternalFailure", why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_text_cannot_break_out_of_the_xml() {
        let refusal = Refusal::access_denied("</Message><Code>\u{0}&\"\u{ffff}");
        let xml = Service::Sts.write_refusal(&refusal, "id");
        assert!(xml.contains("&lt;/Message&gt;&lt;Code&gt;\u{fffd}&amp;&quot;\u{fffd}</Message>"));
    }

    #[test]
    fn an_answer_can_lack_a_field_at_any_depth() {
        let result = vec![tree("Credentials", vec![leaf("Expiration", "x"), leaf("Other", "y")])];
        let answer = Answer { operation: "AssumeRole", result };
        let xml = Service::Sts.write_answer(answer, "id", Some("Expiration"));
        assert!(!xml.contains("Expiration") && xml.contains("<Other>y</Other>"));
    }
}
