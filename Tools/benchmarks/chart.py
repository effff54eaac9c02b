"""A bar chart of a benchmark's ratios, as SVG."""

import math
from html import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 900, 340, 70, 20, 64
FASTER, SLOWER, LINE, TEXT = "#2a7f62", "#b5483a", "#8a8a8a", "#222222"


def draw(results, means, caption):
    """One bar a case, from 1 to the best peer's time over Carousel's, on a logarithmic scale."""
    results = [result for result in results if "ratio" in result]
    low = min([0.5, *(result["ratio"] for result in results)])
    high = max([2, *(result["ratio"] for result in results)])
    span = math.log(high / low)

    def x(ratio):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ratio / low) / span

    height = TOP + ROW * len(results) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' font-family="sans-serif" font-size="12" fill="{TEXT}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        '<text x="10" y="20" font-size="15">Time of the best peer / time of Carousel</text>',
        f'<text x="10" y="38" font-size="10">{escape(caption)}</text>',
    ]
    if means:
        text = ", ".join(f"{mode} {mean:.2f}" for mode, mean in means.items())
        parts.append(f'<text x="10" y="54" font-size="11">geometric mean: {escape(text)}</text>')
    bottom = TOP + ROW * len(results)
    tick = 2.0 ** math.ceil(math.log2(low))
    while tick <= high:
        weight = 1.5 if tick == 1 else 0.5
        parts.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{bottom}"'
            f' stroke="{LINE}" stroke-width="{weight}"/>'
            f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        )
        tick *= 2
    for row, result in enumerate(results):
        ratio, y = result["ratio"], TOP + ROW * row
        begin, end = sorted((x(1), x(ratio)))
        color = FASTER if ratio >= 1 else SLOWER
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(result["name"])}</text>'
            f'<rect x="{begin:.1f}" y="{y + 3}" width="{end - begin:.1f}" height="{ROW - 6}"'
            f' fill="{color}"/>'
            f'<text x="{end + 5:.1f}" y="{y + 14}">{ratio:.2f}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
