"""Writes the dashboards: `python -m grafana_provisioning`."""

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana_provisioning.dashboards import host, model, service
from grafana_provisioning.names import DASHBOARDS


def render(dashboard: Dashboard) -> str:
    """The dashboard as JSON, the same for the same dashboard."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write each dashboard to `dashboards/<uid>.json`."""
    for module in (model, service, host):
        dashboard = module.build()
        (DASHBOARDS / f"{dashboard.uid}.json").write_text(render(dashboard))


if __name__ == "__main__":
    main()
