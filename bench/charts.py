"""Charts as SVG, for docs/images: bars in groups, on a scale of powers of ten."""
import html
import math
from dataclasses import dataclass

LEFT, WIDTH, GAP, TOP = 230, 560, 10, 64


@dataclass
class Bar:
    value: float  # more than 0
    colour: str
    label: str    # stands at its end


def text(x, y, words, more=""):
    return '<text x="%.1f" y="%.1f"%s>%s</text>' % (x, y, more, html.escape(words))


def bars(title, legend, groups, margin=60, bar=9):
    """Of a title, of (label, colour) and of (what, Bars) the picture.

    margin is for the labels of the longest bars, bar the height of one.
    """
    values = [b.value for _, group in groups for b in group]
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** max(math.ceil(math.log10(max(values))), math.floor(math.log10(min(values))) + 1)

    def x(value):
        return LEFT + WIDTH * math.log10(value / low) / math.log10(high / low)

    height = TOP + sum(bar * len(group) + GAP for _, group in groups) + 34
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">' % (
        LEFT + WIDTH + margin, height),
        '<rect width="100%" height="100%" fill="white"/>', text(10, 20, title, ' font-size="14"')]
    at = LEFT
    for label, colour in legend:
        out.append('<rect x="%d" y="32" width="10" height="10" fill="%s"/>' % (at, colour) + text(at + 14, 41, label))
        at += 34 + 6 * len(label)
    power = low
    while power <= high * 1.001:
        out.append('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/>' % (x(power), x(power), TOP - 6, height - 26) +
                   text(x(power), height - 12, "{:,.12g}".format(power), ' text-anchor="middle"'))
        power *= 10
    y = TOP
    for what, group in groups:
        out.append(text(LEFT - 8, y + bar * len(group) / 2 + 4, what, ' text-anchor="end"'))
        for b in group:
            end = max(x(b.value), LEFT + 1)
            out.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' % (LEFT, y, end - LEFT, bar - 1, b.colour) +
                       text(end + 3, y + bar / 2 + 3.5, b.label, ' font-size="9"'))
            y += bar
        y += GAP
    out.append("</svg>")
    return "\n".join(out) + "\n"
