mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name = "shill-production"
  hosts = {
    "1" = { roles = ["monitoring", "model_servers"], instance_type = "t3.medium", spot = false, zone = "a" }
    "2" = { roles = ["model_servers"], instance_type = "t4g.small", spot = true, zone = "b" }
  }
  subnet_ids             = { a = "subnet-a", b = "subnet-b" }
  public                 = true
  security_group_id      = "sg-1"
  instance_profile       = "shill-production-host"
  key_pair_name          = "ops"
  debian_release         = 13
  ami_id                 = null
  root_volume_gb         = 30
  kms_key_arn            = null
  cpu_credits            = "standard"
  detailed_monitoring    = false
  termination_protection = true
  tags                   = { Project = "shill", ShillBucket = "bucket" }
}

run "a_host_guards_credentials_and_disk" {
  command = plan

  module {
    source = "./modules/ec2"
  }

  assert {
    condition = alltrue([for host in aws_instance.this :
      host.metadata_options[0].http_tokens == "required" && host.metadata_options[0].http_put_response_hop_limit == 1
    ])
    error_message = "metadata are had without a token, or from a bridge network"
  }
  assert {
    condition     = alltrue([for host in aws_instance.this : host.root_block_device[0].encrypted && host.root_block_device[0].volume_type == "gp3"])
    error_message = "a volume is not encrypted gp3"
  }
}

run "tags_tell_ansible_what_a_host_is" {
  command = plan

  module {
    source = "./modules/ec2"
  }

  assert {
    condition     = aws_instance.this["1"].tags == tomap({ Name = "shill-production-1", Role = "model_servers,monitoring", Project = "shill", ShillBucket = "bucket" })
    error_message = jsonencode(aws_instance.this["1"].tags)
  }
  assert {
    condition     = aws_instance.this["2"].tags.Role == "model_servers" && aws_instance.this["2"].root_block_device[0].tags.Project == "shill"
    error_message = "roles or the volume's tags are wrong"
  }
}

run "hosts_are_where_and_what_they_are_said_to_be" {
  command = plan

  module {
    source = "./modules/ec2"
  }

  assert {
    condition     = aws_instance.this["1"].subnet_id == "subnet-a" && aws_instance.this["2"].subnet_id == "subnet-b"
    error_message = "a host is in another zone"
  }
  assert {
    condition     = length(aws_instance.this["1"].instance_market_options) == 0 && aws_instance.this["2"].instance_market_options[0].spot_options[0].spot_instance_type == "one-time"
    error_message = "the wrong host is a spot instance"
  }
  assert {
    condition     = aws_instance.this["1"].disable_api_termination && !aws_instance.this["2"].disable_api_termination
    error_message = "protection is missing, or asked for a spot instance"
  }
  assert {
    condition     = aws_instance.this["1"].credit_specification[0].cpu_credits == "standard"
    error_message = "credits are not standard"
  }
}

run "graviton_gets_an_arm64_image_of_debians_own" {
  command = plan

  module {
    source = "./modules/ec2"
  }

  assert {
    condition = { for architecture, image in data.aws_ami.debian : architecture => one([for filter in image.filter : filter.values if filter.name == "name"]) } == {
      x86_64 = toset(["debian-13-amd64-*"]), arm64 = toset(["debian-13-arm64-*"])
    }
    error_message = "the wrong images are looked up"
  }
  assert {
    condition     = alltrue([for image in data.aws_ami.debian : image.owners == tolist(["136693071363"])])
    error_message = "images of others are accepted"
  }
}

run "an_image_of_ones_own_is_not_looked_up" {
  command = plan

  module {
    source = "./modules/ec2"
  }

  variables {
    ami_id = "ami-00000000"
    hosts  = { "1" = { roles = ["model_servers"], instance_type = "m7i-flex.large", spot = false, zone = "a" } }
  }

  assert {
    condition     = length(data.aws_ami.debian) == 0 && alltrue([for host in aws_instance.this : host.ami == "ami-00000000"])
    error_message = "the image is not the one given"
  }
}

run "an_image_of_another_architecture_is_refused" {
  command = plan

  module {
    source = "./modules/ec2"
  }

  variables {
    ami_id = "ami-00000000"
    hosts  = { "1" = { roles = ["model_servers"], instance_type = "t4g.small", spot = false, zone = "a" } }
  }

  expect_failures = [aws_instance.this]
}

run "private_hosts_have_no_address" {
  command = plan

  module {
    source = "./modules/ec2"
  }

  variables {
    public = false
  }

  assert {
    condition     = length(aws_eip.this) + length(aws_eip_association.this) == 0
    error_message = "a private host has an elastic address"
  }
}
