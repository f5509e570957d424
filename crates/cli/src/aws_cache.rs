//! Whether a command shares sessions with the AWS CLI: the argument that says so.

use clap::{Args, ValueEnum};
use rolekeeper::stores::AwsCache;

use crate::{exit::Trouble, store};

#[derive(Args, Clone)]
pub(crate) struct AwsCacheArguments {
    /// Share with the AWS CLI and botocore in ~/.aws, whoever assumes the role: `read` their cache,
    /// or `write` it too, not sealed; default: `none`
    #[arg(long, value_name = "HOW", env = "ROLEKEEPER_AWS_CACHE", hide_possible_values = true)]
    aws_cache: Option<How>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    None,
    Read,
    Write,
}

// === impl AwsCacheArguments ===

impl AwsCacheArguments {
    pub(crate) fn open(&self) -> Result<Option<AwsCache>, Trouble> {
        let cache = || AwsCache::of_user().map_err(store::trouble);
        match self.aws_cache {
            None | Some(How::None) => Ok(None),
            Some(How::Read) => cache().map(Some),
            Some(How::Write) => cache().map(AwsCache::and_write).map(Some),
        }
    }

    /// For who wants to know whether the role can be assumed.
    pub(crate) fn leave_alone(&mut self) {
        self.aws_cache = None;
    }
}
