"""A few comforts for those who let scripts run; the page says everything without them."""

from __future__ import annotations

SCRIPT = """
document.querySelectorAll("table.sort thead th").forEach(function(th,i){
 var b=document.createElement("button");b.type="button";
 while(th.firstChild){b.appendChild(th.firstChild)}
 th.appendChild(b);
 b.addEventListener("click",function(){
  var column=th.cellIndex,body=th.closest("table").tBodies[0],up=th.getAttribute("aria-sort")==="descending";
  var key=function(row){var t=row.cells[column].textContent,n=parseFloat(t.replace(/\\s/g,"").replace("\\u2212","-"));
   return isNaN(n)?t:n};
  var order=function(a,b){var x=key(a),y=key(b);
   if(typeof x!==typeof y){return typeof x==="number"?-1:1}
   var d=typeof x==="number"?x-y:x.localeCompare(y,undefined,{numeric:true});return up?d:-d};
  Array.from(body.rows).sort(order).forEach(function(row){body.appendChild(row)});
  Array.from(th.parentNode.cells).forEach(function(o){o.removeAttribute("aria-sort")});
  th.setAttribute("aria-sort",up?"ascending":"descending");
 });
});
var opened=[];
window.addEventListener("beforeprint",function(){
 opened=Array.from(document.querySelectorAll("details:not([open])"));opened.forEach(function(d){d.open=true})});
window.addEventListener("afterprint",function(){opened.forEach(function(d){d.open=false})});
if("IntersectionObserver" in window){
 var links={};document.querySelectorAll("nav a").forEach(function(a){links[a.hash.slice(1)]=a});
 var watch=new IntersectionObserver(function(seen){seen.forEach(function(e){
  var a=links[e.target.id];if(a){a.classList.toggle("here",e.isIntersecting);
  var d=a.closest("details");if(d){d.open=d.open||e.isIntersecting}}})},{rootMargin:"-15% 0px -80% 0px"});
 document.querySelectorAll("article section[id]").forEach(function(s){watch.observe(s)});
}
"""
"""Sorts tables, unfolds everything for print, and shows in the contents where one reads."""
