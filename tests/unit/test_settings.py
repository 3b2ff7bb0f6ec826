"""Settings come from the environment, and every mistake in it is told."""

from pathlib import Path

import pytest

from flask_app.cli import main
from flask_app.commands.settings import page
from flask_app.errors import SettingError
from flask_app.settings import Settings

ROOT = Path(__file__).parents[2]


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({"PATH": "/bin"}) == Settings()


def test_values_take_the_type_of_their_default() -> None:
    settings = Settings.from_environment(
        {"SHILL_WORKERS": "3", "SHILL_LOG_DIR": "/logs", "SHILL_RELOAD_SECONDS": "0.5"}
    )
    assert (settings.workers, settings.log_dir) == (3, Path("/logs"))
    assert settings.reload_seconds == 0.5


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SHILL_WORKER", "3", "SHILL_WORKER is not a setting: did you mean SHILL_WORKERS?"),
        ("SHILL_WORKERS", "many", "SHILL_WORKERS='many' is not of type int: correct or unset it"),
        ("SHILL_WORKERS", "0", "SHILL_WORKERS='0' is below the minimum 1: raise it"),
        ("SHILL_LOG_DIR", "", "SHILL_LOG_DIR is empty: set it to a directory, or unset it"),
        (
            "SHILL_MAX_INFLIGHT_BYTES",
            "8000000",
            "SHILL_MAX_INFLIGHT_BYTES=8000000 is below SHILL_MAX_BODY_BYTES=8388608: raise it",
        ),
        ("SHILL_PORT", "8000", "SHILL_PORT is not a setting: did you mean SHILL_"),
        ("SHILL_LOG_RETENTION_DAYS", "nan", "SHILL_LOG_RETENTION_DAYS='nan' is not finite"),
        ("SHILL_LOG_LEVEL", "loud", "SHILL_LOG_LEVEL='loud' is unknown: choose one of debug, info"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings.from_environment({variable: value})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("service", ["SHILL", "SHILL_MODEL"])
def test_what_kubernetes_sets_for_a_service_of_our_name_is_passed_over(service: str) -> None:
    links = {
        "SERVICE_HOST": "10.0.0.7",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "PORT": "tcp://10.0.0.7:8000",
        "PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "PORT_8000_TCP_PROTO": "tcp",
        "PORT_8000_TCP_PORT": "8000",
        "PORT_8000_TCP_ADDR": "10.0.0.7",
    }
    environment = {f"{service}_{name}": value for name, value in links.items()}
    assert Settings.from_environment(environment) == Settings()


def test_a_store_in_s3_is_looked_at_less_often() -> None:
    assert Settings().look_seconds("models") == 2
    assert Settings().look_seconds("s3://bucket/models") == 30


def test_the_page_of_settings_is_up_to_date() -> None:
    """Else: python -m flask_app settings > docs/settings.md."""
    assert (ROOT / "docs" / "settings.md").read_text() == page()


def test_the_command_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    assert capsys.readouterr().out == page()
