# Optional, for tables that no machine holds: an EMR Serverless application for `score --engine spark`, and the
# role of its jobs. It costs nothing while no job runs. Of the environment whose bucket it names, this needs the
# bucket and nothing else. A state of its own: docs/bids.md says how to submit a job.
#
#     terraform init && terraform apply -var=bucket_name=BUCKET

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
  region = var.aws_region

  default_tags {
    tags = {
      Project     = var.project_name
      Environment = var.environment
      ManagedBy   = "terraform"
    }
  }

  max_retries = var.emulated ? 2 : null
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name       = "${var.project_name}-${var.environment}-score"
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  bucket     = "arn:${local.partition}:s3:::${var.bucket_name}"

  # The site's tables, the model, and what the job itself is made of; and where it writes.
  read_prefixes  = ["site", "models", "spark"]
  write_prefixes = ["predictions", "spark-logs"]

  statements = concat(
    [
      {
        Sid      = "ReadObjects"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for prefix in concat(local.read_prefixes, local.write_prefixes) : "${local.bucket}/${prefix}/*"]
      },
      {
        Sid      = "AddObjects"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = [for prefix in local.write_prefixes : "${local.bucket}/${prefix}/*"]
      },
      {
        Sid       = "ListObjects"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = local.bucket
        Condition = { StringLike = { "s3:prefix" = [for prefix in concat(local.read_prefixes, local.write_prefixes) : "${prefix}/*"] } }
      },
    ],
    var.kms_key_arn == null ? [] : [
      {
        Sid      = "UseKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
      },
    ],
  )
}

resource "aws_emrserverless_application" "this" {
  name          = local.name
  release_label = var.release_label
  type          = "SPARK"
  architecture  = "ARM64"

  maximum_capacity {
    cpu    = "${var.maximum_vcpus} vCPU"
    memory = "${4 * var.maximum_vcpus} GB"
    disk   = "${20 * var.maximum_vcpus} GB"
  }

  auto_start_configuration {
    enabled = true
  }

  auto_stop_configuration {
    enabled              = true
    idle_timeout_minutes = var.idle_minutes
  }
}

resource "aws_iam_role" "job" {
  name                 = local.name
  description          = "Jobs of ${local.name}: read the site's tables, write scored records"
  permissions_boundary = var.permissions_boundary == null ? null : "arn:${local.partition}:iam::${local.account_id}:policy/${var.permissions_boundary}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "emr-serverless.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "${aws_emrserverless_application.this.arn}*" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "job" {
  name   = "score"
  role   = aws_iam_role.job.name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}
