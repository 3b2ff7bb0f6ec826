"""The optional application for Spark is planned, by mocks and by the real provider.

It is not applied: moto starts an application that it creates, which AWS does not, so the provider
refuses it.
"""

from collections.abc import Callable

from tests.moto_server import moto_server
from tests.terraform.chain import CREDENTIALS, REGION, Environment
from tests.terraform.tools import Workspace

VARIABLES = {
    "TF_VAR_aws_region": REGION,
    "TF_VAR_bucket_name": "auctions",
    "TF_VAR_emulated": "true",
}


def test_the_plan_has_what_it_should_and_bad_values_are_refused(
    workspace: Callable[..., Workspace],
) -> None:
    workspace("spark-plan", folder="spark").run("test", "-no-color")


def test_the_real_provider_plans_an_application_and_its_role(
    workspace: Callable[..., Workspace],
) -> None:
    with moto_server() as url:
        asked = CREDENTIALS | {"AWS_ENDPOINT_URL": url}
        spark = Environment(workspace("spark", folder="spark", **asked, **VARIABLES))
        planned = spark.planned(maximum_vcpus=16)

    (application,) = spark.managed("aws_emrserverless_application", planned).values()
    assert application["maximum_capacity"] == [
        {"cpu": "16 vCPU", "disk": "320 GB", "memory": "64 GB"}
    ]
    assert application["tags_all"]["Environment"] == "production"
    (role,) = spark.managed("aws_iam_role", planned).values()
    assert role["name"] == application["name"] == "shill-production-score"
