"""A candidate that refuses more, or is slower, than the server in production is found out."""

import pytest

from roles.model_server.files.canary import Answers, is_slower, refuses


def metrics(
    *, answered: int = 100, refused: int = 0, slow: int = 0, route: str = "/predict"
) -> str:
    """What /metrics says after so many answers, of which `slow` took more than a second."""
    labels = f'method="POST",route="{route}",status='
    name = "shill_http_request_duration_seconds"
    return "\n".join(
        [
            "# TYPE shill_http_request_duration_seconds histogram",
            f'{name}_count{{{labels}"200"}} {answered}.0',
            f'{name}_count{{{labels}"413"}} {refused}.0',
            f'{name}_bucket{{le="0.01",{labels}"200"}} {answered + refused - slow}.0',
            f'{name}_bucket{{le="1.0",{labels}"200"}} {answered + refused}.0',
            f'shill_predictions_total{{model_version="v",outcome="shill"}} {answered / 4}',
            f'shill_predictions_total{{model_version="v",outcome="honest"}} {answered * 3 / 4}',
        ]
    )


def test_it_reads_what_predictions_were_answered_with() -> None:
    answers = Answers.of(metrics(answered=90, refused=10))
    assert answers.told() == {
        "requests": 100,
        "refused": 0.1,
        "p95_seconds": 0.01,
        "flagged": 0.25,
    }


def test_other_routes_do_not_count() -> None:
    assert Answers.of(metrics(route="/health")).total == 0


def test_only_what_came_since_the_beginning_counts() -> None:
    since = Answers.of(metrics(answered=90, refused=10)) - Answers.of(metrics(answered=80))
    assert (since.total, since.refused) == (20, 0.5)


@pytest.mark.parametrize(
    ("candidate", "found"),
    [
        ({}, ""),
        ({"answered": 99, "refused": 1}, ""),
        ({"answered": 16, "refused": 4}, ""),
        ({"answered": 95, "refused": 5}, "5.0% of the candidate's answers are no success"),
        ({"slow": 4}, ""),
        ({"slow": 6}, "95 % of the candidate's answers take up to 1 s"),
    ],
    ids=["as good", "hardly worse", "by chance", "refuses", "hardly slower", "slower"],
)
def test_a_candidate_that_is_worse_is_found_out(candidate: dict[str, int], found: str) -> None:
    both = Answers.of(metrics(**candidate)), Answers.of(metrics())
    told = refuses(*both) or is_slower(*both)
    assert told.startswith(found)
    assert bool(told) == bool(found)
