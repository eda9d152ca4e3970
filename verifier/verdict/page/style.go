package page

// style is the page's look. Every colour is a variable of the two lists at the
// beginning; the tests compute their contrast. Nothing in it is fetched.
const style literal = colours + layout + tables + narrow + wide + paper

const colours = `
:root{color-scheme:light dark;--page:#f4f6f8;--card:#ffffff;--text:#18202a;--dim:#515c6b;--line:#cfd6de;
--ok:#0b6138;--ok-soft:#e2f3e9;--bad:#a01220;--bad-soft:#fce8e8;--wait:#694600;--wait-soft:#fbf0d5;
--link:#0a4a9e;--mark:#7a0c18;--mark-soft:#ffd3d0;--cut:#ffffff}
@media screen and (prefers-color-scheme:dark){
:root{--page:#11151b;--card:#1a2029;--text:#e9edf2;--dim:#aab4c2;--line:#38424f;
--ok:#71d8a0;--ok-soft:#13301f;--bad:#ff9f9a;--bad-soft:#3c181a;--wait:#f0c76a;--wait-soft:#342a12;
--link:#93c0ff;--mark:#ffc9c5;--mark-soft:#6a1f24;--cut:#11151b}
}
`

const layout = `
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;overflow-wrap:anywhere}
main,footer{max-width:76rem;margin:0 auto;padding:0 1rem}
h1,h2,h3,p,dl,dd,ul,ol{margin:0}
h1{font-size:2.25rem;line-height:1.15;letter-spacing:-.01em}
h2{font-size:1.375rem;line-height:1.3;margin-bottom:.25rem}
h3{font-size:1rem;line-height:1.4}
a{color:var(--link);text-underline-offset:.15em}
a:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:2px}
section{margin-top:2.5rem}
section>p{color:var(--dim);max-width:46rem;margin-bottom:1rem}
section>p strong{color:var(--text)}
code,.value,.id{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.8125rem}
.none{color:var(--dim);font-style:italic;font-family:system-ui,sans-serif}
.code{border:1px solid var(--line);border-radius:3px;padding:0 .2em;margin:0 .1em;color:var(--bad);white-space:nowrap}
mark{background:var(--mark-soft);color:var(--mark);text-decoration:underline;text-underline-offset:.2em;border-radius:2px}
.sign{width:1em;height:1em;flex:none;vertical-align:-.125em}
.fill{fill:currentColor}
.cut{fill:none;stroke:var(--cut);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.ring{fill:none;stroke:currentColor;stroke-width:2}
.broken{stroke-dasharray:3 2.5}
.badge{font-weight:600;font-size:.875rem;white-space:nowrap}
.badge .sign{margin-right:.375em}
.whole{white-space:nowrap}
.badge.ok,.id.ok{color:var(--ok)}
.badge.bad,.id.bad{color:var(--bad)}
.badge.wait,.id.wait{color:var(--wait)}
.badge.gone{color:var(--dim)}
.id{font-weight:600}
.verdict{display:flex;gap:1.25rem;margin-top:1.5rem;padding:1.75rem;background:var(--card);border:1px solid var(--line);border-left:.5rem solid;border-radius:.5rem}
.verdict>.sign{width:3.25rem;height:3.25rem}
.verdict>div{flex:1;min-width:0}
.verdict.ok{border-left-color:var(--ok)}
.verdict.bad{border-left-color:var(--bad)}
.verdict.ok>.sign,.verdict.ok h1{color:var(--ok)}
.verdict.bad>.sign,.verdict.bad h1{color:var(--bad)}
.lead{font-size:1.1875rem;line-height:1.45;margin-top:.5rem;max-width:50rem}
.facts{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin-top:1rem}
dt{color:var(--dim);font-size:.8125rem}
.failure,.unreached,.waived,.digests{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:1rem 1.25rem}
.failure,.unreached{margin-top:.75rem}
.failure{border-left:.375rem solid var(--bad)}
.failure h3{margin-bottom:.5rem}
.failure dl div,.digests div{display:grid;grid-template-columns:8rem minmax(0,1fr);gap:.75rem;padding:.3rem 0;align-items:baseline}
.unreached{border-left:.375rem solid var(--wait)}
.unreached p{color:var(--dim)}
.unreached ul{list-style:none;padding:0;margin-top:.5rem;columns:22rem;column-gap:2rem}
.unreached li{break-inside:avoid;padding:.15rem 0;font-size:.9375rem}
.waived{list-style:none;border-left:.375rem solid var(--wait)}
.waived li{padding:.4rem 0}
.waived li+li{border-top:1px solid var(--line)}
.by{display:block;color:var(--dim);font-size:.9375rem}
footer{margin-top:3rem;padding-top:1rem;padding-bottom:2rem;color:var(--dim);font-size:.875rem}
.chain{list-style:none;padding:0;display:grid;gap:1.125rem}
.link{position:relative;display:flex}
.box{flex:1;min-width:0;background:var(--card);border:1px solid var(--line);border-top:.25rem solid;border-radius:.5rem;padding:.75rem}
.link.ok .box{border-top-color:var(--ok)}
.link.bad .box{border-color:var(--bad);background:var(--bad-soft)}
.link.wait .box{border-color:var(--wait);border-style:solid dashed dashed;background:var(--wait-soft)}
.link.wait .question,.link.wait .ids{color:var(--text)}
.link.gone .box{border-style:dashed;border-top-color:var(--dim);background:none}
.link+.link::before{content:"";position:absolute;left:1.5rem;top:-.9375rem;width:.5rem;height:.5rem;border:solid var(--dim);border-width:0 2px 2px 0;transform:rotate(45deg)}
.question{color:var(--dim);font-size:.875rem}
.box .question{color:var(--text);line-height:1.4;margin:.125rem 0 .375rem}
.ids{color:var(--dim);font-size:.8125rem;line-height:1.5}
.ids .id{font-size:.75rem;display:inline-block;margin-right:.25rem}
`

const tables = `
#checks~h3{margin-top:1.75rem}
table{width:100%;border-collapse:separate;border-spacing:0;table-layout:fixed;background:var(--card);border:1px solid var(--line);border-radius:.5rem;margin-top:.5rem}
th,td{text-align:left;vertical-align:top;padding:.55rem .75rem;font-weight:400}
thead th,thead .c-name{color:var(--dim);font-size:.8125rem;font-weight:600}
tbody th,tbody td{border-top:1px solid var(--line)}
.c-state .badge{white-space:normal}
td.value,.log td{font-size:.8125rem}
.log td{padding:.35rem .75rem}
tr.bad th,tr.bad td{background:var(--bad-soft)}
tr.wait th,tr.wait td{background:var(--wait-soft)}
thead .c-state{width:8.25rem}
thead .c-name{width:19rem}
.c-name{font-size:.9375rem}
.c-name .id{display:block}
.source{display:block;color:var(--dim);font-size:.8125rem}
.label{display:none;color:var(--dim);font:600 .75rem/1.6 system-ui,sans-serif}
.hint{margin-top:.4rem;font:.875rem/1.45 system-ui,sans-serif}
.log .hint{font:inherit}
thead .c-index{width:3.5rem}
thead .c-register{width:5.5rem}
thead .c-type{width:12.5rem}
thead .c-what{width:18.5rem}
tr.first td{border-top:3px solid var(--bad);border-bottom:3px solid var(--bad)}
.gap td{text-align:center;color:var(--dim);font-style:italic}
`

// narrow turns rows into cards: a phone, or a window beside another.
const narrow = `
@media screen and (max-width:47.99rem){
.verdict{flex-direction:column;gap:.75rem;padding:1.25rem}
.failure dl div,.digests div{grid-template-columns:minmax(0,1fr);gap:0}
table,tbody,tr,th,td{display:block;width:auto}
table{background:none;border:0}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tbody tr{background:var(--card);border:1px solid var(--line);border-left:.375rem solid var(--line);border-radius:.5rem;padding:.625rem .875rem;margin-bottom:.625rem}
tbody tr.ok{border-left-color:var(--ok)}
tbody tr.bad{border-left-color:var(--bad);background:var(--bad-soft)}
tbody tr.wait{border-left-color:var(--wait);background:var(--wait-soft)}
tbody th,tbody td,.log td,tr.first td{border:0;padding:.2rem 0;width:auto}
.label{display:block}
.log .c-index,.log .c-register,.log .c-type{display:inline-block;padding-right:1.25rem}
tbody tr.first{border-width:3px 3px 3px .375rem;border-color:var(--bad)}
}
`

// wide has room for the chain in two rows, or in one.
const wide = `
@media print,(min-width:48rem){
.chain{grid-template-columns:repeat(4,minmax(0,1fr));gap:1rem}
.box{padding:.625rem}
.box h3{font-size:.875rem}
.box .question{font-size:.8125rem}
.link+.link::before{left:-.875rem;top:2.75rem;transform:rotate(-45deg)}
}
@media screen and (min-width:72rem){
.chain{grid-template-columns:none;grid-auto-flow:column;grid-auto-columns:minmax(0,1fr)}
}
`

const paper = `
@media print{
@page{margin:14mm}
body{background:#ffffff;font-size:10pt}
main,footer{max-width:none;padding:0}
a{color:inherit;text-decoration:none}
.verdict,.failure,.box,tr{break-inside:avoid}
h2,h3{break-after:avoid}
thead{display:table-header-group}
th,td,.log td{padding:.3rem .4rem}
thead .c-state{width:7.25rem}
thead .c-name{width:12rem}
thead .c-index{width:2.5rem}
thead .c-register{width:4rem}
thead .c-type{width:8.5rem}
thead .c-what{width:11rem}
}
`
