output "topic_arn" {
  description = "Topic of the alerts."
  value       = aws_sns_topic.alerts.arn
}
