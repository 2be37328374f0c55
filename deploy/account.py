"""The AWS account and region that the shell points at, and what can be known before a deployment.

Everything here reads, but ``ArtefactBucket.ready``, which makes the bucket.
"""

import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deploy.refusal import Refused

RUNTIMES = frozenset({(3, 11), (3, 12), (3, 13), (3, 14)})
"""The Pythons that Lambda runs (docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html) and
Refledger takes. Bytecode is made by the runtime's own minor version, so it is the one that runs."""
STAGE = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
WEBHOOK_CONCURRENCY = 20
UNRESERVED_AT_LEAST = 100
"""Lambda lets nobody reserve so much that less than this is left for the other functions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who deploys where."""

    id: str
    who: str
    region: str
    session: Any  # a boto3.Session; its stubs know services by literal names only

    def client(self, service: str) -> Any:
        return self.session.client(service)


def checked_stage(stage: str) -> str:
    """The stage's name. Raises ``Refused``."""
    if not stage:
        raise Refused("Say which stage: `make deploy STAGE=dev`, or STAGE=prod.")
    if not STAGE.fullmatch(stage):
        raise Refused(
            f"STAGE={stage} will not do: 1 to 20 of a-z, 0-9 and -, the - not at either end."
        )
    return stage


def check_python(version: tuple[int, ...] = sys.version_info[:2]) -> None:
    """Raises ``Refused`` if Lambda does not run this Python."""
    if version[:2] not in RUNTIMES:
        have = ".".join(map(str, version[:2]))
        known = ", ".join(".".join(map(str, one)) for one in sorted(RUNTIMES))
        raise Refused(
            f"Lambda has no Python {have}, only {known}; the code is compiled for the one that"
            f" packages it. `make clean`, then e.g. `make deploy PYTHON=python3.13 STAGE=…`."
        )


def account_of_shell() -> Account:
    """The account that the shell's credentials belong to. Raises ``Refused``."""
    if "AWS_REGION" in os.environ:  # what other tools read, and boto3 does not
        os.environ["AWS_DEFAULT_REGION"] = os.environ["AWS_REGION"]
    session = boto3.Session()
    if not session.region_name:
        raise Refused("No AWS region is set. Say one: `export AWS_REGION=eu-central-1`.")
    try:
        told = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise Refused(
            f"AWS does not know who you are: {error}\nGive the shell credentials (aws configure,"
            " aws sso login, or AWS_ACCESS_KEY_ID and its like) and try again."
        ) from error
    return Account(id=told["Account"], who=told["Arn"], region=session.region_name, session=session)


def concurrency_to_keep(account: Account) -> int:
    """How much Lambda concurrency can be kept for the webhooks: 20, or none in an account whose
    limit leaves no room (a new one has 10)."""
    limits = account.client("lambda").get_account_settings()["AccountLimit"]
    left = int(limits["UnreservedConcurrentExecutions"]) - UNRESERVED_AT_LEAST
    return WEBHOOK_CONCURRENCY if left >= WEBHOOK_CONCURRENCY else 0


class ArtefactBucket:
    """Where CloudFormation finds the zip and the template: one bucket per account and region,
    private, encrypted, versioned. Names say what is in them, so nothing is uploaded twice."""

    def __init__(self, account: Account) -> None:
        self.name = f"refledger-artefacts-{account.id}-{account.region}"
        self._account = account
        self._s3 = account.client("s3")
        self._owner = {"ExpectedBucketOwner": account.id}

    def ready(self) -> None:
        """Make it if it is not there. Raises ``Refused`` if the name is somebody else's."""
        region = self._account.region
        where = {"LocationConstraint": region} if region != "us-east-1" else None
        try:
            self._s3.head_bucket(Bucket=self.name, **self._owner)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise Refused(f"The bucket {self.name} cannot be used: {error}") from error
            extra = {"CreateBucketConfiguration": where} if where else {}
            self._s3.create_bucket(Bucket=self.name, **extra)
        self._s3.put_public_access_block(
            Bucket=self.name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
            **self._owner,
        )
        self._s3.put_bucket_versioning(
            Bucket=self.name, VersioningConfiguration={"Status": "Enabled"}, **self._owner
        )
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        self._s3.put_bucket_encryption(
            Bucket=self.name, ServerSideEncryptionConfiguration={"Rules": [rule]}, **self._owner
        )

    def upload(self, file: Path, *, stage: str) -> str:
        """Put a file there under a name made from its content, if it is not there; the name."""
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        key = f"{stage}/{digest}{file.suffix}"
        try:
            self._s3.head_object(Bucket=self.name, Key=key, **self._owner)
        except ClientError:
            self._s3.upload_file(str(file), self.name, key, ExtraArgs=self._owner)
        return key

    def url(self, key: str) -> str:
        """The address by which CloudFormation reads it."""
        endpoint = self._s3.meta.endpoint_url.rstrip("/")
        return f"{endpoint}/{self.name}/{key}"

    def forget(self, stage: str) -> None:
        """Drop what was uploaded for a stage, in every version."""
        pages = self._s3.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self.name, Prefix=f"{stage}/", **self._owner):
            for one in page.get("Versions", []) + page.get("DeleteMarkers", []):
                self._s3.delete_object(
                    Bucket=self.name, Key=one["Key"], VersionId=one["VersionId"], **self._owner
                )
