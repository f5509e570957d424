"""Makes a user and a role in a fresh moto, then turns its enforcement of IAM on."""

import json
import sys
import urllib.request

import boto3

url = sys.argv[1]


def client(service):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="maker",
        aws_secret_access_key="maker",
    )


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


iam = client("iam")
iam.create_user(UserName="base")
role_arn = "arn:aws:iam::123456789012:role/job"
iam.put_user_policy(
    UserName="base",
    PolicyName="may-assume",
    PolicyDocument=policy(allow("sts:AssumeRole", role_arn), allow("sts:GetCallerIdentity")),
)
key = iam.create_access_key(UserName="base")["AccessKey"]
trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
iam.create_role(RoleName="job", AssumeRolePolicyDocument=policy(trust))
iam.put_role_policy(
    RoleName="job",
    PolicyName="work",
    PolicyDocument=policy(
        allow("s3:*"), allow("sqs:*"), allow("sts:*"), {**allow("rds:*"), "Effect": "Deny"}
    ),
)
request = urllib.request.Request(
    f"{url}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}
)
urllib.request.urlopen(request).read()
print(
    json.dumps(
        {
            "access_key_id": key["AccessKeyId"],
            "secret_access_key": key["SecretAccessKey"],
            "role_arn": role_arn,
        }
    )
)
