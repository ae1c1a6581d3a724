"""Opens a report in a real browser and says what must hold for every report, whatever it shows."""

import json
import subprocess
from pathlib import Path

from embedded import ROOT

# Kept by the CI, never in the repository.
SCREENSHOTS = ROOT / ".stedi" / "screenshots"


def check(page: Path, name: str) -> dict:
    """What inspect.mjs saw, after the checks: no error, no request, no finding of axe, usable by keyboard at every size."""
    node, script = ROOT / "node_modules" / ".bin" / "node", ROOT / "local" / "tests" / "browser" / "inspect.mjs"
    command = [node, script, page, SCREENSHOTS, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["requests"] == []
    assert len(seen["views"]) == 4
    for view in seen["views"]:
        assert view["errors"] == [], view["name"]
        assert view["violations"] == [], view["name"]
        assert view["overflow"] <= 0, f"{view['name']} is {view['overflow']} pixels wider than the screen"
        assert view["firstFocus"] == "Skip to content", view["name"]
        assert view["toggled"] is not False, f"{view['name']}: Enter does not open the table of a chart"
        assert (SCREENSHOTS / f"{view['name']}.png").stat().st_size > 10_000
        for chart in view["charts"]:
            assert chart["shapes"] > 1, f"{view['name']}: {chart['id']} is empty"
            assert len(chart["label"]) > 40, f"{view['name']}: {chart['id']} has no words for people who do not see it"
    light, dark = ({v["background"] for v in seen["views"] if v["name"].endswith(scheme)} for scheme in ("light", "dark"))
    assert light.isdisjoint(dark)
    return seen
