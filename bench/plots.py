"""Plots, drawn by gnuplot as SVG."""

import dataclasses
import statistics
import subprocess

COLOURS = ("#1f5fa8", "#c4501b", "#2f8a4c", "#7b4ea3")


@dataclasses.dataclass
class Curve:
    name: str
    points: list  # pairs: x, the samples there


def plot(bench, file, title, x_title, y_title, curves, settings=""):
    """Writes FILE.svg: medians, joined, with bars from minimum to maximum where they differ."""
    blocks, drawn = [], []
    for i, curve in enumerate(curves):
        lines = [f"{x} {statistics.median(ys)} {min(ys)} {max(ys)}" for x, ys in curve.points]
        blocks.append(f"$curve{i} << END\n" + "\n".join(lines) + "\nEND")
        colour = COLOURS[i % len(COLOURS)]
        name = f'title "{curve.name}"' if curve.name else "notitle"
        drawn.append(f'$curve{i} using 1:2 with lines linecolor "{colour}" linewidth 1.5 {name}')
        if len(curve.points) <= 20:
            drawn.append(f'$curve{i} using 1:2:3:4 with yerrorbars pointtype 7 pointsize 0.5 '
                         f'linecolor "{colour}" notitle')
    script = f"""set terminal svg size 800,480 noenhanced font "sans-serif,13" background "white"
set output "{bench.results}/{file}.svg"
set title "{title}"
set xlabel "{x_title}"
set ylabel "{y_title}"
set grid linecolor "#dddddd"
set border 3
set tics nomirror
set yrange [0:]
set decimalsign "."
{"set format y '%.0s%c'" if "events/s" in y_title else ""}
{"set format x '%.0s%c'" if x_title.startswith("events") else ""}
{settings}
{"set yrange [*:*]" if "logscale xy" in settings else ""}
""" + "\n".join(blocks) + "\nplot " + ", ".join(drawn) + "\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
