"""From distances and their thresholds to one number."""

from collections.abc import Mapping


def drift_score(distances: Mapping[str, float], thresholds: Mapping[str, float]) -> float:
    """Return the maximum over features of d / (d + t): 0 is no drift, 0.5 exactly the alarm.

    Args:
        distances: By feature, d; at least one.
        thresholds: Of the same features, t > 0.
    """
    return max(distance / (distance + thresholds[name]) for name, distance in distances.items())
