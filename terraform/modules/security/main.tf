# Who reaches a host.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

resource "aws_security_group" "hosts" {
  # checkov:skip=CKV2_AWS_5:Module ec2 attaches it.
  name        = "${var.name}-hosts"
  description = "Hosts of ${var.name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-hosts" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  for_each = toset(var.allowed_ssh_cidr)

  security_group_id = aws_security_group.hosts.id
  description       = "SSH from ${each.value}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
}

resource "aws_vpc_security_group_ingress_rule" "web" {
  for_each = {
    for pair in setproduct(keys(var.web_ports), var.allowed_web_cidr) :
    "${pair[0]} from ${pair[1]}" => { port = var.web_ports[pair[0]], cidr = pair[1] }
  }

  security_group_id = aws_security_group.hosts.id
  description       = each.key
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

# What hosts read from each other, such as metrics; none of it is reachable from elsewhere.
resource "aws_vpc_security_group_ingress_rule" "peers" {
  for_each = var.peer_ports

  security_group_id            = aws_security_group.hosts.id
  referenced_security_group_id = aws_security_group.hosts.id
  description                  = "${each.key} from other hosts"
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_egress_rule" "peers" {
  for_each = var.peer_ports

  security_group_id            = aws_security_group.hosts.id
  referenced_security_group_id = aws_security_group.hosts.id
  description                  = "${each.key} of other hosts"
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_egress_rule" "anywhere" {
  for_each = { for port in var.egress_ports : tostring(port) => port }

  security_group_id = aws_security_group.hosts.id
  description       = "Port ${each.value} anywhere"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

# SSH through AWS's own door: it opens by IAM, and to nothing but port 22 of these hosts.
resource "aws_security_group" "connect" {
  count = var.connect_endpoint ? 1 : 0

  name        = "${var.name}-connect"
  description = "EC2 Instance Connect Endpoint of ${var.name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-connect" }
}

resource "aws_vpc_security_group_egress_rule" "connect" {
  count = var.connect_endpoint ? 1 : 0

  security_group_id            = aws_security_group.connect[0].id
  referenced_security_group_id = aws_security_group.hosts.id
  description                  = "SSH to hosts"
  ip_protocol                  = "tcp"
  from_port                    = 22
  to_port                      = 22
}

resource "aws_vpc_security_group_ingress_rule" "connect" {
  # checkov:skip=CKV_AWS_24:It names a security group, no addresses.
  count = var.connect_endpoint ? 1 : 0

  security_group_id            = aws_security_group.hosts.id
  referenced_security_group_id = aws_security_group.connect[0].id
  description                  = "SSH from the EC2 Instance Connect Endpoint"
  ip_protocol                  = "tcp"
  from_port                    = 22
  to_port                      = 22
}

resource "aws_ec2_instance_connect_endpoint" "this" {
  count = var.connect_endpoint ? 1 : 0

  subnet_id          = var.connect_subnet_id
  security_group_ids = [aws_security_group.connect[0].id]
  preserve_client_ip = false

  tags = { Name = var.name }
}
