output "api_urls" {
  description = "Where each model server answers those in allowed_web_cidr."
  value       = { for key in local.model_servers : key => "https://${local.addresses[key]}${local.https_port}" if can(var.web_ports.https) }
}

output "grafana_urls" {
  description = "Where Grafana answers those in allowed_web_cidr."
  value       = { for key in local.monitors : key => "https://${local.addresses[key]}${local.https_port}/grafana/" if can(var.web_ports.https) }
}

output "hosts" {
  description = "Instance id and addresses of each host."
  value       = module.ec2.instances
}

output "ssh_commands" {
  description = "How to log in to each host from allowed_ssh_cidr."
  value       = { for key, address in local.addresses : key => "ssh admin@${address}" }
}

output "tunnel_commands" {
  description = "How to log in through the EC2 Instance Connect Endpoint, while SSH is closed."
  value = var.instance_connect_endpoint ? {
    for key, instance in module.ec2.instances :
    key => "ssh -o ProxyCommand='aws ec2-instance-connect open-tunnel --instance-id %h --region ${var.aws_region}' admin@${instance.id}"
  } : {}
}

output "ansible_command" {
  description = "How to provision the hosts, from ansible/."
  value = join(" ", [
    "TF_VAR_project_name=${var.project_name} TF_VAR_environment=${var.environment} TF_VAR_aws_region=${var.aws_region}",
    "ansible-playbook --inventory ../inventory/aws_ec2.yml site.yml",
  ])
}

output "bucket" {
  description = "Bucket for models, predictions, labels, reports and backups."
  value       = module.s3.name
}

output "model_store" {
  description = "Model store in that bucket, for `python -m flask_app model` (SHILL_MODEL_STORE)."
  value       = "s3://${module.s3.name}/models"
}

output "profile_store" {
  description = "Store of profiles in that bucket, for `python -m flask_app profiles` (SHILL_PROFILE_STORE)."
  value       = "s3://${module.s3.name}/profiles"
}

output "log_group_prefix" {
  description = "Prefix of the log groups."
  value       = local.path
}

output "metrics_namespace" {
  description = "CloudWatch namespace of the hosts' metrics."
  value       = local.metrics_namespace
}

output "alert_topic_arn" {
  description = "SNS topic of the alerts."
  value       = module.operations.topic_arn
}

output "host_role_arn" {
  description = "IAM role of the hosts."
  value       = module.security.host_role_arn
}

output "bucket_policy" {
  description = "Policy of the bucket, as an auditor asks for it."
  value       = module.s3.policy
}

output "vpc_id" {
  description = "The VPC."
  value       = module.vpc.vpc_id
}

output "security_group_id" {
  description = "Security group of the hosts."
  value       = module.security.host_security_group_id
}

locals {
  model_servers = [for key, host in local.hosts : key if contains(host.roles, "model_servers")]
  monitors      = [for key, host in local.hosts : key if contains(host.roles, "monitoring")]
  addresses     = { for key, instance in module.ec2.instances : key => coalesce(instance.public_ip, instance.private_ip) }
}
