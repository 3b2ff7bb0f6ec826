# Bare AWS resources, nothing inside the hosts: ansible/site.yml turns them into servers, and finds them
# and all it must know of them (inventory/aws_ec2.yml) by their tags.

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = local.tags
  }

  # An emulator has no virtual hosts, and what it lacks fails at once.
  s3_use_path_style = var.emulated
  max_retries       = var.emulated ? 2 : null
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_iam_session_context" "current" {
  arn = data.aws_caller_identity.current.arn
}

locals {
  name       = "${var.project_name}-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  tags = merge(var.extra_tags, {
    Project     = var.project_name
    Environment = var.environment
    ManagedBy   = "terraform"
  })

  # Of several tags, one is enough for a lifecycle policy to take an instance: so there is one, and it is ours alone.
  snapshot_tag = { ShillSnapshots = local.name }

  bucket            = coalesce(var.bucket_name, "${local.name}-${local.account_id}")
  path              = "/${var.project_name}/${var.environment}" # of log groups
  metrics_namespace = "${var.project_name}/${var.environment}"

  # As URLs have it.
  https_port = try(var.web_ports.https, 443) == 443 ? "" : ":${var.web_ports.https}"

  permissions_boundary = var.permissions_boundary == null ? null : "arn:${local.partition}:iam::${local.account_id}:policy/${var.permissions_boundary}"

  # What sessions of a role are called changes; the role does not.
  deployer = data.aws_iam_session_context.current.issuer_arn
}

module "vpc" {
  source = "./modules/vpc"

  name                = local.name
  aws_region          = var.aws_region
  cidr                = var.vpc_cidr
  zones               = var.zones
  host_network        = var.host_network
  flow_log_group_name = var.flow_logs ? "${local.path}/flow" : null
  log_retention_days  = var.log_retention_days
  kms_key_arn         = var.kms_key_arn

  permissions_boundary = local.permissions_boundary
}

module "s3" {
  source = "./modules/s3"

  name          = local.bucket
  kms_key_arn   = var.kms_key_arn
  force_destroy = var.bucket_force_destroy

  # An emulator is asked by plain HTTP, and ignores a policy's conditions: it would refuse everything.
  attach_policy = !var.emulated
  reader_writer_arns = concat(
    [module.security.host_role_arn],
    length(var.bucket_principal_arns) > 0 ? var.bucket_principal_arns : [local.deployer],
  )

  noncurrent_days = var.noncurrent_retention_days
  expiry_days = {
    "predictions/" = var.data_retention_days
    "labels/"      = var.data_retention_days
    "reports/"     = var.data_retention_days
    "backups/"     = var.backup_retention_days
  }
}

module "security" {
  source = "./modules/security"

  name       = local.name
  partition  = local.partition
  account_id = local.account_id
  aws_region = var.aws_region

  vpc_id            = module.vpc.vpc_id
  connect_endpoint  = var.instance_connect_endpoint
  connect_subnet_id = module.vpc.host_subnet_ids[var.zones[0]]
  allowed_ssh_cidr  = var.allowed_ssh_cidr
  allowed_web_cidr  = var.allowed_web_cidr
  web_ports         = var.web_ports
  egress_ports      = var.egress_ports
  peer_ports        = { api = 8000, node-exporter = 9100, docker = 9323 }

  bucket              = local.bucket
  kms_key_arn         = var.kms_key_arn
  certificate_zone_id = var.certificate_zone_id
  log_groups          = local.path
  metrics_namespace   = local.metrics_namespace
  topic_arn           = module.operations.topic_arn

  permissions_boundary = local.permissions_boundary
}

module "ec2" {
  source = "./modules/ec2"

  name                   = local.name
  hosts                  = local.hosts
  subnet_ids             = module.vpc.host_subnet_ids
  public                 = var.host_network == "public"
  security_group_id      = module.security.host_security_group_id
  instance_profile       = module.security.instance_profile
  key_pair_name          = var.key_pair_name
  debian_release         = var.debian_release
  ami_id                 = var.ami_id
  root_volume_gb         = var.root_volume_gb
  kms_key_arn            = var.kms_key_arn
  cpu_credits            = var.cpu_credits
  detailed_monitoring    = var.detailed_monitoring
  termination_protection = var.termination_protection

  # Ansible reads these, also from instances that something else started; so they are spelt out here
  # rather than left to default_tags.
  tags = merge(local.tags, local.snapshot_tag, {
    ShillBucket   = local.bucket
    ShillLogGroup = local.path
    ShillTopic    = module.operations.topic_arn
  })
}

module "operations" {
  source = "./modules/operations"

  name              = local.name
  partition         = local.partition
  account_id        = local.account_id
  aws_region        = var.aws_region
  hosts             = { for key, host in local.hosts : key => merge(host, { id = module.ec2.instances[key].id }) }
  log_groups        = local.path
  metrics_namespace = local.metrics_namespace

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  alert_emails       = var.alert_emails
  alarm_thresholds   = var.alarm_thresholds
  monthly_budget_usd = var.monthly_budget_usd
  working_hours      = var.working_hours
  snapshots_kept     = var.snapshots_kept
  snapshot_time      = var.snapshot_time
  snapshot_tag       = local.snapshot_tag

  permissions_boundary = local.permissions_boundary
}

locals {
  hosts = {
    for key, host in var.hosts : key => {
      roles         = host.roles
      zone          = coalesce(host.zone, var.zones[0])
      instance_type = coalesce(host.instance_type, var.instance_type)
      spot          = coalesce(host.spot, var.spot)
    }
  }
}
