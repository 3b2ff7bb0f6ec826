# Warnings, not errors: each may be meant so.

check "somebody_is_told" {
  assert {
    condition     = length(var.alert_emails) > 0
    error_message = "Nobody is told of alarms, nor of a budget that is spent: add an address to alert_emails, or subscribe somebody else to the topic (output alert_topic_arn)."
  }
}

check "who_reaches_the_ports" {
  assert {
    condition     = !contains(var.allowed_web_cidr, "0.0.0.0/0")
    error_message = "The whole world reaches ports ${join(" and ", values(var.web_ports))}. Leave it so only for an API that is meant to be public; its keys stay on (model_server_authentication), and pages for people behind the edge's login."
  }
}
