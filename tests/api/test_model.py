"""The API against a model of it: whatever is asked in whatever order, it answers what a few lists in memory would.

Here in short. DRIVE_TEST_MODEL_STEPS=10000 takes so many steps, and looks for the shortest way to what diverges.
"""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS
from hypothesis.stateful import initialize, run_state_machine_as_test
from support.model.bundles import BODY, BundleRules
from support.model.files import FileRules
from support.model.folders import FolderRules
from support.model.history import HistoryRules
from support.model.running import Running
from support.model.tus import TusRules
from support.model.uploads import UploadRules
from support.model.values import OWNERS
from support.model.wishes import WISH, Wish

MANY = "DRIVE_TEST_MODEL_STEPS"
STEPS = int(os.environ.get(MANY, "200"))
STEPS_OF_A_RUN = 50

# By itself, Hypothesis makes five runs of six by copying parts of the one before over others: the same steps again and
# again. This draws each anew.
AVAILABLE_PROVIDERS["anew"] = AVAILABLE_PROVIDERS["hypothesis"]


class ApiMachine(UploadRules, TusRules, HistoryRules, FileRules, FolderRules, BundleRules):
    """Everything that two accounts and their readers can do."""

    @initialize(bodies=st.tuples(BODY, BODY), wishes=st.tuples(*[WISH] * 12))
    def begin(self, bodies: tuple[dict[str, str], ...], wishes: tuple[Wish, ...]) -> None:
        """Give both a bundle, files, and uploads to go on with."""
        for account, body in zip(OWNERS, bodies, strict=True):
            self.create_bundle(account, body)
        for number, wish in enumerate(wishes):
            account = OWNERS[number % 2]
            if number < 8:
                self.upload_directly(account, wish, is_form=False)
            elif number < 10:
                self.create(account, wish, chunk_size=7)
            else:
                self.create_by_tus(account, wish, first=None)


@pytest.mark.timeout(0)
def test_the_api_is_what_its_model_is(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drive.bundles.passcodes._COST", 2)  # guessing a passcode may be cheap here
    with asyncio.Runner() as runner:
        opened = Running.opened(database_url, redis_url, tmp_path / "storage")
        running = runner.run(opened.__aenter__())
        try:
            machine = type("Machine", (ApiMachine,), {"runner": runner, "running": running})
            run_state_machine_as_test(machine, settings=_settings())
        finally:
            runner.run(opened.__aexit__(None, None, None))
    assert running.steps >= STEPS


def _settings() -> settings:
    """Return how far to go: always the same ways, and some more runs than steps need, as a few are cut short."""
    return settings(
        backend="anew",
        max_examples=STEPS // STEPS_OF_A_RUN + 1,
        stateful_step_count=STEPS_OF_A_RUN,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink] if MANY in os.environ else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
