"""What Grafana shows: dashboards generated in Python and committed as JSON, and their data source.

`python -m grafana_provisioning` writes `dashboards/*.json` anew, `... .check` asks a Prometheus
whether every panel finds data, and `... .preview` draws the dashboards without Grafana.
"""
