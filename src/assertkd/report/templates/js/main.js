setUpTheme();
setUpNavigation();
document.querySelectorAll("table.board, table.heat").forEach(setUpSorting);
document.querySelectorAll("button.toggle").forEach(setUpToggle);
setUpCharts();
const browser = document.getElementById("example-browser");
if (browser) setUpExamples(browser);
