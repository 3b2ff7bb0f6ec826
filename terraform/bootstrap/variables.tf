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

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.project_name))
    error_message = "project_name becomes part of a bucket's name and of policies: write 2 to 20 lower-case letters, digits and dashes, beginning with a letter."
  }
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

variable "github_oidc_provider_arn" {
  description = "ARN of the account's OIDC provider for GitHub, of which an account can have one only. Null: it is created."
  type        = string
  default     = null

  validation {
    condition     = var.github_oidc_provider_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/token[.]actions[.]githubusercontent[.]com$", var.github_oidc_provider_arn))
    error_message = "github_oidc_provider_arn is not GitHub's provider: write it as `aws iam list-open-id-connect-providers` shows it, ending in oidc-provider/token.actions.githubusercontent.com, or null."
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
