"""Who boto3 is, with whatever credentials it finds by itself."""

import boto3

print(boto3.client("sts").get_caller_identity()["Arn"])
