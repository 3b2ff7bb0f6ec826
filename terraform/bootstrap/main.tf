# Once an account and project, by the account's administrator: the bucket that keeps Terraform's state, locks
# it, and versions it; policies for those who deploy; by choice, trust in a GitHub repository. Its own state is
# a file in this folder; whoever loses it imports what there is.
#
#     terraform init && terraform apply
#     terraform output -raw backend > ../backend.tf
#     cd .. && terraform init -backend-config=key=production.tfstate

terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region            = var.aws_region
  s3_use_path_style = var.emulated

  default_tags {
    tags = { Project = var.project_name, ManagedBy = "terraform" }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# Not destroyed with what is in it: remove the environments first, then the bucket by hand.
module "state" {
  source = "../modules/s3"

  name            = "${var.project_name}-terraform-${data.aws_caller_identity.current.account_id}"
  kms_key_arn     = var.kms_key_arn
  attach_policy   = !var.emulated
  noncurrent_days = 90
}

locals {
  policies = {
    deployer = "What those who deploy ${var.project_name} may do"
    planner  = "What those who only plan ${var.project_name} may see"
    boundary = "What any role of ${var.project_name} may do at most"
  }

  github_subjects = var.github_repository == null ? {} : {
    # For pull requests, whose author chooses what runs, and for what is planned on main: it may only look.
    planner = ["repo:${var.github_repository}:pull_request", "repo:${var.github_repository}:ref:refs/heads/main"]
    # The environment says who must agree, and from which branch.
    deployer = ["repo:${var.github_repository}:environment:production"]
  }
}

# The files are complete policies, for those who create them by other means.
resource "aws_iam_policy" "this" {
  # checkov:skip=CKV_AWS_355:What is allowed on * has no ARN, is only looked at, or must have the project's tag (test_policies.py).
  for_each = local.policies

  name        = "${var.project_name}-${each.key}"
  description = each.value
  policy = replace(
    replace(file("${path.module}/policies/${each.key}.json"), "shill", var.project_name),
    "arn:aws:", "arn:${data.aws_partition.current.partition}:",
  )
}

# GitHub's runners show a token that says where they run, and get credentials for an hour: no key to keep.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_repository == null || var.github_oidc_provider_arn != null ? 0 : 1

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

# Not called PROJECT-...: roles of such names a deployer may change.
resource "aws_iam_role" "github" {
  for_each = local.github_subjects

  name        = "github-${var.project_name}-${each.key}"
  description = local.policies[each.key]
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = coalesce(var.github_oidc_provider_arn, one(aws_iam_openid_connect_provider.github[*].arn)) }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = each.value
        }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "github" {
  for_each = aws_iam_role.github

  role       = each.value.name
  policy_arn = aws_iam_policy.this[each.key].arn
}
