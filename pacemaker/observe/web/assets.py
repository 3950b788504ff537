"""The style and the script of the pages."""

from __future__ import annotations

from typing import Final

STYLE: Final = """\
:root{color-scheme:light dark;--fg:#1a1a1a;--bg:#fff;--mute:#595959;--line:#d0d0d0;
--bad:#b00020;--warn:#7a4d00;--link:#0b57a4}
@media(prefers-color-scheme:dark){:root{--fg:#e6e6e6;--bg:#151515;--mute:#a8a8a8;
--line:#3a3a3a;--bad:#ff8a80;--warn:#ffcc66;--link:#8ab8ff}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);
margin:0 auto;padding:0 1rem 2rem;max-width:90rem}
a{color:var(--link)}
a:focus-visible,.t:focus-visible{outline:3px solid var(--link);outline-offset:2px}
h1{font-size:1.25rem;margin:.8rem 0 .2rem}
h2{font-size:1rem;margin:1rem 0 .3rem}
.s{font-size:1.1rem;font-weight:600;margin:.3rem 0;overflow-wrap:anywhere}
.m,footer{color:var(--mute);font-size:.9rem;margin:.2rem 0}
.b{color:var(--bad)}.w{color:var(--warn)}
.t{overflow-x:auto;margin-top:1rem}
table{border-collapse:collapse;white-space:nowrap}
caption{text-align:left;font-weight:600;padding:.2rem 0}
th,td{padding:.2rem .6rem;border-bottom:1px solid var(--line);text-align:left;
max-width:22rem;overflow:hidden;text-overflow:ellipsis}
th{font-size:.8rem;font-weight:600}
.n{text-align:right;font-variant-numeric:tabular-nums}
ul{margin:.2rem 0;padding-left:1.2rem}
li,pre{overflow-wrap:anywhere;white-space:pre-wrap}
.g{display:flex;flex-wrap:wrap;gap:0 2rem}
.g section{flex:1 1 20rem;min-width:0}
svg{width:90px;height:18px;display:block}
svg path{fill:none;stroke:var(--link);stroke-width:1.5}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;background:var(--bg)}
"""

SCRIPT: Final = """\
'use strict';
// Refreshes the page in place.  The page is complete without this script.
(function () {
  const every = 5000;
  const note = document.getElementById('live');
  let timer = 0;
  function say(text) {
    if (note.textContent !== text) note.textContent = text;
  }
  // What has the focus, so that `refocus` can find the same link or table again.
  function focused() {
    const at = document.activeElement;
    if (!at || !at.closest('main')) return null;
    const href = at.getAttribute('href');
    const all = [...document.querySelectorAll('main a, main .t')];
    return {href: href, label: at.getAttribute('aria-label'), place: all.indexOf(at)};
  }
  function refocus(was) {
    if (!was) return;
    const all = [...document.querySelectorAll('main a, main .t')];
    const same = all.find(function (each) {
      return was.href !== null ? each.getAttribute('href') === was.href
        : each.getAttribute('aria-label') === was.label;
    });
    const next = same || all[Math.min(was.place, all.length - 1)];
    if (next) next.focus({preventScroll: true});
  }
  function scrolls() {
    return [...document.querySelectorAll('main .t')].map(function (each) {
      return each.scrollLeft;
    });
  }
  async function refresh() {
    try {
      const reply = await fetch(location.href, {cache: 'no-store'});
      if (!reply.ok) throw new Error('status ' + reply.status);
      const text = await reply.text();
      const fresh = new DOMParser().parseFromString(text, 'text/html');
      const main = fresh.querySelector('main');
      const old = document.querySelector('main');
      // Do not replace selected text: the user may be about to copy it.
      if (main && old && getSelection().isCollapsed) {
        const was = focused();
        const left = scrolls();
        old.replaceChildren(...main.childNodes);
        document.querySelectorAll('main .t').forEach(function (each, place) {
          each.scrollLeft = left[place] || 0;
        });
        refocus(was);
        document.title = fresh.title;
      }
      say('refreshed every 5 s');
    } catch (error) {
      say('not refreshed: observe does not answer');
    }
    plan();
  }
  function plan() {
    clearTimeout(timer);
    if (document.hidden) say('paused while hidden');
    else timer = setTimeout(refresh, every);
  }
  document.addEventListener('visibilitychange', function () {
    if (document.hidden) plan();
    else refresh();
  });
  say('refreshed every 5 s');
  plan();
})();
"""
