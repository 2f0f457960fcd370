"""The profiler report, where SageMaker's own would be: HTML that needs no network, and JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pages import charts
from pages.render import render
from training.debugger.report import ISSUE, STATES
from training.profiler.rules import Profile, bottleneck, findings, format_seconds
from training.profiler.system_metrics import CPU, GPU, GPU_MEMORY, PROCESS, WAITING

FOLDER = Path("ProfilerReport", "profiler-output")
GB = 1e9


def write(folder: Path, profile: Profile, origin: str) -> None:
    """`origin`: which job wrote it, and when."""
    _write(folder / FOLDER, report_json(profile), origin)


def write_none(folder: Path, why: str, origin: str) -> None:
    """For a run that nobody profiled."""
    _write(folder / FOLDER, {"bottleneck": why, "rules": [], "state": "off"}, origin)


def _write(folder: Path, content: dict[str, Any], origin: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / "profiler-report.json").write_text(text)
    (folder / "profiler-report.html").write_text(_html(content, origin))


def report_json(profile: Profile) -> dict[str, Any]:
    """profiler-report.json"""
    results = findings(profile)
    return {
        "state": "on",
        "bottleneck": bottleneck(profile, results),
        "rules": [asdict(result) for result in results],
        "steps": profile.steps,
        "seconds": {
            "whole run": round(profile.seconds, 3),
            "before the first step": round(profile.before_first, 3),
            "in steps": round(profile.in_steps, 3),
            "between epochs": round(profile.between, 3),
            "after the last step": round(profile.after_last, 3),
        },
        "step_milliseconds": {name: round(s * 1e3, 3) for name, s in profile.split.items()},
        "operators": [asdict(operator) for operator in profile.operators],
        "operators_missing": profile.trouble,
        "step_seconds": profile.step_seconds.points,
        "memory_bytes": profile.memory.points,
        "gpu_memory_bytes": profile.gpu_memory.points,
        "usage": {name: series.points for name, series in profile.usage.items()},
    }


def _html(content: dict[str, Any], origin: str) -> str:
    values = _values(content) if content["state"] == "on" else {}
    return render(
        "training/profiler.html.jinja",
        title="Profiler report",
        origin=origin,
        content=content,
        states=STATES,
        **values,
    )


def _values(content: dict[str, Any]) -> dict[str, Any]:
    split, usage = content["step_milliseconds"], content["usage"]
    whole = sum(split.values())
    shares = {name: ms / whole for name, ms in split.items() if whole}
    times = {"": [(x, 1e3 * s) for x, s in content["step_seconds"]]}
    drawn = {name: usage[name] for name in (CPU, PROCESS, WAITING, GPU) if usage.get(name)}
    return {
        "step": format_seconds(whole / 1e3),
        "issues": sum(rule["state"] == ISSUE for rule in content["rules"]),
        "phase_chart": charts.parts(shares, "a step"),
        "phases": [
            (name, f"{split[name]:.2f} ms", f"{share:.1%}") for name, share in shares.items()
        ],
        "steps": charts.lines(times, "ms", "step"),
        "run": [(name, f"{s:.1f} s") for name, s in content["seconds"].items()],
        "operators": [
            (
                operator["name"],
                operator["phase"],
                f"{operator['milliseconds']:.2f} ms",
                f"{operator['share']:.1%}",
                f"{operator['calls']:.1f}",
            )
            for operator in content["operators"]
        ],
        "processors": charts.lines(drawn, "percent", "seconds"),
        "memory": _memory(content),
    }


def _memory(content: dict[str, Any]) -> list[Any]:
    own = {"process": content["memory_bytes"], "GPU": content["gpu_memory_bytes"]}
    used = {"GPU, all of it": content["usage"].get(GPU_MEMORY, [])}
    both = ((own, "GB", "step"), (used, "GB, all of the GPU", "seconds"))
    made = [charts.lines(_gigabytes(series), title, below) for series, title, below in both]
    return [chart for chart in made if chart]


def _gigabytes(series: dict[str, Any]) -> dict[str, charts.Points]:
    return {name: [(x, y / GB) for x, y in points] for name, points in series.items()}
