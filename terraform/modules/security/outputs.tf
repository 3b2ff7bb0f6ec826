output "host_security_group_id" {
  description = "Security group of the hosts."
  value       = aws_security_group.hosts.id
}

output "host_role_arn" {
  description = "Role of the hosts."
  value       = aws_iam_role.host.arn
}

output "instance_profile" {
  description = "Instance profile with that role."
  value       = aws_iam_instance_profile.host.name
}
