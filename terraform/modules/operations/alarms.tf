# Per host what only EC2 knows, and whether it still reports: one dead host of several must not hide behind
# the others. The rest of what the agent reports is asked for over all hosts, whatever dimensions it has.

locals {
  ec2_actions = "arn:${var.partition}:automate:${var.aws_region}:ec2"

  host_alarms = merge([
    for key, host in var.hosts : merge(
      {
        "${key}-system" = {
          host    = key
          metric  = "StatusCheckFailed_System"
          above   = 0
          minutes = 2
          says    = "AWS's hardware or network fails this host"
          # A spot instance cannot be moved to other hardware.
          action = host.spot ? [] : ["${local.ec2_actions}:recover"]
        }
        "${key}-instance" = {
          host    = key
          metric  = "StatusCheckFailed_Instance"
          above   = 0
          minutes = 3
          says    = "the host does not answer"
          action  = ["${local.ec2_actions}:reboot"]
        }
        "${key}-silent" = {
          host       = key
          namespace  = var.metrics_namespace
          dimensions = { Host = host.id }
          metric     = contains(host.roles, "model_servers") ? "shill_model_info" : "mem_used_percent"
          below      = 0 # memory in use and the model's 1 never are: only silence breaches
          minutes    = 15
          says       = contains(host.roles, "model_servers") ? "no model server of this host reports metrics" : "this host reports no metrics"
          missing    = var.working_hours == null ? "breaching" : "missing" # unless it is the night's silence
          action     = []
        }
      },
      startswith(host.instance_type, "t") ? {
        "${key}-cpu-credits" = {
          host    = key
          metric  = "CPUCreditBalance"
          below   = var.alarm_thresholds.cpu_credits
          minutes = 15
          says    = "CPU credits are used up soon: the host becomes slow, or costs more if they are unlimited"
          action  = []
        }
      } : {},
    )
  ]...)

  fleet_alarms = {
    memory = {
      query   = "MAX(mem_used_percent)"
      above   = var.alarm_thresholds.memory_percent
      periods = 3
      says    = "memory of a host is nearly used up"
    }
    disk = {
      query   = "MAX(disk_used_percent)"
      above   = var.alarm_thresholds.disk_percent
      periods = 2
      says    = "a disk is nearly full; when it is, predictions are answered but no longer logged"
    }
    drift = {
      query   = "MAX(shill_drift_alarm_streak)"
      above   = var.alarm_thresholds.drift_streak - 1
      periods = 1
      says    = "auctions are no longer those that the model was trained on"
    }
    model-load = {
      query   = "SUM(shill_model_load_failures_total)"
      above   = 0
      periods = 1
      says    = "a model was refused; the one before serves"
    }
    model-store = {
      query   = "MAX(shill_model_store_unreachable)"
      above   = 0
      periods = 3
      says    = "the model store cannot be asked; the last model serves from the host's cache"
    }
    prediction-log = {
      query   = "SUM(shill_prediction_log_dropped_total)"
      above   = 0
      periods = 1
      says    = "predictions are answered but not logged"
    }
    archive = {
      query   = "MAX(shill_archive_failures)"
      above   = 0
      periods = 12
      says    = "segments of the prediction log do not reach the bucket"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "host" {
  for_each = local.host_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${var.name}-${each.value.host}: ${each.value.says}"
  namespace           = try(each.value.namespace, "AWS/EC2")
  metric_name         = each.value.metric
  dimensions          = try(each.value.dimensions, { InstanceId = var.hosts[each.value.host].id })
  statistic           = can(each.value.below) ? "Minimum" : "Maximum"
  comparison_operator = can(each.value.below) ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = try(each.value.below, each.value.above)
  period              = can(each.value.below) ? 300 : 60
  evaluation_periods  = can(each.value.below) ? each.value.minutes / 5 : each.value.minutes
  alarm_actions       = concat([aws_sns_topic.alerts.arn], each.value.action)
  ok_actions          = [aws_sns_topic.alerts.arn]
  treat_missing_data  = try(each.value.missing, "missing") # a host that was stopped is not ill
}

resource "aws_cloudwatch_metric_alarm" "fleet" {
  for_each = local.fleet_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${var.name}: ${each.value.says}"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  evaluation_periods  = each.value.periods
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "hosts"
    label       = each.key
    expression  = "SELECT ${each.value.query} FROM \"${var.metrics_namespace}\""
    period      = 300
    return_data = true
  }
}
