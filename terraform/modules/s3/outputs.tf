output "name" {
  description = "The bucket."
  value       = aws_s3_bucket.this.id
}

output "policy" {
  description = "The bucket policy."
  value       = local.policy
}
