// Before anything is drawn: light, dark, or as the machine is set.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("votum-theme");
  } catch { /* As the machine is set. */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
