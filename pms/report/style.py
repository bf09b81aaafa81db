"""The look of a report's page, light and dark."""

CSS = """
:root{--bg:#fbfaf8;--card:#fff;--ink:#22262b;--soft:#6d747c;--line:#e6e3dd;--mid:#8a929b;--order:#c98a1b;--good:#1d7a4f;
--bad:#b3402f;--buy:#0f7f8c;--sell:#b4513d;--accent:#3d5a80}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e7e5e0;--soft:#98a0a8;--line:#2d3238;
--mid:#79828b;--order:#e0a93e;--good:#5cc08f;--bad:#e5806f;--buy:#4cc0cc;--sell:#e58a72;--accent:#8fb3e0}}
*{box-sizing:border-box}
body{margin:0 auto;padding:40px 32px 64px;max-width:1520px;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",sans-serif;
font-variant-numeric:tabular-nums}
header{display:flex;align-items:baseline;gap:20px;flex-wrap:wrap}
h1{font-size:30px;font-weight:650;letter-spacing:-.02em;margin:0}
header p,footer,small{color:var(--soft)}header p{margin:0}
h2{font-size:18px;font-weight:620;margin:44px 0 12px;letter-spacing:-.01em}
h2::first-letter{text-transform:uppercase}h2 small{font-size:13px;font-weight:400;margin-left:8px}
p{margin:0 0 14px;max-width:90ch}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:14px;margin-top:26px}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px}
.card h3{margin:0;font-size:13px;font-weight:500;color:var(--soft)}
.card strong{display:block;font-size:27px;font-weight:620;letter-spacing:-.02em;line-height:1.35}
.card span{font-size:12.5px;color:var(--soft)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-size:12.5px;white-space:nowrap}
th,td{padding:7px 6px;text-align:right;border-bottom:1px solid var(--line)}
tbody tr:last-child>*{border-bottom:0}thead th{font-weight:500;color:var(--soft);font-size:11.5px}
th.word,td.word,tbody th{text-align:left}
th:first-child,td:first-child{padding-left:14px}
th:last-child,td:last-child{padding-right:14px}tbody th{font-weight:550}
tr.week>*{color:var(--soft)}tr.all>*{font-weight:620}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
td a{display:inline-block;max-width:16ch;overflow:hidden;text-overflow:ellipsis;vertical-align:bottom}
.good{color:var(--good)}.bad{color:var(--bad)}.buy{color:var(--buy)}.sell{color:var(--sell)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:16px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px 8px}
figcaption{display:flex;justify-content:space-between;gap:16px;font-size:13px;font-weight:550;margin-bottom:6px}
.legend{font-weight:400;color:var(--soft);font-size:12px}
.key{display:inline-block;width:14px;height:3px;border-radius:2px;margin:0 6px 3px 14px;vertical-align:middle}
.key.mid{background:var(--mid)}.key.order{background:var(--order)}.key.plan{background:var(--mid)}
.key.filled{background:var(--accent)}
.key.maker,.key.taker{width:9px;height:9px;border-radius:50%;border:2px solid var(--soft)}
.key.maker{background:var(--soft)}
svg{display:block;width:100%;height:auto;overflow:visible}
.grid{stroke:var(--line);stroke-width:1}.tick,svg .word{fill:var(--soft);font-size:11px}
.tick.y,svg .word{text-anchor:end}
svg .word{paint-order:stroke;stroke:var(--card);stroke-width:5px;stroke-linejoin:round}
.tick.x{text-anchor:middle}
polyline,path{fill:none;stroke-linejoin:round}.mid{stroke:var(--mid);stroke-width:1.4}
.order{stroke:var(--order);stroke-width:1.8}.plan{stroke:var(--mid);stroke-width:1.4;stroke-dasharray:2 4}
.filled,.equity{stroke:var(--accent);stroke-width:2}
.arrival{stroke:var(--soft);stroke-width:1;stroke-dasharray:6 5;opacity:.7}
circle{stroke-width:2}circle.buy{stroke:var(--buy);fill:var(--buy)}circle.sell{stroke:var(--sell);fill:var(--sell)}
circle.taker{fill:var(--card)}
footer{margin-top:48px;font-size:13px;max-width:95ch}
@media print{body{padding:0}section{break-inside:avoid}}
"""
