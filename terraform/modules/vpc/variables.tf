variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "aws_region" {
  description = "Region, for the names of endpoint services."
  type        = string
}

variable "cidr" {
  description = "Address range."
  type        = string
}

variable "zones" {
  description = "Letters of the availability zones that have subnets."
  type        = list(string)
}

variable "host_network" {
  description = "Where hosts are: public, private-nat or private-endpoints."
  type        = string
}

variable "flow_log_group_name" {
  description = "Log group for flow logs; null - none."
  type        = string
}

variable "log_retention_days" {
  description = "How long flow logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Key that encrypts flow logs; null - CloudWatch's own."
  type        = string
}

variable "permissions_boundary" {
  description = "ARN of the policy that no role may exceed; null - none."
  type        = string
  default     = null
}
