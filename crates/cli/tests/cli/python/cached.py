"""Who botocore is by a profile, with sessions of a folder: cached.py FOLDER --profile NAME."""

import os
import sys

import botocore.session
from botocore.utils import JSONFileCache

folder, _, profile = sys.argv[1:]
session = botocore.session.Session(profile=profile)
provider = session.get_component("credential_provider").get_provider("assume-role")
provider.cache = JSONFileCache(os.path.join(os.environ["HOME"], folder))
print(session.create_client("sts").get_caller_identity()["Arn"])
