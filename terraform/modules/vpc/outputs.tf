output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "host_subnet_ids" {
  description = "Subnet for hosts of each zone, by its letter."
  value       = { for zone in var.zones : zone => local.private ? aws_subnet.private[zone].id : aws_subnet.public[zone].id }

  # A host's public address can be associated only once the VPC has its gateway.
  depends_on = [aws_internet_gateway.this]
}
