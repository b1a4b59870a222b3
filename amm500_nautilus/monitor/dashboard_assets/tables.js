/* Fills the tables that dashboard_layout.py describes, each in the element rows-NAME; Dash calls tables() with those that are new. */
(function () {
  "use strict";

  function rowOf(tag, cells) {
    var row = document.createElement("tr");
    cells.forEach(function (cell) {
      var element = document.createElement(tag);
      // as text: what a journal holds is never read as a page
      element.textContent = cell[0];
      element.className = cell[1];
      row.append(element);
    });
    return row;
  }

  function tableOf(described) {
    if (!described.rows.length) {
      var none = document.createElement("div");
      none.className = "faint";
      none.textContent = described.nothing;
      return none;
    }
    var table = document.createElement("table");
    table.createTHead().append(rowOf("th", described.titles));
    var body = table.createTBody();
    described.rows.forEach(function (cells) {
      body.append(rowOf("td", cells));
    });
    return table;
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.amm500 = Object.assign(window.dash_clientside.amm500 || {}, {
    tables: function (described) {
      Object.keys(described || {}).forEach(function (name) {
        var place = document.getElementById("rows-" + name);
        if (place) place.replaceChildren(tableOf(described[name]));
      });
    },
  });
  // the page brings the first ones along
  window.dash_clientside.amm500.tables(JSON.parse(document.getElementById("first").textContent).tables);
})();
