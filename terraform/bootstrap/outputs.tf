output "bucket" {
  description = "Bucket of the states."
  value       = module.state.name
}

output "backend" {
  description = "What ../backend.tf must say; `terraform init` is then given the key, one an environment."
  value       = <<-EOT
    terraform {
      backend "s3" {
        bucket       = "${module.state.name}"
        region       = "${var.aws_region}"
        encrypt      = true
        use_lockfile = true
      }
    }
  EOT
}

output "deployer_policy_arn" {
  description = "Policy for the users and roles that deploy."
  value       = aws_iam_policy.this["deployer"].arn
}

output "github_role_arns" {
  description = "Roles for the repository's workflows, see docs/cicd.md."
  value       = { for key, role in aws_iam_role.github : key => role.arn }
}
