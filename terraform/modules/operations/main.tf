# Logs and alerts.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

# The CloudWatch agent writes to these: the host's logs, its containers', and metrics as EMF.
resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_158:Encrypted by CloudWatch; with a key of yours by variable kms_key_arn.
  # checkov:skip=CKV_AWS_338:Retention is a variable (log_retention_days); a year of logs would outweigh the host on the bill.
  for_each = toset(["host", "containers", "metrics"])

  name              = "${var.log_groups}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_sns_topic" "alerts" {
  # checkov:skip=CKV_AWS_26:Alerts hold no secrets, and AWS's own key admits no alarms; with a key of yours by variable kms_key_arn.
  name              = "${var.name}-alerts"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "alerts" {
  arn = aws_sns_topic.alerts.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for service in ["cloudwatch", "budgets"] : {
        Sid       = service
        Effect    = "Allow"
        Principal = { Service = "${service}.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alerts.arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      }
    ]
  })
}

# Each address must confirm the message that AWS sends it.
resource "aws_sns_topic_subscription" "email" {
  for_each = var.alert_emails

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_budgets_budget" "monthly" {
  count = var.monthly_budget_usd > 0 ? 1 : 0

  # The whole account, on purpose: a budget of a tag that nobody activated for billing never warns.
  name         = "${var.name}-monthly"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      notification_type         = notification.key
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alerts.arn]
    }
  }

  depends_on = [aws_sns_topic_policy.alerts]
}
