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

variable "vpc_id" {
  description = "VPC of the security groups."
  type        = string
}

variable "connect_endpoint" {
  description = "Whether there is an EC2 Instance Connect Endpoint."
  type        = bool
}

variable "connect_subnet_id" {
  description = "Subnet of that endpoint."
  type        = string
}

variable "allowed_ssh_cidr" {
  description = "Who reaches SSH; empty - nobody."
  type        = list(string)
}

variable "allowed_web_cidr" {
  description = "Who reaches web_ports; empty - nobody."
  type        = list(string)
}

variable "web_ports" {
  description = "Ports for allowed_web_cidr, by name."
  type        = map(number)
}

variable "egress_ports" {
  description = "TCP ports that hosts reach anywhere."
  type        = set(number)
}

variable "peer_ports" {
  description = "Ports that hosts reach on each other, by name."
  type        = map(number)
}

variable "bucket" {
  description = "Name of the bucket that hosts may use."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts the bucket; null - none."
  type        = string
}

variable "certificate_zone_id" {
  description = "Zone of Route 53 in which hosts answer the challenges of an ACME authority; null - none."
  type        = string
}

variable "log_groups" {
  description = "Prefix of the log groups that hosts may write to, with its leading slash."
  type        = string
}

variable "metrics_namespace" {
  description = "CloudWatch namespace that hosts may write to."
  type        = string
}

variable "topic_arn" {
  description = "Topic that hosts may publish alerts to."
  type        = string
}

variable "permissions_boundary" {
  description = "ARN of the policy that no role may exceed; null - none."
  type        = string
  default     = null
}
