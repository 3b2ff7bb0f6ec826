# What a host may do. Statements name what they are about; `*` stands only where AWS knows no ARN.

locals {
  bucket = "arn:${var.partition}:s3:::${var.bucket}"

  # A host reads models and profiles and never writes them: who takes over a host must not choose what
  # all others serve. It adds to the rest and deletes nothing; the bucket's lifecycle does.
  read_prefixes  = ["models", "profiles"]
  write_prefixes = ["predictions", "labels", "reports", "backups"]

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
      {
        # Terraform creates the groups, with their retention.
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
        Resource = "arn:${var.partition}:logs:${var.aws_region}:${var.account_id}:log-group:${var.log_groups}/*"
      },
      {
        # Metrics have no ARN.
        Sid       = "WriteMetrics"
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*"
        Condition = { StringEquals = { "cloudwatch:namespace" = var.metrics_namespace } }
      },
      {
        Sid      = "PublishAlerts"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = var.topic_arn
      },
    ],
    var.kms_key_arn == null ? [] : [
      {
        Sid      = "EncryptObjects"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
      },
    ],
    var.certificate_zone_id == null ? [] : [
      {
        # What an ACME authority asks for, and no other record of the zone.
        Sid      = "AnswerChallenges"
        Effect   = "Allow"
        Action   = "route53:ChangeResourceRecordSets"
        Resource = "arn:${var.partition}:route53:::hostedzone/${var.certificate_zone_id}"
        Condition = {
          "ForAllValues:StringEquals" = { "route53:ChangeResourceRecordSetsRecordTypes" = "TXT" }
          "ForAllValues:StringLike"   = { "route53:ChangeResourceRecordSetsNormalizedRecordNames" = "_acme-challenge.*" }
          # Without the key, the two above would hold for all of nothing.
          Null = { "route53:ChangeResourceRecordSetsNormalizedRecordNames" = "false" }
        }
      },
    ],
    var.certificate_zone_id == null ? [] : [
      {
        # certbot looks for the zone by the name, and waits until the record is there.
        Sid      = "FindZone"
        Effect   = "Allow"
        Action   = ["route53:ListHostedZones", "route53:GetChange"]
        Resource = "*"
      },
    ],
  )
}

resource "aws_iam_role" "host" {
  name                 = "${var.name}-host"
  description          = "What hosts of ${var.name} may do"
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "host" {
  name   = "host"
  role   = aws_iam_role.host.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}

resource "aws_iam_instance_profile" "host" {
  name = "${var.name}-host"
  role = aws_iam_role.host.name
}
