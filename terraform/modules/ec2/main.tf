terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

locals {
  # Graviton families have a g after the generation: t4g, m7gd, c8gn.
  architecture = { for key, host in var.hosts : key => can(regex("^[a-z]+[0-9]+g", host.instance_type)) ? "arm64" : "x86_64" }

  image_architectures = var.ami_id == null ? toset(values(local.architecture)) : toset([])
}

# https://wiki.debian.org/Cloud/AmazonEC2Image: the account is Debian's.
data "aws_ami" "debian" {
  for_each = local.image_architectures

  most_recent = true
  owners      = ["136693071363"]

  filter {
    name   = "name"
    values = ["debian-${var.debian_release}-${each.key == "x86_64" ? "amd64" : each.key}-*"]
  }
  filter {
    name   = "architecture"
    values = [each.key]
  }
}

# What an image of one's own is for: a type of another architecture would fail when it starts.
data "aws_ami" "given" {
  count = var.ami_id == null ? 0 : 1

  filter {
    name   = "image-id"
    values = [var.ami_id]
  }
}

# No user-data: a host is bare until Ansible has been there.
resource "aws_instance" "this" {
  # checkov:skip=CKV_AWS_126:Detailed monitoring is a variable; the CloudWatch agent reports each minute anyway.
  for_each = var.hosts

  ami                    = var.ami_id == null ? data.aws_ami.debian[local.architecture[each.key]].id : var.ami_id
  instance_type          = each.value.instance_type
  subnet_id              = var.subnet_ids[each.value.zone]
  vpc_security_group_ids = [var.security_group_id]
  iam_instance_profile   = var.instance_profile
  key_name               = var.key_pair_name
  ebs_optimized          = true
  monitoring             = var.detailed_monitoring

  # AWS refuses to protect spot instances.
  disable_api_termination = var.termination_protection && !each.value.spot

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"

    # Containers on a bridge network get no credentials; the model server is on the host's.
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.root_volume_gb
    encrypted   = true
    kms_key_id  = var.kms_key_arn

    tags = merge(var.tags, { Name = "${var.name}-${each.key}" })
  }

  dynamic "credit_specification" {
    for_each = startswith(each.value.instance_type, "t") ? [var.cpu_credits] : []

    content {
      cpu_credits = credit_specification.value
    }
  }

  # One-time requests: what AWS takes away stays away until the next apply. A persistent one could
  # outlive `destroy` and start instances that nobody knows of.
  dynamic "instance_market_options" {
    for_each = each.value.spot ? ["spot"] : []

    content {
      market_type = instance_market_options.value

      spot_options {
        spot_instance_type             = "one-time"
        instance_interruption_behavior = "terminate"
      }
    }
  }

  tags = merge(var.tags, {
    Name = "${var.name}-${each.key}"
    Role = join(",", sort(each.value.roles))
  })

  lifecycle {
    # A newer image is for new hosts. To renew one: terraform apply -replace='module.ec2.aws_instance.this["1"]'
    ignore_changes = [ami]

    precondition {
      condition     = var.ami_id == null || one(data.aws_ami.given[*].architecture) == local.architecture[each.key]
      error_message = "hosts: ${each.key} is a ${each.value.instance_type} (${local.architecture[each.key]}), and ami_id an image for ${coalesce(one(data.aws_ami.given[*].architecture), "nothing known")}: choose a type or an image of the other architecture."
    }
  }
}

# An address that survives stopping and replacing the host.
resource "aws_eip" "this" {
  # checkov:skip=CKV2_AWS_19:The association is a resource of its own, below.
  for_each = var.public ? var.hosts : {}

  domain = "vpc"

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_eip_association" "this" {
  for_each = aws_eip.this

  allocation_id = each.value.id
  instance_id   = aws_instance.this[each.key].id
}
