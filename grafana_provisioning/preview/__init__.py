"""Draws the dashboards without Grafana, from their JSON and a live Prometheus."""
