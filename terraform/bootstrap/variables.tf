variable "aws_region" {
  description = "Region of the bucket."
  type        = string
  default     = "eu-central-1"
  nullable    = false
}

variable "project_name" {
  description = "First part of the bucket's name, and the tag Project."
  type        = string
  default     = "shill"
  nullable    = false
}

variable "github_repository" {
  description = "GitHub repository whose workflows may plan and deploy, as owner/name. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository == null || can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository is not a repository: write it like owner/name, without https://github.com/."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts states. Null: AES256."
  type        = string
  default     = null
}

variable "emulated" {
  description = "For tests: AWS_ENDPOINT_URL names an emulator such as moto, which is asked without TLS."
  type        = bool
  default     = false
  nullable    = false
}
