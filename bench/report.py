"""Writes what was measured: a table in Markdown, and a chart."""
import os
import platform
import subprocess
from html import escape


def machine():
    """What the numbers were measured on, in a line."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    with open("/etc/os-release") as file:
        system = dict(line.strip().split("=", 1) for line in file if "=" in line).get("PRETTY_NAME", "").strip('"')
    return "%d processors (%s), %.0f GiB of memory, %s, Linux %s" % (
        os.cpu_count(), model, memory, system, platform.release().split("-")[0])


def version(*args):
    lines = subprocess.run(args, capture_output=True, text=True).stdout.splitlines()
    return lines[0] if lines else "unknown"


def table(meter, steps, sides, ours):
    """A row for each step, a column for each side: seconds on the clock, and processor seconds behind them; the ratio is theirs to ours."""
    lines = ["| | %s |" % " | ".join(sides), "|---|%s" % ("---:|" * len(sides))]
    for step in steps:
        mine = meter.median(ours, step, "wall")
        cells = []
        for side in sides:
            wall = meter.median(side, step, "wall")
            if wall is None:
                cells.append("—")
                continue
            text = "%.2f s (%.1f)" % (wall, meter.median(side, step, "cpu"))
            cells.append("**%s**" % text if side == ours else text + (", %.2f ×" % (wall / mine) if mine else ""))
        lines.append("| %s | %s |" % (step, " | ".join(cells)))
    for step in steps:
        if any(meter.median_size(side, step) for side in sides):
            lines.append("| stored after the %s | %s |" % (step, " | ".join(
                "—" if meter.median_size(side, step) is None else "%.1f MB" % (meter.median_size(side, step) / 1e6) for side in sides)))
    lines.append("| largest process | %s |" % " | ".join("%.0f MB" % (meter.largest(side) / 1e6) if meter.largest(side) else "—" for side in sides))
    return "\n".join(lines)


COLOURS = ["#2563eb", "#f59e0b", "#10b981", "#a1a1aa", "#8b5cf6"]


def chart(title, meter, steps, sides):
    """Bars of seconds, grouped by step. Text is dark on white, so that it reads the same on a dark page."""
    left, width, bar, gap = 150, 560, 16, 18
    groups = [(step, [(side, meter.median(side, step, "wall")) for side in sides if meter.median(side, step, "wall") is not None])
              for step in steps]
    groups = [(step, bars) for step, bars in groups if bars]
    # The slowest may be ten times as slow as the rest, which would leave nothing of the others to see.
    longest = sorted(value for _, bars in groups for _, value in bars)
    full = max(longest[0], longest[max(0, int(len(longest) * 0.85) - 1)] * 1.15)
    height = 84 + sum(len(bars) * bar + gap for _, bars in groups)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="840" height="%d" viewBox="0 0 840 %d" role="img" font-family="system-ui, sans-serif" '
           'font-size="12">' % (height, height), "<title>%s</title>" % escape(title), '<rect width="840" height="%d" fill="#ffffff"/>' % height,
           '<text x="16" y="26" font-size="15" font-weight="600" fill="#111827">%s</text>' % escape(title)]
    x = 16
    for number, side in enumerate(sides):
        out.append('<rect x="%d" y="40" width="11" height="11" rx="2" fill="%s"/><text x="%d" y="50" fill="#374151">%s</text>' % (
            x, COLOURS[number], x + 16, escape(side)))
        x += 34 + 7 * len(side)
    y = 72
    for step, bars in groups:
        out.append('<text x="%d" y="%.1f" text-anchor="end" fill="#111827">%s</text>' % (left - 10, y + len(bars) * bar / 2 + 4, escape(step)))
        for side, value in bars:
            length = min(value / full, 1) * width
            cut = ' <tspan fill="#6b7280">(bar cut)</tspan>' if value > full else ""
            out.append('<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/><text x="%.1f" y="%.1f" fill="#374151">%.1f s%s</text>' % (
                left, y, max(length, 1), bar - 3, COLOURS[sides.index(side)], left + length + 5, y + bar - 5, value, cut))
            y += bar
        y += gap
    return "\n".join(out + ["</svg>", ""])
