"""docs/performance.svg: seconds by size of data, on two logarithmic scales."""

from pathlib import Path

from bench.contestants import FULL, LAKEHOUSE, LIMIT, NAIVE, NEW, NOTHING, WITHDRAWN
from bench.figures import Figures

# Readable on white and on black: no background, and tones from the middle.
INK = "#808080"
LINES = {
    (LAKEHOUSE, FULL): ("lakehouse, full run", "#2f81f7", "o"),
    (NAIVE, FULL): ("naive Spark", "#e5701a", "s"),
    (LIMIT, FULL): ("DuckDB", "#1a9a4c", "^"),
}
LATER = {
    (LAKEHOUSE, FULL): LINES[LAKEHOUSE, FULL],
    (LAKEHOUSE, NEW): ("1 % new data", "#a561e8", "D"),
    (LAKEHOUSE, WITHDRAWN): ("1 % withdrew consent", "#d6457a", "v"),
    (LAKEHOUSE, NOTHING): ("nothing new", "#8a8f00", "x"),
}


def draw(file: Path, figures: Figures) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    colours = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color")
    # A fixed salt and no date: the same figures give the same file.
    settings = {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11}
    with pyplot.rc_context(settings | dict.fromkeys(colours, INK)):
        figure, (whole, later) = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
        _panel(whole, figures, LINES, "Full run, session starts included")
        _panel(later, figures, LATER, "Incremental runs, session starts included")
        starts = 5 * figures.session_seconds
        later.axhline(starts, color=INK, linestyle=":", linewidth=1)
        later.annotate("five session starts", (figures.scales[0], starts), xytext=(0, -12), textcoords="offset points")
        whole.set_ylabel("seconds")
        figure.savefig(file, transparent=True, metadata={"Date": None})
        pyplot.close(figure)


def _panel(axes, figures: Figures, lines: dict, title: str) -> None:
    for (name, scenario), (label, colour, marker) in lines.items():
        points = [
            (scale, figures.runs[name, scenario, scale].seconds)
            for scale in figures.scales
            if (name, scenario, scale) in figures.runs
        ]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker)
    axes.set(xscale="log", yscale="log", title=title, xlabel="size of the data")
    axes.set_xticks(figures.scales, [f"{scale}x" for scale in figures.scales])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.4)
    axes.legend(frameon=False, labelcolor=INK)
