/* Draws the charts that dashboard_figures.py describes, each in the element chart-NAME; Dash calls charts() with those that are new. */
(function () {
  "use strict";
  var MINUTE = 60000;
  var DAY = 1440 * MINUTE;
  var MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  var NEAR_PX = 14;
  var plain = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 8 });
  var charts = {};

  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function two(number) {
    return (number < 10 ? "0" : "") + number;
  }

  function clock(ms, seconds) {
    var at = new Date(ms);
    var text = two(at.getUTCHours()) + ":" + two(at.getUTCMinutes());
    return seconds ? text + ":" + two(at.getUTCSeconds()) : text;
  }

  function day(ms) {
    var at = new Date(ms);
    return MONTHS[at.getUTCMonth()] + " " + at.getUTCDate();
  }

  /* Times of an axis, UTC; the day below the first of each. */
  function timeLabels(_plot, splits, _axis, _space, step) {
    var before = "";
    return splits.map(function (ms) {
      var today = day(ms);
      var isNew = today !== before;
      before = today;
      if (step >= DAY) return today;
      return clock(ms, step < MINUTE) + (isNew ? "\n" + today : "");
    });
  }

  /* Numbers of an axis, each with the digits that its step has. */
  function numbers(_plot, splits, _axis, _space, step) {
    var digits = 0;
    while (digits < 8 && Math.abs(step * Math.pow(10, digits) - Math.round(step * Math.pow(10, digits))) > 1e-6) digits += 1;
    var format = new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return splits.map(format.format);
  }

  function allLines(chart) {
    return chart.groups.reduce(function (found, group) {
      return found.concat(group.lines);
    }, []);
  }

  /* One table of all groups: undefined where a group has no such x, null where its line breaks. */
  function tableOf(chart) {
    var tables = chart.groups.map(function (group) {
      return [group.x].concat(
        group.lines.map(function (line) {
          return line.y;
        })
      );
    });
    var table = tables.length > 1 ? uPlot.join(tables) : tables[0] || [[]];
    if (table[0].length) return table;
    // an empty chart has its axes all the same
    return [[chart.from, chart.to]].concat(
      table.slice(1).map(function () {
        return [null, null];
      })
    );
  }

  /* The row nearest to one, in which this line has a value. */
  function nearest(values, row) {
    for (var off = 0; off < values.length; off++) {
      if (values[row - off] != null) return row - off;
      if (values[row + off] != null) return row + off;
      // a break is a break; only rows of another group are passed over
      if (values[row] === null) return null;
    }
    return null;
  }

  function limits(chart, scale) {
    return function (plot, low, high) {
      var own = scale === "y";
      if (own && chart().y) return chart().y;
      var from = plot.scales.x.min;
      var to = plot.scales.x.max;
      (own ? chart().points || [] : []).forEach(function (kind) {
        kind.y.forEach(function (value, at) {
          if (kind.x[at] < from || kind.x[at] > to) return;
          low = low === null ? value : Math.min(low, value);
          high = high === null ? value : Math.max(high, value);
        });
      });
      var isFromZero = allLines(chart()).some(function (line) {
        return (line.fill || line.bar) && Boolean(line.right) !== own;
      });
      if (isFromZero) {
        low = Math.min(0, low);
        high = Math.max(0, high);
      }
      if (low === null || high === null) return [0, 1];
      if (low === high) {
        var room = Math.abs(low) * 0.001 || 1;
        return [isFromZero && low === 0 ? 0 : low - room, high + room];
      }
      var padding = 0.06 * (high - low);
      return [isFromZero && low === 0 ? 0 : low - padding, isFromZero && high === 0 ? 0 : high + padding];
    };
  }

  function barPaths(line) {
    return function (plot, series, first, last) {
      var path = new Path2D();
      var scale = plot.series[series].scale;
      var floor = plot.valToPos(0, scale, true);
      for (var row = first; row <= last; row++) {
        var value = plot.data[series][row];
        if (value == null) continue;
        var middle = plot.data[0][row] + line.offset;
        var left = plot.valToPos(middle - line.bar / 2, "x", true);
        var right = plot.valToPos(middle + line.bar / 2, "x", true);
        var top = plot.valToPos(value, scale, true);
        path.rect(left, Math.min(top, floor), Math.max(1, right - left), Math.abs(floor - top));
      }
      return { fill: path, stroke: null };
    };
  }

  function seriesOf(line, isAlone) {
    var series = { label: line.name, scale: line.right ? "right" : "y", points: { show: false } };
    if (line.bar) {
      return Object.assign(series, { paths: barPaths(line), fill: line.color + (isAlone ? "" : "8c"), width: 0 });
    }
    return Object.assign(series, {
      stroke: line.color,
      width: line.width || 1.6,
      fill: line.fill ? line.color + "33" : undefined,
      fillTo: 0,
      paths: line.step ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear(),
    });
  }

  function inside(plot, draw) {
    plot.ctx.save();
    plot.ctx.beginPath();
    plot.ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    plot.ctx.clip();
    draw(plot.ctx, plot.bbox);
    plot.ctx.restore();
  }

  function drawBands(plot, bands) {
    inside(plot, function (ink, box) {
      ink.globalAlpha = 0.18;
      bands.forEach(function (band) {
        var left = plot.valToPos(band[0], "x", true);
        ink.fillStyle = band[2];
        ink.fillRect(left, box.top, Math.max(1, plot.valToPos(band[1], "x", true) - left), box.height);
      });
    });
  }

  function drawLevels(plot, levels) {
    inside(plot, function (ink, box) {
      var unit = uPlot.pxRatio;
      ink.font = 11 * unit + "px system-ui, sans-serif";
      ink.textAlign = "left";
      ink.lineWidth = 1.5 * unit;
      ink.setLineDash([7 * unit, 5 * unit]);
      levels.forEach(function (level, number) {
        var y = plot.valToPos(level.y, "y", true);
        ink.strokeStyle = ink.fillStyle = level.color;
        ink.beginPath();
        ink.moveTo(box.left, y);
        ink.lineTo(box.left + box.width, y);
        ink.stroke();
        // the lowest level's text below it, the others' above: they lie close
        ink.textBaseline = number ? "bottom" : "top";
        ink.fillText(level.text, box.left + 6 * unit, y + (number ? -3 : 4) * unit);
      });
    });
  }

  function drawPoints(plot, kinds) {
    inside(plot, function (ink) {
      var size = 4.5 * uPlot.pxRatio;
      ink.lineWidth = 0.8 * uPlot.pxRatio;
      ink.strokeStyle = color("--card");
      kinds.forEach(function (kind) {
        var way = kind.up ? 1 : -1;
        ink.fillStyle = kind.color;
        kind.x.forEach(function (ms, at) {
          var x = plot.valToPos(ms, "x", true);
          var y = plot.valToPos(kind.y[at], "y", true);
          ink.beginPath();
          ink.moveTo(x, y - way * size);
          ink.lineTo(x - size, y + way * size);
          ink.lineTo(x + size, y + way * size);
          ink.closePath();
          ink.fill();
          ink.stroke();
        });
      });
    });
  }

  /* What the pointer is at: the time, each line's value, and the fill that is close. */
  function said(plot, chart) {
    var row = plot.cursor.idx;
    if (row == null || plot.cursor.left < 0) return [];
    var found = [];
    var at = null;
    allLines(chart).forEach(function (line, number) {
      var near = nearest(plot.data[number + 1], row);
      if (near === null) return;
      at = at === null ? plot.data[0][near] : at;
      found.push([line.color, line.name + " " + plain.format(plot.data[number + 1][near])]);
    });
    (chart.points || []).forEach(function (kind) {
      var best = null;
      var least = NEAR_PX;
      kind.x.forEach(function (ms, index) {
        var away = Math.hypot(
          plot.valToPos(ms, "x") - plot.cursor.left,
          plot.valToPos(kind.y[index], "y") - plot.cursor.top
        );
        if (away <= least) [best, least] = [index, away];
      });
      if (best === null) return;
      found.push([kind.color, kind.name + " " + kind.text[best] + " at " + plain.format(kind.y[best])]);
    });
    if (!found.length) return [];
    var title = chart.labels ? chart.labels[at] : day(at) + " " + clock(at, true) + " UTC";
    return [["", title]].concat(found);
  }

  function showTip(plot, chart, tip) {
    var rows = said(plot, chart);
    tip.hidden = !rows.length;
    if (!rows.length) return;
    tip.replaceChildren.apply(
      tip,
      rows.map(function (row) {
        var line = document.createElement("div");
        if (row[0]) {
          var sign = document.createElement("i");
          sign.style.background = row[0];
          line.append(sign);
        }
        line.append(row[1]);
        return line;
      })
    );
    var left = plot.over.offsetLeft + plot.cursor.left;
    var isLeft = left > plot.width / 2;
    tip.style.left = (isLeft ? left - tip.offsetWidth - 12 : left + 12) + "px";
    tip.style.top = plot.over.offsetTop + 4 + "px";
  }

  /* What a chart says to who does not see it. */
  function words(chart) {
    var values = allLines(chart).map(function (line) {
      var known = line.y.filter(function (value) {
        return value != null;
      });
      if (!known.length) return line.name + ": none";
      if (chart.labels) return line.name + ": " + known.map(plain.format).join(", ");
      return line.name + ": " + plain.format(known[known.length - 1]);
    });
    return [chart.note].concat(values).join("; ");
  }

  /* Under a chart's title: what it shows, and what each of its colors means. */
  function showNote(note, chart) {
    var drawn = allLines(chart).concat(chart.points || []);
    var keys = drawn.map(function (each) {
      var key = document.createElement("span");
      var sign = document.createElement(each.bar || each.x ? "span" : "i");
      key.className = "key";
      if (each.bar || each.x) sign.textContent = (each.bar ? "\u25a0" : each.up ? "\u25b2" : "\u25bc") + " ";
      sign.style.color = sign.style.borderColor = each.color;
      key.append(sign, each.name);
      return key;
    });
    note.replaceChildren.apply(note, [chart.note].concat(keys.length > 1 ? keys : []));
  }

  function axesOf(chart) {
    var faint = function () {
      return color("--faint");
    };
    var grid = {
      width: 1,
      stroke: function () {
        return color("--grid");
      },
    };
    var base = { stroke: faint, grid: grid, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    var across = Object.assign({}, base, { size: 40, space: 70, values: timeLabels });
    if (chart.labels) {
      across.grid = { show: false };
      across.size = 26;
      across.splits = function () {
        return Object.keys(chart.labels).map(Number);
      };
      across.values = function (_plot, splits) {
        return splits.map(function (place) {
          return chart.labels[place];
        });
      };
    }
    var axes = [across, Object.assign({}, base, { scale: "y", size: 66, space: 34, values: numbers })];
    if (scalesOf(chart).right) {
      var right = { scale: "right", side: 1, size: 62, space: 34, values: numbers, grid: { show: false } };
      axes.push(Object.assign({}, base, right));
    }
    return axes;
  }

  function scalesOf(chart) {
    var found = { y: true };
    allLines(chart).forEach(function (line) {
      found[line.right ? "right" : "y"] = true;
    });
    return found;
  }

  /* What a drawing cannot change afterwards. */
  function formOf(chart) {
    return JSON.stringify([
      chart.shown,
      chart.labels || null,
      allLines(chart).map(function (line) {
        return [line.name, line.bar || 0];
      }),
    ]);
  }

  function make(name, element, chart) {
    var kept = { chart: chart, zoom: null, form: formOf(chart) };
    var current = function () {
      return kept.chart;
    };
    var tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    var scales = {
      x: {
        time: !chart.labels,
        range: function () {
          if (chart.labels) return [-0.5, chart.labels.length - 0.5];
          return kept.zoom || [kept.chart.from, kept.chart.to];
        },
      },
    };
    Object.keys(scalesOf(chart)).forEach(function (scale) {
      scales[scale] = { range: limits(current, scale) };
    });
    var options = {
      width: element.clientWidth,
      height: element.clientHeight,
      ms: 1,
      tzDate: function (ms) {
        return uPlot.tzDate(new Date(ms), "Etc/UTC");
      },
      scales: scales,
      axes: axesOf(chart),
      series: [{}].concat(
        allLines(chart).map(function (line) {
          return seriesOf(line, Boolean(chart.labels));
        })
      ),
      legend: { show: false },
      padding: [8, scales.right ? 0 : 22, 0, 0],
      cursor: {
        y: false,
        points: { show: !chart.labels, size: 6 },
        drag: { x: !chart.labels, y: false, setScale: false },
        dataIdx: function (plot, series, row) {
          return series ? nearest(plot.data[series], row) : row;
        },
        bind: {
          dblclick: function (plot) {
            return function () {
              kept.zoom = null;
              plot.setData(plot.data, true);
            };
          },
        },
      },
      hooks: {
        drawClear: [
          function (plot) {
            drawBands(plot, kept.chart.bands || []);
          },
        ],
        draw: [
          function (plot) {
            drawLevels(plot, kept.chart.levels || []);
            drawPoints(plot, kept.chart.points || []);
            element.dataset.drawn = kept.chart.shown;
          },
        ],
        setCursor: [
          function (plot) {
            showTip(plot, kept.chart, tip);
          },
        ],
        setSelect: [
          function (plot) {
            if (plot.select.width < 4) return;
            var left = plot.select.left;
            kept.zoom = [plot.posToVal(left, "x"), plot.posToVal(left + plot.select.width, "x")];
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            plot.setScale("x", { min: kept.zoom[0], max: kept.zoom[1] });
          },
        ],
      },
    };
    element.replaceChildren();
    kept.plot = new uPlot(options, tableOf(chart), element);
    kept.plot.root.append(tip);
    kept.element = element;
    return kept;
  }

  function drawOne(name, chart) {
    var element = document.getElementById("chart-" + name);
    if (!element) return;
    var kept = charts[name];
    if (kept && kept.element === element && kept.form === formOf(chart)) {
      kept.chart = chart;
      kept.plot.setData(tableOf(chart), true);
    } else {
      if (kept) kept.plot.destroy();
      charts[name] = make(name, element, chart);
      sizes.observe(element);
    }
    element.setAttribute("aria-label", words(chart));
    showNote(document.getElementById("note-" + name), chart);
  }

  var sizes = new ResizeObserver(function () {
    Object.keys(charts).forEach(function (name) {
      var element = charts[name].element;
      var plot = charts[name].plot;
      if (element.clientWidth && (element.clientWidth !== plot.width || element.clientHeight !== plot.height)) {
        plot.setSize({ width: element.clientWidth, height: element.clientHeight });
      }
    });
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
    Object.keys(charts).forEach(function (name) {
      charts[name].plot.redraw(false, true);
    });
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.amm500 = Object.assign(window.dash_clientside.amm500 || {}, {
    charts: function (described) {
      Object.keys(described || {}).forEach(function (name) {
        drawOne(name, described[name]);
      });
    },
  });
  // the page brings the first ones along
  window.dash_clientside.amm500.charts(JSON.parse(document.getElementById("first").textContent).charts);
})();
