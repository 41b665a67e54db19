// Charts: each <figure> carries its Vega-Lite specification, and its data as the CSV that its link downloads.
const PANEL_WIDTH = 300; // Least width of a panel, in pixels, before panels go below each other.
const MOST_ROWS = 5000; // Rows of a table of data; the CSV has all.

const READ = { number: Number, boolean: (text) => text === "True", string: String };

// Returns the rows of a figure's CSV as objects; an empty cell is null.
function dataOf(figure) {
  const address = figure.querySelector("a[download]").getAttribute("href");
  const text = decodeURIComponent(address.slice(address.indexOf(",") + 1));
  const types = Object.entries(JSON.parse(figure.dataset.types));
  const [, ...rows] = cellsOf(text);
  return rows.map((cells) =>
    Object.fromEntries(types.map(([name, type], place) => [name, cells[place] ? READ[type](cells[place]) : null])),
  );
}

// Returns the cells of every row of a CSV text, quotes undone (RFC 4180).
function cellsOf(text) {
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\n]*))(,|\n|$)/g)) {
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === "\n") rows.push([]);
    if (end === "") break;
  }
  return rows.filter((row) => row.length > 1 || row[0] !== "");
}

function chartStyle(width) {
  // Colours are the page's own variables, so that charts follow the theme and print without being drawn again.
  const text = { labelColor: "var(--faint)", titleColor: "var(--ink)", titleFontWeight: "normal" };
  return {
    background: "transparent",
    font: "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
    axis: { ...text, gridColor: "var(--line)", domainColor: "var(--line)", tickColor: "var(--line)", labelFontSize: 11 },
    header: { labelColor: "var(--ink)", titleColor: "var(--ink)" },
    legend: {
      ...text,
      labelColor: "var(--ink)",
      labelLimit: 220,
      columns: Math.max(1, Math.floor(width / 170)),
      orient: "bottom",
      layout: { bottom: { direction: "vertical", anchor: "start" } },
    },
    view: { stroke: "var(--line)" },
  };
}

function panelsOf(spec) {
  if (spec.facet) return { panels: [spec.spec], columns: spec.columns };
  if (spec.concat) return { panels: spec.concat, columns: spec.columns };
  return { panels: [spec], columns: 1 };
}

async function draw(figure) {
  const home = figure.querySelector(".chart");
  const room = home.clientWidth;
  if (!room || figure.dataset.drawn === String(room)) return;
  figure.dataset.drawn = String(room);
  const spec = JSON.parse(figure.dataset.spec);
  spec.datasets = { data: dataOf(figure) };
  const { panels, columns } = panelsOf(spec);
  const beside = Math.max(1, Math.min(columns, Math.floor(room / PANEL_WIDTH)));
  if (columns > 1) spec.columns = beside;
  const options = { renderer: "svg", actions: false, ast: true, config: chartStyle(room) };
  let width = Math.floor(room / beside) - 60;
  // What axes and legends take is known once they are drawn; the second drawing fits.
  home.replaceChildren();
  for (const last of [false, true]) {
    for (const panel of panels) panel.width = width;
    const { view } = await vegaEmbed(home, spec, options);
    const surplus = home.querySelector("svg").getBoundingClientRect().width - room;
    if (last || Math.abs(surplus) < 2) break;
    view.finalize();
    width = Math.max(100, Math.floor(width - surplus / beside) - 1);
  }
}

async function drawAll() {
  for (const figure of document.querySelectorAll("figure.plot")) await draw(figure);
}

function fillTable(figure) {
  const details = figure.querySelector(".table-of-data");
  if (details.querySelector("table")) return;
  const rows = dataOf(figure);
  const names = Object.keys(rows[0]);
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of names) {
    const heading = document.createElement("th");
    heading.scope = "col";
    heading.textContent = name.replaceAll("_", " ");
    head.append(heading);
  }
  const body = table.createTBody();
  for (const row of rows.slice(0, MOST_ROWS)) {
    const line = body.insertRow();
    for (const name of names) line.insertCell().textContent = row[name] ?? "";
  }
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.append(table);
  details.append(scroll);
}

function setUpCharts() {
  for (const figure of document.querySelectorAll("figure.plot")) {
    figure.querySelector(".table-of-data").addEventListener("toggle", () => fillTable(figure));
  }
  drawAll().then(() => (document.documentElement.dataset.charts = "drawn"));
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 200);
  });
}
