variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "partition" {
  description = "Partition of ARNs, such as aws."
  type        = string
}

variable "account_id" {
  description = "Account of ARNs."
  type        = string
}

variable "aws_region" {
  description = "Region of ARNs."
  type        = string
}

variable "hosts" {
  description = "The hosts to watch, start and stop."
  type = map(object({
    id            = string
    roles         = set(string)
    instance_type = string
    spot          = bool
  }))
}

variable "log_groups" {
  description = "Prefix of the log groups, with its leading slash."
  type        = string
}

variable "metrics_namespace" {
  description = "Namespace that the CloudWatch agent writes to."
  type        = string
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Key that encrypts logs and alerts; null - CloudWatch's own, none."
  type        = string
}

variable "alert_emails" {
  description = "Who is told by e-mail."
  type        = set(string)
}

variable "alarm_thresholds" {
  description = "Where alarms begin."
  type = object({
    memory_percent = number
    disk_percent   = number
    cpu_credits    = number
    drift_streak   = number
  })
}

variable "monthly_budget_usd" {
  description = "Monthly budget of the account; 0 - none."
  type        = number
}

variable "working_hours" {
  description = "When hosts run; null - always."
  type = object({
    start    = string
    stop     = string
    days     = string
    timezone = string
  })
}

variable "snapshots_kept" {
  description = "Daily snapshots kept of each host; 0 - none."
  type        = number
}

variable "snapshot_time" {
  description = "When they are made, UTC."
  type        = string
}

variable "snapshot_tag" {
  description = "The one tag by which hosts, their volumes and snapshots are told from those of others."
  type        = map(string)

  validation {
    condition     = length(var.snapshot_tag) == 1
    error_message = "snapshot_tag has several tags, and one of them would be enough for an instance to be taken: give one that nothing else has."
  }
}

variable "permissions_boundary" {
  description = "ARN of the policy that no role may exceed; null - none."
  type        = string
  default     = null
}
