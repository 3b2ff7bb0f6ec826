"""What whoever deploys may do: all that Terraform asks of AWS, and little else."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.terraform import test_permissions
from tests.terraform.calls import Asked, Call, Request, arn, calls
from tests.terraform.chain import ACCOUNT, REGION, REPOSITORY, Chain, Environment
from tests.terraform.policy import Statement, allowed, listed, matches
from tests.terraform.tools import TERRAFORM

POLICIES = TERRAFORM / "bootstrap" / "policies"
LARGEST = 6144  # what IAM takes, without blanks
LONGEST = "a-name-of-20-letters"

OURS = {"aws:ResourceTag/Project": "shill"}
OTHERS = {"aws:ResourceTag/Project": "other"}
TAGGING = {"aws:RequestTag/Project": "shill"}
BOUNDARY = {"iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/shill-boundary"}
BUCKET = "arn:aws:s3:::shill-production-123456789012"
STATES = f"arn:aws:s3:::shill-terraform-{ACCOUNT}"


def role(name: str) -> str:
    return arn("iam", f"role/{name}", region="")


HOST = role("shill-production-host")
SNAPSHOTS = role("shill-production-snapshots")
GROUP = arn("ec2", "security-group/sg-1")
INSTANCE = arn("ec2", "instance/i-1")
SUBNET = arn("ec2", "subnet/subnet-1")
VOLUME = arn("ec2", "volume/vol-1")
ADDRESS = arn("ec2", "elastic-ip/eipalloc-1")
ENDPOINT = arn("ec2", "instance-connect-endpoint/*")
NAT = arn("ec2", "natgateway/*")
LIFECYCLE = arn("dlm", "policy/policy-1")
BUDGET = f"arn:aws:budgets::{ACCOUNT}:budget/shill-production-monthly"
LOGS = arn("logs", "log-group:/shill/production/host")
TOPIC = arn("sns", "shill-production-alerts")
KEY = arn("kms", "key/01234567-89ab-cdef")

# By which service a role asks for a key.
VIA = {
    "kms:CreateGrant": {
        "kms:ViaService": f"ec2.{REGION}.amazonaws.com",
        "kms:GrantIsForAWSResource": "true",
    },
    "kms:Decrypt": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"},
    "kms:GenerateDataKey": {"kms:ViaService": f"sns.{REGION}.amazonaws.com"},
}

# What moto lacks, and so no log tells.
UNSEEN: list[Request] = [
    ("dlm:CreateLifecyclePolicy", "*", TAGGING),
    ("dlm:TagResource", LIFECYCLE, TAGGING),
    ("iam:PassRole", SNAPSHOTS, {"iam:PassedToService": "dlm.amazonaws.com"}),
    ("dlm:GetLifecyclePolicies", "*", {}),
    ("dlm:GetLifecyclePolicy", LIFECYCLE, OURS),
    ("dlm:ListTagsForResource", LIFECYCLE, OURS),
    ("dlm:UpdateLifecyclePolicy", LIFECYCLE, OURS),
    ("dlm:UntagResource", LIFECYCLE, OURS),
    ("dlm:DeleteLifecyclePolicy", LIFECYCLE, OURS),
    ("budgets:ModifyBudget", BUDGET, {}),
    ("budgets:ViewBudget", BUDGET, {}),
    ("budgets:ListTagsForResource", BUDGET, {}),
    ("budgets:TagResource", BUDGET, {}),
    ("budgets:UntagResource", BUDGET, {}),
    ("ec2:CreateInstanceConnectEndpoint", ENDPOINT, TAGGING),
    ("ec2:CreateInstanceConnectEndpoint", SUBNET, OURS),
    ("ec2:CreateInstanceConnectEndpoint", GROUP, OURS),
    ("ec2:CreateTags", ENDPOINT, TAGGING | {"ec2:CreateAction": "CreateInstanceConnectEndpoint"}),
    ("ec2:CreateNetworkInterface", arn("ec2", "network-interface/*"), {}),
    ("ec2:CreateNetworkInterface", SUBNET, OURS),
    ("ec2:CreateNetworkInterface", GROUP, OURS),
    ("ec2:DeleteInstanceConnectEndpoint", ENDPOINT, OURS),
    # Roles that AWS's own services need, made when they are first used.
    *(
        (
            "iam:CreateServiceLinkedRole",
            role(f"aws-service-role/{service}.amazonaws.com/AWSServiceRoleForIt"),
            {"iam:AWSServiceName": f"{service}.amazonaws.com"},
        )
        for service in ("ec2-instance-connect", "events", "spot")
    ),
    # Who is somebody by a role, as in IAM Identity Center, asks which.
    ("iam:GetRole", role("aws-reserved/sso.amazonaws.com/AWSReservedSSO_deployer_1"), {}),
    # The state, in its bucket.
    ("s3:ListBucket", STATES, {}),
    ("s3:GetObject", f"{STATES}/production.tfstate", {}),
    ("s3:PutObject", f"{STATES}/production.tfstate", {}),
    ("s3:PutObject", f"{STATES}/production.tfstate.tflock", {}),
    ("s3:DeleteObject", f"{STATES}/production.tfstate.tflock", {}),
    # Newer providers tag buckets by these.
    ("s3:ListTagsForResource", BUCKET, {}),
    ("s3:TagResource", BUCKET, {}),
    ("s3:UntagResource", BUCKET, {}),
    # A bucket with its policy, and one that is destroyed with all its versions.
    ("s3:PutBucketPolicy", BUCKET, {}),
    ("s3:DeleteBucketPolicy", BUCKET, {}),
    ("s3:ListBucketVersions", BUCKET, {}),
    ("s3:DeleteObjectVersion", f"{BUCKET}/models/production.json", {}),
    # Another choice of variables.
    ("ec2:CreateNatGateway", NAT, TAGGING),
    ("ec2:CreateNatGateway", SUBNET, OURS),
    ("ec2:CreateNatGateway", ADDRESS, OURS),
    ("ec2:DeleteNatGateway", NAT, OURS),
    # Endpoints get names in a private zone of AWS's own.
    ("route53:AssociateVPCWithHostedZone", "arn:aws:route53:::hostedzone/Z0123456789ABC", {}),
    ("ec2:AssociateAddress", arn("ec2", "network-interface/eni-1"), {}),
    ("ec2:DisassociateAddress", arn("ec2", "network-interface/eni-1"), {}),
    # Changes of what is there.
    ("ec2:StopInstances", INSTANCE, OURS),
    ("ec2:StartInstances", INSTANCE, OURS),
    ("ec2:ModifyInstanceCreditSpecification", INSTANCE, OURS),
    ("ec2:MonitorInstances", INSTANCE, OURS),
    ("ec2:UnmonitorInstances", INSTANCE, OURS),
    ("ec2:ModifyVolume", VOLUME, OURS),
    ("ec2:ModifySubnetAttribute", SUBNET, OURS),
    ("ec2:ModifySecurityGroupRules", GROUP, OURS),
    ("ec2:UpdateSecurityGroupRuleDescriptionsIngress", GROUP, OURS),
    ("ec2:ReplaceRoute", arn("ec2", "route-table/rtb-1"), OURS),
    ("ec2:DeleteTags", INSTANCE, OURS),
    ("iam:UpdateRole", HOST, {}),
    ("iam:UpdateAssumeRolePolicy", HOST, {}),
    ("iam:UntagRole", HOST, {}),
    ("iam:PutRolePermissionsBoundary", HOST, BOUNDARY),
    ("cloudwatch:UntagResource", arn("cloudwatch", "alarm:shill-production-drift"), {}),
    ("logs:AssociateKmsKey", LOGS, {}),
    ("logs:DeleteRetentionPolicy", LOGS, {}),
    ("logs:UntagResource", LOGS, {}),
    ("sns:UntagResource", TOPIC, {}),
    # What docs/deployment.md does besides Terraform.
    ("ec2:CreateKeyPair", arn("ec2", "key-pair/shill"), {}),
    ("ec2:ImportKeyPair", arn("ec2", "key-pair/shill"), {}),
    ("ec2:DeleteKeyPair", arn("ec2", "key-pair/shill"), {}),
    ("ec2:DeleteSnapshot", arn("ec2", "snapshot/snap-1", account=""), OURS),
    ("ec2-instance-connect:OpenTunnel", arn("ec2", "instance-connect-endpoint/eice-1"), OURS),
    ("s3:GetObject", f"{BUCKET}/models/production.json", {}),
    ("s3:PutObject", f"{BUCKET}/models/production.json", {}),
]

MUST_NOT: list[Request] = [
    # Nobody becomes somebody else, or more.
    ("iam:CreateUser", arn("iam", "user/shill-eve", region=""), {}),
    ("iam:CreateAccessKey", arn("iam", "user/shill-eve", region=""), {}),
    ("iam:CreateLoginProfile", arn("iam", "user/shill-eve", region=""), {}),
    ("iam:AttachUserPolicy", arn("iam", "user/deployer", region=""), {}),
    ("iam:PutUserPolicy", arn("iam", "user/deployer", region=""), {}),
    ("iam:AttachRolePolicy", HOST, BOUNDARY),
    ("iam:CreatePolicyVersion", arn("iam", "policy/shill-deployer", region=""), {}),
    ("iam:CreatePolicyVersion", arn("iam", "policy/shill-boundary", region=""), {}),
    ("iam:SetDefaultPolicyVersion", arn("iam", "policy/shill-boundary", region=""), {}),
    ("iam:CreateRole", HOST, {}),
    ("iam:CreateRole", HOST, {"iam:PermissionsBoundary": role("shill-boundary")}),
    ("iam:PutRolePolicy", HOST, {}),
    ("iam:DeleteRolePermissionsBoundary", HOST, BOUNDARY),
    (
        "iam:PutRolePermissionsBoundary",
        HOST,
        {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/x"},
    ),
    ("iam:UpdateAssumeRolePolicy", role("admin"), {}),
    # Nor does he take a group that is another's by tagging it.
    ("ec2:CreateTags", GROUP, TAGGING),
    ("iam:PutRolePolicy", role("admin"), BOUNDARY),
    ("iam:PutRolePolicy", role("github-shill-deployer"), BOUNDARY),
    ("iam:UpdateAssumeRolePolicy", role("github-shill-planner"), {}),
    ("iam:DeleteRole", role("admin"), {}),
    ("iam:PassRole", role("admin"), {"iam:PassedToService": "ec2.amazonaws.com"}),
    ("iam:PassRole", HOST, {"iam:PassedToService": "lambda.amazonaws.com"}),
    ("iam:PassRole", HOST, {}),
    ("iam:CreateServiceLinkedRole", role("aws-service-role/x"), {"iam:AWSServiceName": "x"}),
    ("iam:UpdateOpenIDConnectProviderThumbprint", "*", {}),
    ("sts:AssumeRole", HOST, {}),
    ("sts:AssumeRole", role("admin"), {}),
    ("organizations:LeaveOrganization", "*", {}),
    # Nobody looks away.
    ("cloudtrail:StopLogging", "*", {}),
    ("cloudtrail:DeleteTrail", "*", {}),
    ("guardduty:DeleteDetector", "*", {}),
    ("config:StopConfigurationRecorder", "*", {}),
    ("logs:DeleteLogGroup", arn("logs", "log-group:/aws/cloudtrail"), {}),
    ("cloudwatch:DeleteAlarms", arn("cloudwatch", "alarm:root-login"), {}),
    ("sns:DeleteTopic", arn("sns", "security"), {}),
    ("budgets:ModifyBudget", f"arn:aws:budgets::{ACCOUNT}:budget/company", {}),
    # What others have stays theirs.
    ("ec2:TerminateInstances", INSTANCE, OTHERS),
    ("ec2:TerminateInstances", INSTANCE, {}),
    ("ec2:StopInstances", INSTANCE, OTHERS),
    ("ec2:AuthorizeSecurityGroupIngress", GROUP, OTHERS),
    ("ec2:AuthorizeSecurityGroupIngress", GROUP, {}),
    ("ec2:CreateTags", INSTANCE, OTHERS | TAGGING),
    ("ec2:CreateTags", INSTANCE, TAGGING),
    ("ec2:CreateTags", GROUP, OTHERS | TAGGING),
    ("ec2:DeleteTags", INSTANCE, OTHERS),
    ("ec2:RunInstances", SUBNET, OTHERS),
    ("ec2:RunInstances", INSTANCE, {"aws:RequestTag/Project": "other"}),
    ("ec2:RunInstances", INSTANCE, {}),
    ("ec2:CreateVpc", arn("ec2", "vpc/*"), {}),
    ("ec2:DeleteVpc", arn("ec2", "vpc/vpc-1"), OTHERS),
    ("ec2:DisassociateAddress", ADDRESS, OTHERS),
    ("ec2:DeleteSnapshot", arn("ec2", "snapshot/snap-1", account=""), OTHERS),
    ("ec2:ModifySnapshotAttribute", arn("ec2", "snapshot/snap-1", account=""), OURS),
    ("ec2:CreateVpcPeeringConnection", arn("ec2", "vpc-peering-connection/*"), TAGGING),
    ("ec2:CreateKeyPair", arn("ec2", "key-pair/admin"), {}),
    ("ec2-instance-connect:OpenTunnel", arn("ec2", "instance-connect-endpoint/eice-1"), OTHERS),
    ("ec2-instance-connect:SendSSHPublicKey", INSTANCE, OURS),
    ("ssm:StartSession", INSTANCE, OURS),
    ("ssm:SendCommand", INSTANCE, OURS),
    ("dlm:DeleteLifecyclePolicy", LIFECYCLE, OTHERS),
    ("s3:GetObject", "arn:aws:s3:::company/payroll.csv", {}),
    ("s3:PutBucketPolicy", "arn:aws:s3:::company", {}),
    ("s3:DeleteBucket", "arn:aws:s3:::company", {}),
    ("s3:ListAllMyBuckets", "*", {}),
    ("s3:PutAccountPublicAccessBlock", "*", {}),
    ("s3:PutBucketAcl", BUCKET, {}),
    ("s3:BypassGovernanceRetention", f"{BUCKET}/x", {}),
    ("secretsmanager:GetSecretValue", "*", {}),
    ("ssm:GetParameter", arn("ssm", "parameter/company/password"), {}),
    ("kms:ScheduleKeyDeletion", arn("kms", "key/1"), {}),
    ("rds:CreateDBInstance", "*", TAGGING),
    ("lambda:CreateFunction", "*", TAGGING),
    # Old versions of states stay.
    ("s3:DeleteObjectVersion", f"{STATES}/production.tfstate", {}),
    ("s3:PutBucketVersioning", STATES, {}),
    ("s3:PutLifecycleConfiguration", STATES, {}),
    ("s3:PutBucketPolicy", STATES, {}),
    ("s3:DeleteBucket", STATES, {}),
]

# What roles within the boundary are never given, whatever a deployer writes into their policies.
BEYOND: list[Request] = [
    *(request for request in test_permissions.MUST_NOT if request[0].startswith(("iam:", "sts:"))),
    *(request for request in MUST_NOT if request[0].startswith(("iam:", "sts:", "cloudtrail:"))),
    ("s3:GetObject", f"{STATES}/production.tfstate", {}),
    ("s3:GetObject", "arn:aws:s3:::company/payroll.csv", {}),
    ("s3:DeleteObject", f"{BUCKET}/models/production.json", {}),
    ("ec2:RunInstances", INSTANCE, OURS),
    ("ec2:TerminateInstances", INSTANCE, OURS),
    ("ec2:StopInstances", INSTANCE, OTHERS),
    ("ec2:AuthorizeSecurityGroupIngress", GROUP, OURS),
    ("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z1", {}),
    ("route53:CreateHostedZone", "*", test_permissions.CHALLENGE),
    ("kms:Decrypt", KEY, {}),
    ("kms:Decrypt", KEY, {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}),
    ("kms:CreateGrant", KEY, {"kms:ViaService": f"ec2.{REGION}.amazonaws.com"}),
    ("kms:ScheduleKeyDeletion", KEY, {}),
    ("secretsmanager:GetSecretValue", "*", {}),
    ("logs:PutLogEvents", arn("logs", "log-group:/aws/cloudtrail:log-stream:x"), {}),
]


def statements(name: str) -> list[Statement]:
    document = json.loads((POLICIES / f"{name}.json").read_text())
    return document["Statement"]  # type: ignore[no-any-return]


def refused(policy: list[Statement], requests: Iterable[Request]) -> list[str]:
    return sorted({f"{x[0]} {x[1]} {dict(x[2])}" for x in requests if not allowed(policy, *x)})


@pytest.fixture(scope="module")
def asked(chain: Chain, complete: Any) -> list[tuple[Call, Request]]:
    """What was asked of AWS from the first apply to the last destroy."""
    assert complete  # planned before all is gone
    chain.together(Environment.destroy)
    return [
        about
        for environment in chain.environments.values()
        for about in Asked().about(calls(environment.log))
    ]


def test_the_log_tells_all_that_terraform_did(
    chain: Chain, asked: list[tuple[Call, Request]]
) -> None:
    """Else the tests below would pass for want of questions."""
    operations = {call.operation for call, _ in asked}
    hosts = sum(len(x.managed("aws_instance")) for x in chain.environments.values())
    assert len({call for call, _ in asked if call.operation == "RunInstances"}) == hosts
    assert {"CreateRole", "CreateBucket", "PutMetricAlarm", "DeleteVpc"} <= operations
    assert {"CreateSchedule", "CreateFlowLogs", "Unsubscribe", "DeleteLogGroup"} <= operations


def test_whoever_deploys_may_do_all_that_terraform_asked(
    asked: list[tuple[Call, Request]], record_property: Any
) -> None:
    requests = [request for _, request in asked]
    record_property("requests", len(requests))
    record_property("actions", len({action for action, _, _ in requests}))
    assert refused(statements("deployer"), requests) == []


def test_whoever_deploys_may_do_what_no_emulator_shows() -> None:
    assert refused(statements("deployer"), UNSEEN) == []


@pytest.mark.parametrize("request_", MUST_NOT, ids=test_permissions.case)
def test_whoever_deploys_may_not_do_more(
    request_: tuple[str, str, Mapping[str, str]],
) -> None:
    assert not allowed(statements("deployer"), *request_)


def test_each_permission_of_the_deployer_is_accounted_for(
    asked: list[tuple[Call, Request]],
) -> None:
    used = {action.lower() for action, _, _ in [request for _, request in asked] + UNSEEN}
    granted = {
        action
        for statement in statements("deployer")
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
    }
    assert [x for x in sorted(granted) if not any(matches(x.lower(), y) for y in used)] == []


def test_whoever_plans_may_see_all_and_change_nothing(asked: list[tuple[Call, Request]]) -> None:
    planner = statements("planner")
    seeing = [request for call, request in asked if not call.changing]
    changing = [
        request for call, request in asked if not re.match("Get|Head|List|Describe", call.operation)
    ]
    assert refused(planner, seeing) == []
    assert changing
    assert len(refused(planner, changing)) == len(refused([], changing))
    assert refused(planner, [x for x in UNSEEN if re.search(":(Get|View|ListTags)", x[0])]) == [
        f"s3:GetObject {BUCKET}/models/production.json {{}}"
    ]


def test_roles_within_the_boundary_can_do_their_work(chain: Chain, complete: Any) -> None:
    """Each statement of each role, on what it is about."""
    boundary = statements("boundary")
    requests: list[Request] = [(*x[:2], {**x[2], **OURS}) for x in test_permissions.MUST]
    for environment in chain.environments.values():
        policies = environment.managed("aws_iam_role_policy") | environment.managed(
            "aws_iam_role_policy", complete
        )
        for policy in policies.values():
            for statement in json.loads(policy["policy"])["Statement"]:
                known = (
                    OURS | test_permissions.CHALLENGE | {"cloudwatch:namespace": "shill/production"}
                )
                requests += [
                    (action, resource, known | VIA.get(action, {}))
                    for action in listed(statement["Action"])
                    for resource in listed(statement["Resource"])
                ]
    assert refused(boundary, requests) == []


@pytest.mark.parametrize("request_", BEYOND, ids=test_permissions.case)
def test_no_role_gets_beyond_the_boundary(request_: tuple[str, str, Mapping[str, str]]) -> None:
    assert not allowed(statements("boundary"), *request_)


def test_every_role_that_terraform_makes_is_within_the_boundary(chain: Chain) -> None:
    boundary = chain.bootstrap.managed("aws_iam_policy")['aws_iam_policy.this["boundary"]']["arn"]
    for environment in chain.environments.values():
        roles = environment.managed("aws_iam_role")
        assert roles
        assert {role["permissions_boundary"] for role in roles.values()} == {boundary}


@pytest.mark.parametrize("file", sorted(POLICIES.glob("*.json")), ids=lambda file: file.stem)
def test_iam_takes_the_policies(file: Path) -> None:
    """With the longest name that a project may have."""
    policy = json.dumps(json.loads(file.read_text()), separators=(",", ":"))
    assert len(policy.replace("shill", LONGEST)) <= LARGEST


def test_bootstrap_creates_these_policies(chain: Chain) -> None:
    created = {
        policy["name"]: json.loads(policy["policy"])["Statement"]
        for policy in chain.bootstrap.managed("aws_iam_policy").values()
    }
    assert created == {f"shill-{file.stem}": statements(file.stem) for file in POLICIES.glob("*")}


def test_github_s_workflows_get_roles_by_where_they_run(chain: Chain) -> None:
    roles = chain.bootstrap.managed("aws_iam_role")
    trusted = {}
    for created in roles.values():
        (statement,) = json.loads(created["assume_role_policy"])["Statement"]
        condition = statement["Condition"]["StringEquals"]
        assert condition.pop("token.actions.githubusercontent.com:aud") == "sts.amazonaws.com"
        trusted[created["name"]] = condition
    subject = "token.actions.githubusercontent.com:sub"
    assert trusted == {
        "github-shill-planner": {
            subject: [f"repo:{REPOSITORY}:pull_request", f"repo:{REPOSITORY}:ref:refs/heads/main"]
        },
        "github-shill-deployer": {subject: [f"repo:{REPOSITORY}:environment:production"]},
    }
    attached = chain.bootstrap.managed("aws_iam_role_policy_attachment").values()
    assert {x["role"]: x["policy_arn"].rpartition("/")[2] for x in attached} == {
        "github-shill-planner": "shill-planner",
        "github-shill-deployer": "shill-deployer",
    }


def test_the_repository_that_github_may_deploy_from_is_one(chain: Chain) -> None:
    bootstrap = chain.bootstrap.workspace
    bad = "-var=github_repository=https://github.com/example/shill"
    refused = bootstrap.run("plan", "-input=false", "-no-color", bad, check=False)
    assert refused.returncode == 1
    assert "write it like owner/name" in refused.stderr


def test_an_account_s_provider_for_github_is_used_where_it_has_one(chain: Chain) -> None:
    bootstrap = chain.bootstrap.workspace
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    asked = (f"-var=github_repository={REPOSITORY}", f"-var=github_oidc_provider_arn={provider}")
    bootstrap.run("plan", "-input=false", "-no-color", *asked, "-out=existing")
    planned = bootstrap.show("existing")["resource_changes"]
    changes = {change["address"]: change["change"] for change in planned}
    made = [change["address"] for change in planned if change["change"]["actions"] != ["delete"]]
    assert not any("openid_connect" in address for address in made)
    for name in ("planner", "deployer"):
        after = changes[f'aws_iam_role.github["{name}"]']["after"]
        (statement,) = json.loads(after["assume_role_policy"])["Statement"]
        assert statement["Principal"] == {"Federated": provider}


def test_a_project_s_name_is_one_that_a_bucket_may_have(chain: Chain) -> None:
    refused = chain.bootstrap.workspace.run(
        "plan", "-input=false", "-no-color", "-var=project_name=Shill_1", check=False
    )
    assert refused.returncode == 1
    assert "write 2 to 20 lower-case letters" in " ".join(refused.stderr.split())
