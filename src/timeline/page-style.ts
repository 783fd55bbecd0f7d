/** Style of the report page: one column on a phone, light and dark, outcomes told by word and pattern, not colour alone. */
export const pageStyle = `
:root { color-scheme: light dark; --ink: #1c2430; --faint: #66707d; --paper: #fff; --line: #d8dde3; --track: #f1f3f6;
  --ok: #2f7d5b; --bad: #b3372f; --late: #9c600c; --gone: #8a93a0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --faint: #9aa5b3; --paper: #14181e; --line: #323a45; --track: #1e242c;
    --ok: #5cbf93; --bad: #ef7b72; --late: #e0a445; --gone: #77818e; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .25rem; }
h3 { font-size: .9rem; font-weight: 600; color: var(--faint); margin: 1rem 0 .25rem; }
p { margin: .25rem 0 .75rem; } .faint { color: var(--faint); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } .scroll { overflow-x: auto; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
pre { overflow-x: auto; background: var(--track); padding: .75rem; font-size: .8rem; border-radius: 4px; }
svg { max-width: 100%; height: auto; } .narrow { display: none; }
@media (max-width: 40rem) { .wide { display: none; } .narrow { display: block; } }
footer { margin-top: 2.5rem; font-size: .85rem; overflow-wrap: anywhere; }
.waterfall { list-style: none; margin: 0; padding: 0; }
.waterfall li { padding: .3rem 0; border-bottom: 1px solid var(--line); }
.what { display: flex; flex-wrap: wrap; gap: 0 .75rem; font-size: .85rem; }
.stage { font-weight: 600; min-width: 6rem; } .where { color: var(--faint); overflow-wrap: anywhere; flex: 1 1 10rem; }
.means { flex: 0 0 auto; }
.outcome { white-space: nowrap; font-variant-numeric: tabular-nums; }
.track { position: relative; height: .6rem; margin-top: .2rem; background: var(--track); border-radius: 2px; }
.bar { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: 2px; background: var(--ok); }
.failed .bar { background: var(--bad); } .deadline .bar { background: var(--late); }
.abandoned .bar, .running .bar { background: repeating-linear-gradient(135deg, var(--gone) 0 4px, transparent 4px 7px); }
.cut::after { content: '\\25b6'; position: absolute; right: -.15rem; top: 50%; transform: translateY(-50%); font-size: .75rem;
  line-height: 1; color: var(--ink); }
.failed .outcome { color: var(--bad); } .deadline .outcome { color: var(--late); } .ok .outcome { color: var(--ok); }
.says { font-size: .85rem; margin: .15rem 0 0; overflow-wrap: anywhere; }
`;
