# Everything that can be chosen. docs/terraform.md is generated from here.

# Names and places

variable "aws_region" {
  description = "Region that everything is created in. Ansible's inventory reads the same TF_VAR_aws_region."
  type        = string
  default     = "eu-central-1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region is not a region: write it like eu-central-1, without the zone's letter."
  }
}

variable "project_name" {
  description = "First part of every name, and the tag Project. Ansible's inventory reads the same TF_VAR_project_name."
  type        = string
  default     = "shill"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.project_name))
    error_message = "project_name becomes part of a bucket's name: write 2 to 20 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "environment" {
  description = "Second part of every name, and the tag Environment. Ansible's inventory reads the same TF_VAR_environment."
  type        = string
  default     = "production"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,14}$", var.environment))
    error_message = "environment becomes part of a bucket's name: write 2 to 15 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "extra_tags" {
  description = "More tags for everything, such as CostCenter."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.extra_tags) : !can(regex("^(Project|Environment|ManagedBy|Name|Role|Shill.*|aws:.*)$", key))])
    error_message = "extra_tags may not set Project, Environment, ManagedBy, Name, Role, Shill... or aws:..., which the inventory reads or AWS keeps for itself: choose other names."
  }
}

variable "emulated" {
  description = "For tests: AWS_ENDPOINT_URL names an emulator such as moto. The bucket policy is then left out, since emulators are asked without TLS."
  type        = bool
  default     = false
  nullable    = false
}

# Network

variable "vpc_cidr" {
  description = "Address range of the VPC."
  type        = string
  default     = "10.20.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(cidrhost(var.vpc_cidr, 0) == split("/", var.vpc_cidr)[0], false)
    error_message = "vpc_cidr is not an IPv4 range: write its first address and prefix length, like 10.20.0.0/16."
  }

  validation {
    condition     = try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 24, false)
    error_message = "vpc_cidr has a prefix length that cannot be divided into subnets: choose one from /16 to /24."
  }
}

variable "zones" {
  description = "Availability zones with subnets, by their letters. Add new ones at the end, else subnets move."
  type        = list(string)
  default     = ["a", "b"]
  nullable    = false

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 6 && length(distinct(var.zones)) == length(var.zones) && alltrue([for zone in var.zones : can(regex("^[a-f]$", zone))])
    error_message = "zones must be two to six different letters, since one zone alone may fail: choose from those of your account (aws ec2 describe-availability-zones), like [\"a\", \"b\"]."
  }
}

variable "host_network" {
  description = "Where hosts are: `public` - each with an elastic address; `private-nat` - without one, out by a NAT gateway; `private-endpoints` - reaching nothing but AWS, by three endpoints in each zone that cost as much as a host, from an image of yours with all in it (ami_id)."
  type        = string
  default     = "public"
  nullable    = false

  validation {
    condition     = contains(["public", "private-nat", "private-endpoints"], var.host_network)
    error_message = "host_network is unknown: choose public, private-nat or private-endpoints."
  }

  validation {
    condition     = var.host_network != "private-endpoints" || var.ami_id != null
    error_message = "host_network private-endpoints reaches no mirror of Debian's, so a host from Debian's own image can install nothing: set ami_id to an image that holds Docker and the product's images, or choose private-nat."
  }
}

variable "flow_logs" {
  description = "Whether the network's connections are logged."
  type        = bool
  default     = false
  nullable    = false
}

# Access

variable "allowed_ssh_cidr" {
  description = "IPv4 ranges that reach SSH. Empty: SSH is closed; log in through the EC2 Instance Connect Endpoint."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.allowed_ssh_cidr : can(cidrnetmask(cidr)) && try(cidrhost(cidr, 0) == split("/", cidr)[0], false)])
    error_message = "allowed_ssh_cidr holds what is not an IPv4 range: write its first address and prefix length; for one address a.b.c.d/32."
  }

  validation {
    condition = alltrue([
      for cidr in var.allowed_ssh_cidr :
      try(tonumber(split("/", cidr)[1]) >= (startswith(cidr, "10.") ? 8 : startswith(cidr, "172.16.") ? 12 : 16), true)
    ])
    error_message = "allowed_ssh_cidr would open SSH to a large part of the world: name your own network (/16 or smaller), or leave it empty and log in through Instance Connect."
  }

  validation {
    condition     = length(var.allowed_ssh_cidr) == 0 || var.key_pair_name != null
    error_message = "allowed_ssh_cidr opens SSH, but nobody has a key: set key_pair_name."
  }
}

variable "allowed_web_cidr" {
  description = "IPv4 ranges that reach web_ports. Empty: nobody from outside. Prometheus is never among them."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.allowed_web_cidr : can(cidrnetmask(cidr)) && try(cidrhost(cidr, 0) == split("/", cidr)[0], false)])
    error_message = "allowed_web_cidr holds what is not an IPv4 range: write its first address and prefix length; for one address a.b.c.d/32."
  }

  validation {
    condition = alltrue([
      for cidr in var.allowed_web_cidr :
      try(tonumber(split("/", cidr)[1]) >= (startswith(cidr, "10.") ? 8 : startswith(cidr, "172.16.") ? 12 : 16), true)
    ]) || alltrue([for port in values(var.web_ports) : contains([80, 443], port)])
    error_message = "allowed_web_cidr would open ports without TLS to a large part of the world: name your own networks (/16 or smaller), or leave web_ports at those of the edge, 443 and 80."
  }
}

variable "web_ports" {
  description = "Ports that allowed_web_cidr reaches, by name. What listens there is for inventory/group_vars/aws_ec2.yml to say: by default the edge, whose port 80 redirects to 443."
  type        = map(number)
  default     = { https = 443, http = 80 }
  nullable    = false

  validation {
    condition     = alltrue([for port in values(var.web_ports) : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "web_ports holds what is not a port: choose whole numbers from 1 to 65535."
  }

  validation {
    condition     = length(distinct(values(var.web_ports))) == length(var.web_ports)
    error_message = "web_ports has one port under two names, which AWS refuses as one rule twice: take one of them out, or choose other ports."
  }

  validation {
    condition     = length(setintersection(values(var.web_ports), [8000, 8001, 8002, 8900, 9323])) == 0
    error_message = "web_ports may not hold 8000 (API), 8001 (drift reports), 8002 (review desk), 8900 (candidate) or 9323 (Docker's metrics): take them out, since the edge shows at 443 what clients and people may see of them."
  }

  validation {
    condition     = length(setintersection(values(var.web_ports), [22, 2375, 2376, 9090, 9093, 9100])) == 0
    error_message = "web_ports may not hold 22 (use allowed_ssh_cidr), Docker's 2375 and 2376, or Prometheus' 9090, 9093 and 9100, which ask nobody who he is: take them out and reach them through an SSH tunnel."
  }
}

variable "egress_ports" {
  description = "TCP ports that hosts reach anywhere: Debian's mirrors, registries, AWS. Add 587 for alerts by e-mail."
  type        = set(number)
  default     = [80, 443]
  nullable    = false

  validation {
    condition     = contains(var.egress_ports, 443) && alltrue([for port in var.egress_ports : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "egress_ports must be whole numbers from 1 to 65535 and hold 443, without which a host reaches no AWS service: add it."
  }
}

variable "key_pair_name" {
  description = "Name of an EC2 key pair for Debian's user admin. Null: nobody logs in by SSH, not even through a tunnel, so Ansible cannot reach an image of Debian's."
  type        = string
  default     = null

  validation {
    condition     = var.key_pair_name == null || can(regex("^[ -~]{1,255}$", var.key_pair_name))
    error_message = "key_pair_name is not a name: give that of a key pair in this region (aws ec2 describe-key-pairs), or null for none."
  }
}

variable "permissions_boundary" {
  description = "Name of the IAM policy that no role created here may exceed. terraform/bootstrap makes one, and lets deployers create no role without it. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^[A-Za-z0-9+=,.@_-]{1,128}$", var.permissions_boundary))
    error_message = "permissions_boundary is not the name of a policy: write it without arn:..., like shill-boundary, or null."
  }
}

variable "instance_connect_endpoint" {
  description = "Whether there is an EC2 Instance Connect Endpoint (free), through which those whom IAM lets reach SSH while it is closed to everybody else."
  type        = bool
  default     = true
  nullable    = false
}

# Hosts

variable "hosts" {
  description = "The hosts by name. `roles` are Ansible's groups; `zone` is the letter of one of `zones`, by default the first; the rest overrides the variables of that name."
  type = map(object({
    roles         = optional(set(string), ["model_servers", "monitoring"])
    zone          = optional(string)
    instance_type = optional(string)
    spot          = optional(bool)
  }))
  default  = { "1" = {} }
  nullable = false

  validation {
    condition     = length(var.hosts) > 0 && alltrue([for key in keys(var.hosts) : can(regex("^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$", key))])
    error_message = "hosts must hold at least one, each named by 1 to 15 lower-case letters, digits and inner dashes: rename or add one."
  }

  validation {
    condition     = alltrue([for host in var.hosts : length(host.roles) > 0 && length(setsubtract(host.roles, ["model_servers", "monitoring"])) == 0])
    error_message = "hosts has roles that site.yml does not know: choose from model_servers and monitoring, at least one."
  }

  validation {
    condition     = length([for host in var.hosts : host if contains(host.roles, "monitoring")]) <= 1
    error_message = "hosts has several with the role monitoring, but Prometheus listens to its own host alone: give all but one roles = [\"model_servers\"]."
  }

  validation {
    condition     = alltrue([for host in var.hosts : host.zone == null || contains(var.zones, coalesce(host.zone, "-"))])
    error_message = "hosts has a zone without a subnet: choose one of zones, or add it there."
  }

  validation {
    condition     = alltrue([for host in var.hosts : host.instance_type == null || can(regex(local.instance_types, host.instance_type))])
    error_message = "hosts has an instance_type that is not optimised for EBS or lacks 2 GiB of memory: choose small or larger of t3, t3a, t4g, or of c, m, r from the fifth generation, like t3.medium."
  }
}

# All of these are optimised for EBS, which t2 and m3 are not; and those with a t earn CPU credits, which trn1 does
# not. nano and micro have less than the 2 GiB of memory that Docker, model and monitoring need.
locals {
  instance_types = "^(t3|t3a|t4g|[cmr][5-9][a-z-]*)[.](small|medium|large|[0-9]*xlarge)$"
}

variable "instance_type" {
  description = "EC2 type of the hosts. Types with Graviton processors, such as t4g.medium, get an arm64 image."
  type        = string
  default     = "t3.medium"
  nullable    = false

  validation {
    condition     = can(regex(local.instance_types, var.instance_type))
    error_message = "instance_type must be optimised for EBS and have 2 GiB of memory: choose small or larger of t3, t3a, t4g, or of c, m, r from the fifth generation, like t3.medium or t4g.medium."
  }
}

variable "spot" {
  description = "Whether hosts are spot instances: about a third of the price, and AWS may take them at any time; `terraform apply` and site.yml bring them back."
  type        = bool
  default     = false
  nullable    = false
}

variable "debian_release" {
  description = "Debian release whose newest image of Debian's own is looked up for new hosts."
  type        = number
  default     = 13
  nullable    = false

  validation {
    condition     = contains([12, 13], var.debian_release)
    error_message = "debian_release must be 12 or 13, on which the roles are tested: choose one of them."
  }
}

variable "ami_id" {
  description = "Image to use instead, such as a Debian with packages of yours in it. Null: Debian's own."
  type        = string
  default     = null

  validation {
    condition     = var.ami_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "ami_id is not the id of an image: write it like ami-0123456789abcdef0, or null for Debian's own."
  }
}

variable "root_volume_gb" {
  description = "Size of a host's encrypted volume, GiB."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.root_volume_gb >= 16 && var.root_volume_gb <= 16384 && floor(var.root_volume_gb) == var.root_volume_gb
    error_message = "root_volume_gb must be a whole number from 16, below which images and logs do not fit, to 16384: change it."
  }
}

variable "cpu_credits" {
  description = "Of t types, what happens when CPU credits are used up: `standard` - the host slows down; `unlimited` - it costs more."
  type        = string
  default     = "standard"
  nullable    = false

  validation {
    condition     = contains(["standard", "unlimited"], var.cpu_credits)
    error_message = "cpu_credits is unknown: choose standard or unlimited."
  }
}

variable "detailed_monitoring" {
  description = "Whether EC2 reports its own metrics each minute rather than every five, for a price."
  type        = bool
  default     = false
  nullable    = false
}

variable "termination_protection" {
  description = "Whether AWS refuses to terminate hosts, also to `terraform destroy`; spot instances cannot have it."
  type        = bool
  default     = false
  nullable    = false
}

# Data

variable "bucket_name" {
  description = "Name of the bucket for models, predictions, labels, reports and backups. Null: project, environment and account."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name is not a name for a bucket: write 3 to 63 lower-case letters, digits and inner dashes, or null."
  }
}

variable "bucket_force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with all that is in it. Apply it before you destroy."
  type        = bool
  default     = false
  nullable    = false
}

variable "bucket_principal_arns" {
  description = "Roles and users besides the hosts' role who may touch objects, if IAM lets them: deployers, analysts, CI. Empty: whoever applies."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.bucket_principal_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(root|(user|role)/.+)$", arn))])
    error_message = "bucket_principal_arns holds what is not the ARN of a user or role: write them like arn:aws:iam::123456789012:role/deployer, without wildcards; of an assumed role, the role's."
  }
}

variable "kms_key_arn" {
  description = "KMS key for the bucket, volumes, logs and alerts. Its own policy must admit logs, cloudwatch, budgets and those who use the bucket. Null: AES256 and AWS's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-f-]+$", var.kms_key_arn))
    error_message = "kms_key_arn is not the ARN of a key (aliases do not do for volumes): write it like arn:aws:kms:eu-central-1:123456789012:key/..., or null."
  }
}

variable "certificate_zone_id" {
  description = "Zone of Route 53 in which hosts may answer the challenges of an ACME authority, for edge_acme_challenge: route53. Null: they may not."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_zone_id == null || can(regex("^Z[0-9A-Z]{6,31}$", var.certificate_zone_id))
    error_message = "certificate_zone_id is not the id of a zone: write it like Z0123456789ABCDEFGHIJ, as `aws route53 list-hosted-zones` shows it after /hostedzone/, or null."
  }
}

variable "data_retention_days" {
  description = "After how many days predictions, labels and reports are deleted from the bucket."
  type        = number
  default     = 400
  nullable    = false

  validation {
    condition     = var.data_retention_days >= 30 && floor(var.data_retention_days) == var.data_retention_days
    error_message = "data_retention_days is too short for labels to arrive and models to be trained: choose a whole number from 30."
  }
}

variable "backup_retention_days" {
  description = "After how many days backups are deleted from the bucket."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.backup_retention_days >= 1 && floor(var.backup_retention_days) == var.backup_retention_days
    error_message = "backup_retention_days must be a whole number from 1: raise it."
  }
}

variable "noncurrent_retention_days" {
  description = "After how many days overwritten and deleted objects are gone for good."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_retention_days >= 1 && floor(var.noncurrent_retention_days) == var.noncurrent_retention_days
    error_message = "noncurrent_retention_days must be a whole number from 1: raise it."
  }
}

# Operations

variable "alert_emails" {
  description = "Who is told of alarms and of the budget by e-mail; each must confirm once."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", address))])
    error_message = "alert_emails holds what is not an e-mail address: write them like ops@example.com."
  }
}

variable "alarm_thresholds" {
  description = "Where alarms begin: memory and disk in per cent, CPU credits left, drift job's runs in a row with drift."
  type = object({
    memory_percent = optional(number, 90)
    disk_percent   = optional(number, 80)
    cpu_credits    = optional(number, 30)
    drift_streak   = optional(number, 2)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for percent in [var.alarm_thresholds.memory_percent, var.alarm_thresholds.disk_percent] : percent > 0 && percent < 100])
    error_message = "alarm_thresholds has a percentage that can never or always be exceeded: choose memory_percent and disk_percent between 0 and 100."
  }

  validation {
    condition     = var.alarm_thresholds.drift_streak >= 1 && floor(var.alarm_thresholds.drift_streak) == var.alarm_thresholds.drift_streak && var.alarm_thresholds.cpu_credits >= 0
    error_message = "alarm_thresholds has a drift_streak that is not a whole number from 1, or cpu_credits below 0: raise it."
  }
}

variable "monthly_budget_usd" {
  description = "Monthly budget of the whole account: an alert at 80 % spent and at 100 % forecast. 0: none. To create one, an account must have IAM access to billing switched on, by its root user."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.monthly_budget_usd >= 0
    error_message = "monthly_budget_usd is below 0: give US dollars, or 0 for no budget."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps logs."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is none that CloudWatch knows: choose 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400 or a longer one of its list."
  }
}

variable "working_hours" {
  description = "When hosts run; outside they are stopped and cost only their volumes and addresses. Null: always."
  type = object({
    start    = string
    stop     = string
    days     = optional(string, "MON-FRI")
    timezone = optional(string, "UTC")
  })
  default = null

  validation {
    condition     = var.working_hours == null || alltrue([for time in [try(var.working_hours.start, ""), try(var.working_hours.stop, "")] : can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", time))])
    error_message = "working_hours has a start or stop that is not a time: write HH:MM, like 08:00."
  }

  validation {
    condition     = var.working_hours == null || can(regex("^(MON|TUE|WED|THU|FRI|SAT|SUN)([,-](MON|TUE|WED|THU|FRI|SAT|SUN))*$", try(var.working_hours.days, "")))
    error_message = "working_hours has days that are none: write them like MON-FRI or MON,WED,FRI."
  }

  validation {
    condition     = var.working_hours == null || can(regex("^(UTC|[A-Z][A-Za-z_]+/[A-Za-z_/+-]+)$", try(var.working_hours.timezone, "")))
    error_message = "working_hours has a timezone that is none: write UTC or a name of the tz database, like Europe/Berlin."
  }

  validation {
    condition     = var.working_hours == null || !anytrue([for host in var.hosts : coalesce(host.spot, var.spot)])
    error_message = "working_hours stops hosts, and a spot instance of a one-time request cannot be stopped: set spot to false, or working_hours to null."
  }
}

variable "snapshots_kept" {
  description = "How many daily snapshots of each host are kept. 0: none are made."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.snapshots_kept >= 0 && var.snapshots_kept <= 1000 && floor(var.snapshots_kept) == var.snapshots_kept
    error_message = "snapshots_kept must be a whole number from 0 (none are made) to 1000: change it."
  }
}

variable "snapshot_time" {
  description = "When snapshots are made, UTC."
  type        = string
  default     = "03:00"
  nullable    = false

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", var.snapshot_time))
    error_message = "snapshot_time is not a time: write HH:MM, like 03:00."
  }
}
