variable "name" {
  description = "Name of the bucket."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts objects; null - AES256."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether destroying the bucket destroys what is in it."
  type        = bool
  default     = false
}

variable "attach_policy" {
  description = "Whether the bucket policy is put into force."
  type        = bool
  default     = true
}

variable "reader_writer_arns" {
  description = "Roles and users who alone may touch objects, if their own policies let them; empty - whoever in the account is let by his."
  type        = list(string)
  default     = []
}

variable "noncurrent_days" {
  description = "How long overwritten and deleted versions are kept."
  type        = number
}

variable "expiry_days" {
  description = "After how many days objects are deleted, by prefix; what is under no prefix stays."
  type        = map(number)
  default     = {}
}
