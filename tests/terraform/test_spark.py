"""The optional application for Spark is planned, applied to the emulator and removed."""

from collections.abc import Callable

from tests.moto_server import moto_server
from tests.terraform.chain import CREDENTIALS, REGION, Environment, client
from tests.terraform.tools import Workspace

VARIABLES = {
    # Moto knows no release of Spark 4.
    "TF_VAR_release_label": "emr-7.10.0",
    "TF_VAR_aws_region": REGION,
    "TF_VAR_bucket_name": "auctions",
    "TF_VAR_emulated": "true",
}


def test_the_plan_has_what_it_should_and_bad_values_are_refused(
    workspace: Callable[..., Workspace],
) -> None:
    workspace("spark-plan", folder="spark").run("test", "-no-color")


def test_it_is_applied_and_destroyed(workspace: Callable[..., Workspace]) -> None:
    with moto_server() as url:
        asked = CREDENTIALS | {"AWS_ENDPOINT_URL": url}
        spark = Environment(workspace("spark", folder="spark", **asked, **VARIABLES))
        spark.apply()
        assert spark.changes == {}

        emr = client(url, "emr-serverless")
        found = emr.get_application(applicationId=spark.outputs["application_id"])["application"]
        assert (found["name"], found["type"].lower()) == ("shill-production-score", "spark")
        assert found["tags"]["Environment"] == "production"
        role = client(url, "iam").get_role(RoleName="shill-production-score")["Role"]
        assert role["Arn"] == spark.outputs["job_role_arn"]

        spark.destroy()
        left = emr.list_applications()["applications"]
        assert [one["id"] for one in left if one["state"] != "TERMINATED"] == []
