"""What dashboards, alerts and roles must call by the same name or measure by the same number."""

from pathlib import Path

DASHBOARDS = Path(__file__).parent / "dashboards"

MODEL, SERVICE, HOST = "shill-model", "shill-service", "shill-host"

# The role puts its host's address in the place of this.
REPORTS_URL = "http://127.0.0.1:8001"

# The drift job runs every 30 minutes: after two late or lost runs, its numbers are stale.
STALE_SECONDS = 95 * 60
LATE_SECONDS = 40 * 60
# The job that ships runs every 15 minutes.
UNSHIPPED_SECONDS = 45 * 60
MINIMUM_ROWS = 200
# F1 this far below the baseline is too low; what so few labels say is chance.
F1_TOLERANCE = 0.05
MINIMUM_LABELS = 100
# SLO, over 30 days: share of requests that must not fail, and share of predictions in time.
AVAILABILITY = 0.999
IN_TIME = 0.99
IN_TIME_SECONDS = 0.025
# Burn rates at which a 1 h and a 6 h window wake somebody.
FAST_BURN, SLOW_BURN = 14.4, 6.0
