"""Calls several services with whatever credentials boto3 finds, and says what became of each."""

import json
import os

import boto3
from botocore.exceptions import ClientError

bucket = f"bucket-{os.getpid()}"


def s3_object():
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a key+with=signs", Body=b"text")
    assert s3.get_object(Bucket=bucket, Key="a key+with=signs")["Body"].read() == b"text"


calls = {
    "sts": lambda: boto3.client("sts").get_caller_identity(),
    "s3": lambda: boto3.client("s3").list_buckets(),
    "s3 object": s3_object,
    "sqs": lambda: boto3.client("sqs").list_queues(),
    "rds": lambda: boto3.client("rds").describe_db_instances(),
    "dynamodb": lambda: boto3.client("dynamodb").list_tables(),
}
seen = {}
for name, call in calls.items():
    try:
        call()
        seen[name] = "ok"
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        seen[name] = "denied" if status == 403 else repr(error)
print(json.dumps(seen))
