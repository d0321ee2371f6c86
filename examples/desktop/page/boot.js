// The first script: it fetches the page's others. A network that changes meanwhile (a VPN that comes up) makes the
// browser drop what it is fetching, on the own computer too, and what is missing would leave a blank page: so the page
// is loaded again then. The address still has its token, or the tab its session.

/** whole fails if a style sheet didn't come: it is missing then, or its rules can't be read. */
function whole() {
  for (const link of document.querySelectorAll("link[rel=stylesheet]:not([media])")) {
    const { sheet } = /** @type {HTMLLinkElement} */ (link);
    if (sheet === null || sheet.cssRules.length === 0) throw new Error("a style sheet is missing");
  }
}

try {
  whole();
  await import("./app.js");
} catch (error) {
  console.warn(error);
  setTimeout(() => location.reload(), 500);
}

export {};
