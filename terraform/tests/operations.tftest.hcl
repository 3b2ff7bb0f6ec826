mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name       = "shill-production"
  partition  = "aws"
  account_id = "123456789012"
  aws_region = "eu-central-1"
  hosts = {
    "1" = { id = "i-1", roles = ["model_servers", "monitoring"], instance_type = "t3.medium", spot = false }
    "2" = { id = "i-2", roles = ["monitoring"], instance_type = "m7g.large", spot = true }
  }
  log_groups         = "/shill/production"
  metrics_namespace  = "shill/production"
  log_retention_days = 30
  kms_key_arn        = null
  alert_emails       = ["ops@example.com"]
  alarm_thresholds   = { memory_percent = 90, disk_percent = 80, cpu_credits = 30, drift_streak = 2 }
  monthly_budget_usd = 50
  working_hours      = null
  snapshots_kept     = 7
  snapshot_time      = "03:00"
  snapshot_tag       = { ShillSnapshots = "shill-production" }
}

run "each_host_is_watched_by_what_applies_to_it" {
  command = plan

  module {
    source = "./modules/operations"
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.host)) == toset(["1-system", "1-instance", "1-silent", "1-cpu-credits", "2-system", "2-instance", "2-silent"])
    error_message = join(", ", keys(aws_cloudwatch_metric_alarm.host))
  }
  assert {
    condition = (
      contains(aws_cloudwatch_metric_alarm.host["1-system"].alarm_actions, "arn:aws:automate:eu-central-1:ec2:recover")
      && aws_cloudwatch_metric_alarm.host["2-system"].alarm_actions == toset([aws_sns_topic.alerts.arn])
      && contains(aws_cloudwatch_metric_alarm.host["2-instance"].alarm_actions, "arn:aws:automate:eu-central-1:ec2:reboot")
    )
    error_message = "a host is not recovered or rebooted, or a spot instance is asked to move"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.host["1-cpu-credits"].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.host["1-cpu-credits"].threshold == 30 && aws_cloudwatch_metric_alarm.host["1-cpu-credits"].evaluation_periods == 3
    error_message = "used-up credits raise no alarm"
  }
}

run "the_services_own_metrics_raise_alarms_over_all_hosts" {
  command = plan

  module {
    source = "./modules/operations"
  }

  assert {
    condition     = one(aws_cloudwatch_metric_alarm.fleet["drift"].metric_query).expression == "SELECT MAX(shill_drift_alarm_streak) FROM \"shill/production\"" && aws_cloudwatch_metric_alarm.fleet["drift"].threshold == 1
    error_message = "two runs with drift raise no alarm"
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.fleet : alarm.alarm_actions == toset([aws_sns_topic.alerts.arn])])
    error_message = "an alarm reaches nobody"
  }
}

run "one_silent_host_of_several_raises_an_alarm" {
  command = plan

  module {
    source = "./modules/operations"
  }

  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.host : name => [alarm.namespace, alarm.metric_name, alarm.dimensions.Host] if endswith(name, "-silent") } == {
      "1-silent" = ["shill/production", "shill_model_info", "i-1"], "2-silent" = ["shill/production", "mem_used_percent", "i-2"]
    }
    error_message = "a host's silence is not told from that of others"
  }
  assert {
    condition = toset(concat(
      [for name, alarm in aws_cloudwatch_metric_alarm.host : name if alarm.treat_missing_data == "breaching"],
      [for name, alarm in aws_cloudwatch_metric_alarm.fleet : name if alarm.treat_missing_data == "breaching"],
    )) == toset(["1-silent", "2-silent"])
    error_message = "silence raises no alarm, or other alarms than its own"
  }
}

run "alerts_reach_people_and_only_aws_services_of_this_account_send_them" {
  command = plan

  module {
    source = "./modules/operations"
  }

  assert {
    condition     = aws_sns_topic_subscription.email["ops@example.com"].protocol == "email"
    error_message = "nobody is told"
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_sns_topic_policy.alerts.policy).Statement : statement.Condition.StringEquals["aws:SourceAccount"] == "123456789012"])
    error_message = "other accounts may send alerts"
  }
}

run "the_budget_warns_before_it_is_spent" {
  command = plan

  module {
    source = "./modules/operations"
  }

  assert {
    condition     = aws_budgets_budget.monthly[0].limit_amount == "50" && aws_budgets_budget.monthly[0].time_unit == "MONTHLY"
    error_message = "the budget is not 50 USD a month"
  }
  assert {
    condition     = { for warning in aws_budgets_budget.monthly[0].notification : warning.notification_type => warning.threshold } == { ACTUAL = 80, FORECASTED = 100 }
    error_message = "it does not warn at 80 % spent and at 100 % forecast"
  }
  assert {
    condition     = alltrue([for warning in aws_budgets_budget.monthly[0].notification : warning.subscriber_sns_topic_arns == toset([aws_sns_topic.alerts.arn])])
    error_message = "it warns nobody"
  }
}

run "hosts_run_in_working_hours" {
  command = plan

  module {
    source = "./modules/operations"
  }

  variables {
    working_hours = { start = "08:00", stop = "18:30", days = "MON-FRI", timezone = "Europe/Berlin" }
  }

  assert {
    condition = { for action, schedule in aws_scheduler_schedule.this : action => "${schedule.schedule_expression} ${schedule.schedule_expression_timezone}" } == {
      startInstances = "cron(0 8 ? * MON-FRI *) Europe/Berlin", stopInstances = "cron(30 18 ? * MON-FRI *) Europe/Berlin"
    }
    error_message = "the clock is wrong"
  }
  assert {
    condition     = alltrue([for schedule in aws_scheduler_schedule.this : jsondecode(schedule.target[0].input) == { InstanceIds = ["i-1", "i-2"] }])
    error_message = "it starts or stops something else than the hosts"
  }
  assert {
    condition     = toset(jsondecode(aws_iam_role_policy.scheduler[0].policy).Statement[0].Resource) == toset(["arn:aws:ec2:eu-central-1:123456789012:instance/i-1", "arn:aws:ec2:eu-central-1:123456789012:instance/i-2"])
    error_message = "it may start or stop something else than the hosts"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.host["1-silent"].treat_missing_data == "missing"
    error_message = "each night raises an alarm"
  }
}

run "snapshots_are_daily_and_few" {
  command = plan

  module {
    source = "./modules/operations"
  }

  assert {
    condition = (
      aws_dlm_lifecycle_policy.daily[0].policy_details[0].schedule[0].retain_rule[0].count == 7
      && aws_dlm_lifecycle_policy.daily[0].policy_details[0].schedule[0].create_rule[0].times == tolist(["03:00"])
      && aws_dlm_lifecycle_policy.daily[0].policy_details[0].target_tags == tomap({ ShillSnapshots = "shill-production" })
    )
    error_message = "not seven daily snapshots of our hosts"
  }
}

run "a_tag_that_others_have_too_is_not_enough" {
  command = plan

  module {
    source = "./modules/operations"
  }

  variables {
    snapshot_tag = { Project = "shill", Environment = "production" }
  }

  expect_failures = [var.snapshot_tag]
}

run "what_is_not_wanted_is_not_created" {
  command = plan

  module {
    source = "./modules/operations"
  }

  variables {
    monthly_budget_usd = 0
    snapshots_kept     = 0
    alert_emails       = []
  }

  assert {
    condition     = length(aws_budgets_budget.monthly) + length(aws_dlm_lifecycle_policy.daily) + length(aws_iam_role.snapshots) + length(aws_scheduler_schedule.this) + length(aws_sns_topic_subscription.email) == 0
    error_message = "it is created all the same"
  }
}
