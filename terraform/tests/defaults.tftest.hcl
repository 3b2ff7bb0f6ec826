# What an empty terraform.tfvars gives, and what the commands in the outputs say.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  alert_emails = ["ops@example.com"]
}

run "somebody_must_be_told_of_alarms" {
  command = plan

  variables {
    alert_emails = []
  }

  expect_failures = [check.somebody_is_told]
}

run "an_api_that_is_open_to_the_world_is_told" {
  command = plan

  variables {
    allowed_web_cidr = ["198.51.100.0/24", "0.0.0.0/0"]
  }

  expect_failures = [check.who_reaches_the_ports]
}

run "names_come_from_project_environment_and_account" {
  command = plan

  assert {
    condition     = output.log_group_prefix == "/shill/production" && output.metrics_namespace == "shill/production"
    error_message = "logs and metrics are not under project and environment"
  }
  assert {
    condition     = can(regex("^s3://.+/models$", output.model_store))
    error_message = "the model store is not in the bucket: ${output.model_store}"
  }
}

run "commands_name_instance_and_region" {
  command = plan

  variables {
    aws_region = "us-east-1"
    hosts      = { "1" = {}, "2" = { zone = "b", roles = ["model_servers"] } }
  }

  assert {
    condition     = strcontains(output.tunnel_commands["2"], "open-tunnel --instance-id %h --region us-east-1' admin@i-0123456789abcdef0")
    error_message = output.tunnel_commands["2"]
  }
  assert {
    condition     = output.ssh_commands["1"] == "ssh admin@203.0.113.10"
    error_message = output.ssh_commands["1"]
  }
  assert {
    condition     = strcontains(output.ansible_command, "TF_VAR_aws_region=us-east-1")
    error_message = output.ansible_command
  }
}

run "urls_follow_roles_and_ports" {
  command = plan

  variables {
    hosts     = { "1" = {}, "2" = { roles = ["model_servers"] } }
    web_ports = { https = 8443 }
  }

  assert {
    condition     = output.api_urls == { "1" = "https://203.0.113.10:8443", "2" = "https://203.0.113.10:8443" }
    error_message = jsonencode(output.api_urls)
  }
  assert {
    condition     = output.grafana_urls == { "1" = "https://203.0.113.10:8443/grafana/" }
    error_message = jsonencode(output.grafana_urls)
  }
}

run "private_hosts_are_known_by_their_private_addresses" {
  command = plan

  variables {
    host_network = "private-nat"
  }

  assert {
    condition     = output.ssh_commands["1"] == "ssh admin@10.20.0.10" && output.hosts["1"].public_ip == null
    error_message = jsonencode(output.hosts)
  }
}

run "the_bucket_is_for_hosts_and_whoever_applies" {
  command = plan

  assert {
    condition = toset(one([for statement in jsondecode(output.bucket_policy).Statement : statement if statement.Sid == "OnlyThese"]).Condition.ArnNotEquals["aws:PrincipalArn"]) == toset([
      "arn:aws:iam::123456789012:role/mocked", "arn:aws:iam::123456789012:role/deployer",
    ])
    error_message = output.bucket_policy
  }
}

run "named_principals_replace_whoever_applies" {
  command = plan

  variables {
    bucket_principal_arns = ["arn:aws:iam::123456789012:role/ci"]
  }

  assert {
    condition     = strcontains(output.bucket_policy, "role/ci") && !strcontains(output.bucket_policy, "role/deployer")
    error_message = output.bucket_policy
  }
}
