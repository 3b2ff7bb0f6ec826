variable "aws_region" {
  description = "Region of the application: that of the bucket."
  type        = string
  default     = "eu-central-1"
  nullable    = false
}

variable "project_name" {
  description = "First part of all names, and the tag Project."
  type        = string
  default     = "shill"
  nullable    = false
}

variable "environment" {
  description = "Second part of all names, and the tag Environment."
  type        = string
  default     = "production"
  nullable    = false
}

variable "bucket_name" {
  description = "Bucket of the environment: output bucket of terraform/. Tables are under site/, the model under models/, scored records go to predictions/."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name is no name of a bucket: write it without s3://."
  }
}

variable "release_label" {
  description = "EMR's release. Tested is Spark 4.0 of PyPI, which emr-spark-8.0.0 has."
  type        = string
  default     = "emr-spark-8.0.0"
  nullable    = false

  validation {
    condition     = can(regex("^emr-(spark-)?[0-9]+\\.[0-9]+\\.[0-9]+$", var.release_label))
    error_message = "release_label is no release: write it like emr-spark-8.0.0."
  }
}

variable "maximum_vcpus" {
  description = "Most vCPUs that all jobs together may take, which bounds the cost; with each come 4 GB of memory and 20 GB of disk."
  type        = number
  default     = 64
  nullable    = false

  validation {
    condition     = var.maximum_vcpus >= 4 && floor(var.maximum_vcpus) == var.maximum_vcpus
    error_message = "maximum_vcpus is no whole number from 4 on: give at least a driver and an executor of 2."
  }
}

variable "idle_minutes" {
  description = "After so many minutes without a job the application stops."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.idle_minutes >= 1 && var.idle_minutes <= 10080
    error_message = "idle_minutes is outside 1 to 10080: choose a value inside."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the bucket. Null: AES256."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "Name of the IAM policy that the role may not exceed. Null: none."
  type        = string
  default     = null
}

variable "emulated" {
  description = "For tests: AWS_ENDPOINT_URL names an emulator such as moto, and what it lacks fails at once."
  type        = bool
  default     = false
  nullable    = false
}
