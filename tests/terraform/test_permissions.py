"""What hosts, schedules and strangers may do, by the policies that were applied."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.terraform.chain import ACCOUNT, REGION, Chain
from tests.terraform.policy import Context, Statement, allowed, listed

BUCKET = f"arn:aws:s3:::shill-production-{ACCOUNT}"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
PARAMETERS = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:shill-production-alerts"
INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0"
CHALLENGE = {
    "route53:ChangeResourceRecordSetsNormalizedRecordNames": "_acme-challenge.shill.example.com",
    "route53:ChangeResourceRecordSetsRecordTypes": "TXT",
}
TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
HOST = f"arn:aws:iam::{ACCOUNT}:role/shill-production-host"

# Action, resource, and what else is known of the request.
MUST = [
    ("s3:GetObject", f"{BUCKET}/models/production.json", {}),
    ("s3:GetObject", f"{BUCKET}/models/uci562-0123456789ab/model.onnx", {}),
    ("s3:GetObject", f"{BUCKET}/profiles/production.json", {}),
    ("s3:ListBucket", BUCKET, {"s3:prefix": "models/"}),
    ("s3:ListBucket", BUCKET, {"s3:prefix": "predictions/dt=2026-11-24/"}),
    ("s3:PutObject", f"{BUCKET}/predictions/dt=2026-11-24/segment.parquet", {}),
    ("s3:GetObject", f"{BUCKET}/predictions/dt=2026-11-24/segment.parquet", {}),
    ("s3:PutObject", f"{BUCKET}/labels/dt=2026-11-24/segment.parquet", {}),
    ("s3:PutObject", f"{BUCKET}/reports/host/20261124T060000Z/report.html", {}),
    ("s3:PutObject", f"{BUCKET}/backups/prometheus.tar", {}),
    ("s3:GetObject", f"{BUCKET}/backups/prometheus.tar", {}),
    ("s3:AbortMultipartUpload", f"{BUCKET}/backups/prometheus.tar", {}),
    ("logs:CreateLogStream", f"{LOGS}/shill/production/host:log-stream:i-1", {}),
    ("logs:PutLogEvents", f"{LOGS}/shill/production/containers:log-stream:i-1", {}),
    ("logs:PutLogEvents", f"{LOGS}/shill/production/metrics:log-stream:i-1", {}),
    ("logs:DescribeLogStreams", f"{LOGS}/shill/production/host:log-stream:", {}),
    ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "shill/production"}),
    ("sns:Publish", TOPIC, {}),
]
MUST_NOT = [
    # Models are chosen elsewhere, and nothing is deleted.
    ("s3:PutObject", f"{BUCKET}/models/production.json", {}),
    ("s3:PutObject", f"{BUCKET}/models/uci562-0123456789ab/model.onnx", {}),
    ("s3:PutObject", f"{BUCKET}/profiles/production.json", {}),
    ("s3:DeleteObject", f"{BUCKET}/models/uci562-0123456789ab/model.onnx", {}),
    ("s3:DeleteObjectVersion", f"{BUCKET}/models/uci562-0123456789ab/model.onnx", {}),
    ("s3:DeleteObject", f"{BUCKET}/predictions/dt=2026-11-24/segment.parquet", {}),
    ("s3:DeleteObject", f"{BUCKET}/backups/prometheus.tar", {}),
    # The rest of this bucket, and other buckets.
    ("s3:GetObject", f"{BUCKET}/terraform.tfstate", {}),
    ("s3:PutObject", f"{BUCKET}/predictions", {}),
    ("s3:ListBucket", BUCKET, {}),
    ("s3:ListBucket", BUCKET, {"s3:prefix": ""}),
    ("s3:GetObjectVersion", f"{BUCKET}/models/production.json", {}),
    ("s3:PutBucketPolicy", BUCKET, {}),
    ("s3:DeleteBucketPolicy", BUCKET, {}),
    ("s3:PutLifecycleConfiguration", BUCKET, {}),
    ("s3:PutBucketVersioning", BUCKET, {}),
    ("s3:DeleteBucket", BUCKET, {}),
    ("s3:GetObject", f"arn:aws:s3:::shill-staging-{ACCOUNT}/models/production.json", {}),
    ("s3:GetObject", f"arn:aws:s3:::shill-terraform-{ACCOUNT}/production.tfstate", {}),
    ("s3:PutObject", f"arn:aws:s3:::shill-staging-{ACCOUNT}/predictions/x", {}),
    ("s3:ListAllMyBuckets", "*", {}),
    # Logs, metrics, alerts and parameters of others; groups and their retention.
    ("logs:PutLogEvents", f"{LOGS}/shill/staging/host:log-stream:i-1", {}),
    ("logs:PutLogEvents", f"{LOGS}/shill/production-2/host:log-stream:i-1", {}),
    ("logs:CreateLogGroup", f"{LOGS}/shill/production/host", {}),
    ("logs:PutRetentionPolicy", f"{LOGS}/shill/production/host", {}),
    ("logs:DeleteLogStream", f"{LOGS}/shill/production/host:log-stream:i-1", {}),
    ("logs:GetLogEvents", f"{LOGS}/shill/production/host:log-stream:i-1", {}),
    ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "shill/staging"}),
    ("cloudwatch:PutMetricData", "*", {}),
    ("cloudwatch:DeleteAlarms", "*", {}),
    ("sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:shill-staging-alerts", {}),
    ("sns:Subscribe", TOPIC, {}),
    ("ssm:GetParameter", f"{PARAMETERS}/shill/production/grafana", {}),
    ("ssmmessages:OpenDataChannel", "*", {}),
    ("ssm:SendCommand", INSTANCE, {}),
    ("ssm:StartSession", INSTANCE, {}),
    # Itself, other hosts, other identities, keys.
    ("ec2:TerminateInstances", INSTANCE, {}),
    ("ec2:RunInstances", "*", {}),
    ("ec2:DescribeInstances", "*", {}),
    ("ec2:AuthorizeSecurityGroupIngress", "*", {}),
    ("ec2:CreateTags", INSTANCE, {}),
    ("ec2:ModifyInstanceMetadataOptions", INSTANCE, {}),
    ("iam:PassRole", HOST, {}),
    ("iam:PutRolePolicy", HOST, {}),
    ("iam:CreateAccessKey", "*", {}),
    ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/admin", {}),
    ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/01234567-89ab-cdef", {}),
    ("secretsmanager:GetSecretValue", "*", {}),
    ("dlm:DeleteLifecyclePolicy", "*", {}),
]


def statements(chain: Chain, address: str, environment: str = "production") -> list[Statement]:
    """The statements of an applied policy of a role."""
    policies = chain.environments[environment].managed("aws_iam_role_policy")
    return json.loads(policies[address]["policy"])["Statement"]  # type: ignore[no-any-return]


@pytest.fixture
def host(chain: Chain) -> list[Statement]:
    return statements(chain, "module.security.aws_iam_role_policy.host")


@pytest.fixture
def bucket(chain: Chain) -> list[Statement]:
    """Left out of the emulator; yet this is what AWS is given."""
    policy = chain.environments["production"].outputs["bucket_policy"]
    return json.loads(policy)["Statement"]  # type: ignore[no-any-return]


def case(parameters: tuple[str, str, Context]) -> str:
    action, resource, context = parameters
    return " ".join([action, resource.split(":::")[-1], *context.values()])


@pytest.mark.parametrize("request_", MUST, ids=case)
def test_a_host_may_do_what_it_must(
    host: list[Statement], bucket: list[Statement], request_: tuple[str, str, Mapping[str, str]]
) -> None:
    action, resource, context = request_
    known = {**TLS, **context, "aws:PrincipalArn": HOST}
    assert allowed([*host, *bucket], action, resource, known)


@pytest.mark.parametrize("request_", MUST_NOT, ids=case)
def test_a_host_may_not_do_more(
    host: list[Statement], request_: tuple[str, str, Mapping[str, str]]
) -> None:
    action, resource, context = request_
    assert not allowed(host, action, resource, context)


def test_every_statement_of_the_host_is_needed(host: list[Statement]) -> None:
    """Else it were a permission that nobody can account for."""
    for left_out in host:
        rest = [statement for statement in host if statement is not left_out]
        assert any(not allowed(rest, *request) for request in MUST), left_out["Sid"]


def test_each_action_of_the_host_is_accounted_for(host: list[Statement]) -> None:
    granted = {action for x in host for action in listed(x["Action"])}
    assert granted == {action for action, _, _ in MUST}


def test_a_host_with_a_key_may_use_that_key_only(chain: Chain) -> None:
    host = statements(chain, "module.security.aws_iam_role_policy.host", "staging")
    ours = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/01234567-89ab-cdef"
    assert allowed(host, "kms:GenerateDataKey", ours)
    assert allowed(host, "kms:Decrypt", ours)
    assert not allowed(host, "kms:Decrypt", ours.replace("01234567", "76543210"))
    assert not allowed(host, "kms:ScheduleKeyDeletion", ours)


def test_a_host_with_a_zone_may_answer_challenges_there_and_change_no_other_record(
    chain: Chain,
) -> None:
    host = statements(chain, "module.security.aws_iam_role_policy.host", "staging")
    ours = "arn:aws:route53:::hostedzone/Z0123456789ABC"
    change = "route53:ChangeResourceRecordSets"
    name, kind = CHALLENGE
    assert allowed(host, change, ours, CHALLENGE)
    assert allowed(host, "route53:ListHostedZones", "*")
    assert allowed(host, "route53:GetChange", "arn:aws:route53:::change/C1")
    assert not allowed(host, change, ours)
    assert not allowed(host, change, ours, CHALLENGE | {name: "shill.example.com"})
    assert not allowed(host, change, ours, CHALLENGE | {kind: "CNAME"})
    assert not allowed(host, change, "arn:aws:route53:::hostedzone/Z9", CHALLENGE)
    assert not allowed(host, "route53:DeleteHostedZone", ours)


def test_the_evaluation_itself_denies_what_iam_would() -> None:
    """Nothing said is a denial, a denial outweighs, and what the context lacks matches nothing."""
    allow: Statement = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/?/*"}
    deny: Statement = {**allow, "Effect": "Deny", "Condition": {"Bool": {"tls": "false"}}}
    assert allowed([allow, deny], "S3:getobject", "arn:aws:s3:::b/x/y", {"tls": "true"})
    assert allowed([allow, deny], "s3:GetObject", "arn:aws:s3:::b/x/y")
    assert not allowed([allow, deny], "s3:GetObject", "arn:aws:s3:::b/x/y", {"tls": "false"})
    assert not allowed([allow], "s3:PutObject", "arn:aws:s3:::b/x/y")
    assert not allowed([allow], "s3:GetObject", "arn:aws:s3:::b/xx/y")
    assert not allowed([], "s3:GetObject", "arn:aws:s3:::b/x/y")


EVERYTHING: Statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
OBJECT = f"{BUCKET}/models/production.json"


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ({**TLS, "aws:PrincipalArn": HOST}, True),
        ({**TLS, "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/other"}, False),
        ({**TLS, "aws:PrincipalArn": "arn:aws:iam::999999999999:root"}, False),
        ({**TLS}, False),
        ({"aws:SecureTransport": "false", "aws:PrincipalArn": HOST}, False),
        ({**TLS, "s3:TlsVersion": "1.1", "aws:PrincipalArn": HOST}, False),
    ],
    ids=["host", "another role", "another account", "nobody", "without TLS", "old TLS"],
)
def test_the_bucket_answers_whom_it_knows_by_tls(
    bucket: list[Statement], context: Context, *, answer: bool
) -> None:
    """Even of those whose own policies allow them everything."""
    for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObjectVersion"):
        assert allowed([EVERYTHING, *bucket], action, OBJECT, context) == answer


def test_whoever_applies_may_publish_models(chain: Chain, bucket: list[Statement]) -> None:
    deployer = chain.client("sts").get_caller_identity()["Arn"]
    context = {**TLS, "aws:PrincipalArn": deployer}
    assert allowed([EVERYTHING, *bucket], "s3:PutObject", OBJECT, context)


def test_the_bucket_s_policy_can_still_be_mended(bucket: list[Statement]) -> None:
    context = {**TLS, "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/admin"}
    assert allowed([EVERYTHING, *bucket], "s3:PutBucketPolicy", BUCKET, context)


def test_the_schedule_starts_and_stops_its_hosts_only(chain: Chain) -> None:
    scheduler = statements(chain, "module.operations.aws_iam_role_policy.scheduler[0]", "staging")
    ours = chain.environments["staging"].outputs["hosts"]["only"]["id"]
    mine = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{ours}"
    assert allowed(scheduler, "ec2:StartInstances", mine)
    assert allowed(scheduler, "ec2:StopInstances", mine)
    assert not allowed(scheduler, "ec2:TerminateInstances", mine)
    assert not allowed(scheduler, "ec2:StopInstances", INSTANCE)


def test_snapshots_are_made_of_our_hosts_and_only_they_are_removed(
    chain: Chain, complete: Any
) -> None:
    (policy,) = [
        policy["policy"]
        for address, policy in chain.environments["production"]
        .managed("aws_iam_role_policy", complete)
        .items()
        if "snapshots" in address
    ]
    dlm = json.loads(policy)["Statement"]
    ours = {"aws:ResourceTag/ShillSnapshots": "shill-production"}
    snapshot = f"arn:aws:ec2:{REGION}::snapshot/snap-1"
    volume = f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-1"
    for action, resource in {
        "ec2:CreateSnapshots": INSTANCE,
        "ec2:CreateSnapshot": volume,
        "ec2:DeleteSnapshot": snapshot,
    }.items():
        assert allowed(dlm, action, resource, ours)
        assert not allowed(dlm, action, resource, {"aws:ResourceTag/Environment": "production"})
        assert not allowed(dlm, action, resource)
    assert allowed(dlm, "ec2:CreateTags", snapshot)
    assert not allowed(dlm, "ec2:CreateTags", INSTANCE, ours)
    assert not allowed(dlm, "ec2:TerminateInstances", INSTANCE, ours)
    assert not allowed(dlm, "ec2:ModifySnapshotAttribute", snapshot, ours)


def test_flow_logs_are_written_to_their_group_only(chain: Chain) -> None:
    flow = statements(chain, "module.vpc.aws_iam_role_policy.flow[0]", "staging")
    assert allowed(flow, "logs:PutLogEvents", f"{LOGS}/shill/staging/flow:log-stream:eni-1")
    assert allowed(flow, "logs:DescribeLogGroups", f"{LOGS}*")
    assert not allowed(flow, "logs:PutLogEvents", f"{LOGS}/shill/staging/host:log-stream:eni-1")


def test_roles_are_for_the_services_they_are_for(chain: Chain) -> None:
    trusted: dict[str, Any] = {}
    for environment in chain.environments.values():
        for address, role in environment.managed("aws_iam_role").items():
            (statement,) = json.loads(role["assume_role_policy"])["Statement"]
            trusted[address] = statement["Principal"]
    assert trusted == {
        "module.security.aws_iam_role.host": {"Service": "ec2.amazonaws.com"},
        "module.operations.aws_iam_role.scheduler[0]": {"Service": "scheduler.amazonaws.com"},
        "module.vpc.aws_iam_role.flow[0]": {"Service": "vpc-flow-logs.amazonaws.com"},
    }
