variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "hosts" {
  description = "The hosts."
  type = map(object({
    roles         = set(string)
    instance_type = string
    spot          = bool
    zone          = string
  }))
}

variable "subnet_ids" {
  description = "Subnet of each zone."
  type        = map(string)
}

variable "public" {
  description = "Whether each host gets an elastic address."
  type        = bool
}

variable "security_group_id" {
  description = "Security group of the hosts."
  type        = string
}

variable "instance_profile" {
  description = "Instance profile of the hosts."
  type        = string
}

variable "key_pair_name" {
  description = "Key pair that Debian's user admin is given; null - none."
  type        = string
}

variable "debian_release" {
  description = "Debian release to look an image up for."
  type        = number
}

variable "ami_id" {
  description = "Image to use instead; null - the look-up's."
  type        = string
}

variable "root_volume_gb" {
  description = "Size of the root volume."
  type        = number
}

variable "kms_key_arn" {
  description = "Key that encrypts volumes; null - the account's for EBS."
  type        = string
}

variable "cpu_credits" {
  description = "Of burstable types, what happens when credits are used up: standard or unlimited."
  type        = string
}

variable "detailed_monitoring" {
  description = "Whether EC2 reports its own metrics each minute."
  type        = bool
}

variable "termination_protection" {
  description = "Whether the API refuses to terminate hosts."
  type        = bool
}

variable "tags" {
  description = "Tags of hosts and their volumes, beside Name and Role."
  type        = map(string)
}
