mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

override_resource {
  target          = aws_security_group.hosts
  override_during = plan
  values          = { id = "sg-hosts" }
}

override_resource {
  target          = aws_security_group.connect
  override_during = plan
  values          = { id = "sg-connect" }
}

variables {
  name                = "shill-production"
  partition           = "aws"
  account_id          = "123456789012"
  aws_region          = "eu-central-1"
  vpc_id              = "vpc-1"
  connect_endpoint    = false
  connect_subnet_id   = "subnet-1"
  allowed_ssh_cidr    = []
  allowed_web_cidr    = []
  web_ports           = { https = 443, http = 80 }
  egress_ports        = [80, 443]
  peer_ports          = {}
  bucket              = "bucket"
  kms_key_arn         = null
  certificate_zone_id = null
  log_groups          = "/shill/production"
  metrics_namespace   = "shill/production"
  topic_arn           = "arn:aws:sns:eu-central-1:123456789012:alerts"
}

run "nobody_reaches_a_host_by_default" {
  command = plan

  module {
    source = "./modules/security"
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.ssh) + length(aws_vpc_security_group_ingress_rule.web) + length(aws_vpc_security_group_ingress_rule.peers) + length(aws_vpc_security_group_ingress_rule.connect) == 0
    error_message = "something is open"
  }
  assert {
    condition     = toset([for rule in aws_vpc_security_group_egress_rule.anywhere : rule.from_port]) == toset([80, 443])
    error_message = "hosts reach other ports than HTTP and HTTPS"
  }
}

run "who_is_named_reaches_what_is_named" {
  command = plan

  module {
    source = "./modules/security"
  }

  variables {
    allowed_ssh_cidr = ["203.0.113.7/32"]
    allowed_web_cidr = ["198.51.100.0/24", "203.0.113.7/32"]
  }

  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.ssh : "${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}"] == ["203.0.113.7/32 22-22"]
    error_message = "SSH is not open to exactly one address"
  }
  assert {
    condition = toset([for rule in aws_vpc_security_group_ingress_rule.web : "${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}"]) == toset([
      "198.51.100.0/24 443-443", "198.51.100.0/24 80-80", "203.0.113.7/32 443-443", "203.0.113.7/32 80-80",
    ])
    error_message = "the API and Grafana are not open to exactly two networks"
  }
}

run "hosts_read_each_others_metrics_only" {
  command = plan

  module {
    source = "./modules/security"
  }

  variables {
    peer_ports = { node-exporter = 9100 }
  }

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.peers["node-exporter"].referenced_security_group_id == "sg-hosts"
      && aws_vpc_security_group_ingress_rule.peers["node-exporter"].cidr_ipv4 == null
      && aws_vpc_security_group_egress_rule.peers["node-exporter"].to_port == 9100
    )
    error_message = "metrics are reachable from elsewhere, or not from other hosts"
  }
}

run "instance_connect_leads_to_ssh_of_hosts_alone" {
  command = plan

  module {
    source = "./modules/security"
  }

  variables {
    connect_endpoint = true
  }

  assert {
    condition = (
      length(aws_ec2_instance_connect_endpoint.this) == 1
      && aws_vpc_security_group_egress_rule.connect[0].referenced_security_group_id == "sg-hosts"
      && aws_vpc_security_group_egress_rule.connect[0].from_port == 22
      && aws_vpc_security_group_ingress_rule.connect[0].referenced_security_group_id == "sg-connect"
    )
    error_message = "the endpoint reaches something else, or others SSH"
  }
}

run "stars_stand_only_where_aws_knows_no_arn" {
  command = plan

  module {
    source = "./modules/security"
  }

  assert {
    condition     = toset([for statement in jsondecode(aws_iam_role_policy.host.policy).Statement : statement.Sid if statement.Resource == "*"]) == toset(["WriteMetrics"])
    error_message = "a statement is about everything"
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.host.policy).Statement : !strcontains(jsonencode(statement.Action), "*")])
    error_message = "a statement allows more than it names"
  }
}

run "only_challenges_can_be_written_into_a_zone" {
  command = plan

  module {
    source = "./modules/security"
  }

  variables {
    certificate_zone_id = "Z0123456789ABC"
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.host.policy).Statement : statement if try(contains(flatten([statement.Action]), "route53:ChangeResourceRecordSets"), false)
    ]).Resource == "arn:aws:route53:::hostedzone/${var.certificate_zone_id}"
    error_message = "hosts may not answer challenges, or in other zones too"
  }
}

run "a_key_of_ones_own_is_usable" {
  command = plan

  module {
    source = "./modules/security"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/0123abcd"
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.host.policy).Statement : statement if statement.Sid == "EncryptObjects"]).Resource == var.kms_key_arn
    error_message = "hosts may not use the key"
  }
}
