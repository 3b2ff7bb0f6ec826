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
