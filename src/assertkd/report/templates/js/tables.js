// Tables that sort by a click on a heading. What moves is a <tbody>: a model with its seeds.
function setUpSorting(table) {
  table.querySelectorAll("thead th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(table, heading, column));
  });
}

function sortBy(table, heading, column) {
  const bodies = [...table.tBodies];
  const valueOf = (body) => body.rows[0].cells[column].dataset.value;
  const isText = bodies.some((body) => valueOf(body) !== undefined && Number.isNaN(Number(valueOf(body))));
  const first = isText ? "ascending" : "descending";
  const second = isText ? "descending" : "ascending";
  const order = heading.getAttribute("aria-sort") === first ? second : first;
  const sign = order === "ascending" ? 1 : -1;
  bodies.sort((one, other) => {
    const [a, b] = [valueOf(one), valueOf(other)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (isText ? a.localeCompare(b, "en", { numeric: true }) : Number(a) - Number(b));
  });
  table.append(...bodies);
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
}

// Buttons that show further columns of the leaderboard, or the seeds.
const HIDES = { "all-figures": "few-figures", seeds: "without-seeds" };

function setUpToggle(button) {
  const table = document.getElementById("leaderboard");
  const show = (shown) => {
    table.classList.toggle(HIDES[button.dataset.toggles], !shown);
    button.setAttribute("aria-pressed", String(shown));
  };
  show(false);
  button.hidden = false;
  button.addEventListener("click", () => show(button.getAttribute("aria-pressed") !== "true"));
}
