// The browser of test examples. Everything from data enters the page as text, never as markup.
const PER_PAGE = 20;
const GAP = "// <ASSERTION_PLACEHOLDER>";
const MOST_DOTS = 16; // More models than that are counted, not dotted.

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

async function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = JSON.parse(await new Response(stream).text());
  const examples = data.examples.map(([id, kind, project, focal, test, gold, answers, exact, answerIndices]) => {
    const right = answerIndices.map((index) => exact[index] === 1);
    const rights = right.filter(Boolean).length;
    return { id, kind, project, focal, test, gold, answers, exact, answerIndices, right, rights };
  });
  return { ...data, examples };
}

function addOptions(select, names, any) {
  if (any) select.append(new Option(any, ""));
  names.forEach((name, index) => select.append(new Option(name || "unnamed", index)));
}

// Returns all that a search looks through.
function textOf(data, example) {
  const about = [example.id, data.kinds[example.kind], data.projects[example.project]];
  return [...about, example.focal, example.test, example.gold, ...example.answers].join("\n");
}

function chosen(data, form) {
  const value = (name) => form.elements[name].value;
  const words = value("text").toLowerCase().split(/\s+/).filter(Boolean);
  const is = (example, which) => {
    const wanted = value(`${which}_is`);
    return wanted === "" || example.right[value(which)] === (wanted === "1");
  };
  const found = data.examples.filter((example) => {
    if (value("kind") !== "" && example.kind !== Number(value("kind"))) return false;
    if (value("project") !== "" && example.project !== Number(value("project"))) return false;
    if (!is(example, "first") || !is(example, "second")) return false;
    if (!words.length) return true;
    example.text ??= textOf(data, example).toLowerCase();
    return words.every((word) => example.text.includes(word));
  });
  const middle = data.models.length / 2;
  const keys = {
    hard: (example) => example.rights,
    easy: (example) => -example.rights,
    split: (example) => Math.abs(example.rights - middle),
  };
  const key = keys[value("order")];
  return key ? found.toSorted((one, other) => key(one) - key(other)) : found;
}

function summaryOf(data, example) {
  const summary = element("summary", "", element("code", "", example.gold));
  const about = [example.id, data.kinds[example.kind], data.projects[example.project]].filter(Boolean).join(" · ");
  const tally = element("span", "tally", `${example.rights} of ${data.models.length} right`);
  if (data.models.length <= MOST_DOTS) {
    const dots = example.right.map((right, index) => {
      const dot = element("span", right ? "right" : "wrong", right ? "●" : "○");
      dot.title = data.models[index];
      return dot;
    });
    const row = element("span", "dots", ...dots);
    row.setAttribute("aria-hidden", "true");
    tally.append(row);
  }
  summary.append(tally, element("span", "about", about));
  return summary;
}

function bodyOf(data, example) {
  const [before, ...after] = example.test.split(GAP);
  const test = element("pre", "", before);
  if (after.length) test.append(element("mark", "", "assertion"), after.join(GAP));
  const code = element(
    "div",
    "code",
    element("div", "", element("h4", "", "Focal method"), element("pre", "", example.focal)),
    element("div", "", element("h4", "", "Test"), test),
  );
  const table = element("table", "answers", element("caption", "unseen", `Answers to ${example.id}`));
  const rows = table.createTBody();
  const addRow = (className, name, content, mark) => {
    const heading = element("th", "", name);
    heading.scope = "row";
    rows.append(element("tr", className, heading, element("td", "", content), element("td", "mark", mark)));
  };
  addRow("gold", "Reference", element("code", "", example.gold), "");
  example.answers.forEach((answer, index) => {
    const names = data.models.filter((_, model) => example.answerIndices[model] === index).join(", ");
    const right = example.exact[index] === 1;
    const mark = element("span", right ? "right" : "wrong", right ? "✓ match" : "✗ differs");
    addRow("", names, answer ? answerOf(example.gold, answer, right) : element("span", "faint", "(nothing)"), mark);
  });
  return element("div", "", code, table);
}

function answerOf(gold, answer, right) {
  if (right) return element("code", "", answer);
  const tags = { gone: "del", extra: "ins" };
  let apart = false; // Whether blanks stand before the tokens that these replace.
  return element(
    "code",
    "",
    ...differences(gold, answer).flatMap(([kind, text]) => {
      if (kind === "same") {
        apart = false;
        return text;
      }
      // Blanks before a token are no difference.
      const tokens = text.trimStart();
      const blanks = apart ? "" : text.slice(0, text.length - tokens.length);
      apart = kind === "gone" && blanks !== "";
      return [blanks, element(tags[kind], "", tokens)];
    }),
  );
}

async function setUpExamples(home) {
  const data = await unpacked(home.dataset.examples);
  const form = home.querySelector("form");
  const list = home.querySelector(".list");
  const pages = home.querySelector(".pages");
  const select = (name) => form.elements[name];
  addOptions(select("kind"), data.kinds, "any");
  addOptions(select("project"), data.projects, "any");
  for (const name of ["first", "second"]) addOptions(select(name), data.models);
  // A student against its teacher, which stands first.
  select("first").options[Math.min(1, data.models.length - 1)].defaultSelected = true;
  select("second").options[0].defaultSelected = true;
  let found = [];
  let page = 0;

  function showPage() {
    list.replaceChildren(
      ...found.slice(page * PER_PAGE, (page + 1) * PER_PAGE).map((example) => {
        const details = element("details", "", summaryOf(data, example));
        details.addEventListener("toggle", () => {
          if (details.open && details.children.length === 1) details.append(bodyOf(data, example));
        });
        return element("li", "", details);
      }),
    );
    const count = Math.max(1, Math.ceil(found.length / PER_PAGE));
    pages.hidden = count === 1;
    pages.querySelector("span").textContent = `Page ${page + 1} of ${count}`;
    pages.querySelector("[data-step='-1']").disabled = page === 0;
    pages.querySelector("[data-step='1']").disabled = page === count - 1;
  }

  function show() {
    found = chosen(data, form);
    page = 0;
    const number = (value) => value.toLocaleString("en");
    const of = data.total > data.examples.length ? ` (of ${number(data.total)} in the test split)` : "";
    home.querySelector(".count").textContent = `${number(found.length)} of ${number(data.examples.length)} examples${of}`;
    showPage();
  }

  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  pages.addEventListener("click", (event) => {
    const step = Number(event.target.dataset.step);
    if (!step) return;
    page += step;
    showPage();
    home.scrollIntoView({ block: "start" });
  });
  show();
  document.getElementById("example-fallback").remove();
  home.hidden = false;
}
