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
