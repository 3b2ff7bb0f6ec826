# What happens by the clock: starting and stopping hosts, and snapshots of them.

locals {
  scheduled = var.working_hours == null ? {} : {
    startInstances = var.working_hours.start
    stopInstances  = var.working_hours.stop
  }
  clock = { for action, time in local.scheduled : action => split(":", time) }
}

resource "aws_iam_role" "scheduler" {
  count = length(local.scheduled) > 0 ? 1 : 0

  name                 = "${var.name}-scheduler"
  description          = "Starts and stops hosts of ${var.name}"
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  count = length(local.scheduled) > 0 ? 1 : 0

  name = "start-and-stop"
  role = aws_iam_role.scheduler[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect   = "Allow"
        Action   = ["ec2:StartInstances", "ec2:StopInstances"]
        Resource = [for host in var.hosts : "arn:${var.partition}:ec2:${var.aws_region}:${var.account_id}:instance/${host.id}"]
      }],
      # Whoever starts a host must let EBS use the key of its volume.
      var.kms_key_arn == null ? [] : [{
        Effect    = "Allow"
        Action    = "kms:CreateGrant"
        Resource  = var.kms_key_arn
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      }],
    )
  })
}

resource "aws_scheduler_schedule" "this" {
  # checkov:skip=CKV_AWS_297:It holds the ids of instances, nothing secret.
  for_each = local.scheduled

  name                         = "${var.name}-${trimsuffix(each.key, "Instances")}"
  schedule_expression          = "cron(${tonumber(local.clock[each.key][1])} ${tonumber(local.clock[each.key][0])} ? * ${var.working_hours.days} *)"
  schedule_expression_timezone = var.working_hours.timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:${var.partition}:scheduler:::aws-sdk:ec2:${each.key}"
    role_arn = aws_iam_role.scheduler[0].arn
    input    = jsonencode({ InstanceIds = [for host in var.hosts : host.id] })
  }
}

resource "aws_iam_role" "snapshots" {
  count = var.snapshots_kept > 0 ? 1 : 0

  name                 = "${var.name}-snapshots"
  description          = "Makes and removes snapshots of hosts of ${var.name}"
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "dlm.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

locals {
  ec2       = "arn:${var.partition}:ec2:${var.aws_region}"
  snapshots = "${local.ec2}::snapshot/*"
  ours      = { StringEquals = { for tag, value in var.snapshot_tag : "aws:ResourceTag/${tag}" => value } }
}

resource "aws_iam_role_policy" "snapshots" {
  count = var.snapshots_kept > 0 ? 1 : 0

  name = "snapshots"
  role = aws_iam_role.snapshots[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = ["ec2:CreateSnapshot", "ec2:CreateSnapshots"]
        Resource  = ["${local.ec2}:${var.account_id}:instance/*", "${local.ec2}:${var.account_id}:volume/*"]
        Condition = local.ours
      },
      {
        Effect   = "Allow"
        Action   = ["ec2:CreateSnapshot", "ec2:CreateSnapshots", "ec2:CreateTags"]
        Resource = local.snapshots
      },
      {
        Effect    = "Allow"
        Action    = "ec2:DeleteSnapshot"
        Resource  = local.snapshots
        Condition = local.ours
      },
      {
        # Descriptions have no ARN.
        Effect   = "Allow"
        Action   = ["ec2:DescribeInstances", "ec2:DescribeVolumes", "ec2:DescribeSnapshots"]
        Resource = "*"
      },
    ]
  })
}

resource "aws_dlm_lifecycle_policy" "daily" {
  count = var.snapshots_kept > 0 ? 1 : 0

  description        = "Daily snapshots of ${var.name}"
  execution_role_arn = aws_iam_role.snapshots[0].arn
  state              = "ENABLED"

  policy_details {
    resource_types = ["INSTANCE"]
    target_tags    = var.snapshot_tag

    schedule {
      name        = "daily"
      copy_tags   = true
      tags_to_add = { SnapshotOf = var.name }

      create_rule {
        interval      = 24
        interval_unit = "HOURS"
        times         = [var.snapshot_time]
      }
      retain_rule {
        count = var.snapshots_kept
      }
    }
  }
}
