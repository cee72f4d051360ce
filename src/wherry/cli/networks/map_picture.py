"""The map as a picture: a line for each network, a column for each container.

Where a container is on a network, its column has a dot on that line with its address beside it;
a published port is a flag on top. It is plain SVG: no script, no font or file from elsewhere.
"""

from html import escape

from wherry.cli.networks.map_words import caption, owner_of
from wherry.client.documents import Document, children, text, texts

_LEFT, _TOP, _COLUMN, _ROW, _BOX = 230, 90, 190, 78, 46
_COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#a6761d")


def as_svg(drawn: Document) -> str:
    """The whole picture."""
    containers = children(drawn, "Containers")
    networks = [each for each in children(drawn, "Networks") if _is_used(each, containers)]
    width = _LEFT + _COLUMN * max(len(containers), 1) + 40
    height = _TOP + _BOX + _ROW * (len(networks) + 1)
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect x="0" y="0" width="{width}" height="{height}" fill="white"/>',
        _words(20, 30, f"{text(drawn, 'Host')}", size=16),
    ]
    rows = {}
    for number, network in enumerate(networks):
        rows[text(network, "Name")] = number
        pieces += _network(network, number, width)
    for number, container in enumerate(containers):
        pieces += _container(drawn, container, number, rows)
    return "\n".join([*pieces, "</svg>"])


def _is_used(network: Document, containers: list[Document]) -> bool:
    name = text(network, "Name")
    there = (text(each, "Network") for one in containers for each in children(one, "Endpoints"))
    return name not in ("host", "none") or name in there


def _network(network: Document, number: int, width: int) -> list[str]:
    level, colour = _level(number), _colour(number)
    return [
        f'<line x1="20" y1="{level}" x2="{width - 20}" y2="{level}" stroke="{colour}"'
        ' stroke-width="4"/>',
        _words(20, level - 10, text(network, "Name"), size=14, colour=colour),
        _words(20, level + 20, caption(network), size=11, colour="#555"),
    ]


def _container(
    drawn: Document, container: Document, number: int, rows: dict[str, int]
) -> list[str]:
    left = _LEFT + _COLUMN * number
    middle = left + (_COLUMN - 30) // 2
    pieces = []
    places = [each for each in children(container, "Endpoints") if text(each, "Network") in rows]
    if places:
        lowest = max(_level(rows[text(each, "Network")]) for each in places)
        pieces.append(
            f'<line x1="{middle}" y1="{_TOP + _BOX}" x2="{middle}" y2="{lowest}"'
            ' stroke="#888" stroke-width="1.5"/>'
        )
    for each in places:
        row = rows[text(each, "Network")]
        pieces.append(f'<circle cx="{middle}" cy="{_level(row)}" r="6" fill="{_colour(row)}"/>')
        for line, address in enumerate(texts(each, "Addresses")):
            pieces.append(_words(middle + 10, _level(row) - 8 + 24 * line, address, size=11))
    dashes = "" if text(container, "State") == "running" else ' stroke-dasharray="4 3"'
    pieces.append(
        f'<rect x="{left}" y="{_TOP}" width="{_COLUMN - 30}" height="{_BOX}" rx="5"'
        f' fill="#f6f6f6" stroke="#333"{dashes}/>'
    )
    pieces.append(_words(left + 8, _TOP + 19, text(container, "Name"), size=13))
    below = text(container, "Image")
    if text(container, "SharesNetworkOf"):
        below = f"in the network of {owner_of(drawn, container)}"
    pieces.append(_words(left + 8, _TOP + 36, below, size=10, colour="#555"))
    published = [each for each in texts(container, "Published") if "[" not in each]
    for line, port in enumerate(published[:3]):
        pieces.append(_words(left + 8, _TOP - 8 - 14 * line, port, size=11, colour="#b00"))
    return pieces


def _level(row: int) -> int:
    return _TOP + _BOX + _ROW * (row + 1) - 20


def _colour(row: int) -> str:
    return _COLOURS[row % len(_COLOURS)]


def _words(x: int, y: int, words: str, *, size: int, colour: str = "#111") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}">{escape(words)}</text>'
