"""A page as one HTML file that needs nothing else: no script, no network; in light, in dark, on paper.

The policy in its head forbids scripts and requests, also where a browser would allow them.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tidemill.core.printable import html_text
from tidemill.drawing.style_sheet import FONTS, drawing_rules
from tidemill.drawing.theme import variables

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
# What all pages share. Colours are the variables of the theme.
_STYLE = f"""\
*{{box-sizing:border-box}}
body{{margin:0;color:var(--ink);background:var(--paper);font:15px/1.5 {FONTS}}}
main,footer{{max-width:70rem;margin:0 auto;padding:2rem 1.5rem 0}}
footer{{color:var(--soft);font-size:.85rem;padding:2.5rem 1.5rem 3rem}}
h1{{font-size:1.65rem;line-height:1.2;margin:0 0 .6rem;overflow-wrap:anywhere}}
h2{{font-size:1.15rem;line-height:1.3;margin:0 0 .4rem;overflow-wrap:anywhere}}
h3{{font-size:1rem;margin:1.1rem 0 .3rem;overflow-wrap:anywhere}}
p{{margin:.35rem 0;overflow-wrap:anywhere}}
ul{{margin:.3rem 0;padding-left:1.1rem}}li{{margin:.2rem 0;overflow-wrap:anywhere}}
li::marker{{color:var(--soft)}}
a{{color:var(--blue);text-decoration:none}}a:hover,a:focus-visible{{text-decoration:underline}}
:focus-visible{{outline:2px solid var(--focus);outline-offset:2px}}
.soft{{color:var(--soft);font-size:.9rem}}
.state{{border-left:4px solid var(--blue);background:var(--panel);padding:.6rem 1rem;margin:0 0 1rem}}
.card{{border:1px solid var(--frame);border-radius:.5rem;padding:.9rem 1.1rem;min-width:0}}
.cards{{display:grid;gap:1rem;margin:1rem 0;\
grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr))}}
dl{{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem 1.25rem;margin:.6rem 0}}
dt{{color:var(--soft)}}dd{{margin:0;overflow-wrap:anywhere}}
.wide{{overflow-x:auto;margin:.6rem 0}}
table{{border-collapse:collapse;font-size:.92rem}}
caption{{text-align:left;color:var(--soft);padding:.2rem 0}}
th,td{{text-align:left;vertical-align:top;padding:.3rem 1.2rem .3rem 0;max-width:28rem;\
border-bottom:1px solid var(--frame);font-variant-numeric:tabular-nums;overflow-wrap:break-word}}
th{{color:var(--soft);font-weight:500}}thead th,.n{{white-space:nowrap}}.n{{text-align:right}}
code,pre{{font:.88em/1.45 {_MONO}}}code{{overflow-wrap:break-word}}
pre{{background:var(--panel);border:1px solid var(--frame);border-radius:.3rem;margin:.5rem 0;\
padding:.5rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere}}
.command{{user-select:all}}
@media print{{main,footer{{max-width:none;padding:0}}footer{{padding-top:1.5rem}}
.wide{{overflow:visible}}table{{font-size:.8rem}}th,td,thead th,.n{{white-space:normal;padding-right:.7rem}}
h2,h3,caption{{break-after:avoid}}.card,tr,svg{{break-inside:avoid}}}}
"""


def html_file(
    *, title: str, body: str, about: str, css: str = "", made: float | None = None
) -> str:
    """The file: `body` is HTML, `css` what its page adds to the shared style sheet.

    Its last line says what it is `about`, and when it was `made` (Unix seconds), if that is known. It follows
    the reader's system in light or dark, and is light on paper.
    """
    rules = _STYLE + css + (drawing_rules(body) if "<svg" in body else "")
    light, dark = (variables(dark=scheme, used_in=rules) for scheme in (False, True))
    footer = html_text(f"{about}; made {moment_text(made)}" if made is not None else about)
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="{html_text(_POLICY)}">
<title>{html_text(title)}</title>
<style>
:root{{color-scheme:light dark;{light}}}
@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}
@media print{{:root{{color-scheme:light}}}}
{rules}</style>
</head>
<body>
{body}
<footer>{footer}</footer>
</body>
</html>
"""


def moment_text(at: float) -> str:
    """A Unix time in UTC, to the minute; the seconds of one beyond the calendar."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OSError, OverflowError, ValueError):
        return f"{at:.0f} s"
