output "application_id" {
  description = "EMR Serverless application that jobs are submitted to."
  value       = aws_emrserverless_application.this.id
}

output "job_role_arn" {
  description = "IAM role of the jobs."
  value       = aws_iam_role.job.arn
}
