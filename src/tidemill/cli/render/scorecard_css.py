"""The style sheet of scorecards, for light and dark mode, print and narrow screens."""

STYLE = """\
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --line: #dfe4ea;
  --ground: #ffffff; --panel: #f6f8fa; --good: #23692f; --bad: #a3293a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ef; --soft: #9aa7b5; --line: #303a46; --ground: #12171d;
    --panel: #1a2129; --good: #7ccf87; --bad: #ff9aa6; } }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 0.25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0; }
p { margin: 0.25rem 0; }
.soft { color: var(--soft); font-size: 0.9rem; }
.cards { display: grid; gap: 1rem; margin-top: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
section { border: 1px solid var(--line); border-radius: 0.5rem; background: var(--panel);
  padding: 1rem 1.25rem; min-width: 0; }
.value { font-size: 1.9rem; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.2; }
.value span { font-size: 0.85rem; font-weight: 500; white-space: nowrap; }
.met { color: var(--good); } .missed { color: var(--bad); }
.tm-drawing { display: block; margin: 0.75rem 0; }
ul { margin: 0.5rem 0; padding-left: 1.1rem; font-size: 0.92rem; }
li { overflow-wrap: anywhere; }
.next { font-size: 0.92rem; border-top: 1px solid var(--line); padding-top: 0.5rem; }
code { font: 0.875em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
.changes { margin-top: 1rem; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.92rem; width: max-content; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 1.2rem 0.3rem 0; max-width: 20rem;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 500; } .n { text-align: right; }
@media print { .cards { display: block; } section { break-inside: avoid; margin-bottom: 1rem; } }
"""
