// The theme: as the system says, light, or dark. The dark colours are a style sheet of their own, switched by its media.
const THEMES = { system: "screen and (prefers-color-scheme: dark)", light: "not all", dark: "screen" };
const REMEMBERED = "assertkd-theme";

function setTheme(name) {
  document.getElementById("dark-theme").media = THEMES[name];
  document.documentElement.dataset.theme = name;
  document.querySelector("#theme span").textContent = name;
}

function rememberedTheme() {
  try {
    const name = localStorage.getItem(REMEMBERED);
    return name in THEMES ? name : "system";
  } catch {
    return "system"; // A browser may refuse storage to pages opened as files.
  }
}

function setUpTheme() {
  const button = document.getElementById("theme");
  setTheme(rememberedTheme());
  button.hidden = false;
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
    setTheme(next);
    try {
      localStorage.setItem(REMEMBERED, next);
    } catch {
      // It then lasts as long as the page.
    }
  });
}

function setUpNavigation() {
  const links = new Map([...document.querySelectorAll(".top nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        for (const [id, link] of links) link.setAttribute("aria-current", String(id === entry.target.id));
      }
    },
    { rootMargin: "-20% 0px -75% 0px" },
  );
  for (const section of document.querySelectorAll("main > section")) seen.observe(section);
}
