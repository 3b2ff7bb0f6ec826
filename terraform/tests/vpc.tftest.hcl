mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

override_resource {
  target          = aws_vpc.this
  override_during = plan
  values          = { id = "vpc-ours" }
}

override_resource {
  target          = aws_route_table.public
  override_during = plan
  values          = { id = "rtb-public" }
}

override_resource {
  target          = aws_route_table.private
  override_during = plan
  values          = { id = "rtb-private" }
}

variables {
  name                = "shill-production"
  aws_region          = "eu-central-1"
  cidr                = "10.20.0.0/16"
  zones               = ["a", "b"]
  host_network        = "public"
  flow_log_group_name = null
  log_retention_days  = 30
  kms_key_arn         = null
}

run "a_public_network_has_neither_private_subnets_nor_what_costs" {
  command = plan

  module {
    source = "./modules/vpc"
  }

  assert {
    condition     = { for zone, subnet in aws_subnet.public : zone => subnet.cidr_block } == { a = "10.20.0.0/20", b = "10.20.16.0/20" }
    error_message = "public subnets are not the first sixteenths of the range, one a zone"
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "whatever is started there gets a public address"
  }
  assert {
    condition     = length(aws_subnet.private) + length(aws_nat_gateway.this) + length(aws_vpc_endpoint.interface) + length(aws_flow_log.this) == 0
    error_message = "it creates what nobody asked for"
  }
  assert {
    condition     = aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-central-1.s3" && aws_vpc_endpoint.s3.route_table_ids == toset(["rtb-public"])
    error_message = "S3 is not reached by the gateway endpoint"
  }
}

run "a_private_network_goes_out_by_one_nat_gateway" {
  command = plan

  module {
    source = "./modules/vpc"
  }

  variables {
    zones        = ["a", "b", "c"]
    host_network = "private-nat"
  }

  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { a = "10.20.128.0/20", b = "10.20.144.0/20", c = "10.20.160.0/20" }
    error_message = "private subnets are not the sixteenths from the ninth, one a zone"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && aws_route.nat[0].destination_cidr_block == "0.0.0.0/0"
    error_message = "private subnets do not go out by one NAT gateway"
  }
  assert {
    condition     = length(aws_route_table_association.private) == 3 && aws_vpc_endpoint.s3.route_table_ids == toset(["rtb-public", "rtb-private"])
    error_message = "private subnets do not share the private route table, or S3 goes through the NAT gateway"
  }
}

run "a_network_without_a_way_out_reaches_aws" {
  command = plan

  module {
    source = "./modules/vpc"
  }

  variables {
    host_network = "private-endpoints"
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["logs", "monitoring", "sns"])
    error_message = "endpoints: ${join(", ", keys(aws_vpc_endpoint.interface))}"
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "an endpoint does not answer by the service's own name"
  }
  assert {
    condition     = length(aws_nat_gateway.this) + length(aws_route.nat) == 0
    error_message = "there is a way out"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == "10.20.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints[0].from_port == 443
    error_message = "endpoints answer others than the VPC, or by other than HTTPS"
  }
}

run "flow_logs_are_kept_in_a_group_of_ours" {
  command = plan

  module {
    source = "./modules/vpc"
  }

  variables {
    flow_log_group_name = "/shill/production/flow"
  }

  assert {
    condition     = aws_flow_log.this[0].traffic_type == "ALL" && aws_cloudwatch_log_group.flow[0].name == "/shill/production/flow" && aws_cloudwatch_log_group.flow[0].retention_in_days == 30
    error_message = "flow logs do not go to the group with its retention"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.flow[0].policy).Statement[0].Resource == "${aws_cloudwatch_log_group.flow[0].arn}:*"
    error_message = "flow logs may write elsewhere"
  }
}
