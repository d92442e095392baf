"""A series of kernels as one SVG picture: how many watched fields each step added, removed and retyped, and how many there are."""

from __future__ import annotations

from html import escape

from holdfast.drift.series import changes, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.drift.series import Series

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 960, 420, 60, 60, 50
COLOURS = {"added": "#2b7bba", "removed": "#c0392b", "retyped": "#d9a400", "renumbered": "#7d3c98"}


def svg(series: Series) -> str:
    """The picture; it needs no script, no font and no network."""
    steps = [(short(s.new).partition("+")[0].partition("/")[0], changes(s), s.fields_new) for s in series.steps]
    most = max((sum(counts.values()) for _, counts, _ in steps), default=1) or 1
    fields = [n for _, _, n in steps] or [1]
    low, high = min(fields) * 0.95, max(fields) * 1.02
    step = (WIDTH - LEFT - 70) / max(len(steps), 1)
    floor, room = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    title = f"{short(series.snapshots[0].name)} to {short(series.snapshots[-1].name)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}: changes of watched kernel fields</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for i in range(5):
        y = floor - room * i / 4
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - 70}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{most * i / 4:.0f}</text>')
        parts.append(f'<text x="{WIDTH - 62}" y="{y + 4:.1f}" fill="#555555">{low + (high - low) * i / 4:.0f}</text>')
    points = []
    for i, (name, counts, total) in enumerate(steps):
        x, y = LEFT + step * i + step * 0.2, float(floor)
        for what, colour in COLOURS.items():
            height = room * counts[what] / most
            y -= height
            if height:
                parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{step * 0.6:.1f}" height="{height:.1f}" fill="{colour}">'
                    f"<title>{escape(name)}: {counts[what]} {what}</title></rect>"
                )
        middle = x + step * 0.3
        points.append(f"{middle:.1f},{floor - room * (total - low) / (high - low):.1f}")
        parts.append(f'<text x="{middle:.1f}" y="{floor + 18}" text-anchor="middle">{escape(name)}</text>')
    parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="#222222" stroke-width="1.5"/>')
    for i, (what, colour) in enumerate(COLOURS.items()):
        x = LEFT + i * 110
        parts.append(f'<rect x="{x}" y="16" width="12" height="12" fill="{colour}"/><text x="{x + 18}" y="27">{what}</text>')
    x = LEFT + len(COLOURS) * 110
    parts.append(
        f'<line x1="{x}" y1="22" x2="{x + 20}" y2="22" stroke="#222222"/><text x="{x + 26}" y="27">watched fields (right axis)</text>'
    )
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 14}" fill="#555555">each bar: what changed up to this kernel</text></svg>')
    return "\n".join(parts) + "\n"
