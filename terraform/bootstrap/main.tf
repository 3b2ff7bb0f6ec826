# Once an account and project: the bucket that keeps Terraform's state, locks it, and versions it. Its own
# state is a file in this folder; whoever loses it imports the bucket.
#
#     terraform init && terraform apply
#     terraform output -raw backend > ../backend.tf
#     cd .. && terraform init -backend-config=key=production.tfstate

terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
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

# Not destroyed with what is in it: remove the environments first, then the bucket by hand.
module "state" {
  source = "../modules/s3"

  name            = "${var.project_name}-terraform-${data.aws_caller_identity.current.account_id}"
  kms_key_arn     = var.kms_key_arn
  attach_policy   = !var.emulated
  noncurrent_days = 90
}
