output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "host_subnet_ids" {
  description = "Subnets for hosts, one a zone, in the zones' order."
  value       = [for zone in local.zones : local.private ? aws_subnet.private[zone].id : aws_subnet.public[zone].id]
}
