"""The profiler report, where SageMaker's own would be: HTML that needs no network, and JSON."""

import json
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from training.debugger.report import ISSUE, WORDS
from training.profiler.rules import Profile, bottleneck, findings, format_seconds
from training.profiler.system_metrics import CPU, GPU, GPU_MEMORY, PROCESS, WAITING
from training.reports import page, plots

FOLDER = Path("ProfilerReport", "profiler-output")
GB = 1e9


def write(folder: Path, profile: Profile) -> None:
    _write(folder / FOLDER, report_json(profile))


def write_none(folder: Path, why: str) -> None:
    """For a run that nobody profiled."""
    _write(folder / FOLDER, {"bottleneck": why, "rules": [], "state": "off"})


def _write(folder: Path, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / "profiler-report.json").write_text(text)
    (folder / "profiler-report.html").write_text(_html(content))


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


def _html(content: dict[str, Any]) -> str:
    headline = f'<div class="reading"><b>Bottleneck.</b> {escape(content["bottleneck"])}</div>'
    if content["state"] == "off":
        return page.document("Profiler report", [headline])
    return page.document(
        "Profiler report",
        [
            headline,
            _figures(content),
            page.section("Rules", "".join(map(_rule, content["rules"]))),
            page.section("A step's time", _steps(content)),
            page.section("Slowest operators", _operators(content)),
            page.section("Processors", _processors(content)),
            page.section("Memory", _memory(content)),
        ],
    )


def _figures(content: dict[str, Any]) -> str:
    step = sum(content["step_milliseconds"].values()) / 1e3
    issues = sum(rule["state"] == ISSUE for rule in content["rules"])
    figures = (
        (f"{content['steps']:,}", "steps"),
        (format_seconds(step), "a step"),
        (f"{content['seconds']['whole run']:.0f} s", "in all"),
        (str(issues), "issue found" if issues == 1 else "issues found"),
    )
    shown = "".join(f"<div><b>{escape(n)}</b>{escape(what)}</div>" for n, what in figures)
    return f'<div class="figures">{shown}</div>'


def _rule(finding: dict[str, Any]) -> str:
    words, colour = WORDS[finding["state"]]
    advice = f" <i>{escape(finding['advice'])}</i>" if finding["advice"] else ""
    return (
        f'<p><b>{escape(finding["rule"])}</b> <span style="color:{colour}">{words}</span><br>'
        f"{escape(finding['sentence'])}{advice}</p>"
    )


def _steps(content: dict[str, Any]) -> str:
    split, seconds = content["step_milliseconds"], content["seconds"]
    whole = sum(split.values())
    if not whole:
        return ""
    rows = [[name, f"{ms:.2f} ms", f"{ms / whole:.1%}"] for name, ms in split.items()]
    return "".join(
        [
            plots.bars({name: ms / whole for name, ms in split.items()}, "a step"),
            page.table(("phase", "mean of a step", "share"), rows),
            plots.lines({"": [(x, 1e3 * s) for x, s in content["step_seconds"]]}, "ms", "step"),
            page.table(("the run", ""), [[name, f"{s:.1f} s"] for name, s in seconds.items()]),
        ]
    )


def _operators(content: dict[str, Any]) -> str:
    if content["operators_missing"]:
        return f"<p>{escape(content['operators_missing'])}</p>"
    rows = [
        [
            operator["name"],
            operator["phase"],
            f"{operator['milliseconds']:.2f} ms",
            f"{operator['share']:.1%}",
            f"{operator['calls']:.1f}",
        ]
        for operator in content["operators"]
    ]
    heads = ("operator", "in", "of its own, a step", "share", "calls a step")
    return page.table(heads, rows) if rows else ""


def _processors(content: dict[str, Any]) -> str:
    usage = content["usage"]
    names = (CPU, PROCESS, WAITING, GPU)
    drawn = {name: usage[name] for name in names if usage.get(name)}
    return plots.lines(drawn, "percent", "seconds")


def _memory(content: dict[str, Any]) -> str:
    own = {"process": [(x, y / GB) for x, y in content["memory_bytes"]]}
    allocated = [(x, y / GB) for x, y in content["gpu_memory_bytes"]]
    used = [(x, y / GB) for x, y in content["usage"].get(GPU_MEMORY, [])]
    return plots.lines(own | ({"GPU": allocated} if allocated else {}), "GB", "step") + (
        plots.lines({"GPU, all of it": used}, "GB", "seconds") if used else ""
    )
