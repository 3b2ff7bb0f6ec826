mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_emrserverless_application" {
    defaults = { arn = "arn:aws:emr-serverless:eu-central-1:123456789012:/applications/00f1" }
  }
}

variables {
  bucket_name = "auctions"
}

run "an_application_that_is_bounded_and_stops" {
  assert {
    condition     = aws_emrserverless_application.this.maximum_capacity[0].cpu == "64 vCPU"
    error_message = "Its capacity is not bounded."
  }

  assert {
    condition     = aws_emrserverless_application.this.auto_stop_configuration[0].enabled
    error_message = "It does not stop when it is idle."
  }

  assert {
    condition     = length(aws_emrserverless_application.this.initial_capacity) == 0
    error_message = "It costs something while no job runs."
  }
}

run "a_role_for_this_application_alone" {
  assert {
    condition = jsondecode(aws_iam_role.job.assume_role_policy).Statement[0].Condition == {
      StringEquals = { "aws:SourceAccount" = "123456789012" }
      ArnLike      = { "aws:SourceArn" = "arn:aws:emr-serverless:eu-central-1:123456789012:/applications/00f1*" }
    }
    error_message = "Another application or account may use the role."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.job.policy).Statement :
      !contains(flatten([statement.Action]), "s3:DeleteObject") && !strcontains(jsonencode(statement.Resource), "\"*\"")
    ])
    error_message = "Jobs may delete objects, or reach more than they name."
  }

  assert {
    condition = flatten([
      for statement in jsondecode(aws_iam_role_policy.job.policy).Statement : statement.Resource
      if statement.Sid == "AddObjects"
    ]) == ["arn:aws:s3:::auctions/predictions/*", "arn:aws:s3:::auctions/spark-logs/*"]
    error_message = "Jobs may write elsewhere than to predictions and logs."
  }
}

run "a_key_and_a_boundary" {
  variables {
    kms_key_arn          = "arn:aws:kms:eu-central-1:123456789012:key/1"
    permissions_boundary = "shill-boundary"
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.job.policy, "arn:aws:kms:eu-central-1:123456789012:key/1")
    error_message = "Jobs cannot use the bucket's key."
  }

  assert {
    condition     = aws_iam_role.job.permissions_boundary == "arn:aws:iam::123456789012:policy/shill-boundary"
    error_message = "The role has no boundary."
  }
}

run "a_bucket_with_its_scheme" {
  command         = plan
  expect_failures = [var.bucket_name]
  variables { bucket_name = "s3://auctions" }
}

run "a_release_that_is_none" {
  command         = plan
  expect_failures = [var.release_label]
  variables { release_label = "latest" }
}

run "no_room_for_an_executor" {
  command         = plan
  expect_failures = [var.maximum_vcpus]
  variables { maximum_vcpus = 2 }
}

run "no_idle_time" {
  command         = plan
  expect_failures = [var.idle_minutes]
  variables { idle_minutes = 0 }
}
