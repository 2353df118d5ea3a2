"""How the page looks: one style sheet, system fonts, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Mapping

from caduceus.report.palette import DARK, LIGHT


def _tokens(palette: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())


_BASE = """
*,*::before,*::after{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth;scroll-padding-top:1.5rem}
body{margin:0;background:var(--paper);color:var(--ink);font:400 1rem/1.6 var(--sans);font-variant-numeric:lining-nums;
 overflow-wrap:break-word}
h1,h2,h3,h4{font-family:var(--serif);font-weight:600;line-height:1.2;text-wrap:balance;margin:0}
h2{font-size:clamp(1.75rem,1.3rem + 2vw,2.6rem);letter-spacing:-.012em}
h3{font-size:1.45rem;letter-spacing:-.006em}
h4{font:600 .95rem/1.35 var(--sans)}
p{margin:0 0 .8em;max-width:68ch;text-wrap:pretty}
a{color:var(--link);text-underline-offset:.18em;text-decoration-thickness:.06em}
code{font:.86em/1.4 var(--mono);color:var(--soft);white-space:nowrap}
:focus-visible{outline:2px solid var(--federated);outline-offset:2px;border-radius:3px}
.unseen{position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.skip{position:absolute;left:-99rem;top:.5rem;background:var(--card);padding:.5rem 1rem;z-index:3}
.skip:focus{left:.5rem}
.dash{color:var(--soft)}
.dash small{font-size:.88em}
.num{font-variant-numeric:tabular-nums lining-nums}
.soft{color:var(--soft)}
"""

_FRAME = """
.page{max-width:1200px;margin:0 auto;padding:0 clamp(1rem,3vw,2rem) 4rem;display:grid;
 grid-template-columns:minmax(0,1fr)}
.mast{display:flex;align-items:center;gap:.7rem;padding:1.4rem 0 1.1rem;border-bottom:1px solid var(--line);
 margin-bottom:1.6rem}
.mast svg{width:26px;height:30px;flex:none}
.mast h1{font-size:1.02rem;font-weight:600;letter-spacing:0}
.mast p{margin:0 0 0 auto;color:var(--soft);font-size:.85rem;text-align:right}
nav{font-size:.88rem}
nav h2{font:600 .74rem/1.4 var(--sans);letter-spacing:.09em;text-transform:uppercase;color:var(--soft);
 margin:0 0 .6rem}
nav ol{list-style:none;margin:0;padding:0}
nav a{color:var(--soft);text-decoration:none;display:block;padding:.2rem 0}
nav a:hover{color:var(--ink)}
nav a.here{color:var(--ink);font-weight:600}
nav .title{color:var(--ink);font-weight:600}
nav ol ol{margin:0 0 .9rem}
nav details{margin:0 0 .9rem}
nav summary{font-size:.82rem;padding:.1rem 0}
@media (max-width:1079px){
 nav{margin-bottom:2rem;padding-bottom:1rem;border-bottom:1px solid var(--line)}
 nav ol ol{display:flex;flex-wrap:wrap;gap:0 1rem}
}
@media (min-width:1080px){
 .page{grid-template-columns:11.5rem minmax(0,1fr);column-gap:3.4rem}
 .mast,footer{grid-column:1/-1}
 nav{position:sticky;top:0;align-self:start;max-height:100vh;overflow:auto;padding:.6rem 0 1rem}
 nav ol ol{border-left:1px solid var(--line);padding-left:.8rem}
}
main{min-width:0}
main>article+article{margin-top:5rem;padding-top:3rem;border-top:3px double var(--line)}
article>section,.overview{margin-top:3.4rem}
article>section>h3,.overview h2{margin-bottom:.7rem;padding-top:.9rem;border-top:1px solid var(--line)}
.overview h2{font-size:1.45rem}
.overview{margin-top:0;margin-bottom:4rem}
.eyebrow{font-size:.82rem;color:var(--soft);margin:0 0 .5rem;max-width:none}
.lede{font:400 1.18rem/1.5 var(--serif);margin:.7rem 0 1.4rem;max-width:60ch}
.lead{color:var(--soft);margin-bottom:1.2rem}
footer{margin-top:4rem;padding-top:1.1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.85rem}
"""

_PARTS = """
.verdict{display:flex;gap:1rem;align-items:flex-start;padding:1.05rem 1.25rem;border-radius:10px;border:1px solid;
 margin:0 0 1.1rem}
.verdict svg{width:34px;height:34px;flex:none;margin-top:.1rem}
.verdict strong{display:block;font:600 1.28rem/1.3 var(--serif)}
.verdict p{margin:.15rem 0 0;color:var(--ink)}
.verdict.good{background:var(--good-wash);border-color:var(--good);color:var(--good)}
.verdict.bad{background:var(--bad-wash);border-color:var(--bad);color:var(--bad)}
.verdict.open{background:var(--open-wash);border-color:var(--open);color:var(--open)}
.tiles{display:flex;flex-wrap:wrap;margin:0;background:var(--card);
 border:1px solid var(--line);border-radius:10px;overflow:hidden}
.tiles>div{flex:1 1 9.6rem;padding:1rem 1.05rem 1.05rem;box-shadow:1px 0 0 var(--line),0 1px 0 var(--line)}
.tiles dt{font-size:.82rem;color:var(--soft)}
.tiles dd{margin:0}
.tiles .big{font:500 clamp(1.7rem,1.4rem + 1vw,2.15rem)/1.2 var(--serif);font-variant-numeric:lining-nums;
 letter-spacing:-.01em;display:block;margin:.1rem 0 .3rem}
.tiles small{display:block;font-size:.83rem;line-height:1.45;color:var(--soft)}
.source{max-width:75ch}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(15.5rem,1fr));gap:.9rem 2rem;margin:0}
.facts+details{margin-top:.9rem}
.facts dt{font-size:.8rem;color:var(--soft)}
.facts dd{margin:0;font-size:.95rem;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,16rem),1fr));gap:1rem}
.site{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem 1.1rem 1.05rem;
 overflow-wrap:anywhere}
.site h4{font:600 1.1rem/1.3 var(--serif);margin-bottom:.1rem}
.site .seat{font-size:.8rem;color:var(--soft);margin:0 0 .7rem}
.site dl{margin:0;display:grid;gap:.28rem;font-size:.88rem}
.site dl div{display:flex;justify-content:space-between;gap:1rem;border-top:1px solid var(--grid);padding-top:.28rem}
.site dt{color:var(--soft);flex:0 1 auto}
.site dd{margin:0;text-align:right;flex:0 0 auto;max-width:62%}
figure{margin:0 0 1.4rem;background:var(--card);border:1px solid var(--line);border-radius:10px;
 padding:1.1rem 1.2rem 1rem;min-width:0}
figcaption{font-size:.85rem;line-height:1.5;color:var(--soft);margin-top:.7rem;max-width:75ch}
figure h4{margin-bottom:.5rem}
.two{display:grid;gap:1.2rem;margin-bottom:1.8rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr))}
.two>figure{margin:0}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.35rem 1.5rem;padding:0;margin:0 0 1rem;font-size:.87rem}
.legend li{display:flex;align-items:center;gap:.5rem}
.legend svg{width:16px;height:16px;flex:none}
.tag{font-size:.74rem;line-height:1.5;padding:0 .45em;border:1px solid var(--line);border-radius:4px;
 color:var(--soft);white-space:nowrap}
details{margin:0 0 1.2rem}
summary{cursor:pointer;color:var(--link);font-size:.92rem;padding:.35rem 0}
.promise{font:400 1.08rem/1.55 var(--serif)}
.answer{margin-top:2.2rem}
.answer h4{font:600 1.1rem/1.3 var(--serif);margin-bottom:.2rem}
.says{list-style:none;margin:0;padding:0;max-width:75ch}
.says li{padding:.6rem 0 .6rem 1.5rem;border-top:1px solid var(--grid);position:relative}
.says li::before{content:"";position:absolute;left:.15rem;top:1.2rem;width:.5rem;height:2px;background:var(--soft)}
.sum{display:flex;gap:.7rem;align-items:baseline;font-size:1rem;margin:0 0 .5rem}
.sum:last-of-type{margin-bottom:1.3rem}
.sum b{font-weight:600}
.mark{font-weight:700;white-space:nowrap}
.mark.good,.word.proven,.word.re-executed{color:var(--good)}
.mark.bad{color:var(--bad)}
.mark.open,.word.not-checked{color:var(--open)}
.word{display:inline-block;font-size:.8rem;line-height:1.5;font-weight:600;padding:.05rem .6rem;
 border:1px solid currentColor;border-radius:99px;white-space:nowrap}
.word.signed,.word.attested{color:var(--signed)}
.word.proven,.word.re-executed{background:var(--good-wash)}
.word.not-checked{border-style:dashed}
.words{display:grid;gap:.5rem 1.5rem;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));margin:1.4rem 0 0;
 font-size:.85rem}
.words dd{margin:.25rem 0 0;color:var(--soft)}
.claim{font-weight:600}
.why{display:block;font-weight:400;font-size:.86rem;color:var(--soft);overflow-wrap:anywhere}
.story{list-style:none;margin:0;padding:0 0 0 1.35rem;border-left:2px solid var(--line)}
.story>li{position:relative;padding:0 0 1rem}
.story>li::before{content:"";position:absolute;left:calc(-1.35rem - 6px);top:.5em;width:10px;height:10px;
 border-radius:50%;background:var(--federated);border:2px solid var(--paper)}
.story .at{font-size:.82rem;color:var(--soft);font-variant-numeric:tabular-nums}
.story .what{font-weight:600}
.story details{margin:0}
.story ol{list-style:none;margin:.2rem 0 0;padding:0;font-size:.88rem}
.path{counter-reset:step;list-style:none;margin:0;padding:0}
.path li{counter-increment:step;position:relative;padding:0 0 1rem 2.6rem}
.path li::before{content:counter(step);position:absolute;left:0;top:.05rem;width:1.7rem;height:1.7rem;
 border-radius:50%;background:var(--chain);border:1px solid var(--chain-line);font:600 .82rem/1.6rem var(--sans);
 text-align:center}
.path li:not(:last-child)::after{content:"";position:absolute;left:.82rem;top:1.95rem;bottom:.1rem;width:1px;
 background:var(--chain-line)}
.path b{display:block}
.path span{color:var(--soft);font-size:.92rem}
"""

_TABLES = """
.scroll{overflow-x:auto;margin:0 0 1.2rem}
table{border-collapse:collapse;width:100%;font-size:.89rem;line-height:1.4}
.scroll.tall{max-height:34rem;overflow:auto;border:1px solid var(--line);border-radius:10px;background:var(--card);
 padding:0 1rem}
.tall thead th{position:sticky;top:0;background:var(--card);padding-top:.6rem}
.tall tfoot th,.tall tfoot td{position:sticky;bottom:0;background:var(--card);box-shadow:0 -1.5px 0 var(--line)}
.tall caption{padding-top:.7rem}
caption{text-align:left;font-size:.85rem;color:var(--soft);padding-bottom:.6rem;caption-side:top}
caption>span{display:block;position:sticky;left:0;max-width:min(75ch,calc(100vw - 3.4rem))}
th,td{padding:.42rem .75rem .42rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--grid)}
th:last-child,td:last-child{padding-right:0}
thead th{font-weight:600;font-size:.8rem;color:var(--soft);border-bottom:1.5px solid var(--line);
 vertical-align:bottom;line-height:1.3}
tbody th{font-weight:500;min-width:8rem;overflow-wrap:anywhere}
tfoot th,tfoot td{border-bottom:0;border-top:1.5px solid var(--line);font-weight:600}
th.num,td.num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums lining-nums}
td.main{font-weight:650;color:var(--federated)}
td.bar{padding-top:.2rem;padding-bottom:.2rem;vertical-align:middle;width:42%;min-width:130px}
td.bar svg{display:block;width:100%;height:22px}
.pays td.bar{width:22%;min-width:110px;vertical-align:top}
.pays td:last-child{width:43%}
.pays tbody th{min-width:4rem}
.lane{display:inline-flex;align-items:center;gap:.45rem;white-space:nowrap}
.lane svg{width:16px;height:16px;flex:none}
.weights td.bar{padding-top:0;padding-bottom:0}
.weights td.bar svg{height:32px}
th.pivot,td.pivot{text-align:center}
th.index{min-width:0;white-space:nowrap;font-variant-numeric:tabular-nums lining-nums}
th button{all:unset;cursor:pointer;font:inherit;color:inherit}
th button:hover{color:var(--ink)}
th button:focus-visible{outline:2px solid var(--federated)}
th[aria-sort] button{color:var(--ink)}
th[aria-sort=ascending] button::after{content:" \\2191"}
th[aria-sort=descending] button::after{content:" \\2193"}
@media (min-width:720px){.gas tbody th{white-space:nowrap}}
@media screen and (max-width:719px){
 .stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
 .stack,.stack tbody,.stack tr,.stack th,.stack td{display:block}
 .stack tr{border-bottom:1px solid var(--line);padding:.7rem 0}
 .stack th,.stack td{border:0;padding:.15rem 0}
 .stack caption{display:block}
 .stack td[data-label]::before{content:attr(data-label) ": ";color:var(--soft)}
 .minor,.mast p{display:none}
 figure{padding:.8rem .8rem .75rem}
 .two{grid-template-columns:minmax(0,1fr)}
 td.bar{min-width:110px}
}
"""

_CHARTS = """
svg{overflow:visible}
svg text{font-family:var(--sans);font-size:12px;fill:var(--ink);font-variant-numeric:tabular-nums lining-nums}
svg .s{fill:var(--soft);font-size:11px}
svg .b{font-weight:600}
svg .w{font-weight:400}
svg .h{font-weight:600;font-size:13px}
svg .e{text-anchor:end}
svg .m{text-anchor:middle}
.chart{display:block;width:100%;height:auto}
.strip{display:block;width:100%;height:10px;margin:0 0 .6rem}
.l-grid{stroke:var(--grid);stroke-width:1}
.staff{stroke:var(--soft);stroke-width:2;stroke-linecap:round}
.snake{stroke:var(--federated);stroke-width:1.8;stroke-linecap:round;fill:none}
.sign{stroke:var(--card);stroke-width:3;stroke-linecap:round;stroke-linejoin:round;fill:none}
.l-axis{stroke:var(--line);stroke-width:1}
.l-soft{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3;fill:none}
.l-arm{stroke:var(--line);stroke-width:2.5;stroke-linecap:round}
.l-thin{stroke:var(--line);stroke-width:.7}
.o-ring{fill:none;stroke:var(--local);stroke-width:.9}
.l-flow{stroke:var(--soft);stroke-width:1.4;fill:none}
.l-pay{stroke:var(--site);stroke-width:1.8;fill:none}
.l-back{stroke:var(--buyer);stroke-width:1.8;fill:none}
.f-soft{fill:var(--soft)}.f-line{fill:var(--line)}.f-sunk{fill:var(--sunk)}.f-grid{fill:var(--grid)}
.f-federated{fill:var(--federated)}.f-local{fill:var(--local)}.f-pooled{fill:var(--pooled)}
.f-moments{fill:var(--moments)}.f-training{fill:var(--training)}.f-evaluation{fill:var(--evaluation)}
.f-up{fill:var(--up)}.f-down{fill:var(--down)}
.f-good{fill:var(--good)}.f-bad{fill:var(--bad)}.f-open{fill:var(--open)}
.f-buyer{fill:var(--buyer)}.f-site{fill:var(--site)}.f-fee{fill:var(--fee)}.f-other{fill:var(--soft)}
svg text.t-good{fill:var(--good)}svg text.t-bad{fill:var(--bad)}svg text.t-open{fill:var(--open)}
.f-chain{fill:var(--chain);stroke:var(--chain-line);stroke-width:1}
.f-box{fill:var(--paper);stroke:var(--line);stroke-width:1}
.f-dot{fill:var(--federated);fill-opacity:.62;stroke:var(--federated);stroke-width:1}
.o-federated{fill:var(--federated);stroke:var(--card);stroke-width:1}
.o-local{fill:var(--card);stroke:var(--local);stroke-width:2}
.o-pooled{fill:var(--card);stroke:var(--pooled);stroke-width:1.6}
.o-out{fill:var(--card);stroke:var(--bad);stroke-width:1.6}
.l-cost{stroke:var(--federated);stroke-width:2;fill:none;stroke-linejoin:round}
.l-err{stroke:var(--ink);stroke-width:1.3;fill:none}
.f-bar{fill:var(--federated);fill-opacity:.55}
.f-cell{fill:var(--federated)}
.o-withheld{fill:var(--card);stroke:var(--open);stroke-width:1.4}
.f-withheld{fill:var(--open-wash);stroke:var(--open);stroke-width:1;stroke-dasharray:3 2}
.c-curve{stroke-width:2;fill:none;stroke-linejoin:round}
.c-band{stroke:none;fill-opacity:.16}
.c-2{stroke-dasharray:7 3}.c-3{stroke-dasharray:2 3}.c-4{stroke-dasharray:9 3 2 3}
.c-curve.c-0{stroke:var(--federated)}.c-curve.c-1{stroke:var(--up)}.c-curve.c-2{stroke:var(--buyer)}
.c-curve.c-3{stroke:var(--moments)}.c-curve.c-4{stroke:var(--ink)}
.c-band.c-0,.c-dot.c-0{fill:var(--federated)}.c-band.c-1,.c-dot.c-1{fill:var(--up)}
.c-band.c-2,.c-dot.c-2{fill:var(--buyer)}.c-band.c-3,.c-dot.c-3{fill:var(--moments)}
.c-band.c-4,.c-dot.c-4{fill:var(--ink)}
.c-curve.c-end{stroke-width:6;stroke-opacity:.28;stroke-dasharray:none}
.j-consensus{fill:var(--federated)}
.j-readmitted{fill:var(--buyer)}
.j-dropped{fill:var(--card);stroke:var(--moments);stroke-width:1.8}
.j-vetoed{fill:none;stroke:var(--bad);stroke-width:2.4;stroke-linecap:round}
.j-copied{fill:none;stroke:var(--fee);stroke-width:2.2;stroke-linecap:round}
.j-stale{fill:var(--card);stroke:var(--ink);stroke-width:1.4}
.j-absent{fill:var(--soft)}
.j-void{fill:none;stroke:var(--soft);stroke-width:1.6;stroke-linecap:round}
.j-out{fill:var(--bad)}
.z-kept{fill:none}.z-readmitted{fill:var(--open-wash)}.z-left{fill:var(--sunk)}.z-harm{fill:var(--bad-wash)}
.l-median{stroke:var(--soft);stroke-width:1.2}
.l-floor{stroke:var(--bad);stroke-width:1.3;stroke-dasharray:4 3}
.l-bar{stroke:var(--buyer);stroke-width:1.6;stroke-dasharray:4 3}
.l-equal{stroke:var(--ink);stroke-width:1.4;vector-effect:non-scaling-stroke}
.ribbon{fill-opacity:.32}
g.row:hover .ribbon,path.ribbon:hover{fill-opacity:.55}
g.row .hit{fill:transparent}
g.row:hover .hit{fill:var(--sunk)}
.wide{display:none}
@media (min-width:760px){.wide{display:block}.narrow{display:none}
 .path.narrow{display:block;position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}}
"""

_PRINT = """
@media print{
 @page{margin:16mm 14mm}
 html{font-size:10.5pt}
 body{background:none}
 nav,.skip{display:none}
 .page{display:block;max-width:none;padding:0}
 figure,.verdict,.tiles,.site,tr,.story>li{break-inside:avoid}
 h2,h3,h4,caption,.lead{break-after:avoid}
 main>article+article{break-before:page;border:0;margin-top:0}
 .scroll,.scroll.tall{overflow:visible;max-height:none;border:0;padding:0}
 .tall thead th,.tall tfoot th,.tall tfoot td{position:static}
 a{color:inherit;text-decoration:none}
 figure.tall{break-inside:auto}
 tfoot{display:table-row-group}
 .wide{display:block}
 .narrow,.path.narrow{display:none}
}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
"""

STYLE = (
    ":root{color-scheme:light dark;"
    '--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","Liberation Sans",Arial,sans-serif;'
    '--serif:"Iowan Old Style","Palatino Linotype",Palatino,"URW Palladio L",P052,"Book Antiqua",Georgia,serif;'
    '--mono:ui-monospace,"SF Mono","Cascadia Mono",Menlo,Consolas,"Liberation Mono",monospace;'
    f"{_tokens(LIGHT)}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_tokens(DARK)}}}}}"
    f"{_BASE}{_FRAME}{_PARTS}{_TABLES}{_CHARTS}{_PRINT}"
)
"""The whole style sheet. It holds no address, so nothing can be fetched by it."""
