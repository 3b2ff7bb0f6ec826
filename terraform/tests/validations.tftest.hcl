# Each validation is broken once; `python -m tests.terraform.pages` lists what is then said. Keep to one
# line a variable: that command reads this file.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "region_with_zone" {
  command = plan

  variables {
    aws_region = "eu-central-1a"
  }

  expect_failures = [var.aws_region]
}

run "project_with_capitals" {
  command = plan

  variables {
    project_name = "Shill_Bidding"
  }

  expect_failures = [var.project_name]
}

run "environment_too_long" {
  command = plan

  variables {
    environment = "production-of-the-europeans"
  }

  expect_failures = [var.environment]
}

run "tag_of_the_inventory" {
  command = plan

  variables {
    extra_tags = { Role = "database" }
  }

  expect_failures = [var.extra_tags]
}

run "vpc_without_length" {
  command = plan

  variables {
    vpc_cidr = "10.20.0.1/16"
  }

  expect_failures = [var.vpc_cidr]
}

run "vpc_too_small" {
  command = plan

  variables {
    vpc_cidr = "10.20.0.0/28"
  }

  expect_failures = [var.vpc_cidr]
}

run "one_zone" {
  command = plan

  variables {
    zones = ["a"]
  }

  expect_failures = [var.zones]
}

run "network_without_packages" {
  command = plan

  variables {
    host_network = "private-endpoints"
  }

  expect_failures = [var.host_network]
}

run "unknown_network" {
  command = plan

  variables {
    host_network = "private"
  }

  expect_failures = [var.host_network]
}

run "ssh_not_a_range" {
  command = plan

  variables {
    key_pair_name    = "ops"
    allowed_ssh_cidr = ["203.0.113.7"]
  }

  expect_failures = [var.allowed_ssh_cidr]
}

run "ssh_from_the_world" {
  command = plan

  variables {
    key_pair_name    = "ops"
    allowed_ssh_cidr = ["0.0.0.0/0"]
  }

  expect_failures = [var.allowed_ssh_cidr]
}

run "ssh_from_half_the_world" {
  command = plan

  variables {
    key_pair_name    = "ops"
    allowed_ssh_cidr = ["128.0.0.0/1"]
  }

  expect_failures = [var.allowed_ssh_cidr]
}

run "ssh_without_key" {
  command = plan

  variables {
    allowed_ssh_cidr = ["203.0.113.7/32"]
  }

  expect_failures = [var.allowed_ssh_cidr]
}

run "web_not_a_range" {
  command = plan

  variables {
    allowed_web_cidr = ["office"]
  }

  expect_failures = [var.allowed_web_cidr]
}

run "web_from_the_world_without_tls" {
  command = plan

  variables {
    allowed_web_cidr = ["0.0.0.0/0"]
    web_ports        = { prometheus = 3000 }
  }

  expect_failures = [var.allowed_web_cidr]
}

run "port_beyond" {
  command = plan

  variables {
    web_ports = { api = 80000 }
  }

  expect_failures = [var.web_ports]
}

run "port_twice" {
  command = plan

  variables {
    web_ports = { https = 443, api = 443 }
  }

  expect_failures = [var.web_ports]
}

run "review_desk_public" {
  command = plan

  variables {
    web_ports = { desk = 8002 }
  }

  expect_failures = [var.web_ports]
}

run "prometheus_public" {
  command = plan

  variables {
    web_ports = { prometheus = 9090 }
  }

  expect_failures = [var.web_ports]
}

run "no_way_to_aws" {
  command = plan

  variables {
    egress_ports = [80]
  }

  expect_failures = [var.egress_ports]
}

run "key_pair_empty" {
  command = plan

  variables {
    key_pair_name = ""
  }

  expect_failures = [var.key_pair_name]
}

run "permissions_boundary_as_arn" {
  command = plan

  variables {
    permissions_boundary = "arn:aws:iam::123456789012:policy/shill-boundary"
  }

  expect_failures = [var.permissions_boundary]
}

run "no_host" {
  command = plan

  variables {
    hosts = {}
  }

  expect_failures = [var.hosts]
}

run "role_unknown" {
  command = plan

  variables {
    hosts = { "1" = { roles = ["database"] } }
  }

  expect_failures = [var.hosts]
}

run "two_monitors" {
  command = plan

  variables {
    hosts = { "1" = {}, "2" = {} }
  }

  expect_failures = [var.hosts]
}

run "zone_without_subnet" {
  command = plan

  variables {
    hosts = { "1" = { zone = "c" } }
  }

  expect_failures = [var.hosts]
}

run "host_too_small" {
  command = plan

  variables {
    hosts = { "1" = { instance_type = "t3.nano" } }
  }

  expect_failures = [var.hosts]
}

run "type_without_size" {
  command = plan

  variables {
    instance_type = "t3"
  }

  expect_failures = [var.instance_type]
}

run "type_too_small" {
  command = plan

  variables {
    instance_type = "t3.micro"
  }

  expect_failures = [var.instance_type]
}

run "type_without_ebs_optimisation" {
  command = plan

  variables {
    instance_type = "t2.medium"
  }

  expect_failures = [var.instance_type]
}

run "type_of_a_t_without_credits" {
  command = plan

  variables {
    instance_type = "trn1.2xlarge"
  }

  expect_failures = [var.instance_type]
}

run "debian_untested" {
  command = plan

  variables {
    debian_release = 11
  }

  expect_failures = [var.debian_release]
}

run "image_not_an_id" {
  command = plan

  variables {
    ami_id = "debian-13"
  }

  expect_failures = [var.ami_id]
}

run "volume_too_small" {
  command = plan

  variables {
    root_volume_gb = 8
  }

  expect_failures = [var.root_volume_gb]
}

run "credits_unknown" {
  command = plan

  variables {
    cpu_credits = "surplus"
  }

  expect_failures = [var.cpu_credits]
}

run "bucket_with_capitals" {
  command = plan

  variables {
    bucket_name = "Models"
  }

  expect_failures = [var.bucket_name]
}

run "principal_wildcard" {
  command = plan

  variables {
    bucket_principal_arns = ["*"]
  }

  expect_failures = [var.bucket_principal_arns]
}

run "zone_by_name" {
  command = plan

  variables {
    certificate_zone_id = "example.com"
  }

  expect_failures = [var.certificate_zone_id]
}

run "key_alias" {
  command = plan

  variables {
    kms_key_arn = "alias/shill"
  }

  expect_failures = [var.kms_key_arn]
}

run "data_too_short" {
  command = plan

  variables {
    data_retention_days = 7
  }

  expect_failures = [var.data_retention_days]
}

run "backups_not_kept" {
  command = plan

  variables {
    backup_retention_days = 0
  }

  expect_failures = [var.backup_retention_days]
}

run "versions_not_kept" {
  command = plan

  variables {
    noncurrent_retention_days = 0
  }

  expect_failures = [var.noncurrent_retention_days]
}

run "email_without_domain" {
  command = plan

  variables {
    alert_emails = ["ops"]
  }

  expect_failures = [var.alert_emails]
}

run "percentage_beyond" {
  command = plan

  variables {
    alarm_thresholds = { disk_percent = 100 }
  }

  expect_failures = [var.alarm_thresholds]
}

run "streak_of_none" {
  command = plan

  variables {
    alarm_thresholds = { drift_streak = 0 }
  }

  expect_failures = [var.alarm_thresholds]
}

run "budget_negative" {
  command = plan

  variables {
    monthly_budget_usd = -1
  }

  expect_failures = [var.monthly_budget_usd]
}

run "retention_unknown" {
  command = plan

  variables {
    log_retention_days = 10
  }

  expect_failures = [var.log_retention_days]
}

run "hour_without_minutes" {
  command = plan

  variables {
    working_hours = { start = "8", stop = "18:00" }
  }

  expect_failures = [var.working_hours]
}

run "days_unknown" {
  command = plan

  variables {
    working_hours = { start = "08:00", stop = "18:00", days = "weekdays" }
  }

  expect_failures = [var.working_hours]
}

run "timezone_unknown" {
  command = plan

  variables {
    working_hours = { start = "08:00", stop = "18:00", timezone = "CET+1" }
  }

  expect_failures = [var.working_hours]
}

run "spot_in_working_hours" {
  command = plan

  variables {
    spot          = true
    working_hours = { start = "08:00", stop = "18:00" }
  }

  expect_failures = [var.working_hours]
}

run "snapshots_negative" {
  command = plan

  variables {
    snapshots_kept = -1
  }

  expect_failures = [var.snapshots_kept]
}

run "snapshot_time_without_colon" {
  command = plan

  variables {
    snapshot_time = "0300"
  }

  expect_failures = [var.snapshot_time]
}
