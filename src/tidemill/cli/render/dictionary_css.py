"""The style sheet of the data dictionary, for light and dark mode, print and narrow screens."""

STYLE = """\
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --line: #dfe4ea;
  --ground: #ffffff; --panel: #f6f8fa; --accent: #0b6477; --alarm: #9a3412; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ef; --soft: #9aa7b5; --line: #303a46; --ground: #12171d;
    --panel: #1a2129; --accent: #6cc5d6; --alarm: #f2a779; } }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--ground);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
a { color: var(--accent); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
code { font: 0.875em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: break-word; }
.skip { position: absolute; left: -999em; }
.skip:focus { left: 1rem; top: 1rem; background: var(--ground); padding: 0.5rem; }
.layout { display: grid; grid-template-columns: 15rem minmax(0, 1fr); max-width: 88rem;
  margin: 0 auto; }
nav { position: sticky; top: 0; align-self: start; max-height: 100vh; overflow-y: auto;
  padding: 2rem 1.25rem; font-size: 0.9rem; }
nav ol { list-style: none; margin: 0.5rem 0 0; padding: 0; }
nav li { padding: 0.15rem 0; }
nav .kind { color: var(--soft); font-size: 0.8rem; }
main { padding: 2rem 2.5rem 5rem; min-width: 0; border-left: 1px solid var(--line); }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 0.25rem; }
h2 { font-size: 1.35rem; margin: 3.5rem 0 0.25rem; padding-top: 1.25rem;
  border-top: 1px solid var(--line); scroll-margin-top: 1rem; }
h2 .kind { font-size: 0.9rem; font-weight: 400; color: var(--soft); }
p { margin: 0.4rem 0; max-width: 46rem; }
.about { font-size: 1.02rem; }
.where, .soft { color: var(--soft); font-size: 0.9rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.15rem 1.25rem;
  margin: 0.75rem 0; font-size: 0.92rem; }
dt { color: var(--soft); } dd { margin: 0; }
.wide { overflow-x: auto; margin: 1rem 0 1.5rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
caption { text-align: left; font-weight: 600; padding: 0.35rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 1rem 0.4rem 0;
  border-bottom: 1px solid var(--line); font-weight: 400; }
thead th { color: var(--soft); font-size: 0.8rem; border-bottom-width: 2px; white-space: nowrap; }
tbody th { white-space: nowrap; } tbody th code { font-weight: 600; }
.mark { display: inline-block; border: 1px solid var(--line); background: var(--panel);
  border-radius: 0.75rem; padding: 0 0.5rem; font-size: 0.78rem; white-space: nowrap; }
.personal { border-color: var(--alarm); color: var(--alarm); }
@media (max-width: 60rem) {
  .layout { display: block; } main { border: 0; padding: 1rem 1.25rem 4rem; }
  nav { position: static; max-height: none; padding: 1.25rem 1.25rem 0; } }
@media print { nav, .skip { display: none; } .layout { display: block; }
  main { border: 0; padding: 0; } .wide { overflow: visible; } h2 { break-after: avoid; } }
"""
