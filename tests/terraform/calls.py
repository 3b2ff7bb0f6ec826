"""What the provider asked of AWS, by its log, and what IAM must allow for each call.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.terraform.chain import ACCOUNT, REGION

Request = tuple[str, str, Mapping[str, str]]

ENTRY = re.compile(r"^(?=\d{4}-\d\d-\d\dT\S+ \[)", re.MULTILINE)
BODY = re.compile(r"http\.request\.body=(?:\n((?:  \|.*\n)+)|(\S*))")

# What EC2's ids begin with, and what ARNs call it.
EC2 = {
    "ami": "image",
    "eipalloc": "elastic-ip",
    "eipassoc": "elastic-ip",
    "fl": "vpc-flow-log",
    "i": "instance",
    "igw": "internet-gateway",
    "rtb": "route-table",
    "rtbassoc": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}

# Operations of S3 that are allowed by an action of another name.
S3 = {
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteObjects": "DeleteObjectVersion",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}


@dataclass(frozen=True)
class Call:
    """One request to AWS, and whether it was made in order to change something."""

    service: str
    operation: str
    url: str
    body: str
    changing: bool

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.body))

    @property
    def document(self) -> dict[str, object]:
        return json.loads(self.body)  # type: ignore[no-any-return]


def calls(log: Path) -> Iterator[Call]:
    """All that a log of TF_LOG_PROVIDER=debug tells, in its order."""
    for entry in ENTRY.split(log.read_text()):
        if "HTTP Request Sent" not in entry.partition("\n")[0]:
            continue
        found = [
            re.search(rf'{key}=(?:"([^"]+)"|(\S+))', entry)
            for key in (r"rpc\.service", r"rpc\.method", r"http\.url")
        ]
        body = BODY.search(entry)
        assert all(found), entry
        assert body, entry
        service, operation, url = (match[1] or match[2] for match in found if match)
        lines = (body[1] or body[2]).strip().split("\n")
        yield Call(
            service,
            operation,
            url,
            "\n".join(line.strip().removeprefix("| ") for line in lines),
            "tf_rpc=ApplyResourceChange" in entry,
        )


def arn(service: str, resource: str, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"


@dataclass
class Asked:
    """What IAM is asked about calls, in their order.

    Attributes:
        untagged: Ids of what AWS made itself, until it is tagged; all else is tagged when created.
        boundaries: The permissions boundary of each role.
    """

    untagged: set[str] = field(default_factory=set)
    boundaries: dict[str, str] = field(default_factory=dict)

    def about(self, made: Iterable[Call]) -> Iterator[tuple[Call, Request]]:
        made = list(made)
        self.untagged = {
            call.parameters["ResourceId.1"]
            for call in made
            if call.operation == "CreateTags" and call.parameters["ResourceId.1"].startswith("sg-")
        }
        by_service = {
            "CloudWatch": self.cloudwatch,
            "CloudWatch Logs": self.logs,
            "EC2": self.ec2,
            "IAM": self.iam,
            "S3": self.s3,
            "SNS": self.sns,
            "Scheduler": self.scheduler,
        }
        for call in made:
            if call.service != "STS":  # who one is, everybody may ask
                for request in by_service[call.service](call):
                    yield call, request

    def ec2(self, call: Call) -> Iterator[Request]:
        action, parameters = f"ec2:{call.operation}", call.parameters
        requested = {
            f"aws:RequestTag/{value}": parameters[key.removesuffix("Key") + "Value"]
            for key, value in parameters.items()
            if re.fullmatch(r"(TagSpecification\.1\.)?Tag\.\d+\.Key", key)
        }
        about: list[Request] = []
        for value in parameters.values():
            found = re.fullmatch(r"([a-z]+)-[0-9a-f]+", value)
            if not found or found[1] not in EC2:
                continue
            owner = "" if found[1] == "ami" else ACCOUNT
            tags = (
                {} if not owner or value in self.untagged else {"aws:ResourceTag/Project": "shill"}
            )
            about.append((action, arn("ec2", f"{EC2[found[1]]}/{value}", account=owner), tags))
            if call.operation == "CreateTags":
                about[-1] = (*about[-1][:2], tags | requested)
                self.untagged.discard(value)
        for key, created in parameters.items():
            if re.fullmatch(r"TagSpecification\.\d+\.ResourceType", key):
                new = arn("ec2", f"{created}/*")
                about.append((action, new, requested))
                about.append(
                    ("ec2:CreateTags", new, requested | {"ec2:CreateAction": call.operation})
                )
        if call.operation == "RunInstances":
            about.append((action, arn("ec2", "network-interface/*"), {}))
            if "KeyName" in parameters:
                about.append((action, arn("ec2", f"key-pair/{parameters['KeyName']}"), {}))
            role = f"role/{parameters['IamInstanceProfile.Name']}"
            about.append(self.pass_role(arn("iam", role, region=""), "ec2"))
        if call.operation == "CreateFlowLogs":
            about.append(self.pass_role(parameters["DeliverLogsPermissionArn"], "vpc-flow-logs"))
        yield from about or [(action, "*", {})]

    def iam(self, call: Call) -> Iterator[Request]:
        action, parameters = f"iam:{call.operation}", call.parameters
        kinds = {"RoleName": "role", "InstanceProfileName": "instance-profile"}
        named = [
            arn("iam", f"{kind}/{parameters[key]}", region="")
            for key, kind in kinds.items()
            if key in parameters
        ]
        if call.operation == "CreateRole":
            self.boundaries[named[0]] = parameters.get("PermissionsBoundary", "")
        for resource in named:
            yield action, resource, {"iam:PermissionsBoundary": self.boundaries.get(resource, "")}
        if any(key.startswith("Tags.") for key in parameters):
            yield action.replace("Create", "Tag"), named[0], {}
        if call.operation == "AddRoleToInstanceProfile":
            yield self.pass_role(named[0], "ec2")

    def s3(self, call: Call) -> Iterator[Request]:
        resource = urlsplit(call.url).path.strip("/")
        if call.operation == "DeleteObjects":
            resource += "/*"
        yield f"s3:{S3.get(call.operation, call.operation)}", f"arn:aws:s3:::{resource}", {}

    def logs(self, call: Call) -> Iterator[Request]:
        document = call.document
        resource = document.get("resourceArn") or "*"
        if "logGroupName" in document:
            resource = arn("logs", f"log-group:{document['logGroupName']}")
        yield f"logs:{call.operation}", str(resource), {}
        if "tags" in document:
            yield "logs:TagResource", str(resource), {}

    def cloudwatch(self, call: Call) -> Iterator[Request]:
        parameters = call.parameters
        name = parameters.get("AlarmName") or parameters.get("AlarmNames.member.1")
        resource = parameters.get("ResourceARN") or arn("cloudwatch", f"alarm:{name}")
        looking = call.operation == "DescribeAlarms"
        yield f"cloudwatch:{call.operation}", "*" if looking else resource, {}
        if call.operation == "PutMetricAlarm":
            yield "cloudwatch:TagResource", resource, {}

    def sns(self, call: Call) -> Iterator[Request]:
        parameters = call.parameters
        resource = parameters.get("TopicArn") or parameters.get("ResourceArn") or "*"
        if call.operation == "CreateTopic":
            resource = arn("sns", parameters["Name"])
            yield "sns:TagResource", resource, {}
        yield f"sns:{call.operation}", resource, {}

    def scheduler(self, call: Call) -> Iterator[Request]:
        name = urlsplit(call.url).path.rpartition("/")[2]
        yield f"scheduler:{call.operation}", arn("scheduler", f"schedule/default/{name}"), {}
        if call.operation == "CreateSchedule":
            target = call.document["Target"]
            assert isinstance(target, dict)
            yield self.pass_role(target["RoleArn"], "scheduler")

    @staticmethod
    def pass_role(role: str, service: str) -> Request:
        return "iam:PassRole", role, {"iam:PassedToService": f"{service}.amazonaws.com"}
