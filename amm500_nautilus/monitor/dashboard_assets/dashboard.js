/* A page that gets no more answers must say so itself: the last figures would else pass for the newest. */
(function () {
  "use strict";
  var SILENT_MS = 15000;
  var last = "";
  var since = Date.now();
  setInterval(function () {
    var mark = document.getElementById("updated");
    var text = mark ? mark.textContent : "";
    if (text !== last) {
      last = text;
      since = Date.now();
    }
    var silent = Date.now() - since;
    document.body.classList.toggle("stale", silent > SILENT_MS);
    var banner = document.getElementById("stale");
    if (banner && silent > SILENT_MS) {
      banner.textContent =
        "No answer for " + Math.round(silent / 1000) + " s: what is below is old. Is amm500 dashboard running? " +
        "After its restart open the link that it prints.";
    }
  }, 1000);
})();
